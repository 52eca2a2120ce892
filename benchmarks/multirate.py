"""One model for every beta against one model for each (Bae et al. 2023), by hand and small, to try what a conditioning needs.

    python benchmarks/multirate.py separate wide        # D + beta R of each variant less that of the separate models

Networks of 784-200-64 and 32-200-784 units (``wide``: 400) on the first 20 000 images of statically binarised MNIST, batches of 128,
Adam 1e-3. The numbers are of the first 5000 test images, in nats; ``cost`` is the CPU time in trainings of one separate model. RateLab's
own conditioning (``model.conditioning: beta``) is the variant ``gates``; ``mnist/multirate`` trains it much like ``wide-decay``.
"""

import argparse
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.dataset import Dataset
from ratelab.runs import Circumstances, resolve

BETAS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
LOW, HIGH = math.log(BETAS[0]), math.log(BETAS[-1])
LATENTS, PIXELS = 32, 784
IMAGES, BATCH, MEASURED = 20_000, 128, 5000


@dataclass(frozen=True)
class Variant:
    """What a conditioning is made of, and how it is trained.

    ``hidden``: units of both networks. ``heads``: gates on the encoder's heads; ``latents``: on the latents as the decoder takes them;
    ``shifts``: beside the scales. ``tempered``: the encoder's head writes a Gaussian that is raised to 1 / beta and multiplied with the
    marginal. ``power``: an example's loss is weighed by beta to this. ``ends``: betas are drawn with more weight on the range's ends.
    ``warm``: the share of the training over which all beta rise from 0. ``decay``: the learning rate falls to 0 by a cosine.
    """

    hidden: int = 200
    bend: int = 32
    heads: bool = True
    latents: bool = True
    shifts: bool = True
    tempered: bool = False
    power: float = 0.0
    ends: bool = False
    warm: float = 0.0
    lr: float = 1e-3
    epochs: int = 20
    decay: bool = False


VARIANTS = {
    "affine-tempered": Variant(bend=0, heads=False, latents=False, shifts=False, tempered=True),
    "hidden-only": Variant(heads=False, latents=False, shifts=False),
    "gates": Variant(),
    "tempered": Variant(tempered=True),
    "tempered-normalised": Variant(tempered=True, power=-0.5),
    "tempered-favour-high": Variant(tempered=True, power=1.0),
    "normalised": Variant(power=-0.5),
    "fast": Variant(lr=3e-3),
    "warm": Variant(lr=2e-3, warm=0.3),
    "warm-normalised": Variant(lr=2e-3, warm=0.3, power=-0.5),
    "wide": Variant(hidden=400),
    "longer-ends": Variant(ends=True, epochs=38),
    "wide-ends": Variant(hidden=400, ends=True, epochs=23, power=-0.15),
    "wide-ends-decay": Variant(hidden=400, ends=True, epochs=23, power=-0.15, lr=1.5e-3, decay=True),
    "wide-decay": Variant(hidden=400, ends=True, epochs=23, lr=1.5e-3, decay=True),
    "wide-decay-fast": Variant(hidden=400, ends=True, epochs=23, lr=2e-3, decay=True),
    "longer-decay": Variant(ends=True, epochs=38, lr=1.5e-3, decay=True),
    "longer-decay-low": Variant(ends=True, epochs=38, power=-0.3, lr=1.5e-3, decay=True),
    "longer-decay-lower": Variant(ends=True, epochs=38, power=-0.5, decay=True),
    "even-decay-lowest": Variant(epochs=38, power=-0.7, decay=True),
}


class Separate(nn.Module):
    """A VAE for one beta."""

    def __init__(self, hidden: int = 200) -> None:
        super().__init__()
        self.encoder, self.heads = nn.Linear(PIXELS, hidden), nn.Linear(hidden, 2 * LATENTS)
        self.decoder, self.logits = nn.Linear(LATENTS, hidden), nn.Linear(hidden, PIXELS)

    def forward(self, x: Tensor, log_beta: Tensor) -> tuple[Tensor, Tensor]:
        """Distortion and rate of each example, (B,) nats."""
        mean, log_variance = self.heads(F.relu(self.encoder(x))).chunk(2, -1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return missing(self.logits(F.relu(self.decoder(z))), x), rate(mean, log_variance)


class OneForAll(Separate):
    """The same networks behind gates that one small network makes of log beta."""

    def __init__(self, variant: Variant) -> None:
        super().__init__(variant.hidden)
        self.variant = variant
        self.widths = {"encoder": variant.hidden, "decoder": variant.hidden}
        self.widths |= {"mean": LATENTS, "spread": LATENTS} if variant.heads else {}
        self.widths |= {"latents": LATENTS} if variant.latents else {}
        total = 2 * sum(self.widths.values())
        self.last = nn.Linear(variant.bend or 1, total)
        self.first = nn.Linear(1, variant.bend) if variant.bend else None
        nn.init.zeros_(self.last.bias)
        if self.first is not None:
            nn.init.uniform_(self.first.weight, -3.0, 3.0)
            nn.init.uniform_(self.first.bias, -2.0, 2.0)

    def forward(self, x: Tensor, log_beta: Tensor) -> tuple[Tensor, Tensor]:
        place = (2 * (log_beta - LOW) / (HIGH - LOW) - 1).unsqueeze(-1)
        bent = place if self.first is None else torch.tanh(self.first(place))
        raw, shifts = (part.split(list(self.widths.values()), -1) for part in self.last(bent).chunk(2, -1))
        gates = dict(zip(self.widths, zip(raw, shifts, strict=True), strict=True))

        def gated(name: str, values: Tensor) -> Tensor:
            if name not in gates:
                return values
            scaled = values * 2 * torch.sigmoid(gates[name][0])
            return scaled + gates[name][1] if self.variant.shifts and name != "latents" else scaled

        mean, spread = self.heads(F.relu(gated("encoder", self.encoder(x)))).chunk(2, -1)
        mean, log_variance = gated("mean", mean), gated("spread", spread)
        if self.variant.tempered:
            precision = log_variance - log_beta.unsqueeze(-1)  # the logarithm of the site's, over beta
            mean, log_variance = mean * torch.sigmoid(precision), -F.softplus(precision)
        z = gated("latents", mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        return missing(self.logits(F.relu(gated("decoder", self.decoder(z)))), x), rate(mean, log_variance)


def missing(logits: Tensor, x: Tensor) -> Tensor:
    """-log d(x|z), (B,)."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def rate(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL to N(0, I), (B,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)


def train(net: nn.Module, x: Tensor, variant: Variant, beta: float | None = None) -> float:
    """Train in place, at one ``beta`` or over the whole range; returns the CPU seconds."""
    draws = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(net.parameters(), lr=variant.lr, fused=True)
    steps, step, began = variant.epochs * -(-len(x) // BATCH), 0, time.process_time()
    for _ in range(variant.epochs):
        for rows in torch.randperm(len(x), generator=draws).split(BATCH):
            if variant.decay:
                for group in optimiser.param_groups:
                    group["lr"] = variant.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            step += 1
            log_beta = torch.full((len(rows),), math.log(beta or 1.0)) if beta else over_range(len(rows), variant, draws)
            distortion, spent = net(x[rows], log_beta)
            weight = (variant.power * log_beta).exp()
            risen = min(1.0, step / (variant.warm * steps)) if variant.warm else 1.0
            loss = ((distortion + risen * log_beta.exp() * spent) * weight / weight.mean()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return time.process_time() - began


def over_range(n: int, variant: Variant, draws: torch.Generator) -> Tensor:
    """Stratified log betas, (n,)."""
    place = (torch.randperm(n, generator=draws) + torch.rand(n, generator=draws)) / n
    return LOW + (HIGH - LOW) * (0.5 - 0.5 * torch.cos(math.pi * place) if variant.ends else place)


@torch.no_grad()
def measure(net: nn.Module, x: Tensor, beta: float) -> tuple[float, float]:
    """Distortion and rate at one beta."""
    torch.manual_seed(99)
    distortion, spent = net(x, torch.full((len(x),), math.log(beta)))
    return distortion.mean().item(), spent.mean().item()


def flat(data: Dataset, split: str, count: int) -> Tensor:
    return torch.as_tensor(getattr(data, split).x[:count]).flatten(1).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", choices=["separate", *VARIANTS], default=["separate", "gates"])
    parser.add_argument("--hidden", type=int, default=200, help="units of the separate models")
    parser.add_argument("--decay", action="store_true", help="the separate models' learning rate falls to 0 by a cosine too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = Circumstances().dataset(resolve({"data": "static-mnist", "model": "vae"}))
    x, held_out = flat(data, "train", IMAGES), flat(data, "test", MEASURED)
    base, one = {}, 0.0
    for beta in BETAS:
        torch.manual_seed(0)
        net: nn.Module = Separate(asked.hidden)
        one += train(net, x, Variant(lr=1.5e-3 if asked.decay else 1e-3, decay=asked.decay), beta) / len(BETAS)
        base[beta] = measure(net, held_out, beta)
    print("beta".ljust(22), "cost", *(f"{beta:>7g}" for beta in BETAS))
    print("separate: D + beta R".ljust(22), "    ", *(f"{base[beta][0] + beta * base[beta][1]:7.1f}" for beta in BETAS))
    print("separate: R".ljust(22), "   1", *(f"{base[beta][1]:7.1f}" for beta in BETAS), flush=True)
    for name in (v for v in asked.variants if v != "separate"):
        torch.manual_seed(0)
        net = OneForAll(VARIANTS[name])
        cost = train(net, x, VARIANTS[name]) / one
        found = {beta: measure(net, held_out, beta) for beta in BETAS}
        gaps = (found[b][0] + b * found[b][1] - base[b][0] - b * base[b][1] for b in BETAS)
        print(f"{name}: gap".ljust(22), f"{cost:4.1f}", *(f"{gap:7.1f}" for gap in gaps))
        print(f"{name}: R".ljust(22), "    ", *(f"{found[b][1]:7.1f}" for b in BETAS), flush=True)


if __name__ == "__main__":
    main()
