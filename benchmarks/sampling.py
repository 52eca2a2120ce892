"""Drawing 28x28 images from the autoregressive decoders: cached activations against one full pass of the network per pixel.

    python benchmarks/sampling.py                    both decoders at the paper's width, 64 images
    python benchmarks/sampling.py --features 16      narrower networks

The 784 full passes are not all run: the time of one is the median of a few, times 784. That the draws are the same is checked
on the very images drawn: by induction over pixels they are those of full passes if one full pass over the finished images makes
every pixel's choice again from the same random numbers.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

from ratelab.core.batch import LiveNoise, RecordedNoise
from ratelab.decoders import DECODERS
from ratelab.distributions.autoregressive import Autoregressive

SHAPE, LATENTS = (1, 28, 28), 64
PIXELS = SHAPE[1] * SHAPE[2]


def decoder_of(name: str, features: int) -> nn.Module:
    torch.manual_seed(0)
    options = {"name": name, "features": features}
    return DECODERS.build(DECODERS.resolve(options, "decoder"), (LATENTS,), SHAPE).eval()


def full_pass(law: Autoregressive, images: Tensor) -> tuple[float, Tensor]:
    """Seconds of one pass over all images, and the logits it gives."""
    start = time.perf_counter()
    logits = law.network(2 * images - 1, law.context)
    return time.perf_counter() - start, logits


@torch.no_grad()
def measure(name: str, features: int, batch: int, repeats: int, dtype: torch.dtype) -> str:
    decoder = decoder_of(name, features).to(dtype)
    law = decoder(torch.randn(batch, LATENTS, dtype=dtype))
    full_pass(law, torch.zeros(batch, *SHAPE, dtype=dtype))
    passes, draws, changed = [], [], 0
    for repeat in range(repeats):
        noise = RecordedNoise(LiveNoise(repeat, dtype=dtype))
        start = time.perf_counter()
        images = law.draw(noise).value
        draws.append(time.perf_counter() - start)
        seconds, logits = full_pass(law, images)
        passes.append(seconds)
        uniform = torch.stack([u.reshape(batch) for u in noise.draws], -1).reshape(batch, *SHAPE)
        changed += int(((uniform < torch.sigmoid(logits)).to(dtype) != images).sum())
    one, drawing = statistics.median(passes), statistics.median(draws)
    return (
        f"{name}, {features} features, {batch} images, {dtype}: drawing {drawing:.2f} s; one full pass {one:.3f} s, "
        f"times {PIXELS}: {PIXELS * one:.0f} s (estimated); ratio {PIXELS * one / drawing:.0f}; pixels that full passes "
        f"would have drawn differently: {changed} of {repeats * batch * PIXELS}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--double", action="store_true", help="float64")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name in ("pixelcnn++", "gated-pixelcnn"):
        dtype = torch.float64 if given.double else torch.float32
        print(measure(name, given.features, given.batch, given.repeats, dtype), flush=True)


if __name__ == "__main__":
    main()
