"""Examples per second of bits-back coding, compressing and decompressing, by MLPs 784-300-300-40 of binary and of grey images.

    python benchmarks/compress.py          one core's own time; a 256-way categorical law has 60 million weights in its last layer

The networks run in float64, one example at a time: the code of the next one is drawn from what the last one left on the stack.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.evaluation.bits_back import Codec, one_thread
from ratelab.models import MODELS

MLP = {"name": "mlp", "hidden": [300, 300]}
DECODERS = {
    "bernoulli": (Support.BINARY, 2),
    "quantised-normal": (Support.LEVELS, 256),
    "discretised-logistic": (Support.LEVELS, 256),
    "categorical": (Support.LEVELS, 256),
}


def codec(decoder: str, x: np.ndarray) -> Codec:
    torch.manual_seed(0)
    node = {
        "name": "vae",
        "latent_dim": 40,
        "encoder": {"name": "gaussian", "network": MLP},
        "decoder": {"name": decoder, "network": MLP},
    }
    split = Split(x)
    dataset = Dataset("noise", DECODERS[decoder][0], split, split, split)
    return Codec(MODELS.build(MODELS.resolve(node, "model"), dataset))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for decoder, (_, levels) in DECODERS.items():
        x = np.random.default_rng(0).integers(0, levels, (arguments.examples, 1, 28, 28)).astype(np.uint8)
        coder, seconds = codec(decoder, x), {"compress": [], "decompress": []}  # type: ignore[var-annotated]
        with one_thread():
            for _ in range(arguments.repeats):
                start = time.process_time()
                stack = coder.compress(x)
                middle = time.process_time()
                back = coder.decompress(stack)
                seconds["compress"].append(middle - start)
                seconds["decompress"].append(time.process_time() - middle)
        assert np.array_equal(back, x)
        speeds = ", ".join(f"{name} {arguments.examples / statistics.median(each):6.0f}/s" for name, each in seconds.items())
        print(f"{decoder:22} {speeds}")


if __name__ == "__main__":
    main()
