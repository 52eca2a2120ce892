"""One training step of the GHVAE for MNIST against the same layers written out by hand, side by side in one process.

    python benchmarks/hierarchy_step.py [--batch 256] [--repeats 15]

Both take the same parameters through the same arithmetic (binary images, closed rates of two layers, fused Adam); the plain step knows no
laws, layers or passes. Both run on one thread and take turns, and the processor's time is counted, so that other programs disturb
the ratio little. Prints the median milliseconds of each and the ratio; the losses are compared first.
"""

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES


def plain_loss(model: Any, x: Tensor, e2: Tensor, e1: Tensor) -> Tensor:
    """D + R_2 + R_1 of one draw, with nothing but tensors."""
    upper, lower = model.inference.encoders
    below, decoder = model.conditionals[0], model.decoder.network
    m2, s2 = upper.head.out(upper.network.middle(upper.network.quarter(x)).flatten(1)).chunk(2, -1)
    s2 = F.softplus(s2)
    z2 = m2 + s2 * e2
    told = lower.joint.grow(lower.joint.enter(z2))
    m1, s1 = lower.head.out(lower.joint.mix(torch.cat([told, lower.joint.quarter(x)], 1))).chunk(2, 1)
    s1 = F.softplus(s1)
    z1 = m1 + s1 * e1
    mp, sp = below.head.out(below.layers(z2)).chunk(2, -1)
    mp, sp = mp.view_as(m1), F.softplus(sp).view_as(s1)
    rate2 = 0.5 * (m2.square() + s2.square() - 1).sum(-1) - s2.log().sum(-1)
    rate1 = ((s1.square() + (m1 - mp).square()) / (2 * sp.square()) - 0.5 + sp.log() - s1.log()).flatten(1).sum(-1)
    distortion = F.binary_cross_entropy_with_logits(decoder.layers(z1), x, reduction="none").flatten(1).sum(-1)
    return (distortion + rate2 + rate1).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    x = (np.random.default_rng(0).random((given.batch, 1, 28, 28)) < 0.2).astype(np.uint8)
    dataset = Dataset("bits", Support.BINARY, Split(x), Split(x), Split(x))
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve("xiao2023", "model"), dataset)
    setting = Setting(model.event_shape, model.latent_shapes, 1.0, given.batch)
    objective = OBJECTIVES.build(OBJECTIVES.resolve({"name": "beta", "beta": [1.0, 1.0]}, "objective"), setting)
    batch, noise = Batch(torch.as_tensor(x).float()), LiveNoise(0)

    def ours() -> Tensor:
        loss: Tensor = objective.loss(model(batch, noise), {}).total
        return loss

    def plain() -> Tensor:
        return plain_loss(model, batch.x, noise.normal((given.batch, 20)), noise.normal((given.batch, 16, 4, 4)))

    first = [ours().item()]
    noise = LiveNoise(0)
    first.append(plain().item())
    assert abs(first[0] - first[1]) < 1e-3, first
    learner = torch.optim.Adam(model.parameters(), 3e-4, fused=True)
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for repeat in range(given.repeats + 2):
        for name, loss in (("ours", ours), ("plain", plain)):
            started = time.process_time()
            loss().backward()
            learner.step()
            learner.zero_grad(set_to_none=True)
            if repeat > 1:
                times[name].append(time.process_time() - started)
    taken = {name: 1e3 * median(seconds) for name, seconds in times.items()}
    print(
        f"batch {given.batch}, {torch.get_num_threads()} thread(s): ours {taken['ours']:.1f} ms, plain {taken['plain']:.1f} ms"
    )
    print(f"ratio {taken['ours'] / taken['plain']:.3f}")


if __name__ == "__main__":
    main()
