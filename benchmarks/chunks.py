"""Memory of K = 50 samples per image through the deconvolutional decoder: in chunks, against one chunk alone and all at once.

    python benchmarks/chunks.py                      the paper's decoder, 20 images, chunks of 5
    python benchmarks/chunks.py --width 8 --images 50

Every measurement is a process of its own that runs the estimator 'iwae' on one batch and reports by how much its resident memory
peaked above what it was with model and data loaded. Chunks should stay under 1.5 times one chunk.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.estimators import ESTIMATORS
from ratelab.models import MODELS

MODEL = {
    "name": "vae",
    "latent_dim": 64,
    "encoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": [64]}},
}


def peak() -> float:
    """The largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@torch.no_grad()
def measure(samples: int, chunk: int, images: int, width: int) -> dict[str, float]:
    torch.set_num_threads(1)
    x = (np.random.default_rng(0).random((images, 1, 28, 28)) < 0.13).astype(np.uint8)
    dataset = Dataset("noise", Support.BINARY, Split(x), Split(x), Split(x))
    torch.manual_seed(0)
    node = {**MODEL, "decoder": {"name": "bernoulli", "network": {"name": "deconv", "width": width}}}
    model = MODELS.build(MODELS.resolve(node, "model"), dataset).eval()
    estimator = ESTIMATORS.build(ESTIMATORS.resolve({"name": "iwae", "samples": samples, "chunk": chunk}, "estimators"))
    batch = Batch(torch.as_tensor(x).float())
    model(Batch(batch.x[:1]), LiveNoise(0))  # what the first pass allocates once and for all
    before, start = peak(), time.process_time()
    estimator.observe(model, batch, LiveNoise(0))
    return {"mib": peak() - before, "seconds": time.process_time() - start, "bound": float(estimator.result()["iwae"].value)}


def in_a_process(samples: int, chunk: int, given: argparse.Namespace) -> dict[str, float]:
    words = ["--one", str(samples), str(chunk), "--images", str(given.images), "--width", str(given.width)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--chunk", type=int, default=5)
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one, given.images, given.width)))
        return
    sides = {
        f"one chunk of {given.chunk}": (given.chunk, given.chunk),
        f"{given.samples} samples in chunks of {given.chunk}": (given.samples, given.chunk),
        f"{given.samples} samples at once": (given.samples, given.samples),
    }
    one = None
    for name, (samples, chunk) in sides.items():
        found = in_a_process(samples, chunk, given)
        one = found["mib"] if one is None else one
        print(
            f"{name:28}: {found['mib']:7.1f} MiB above the start, {found['mib'] / one:5.2f} of one chunk, {found['seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()
