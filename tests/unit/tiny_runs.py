"""Recipes that train in a blink, for tests of everything around the training."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ratelab.runs import Recipe, from_mapping, single

NETWORK = {"name": "mlp", "hidden": [16]}
TINY: dict[str, Any] = {
    "data": {"name": "digits", "limit": 200},
    "model": {
        "name": "vae",
        "latent_dim": 2,
        "encoder": {"name": "gaussian", "network": NETWORK},
        "decoder": {"name": "bernoulli", "network": NETWORK},
    },
    "training": {"epochs": 4, "batch_size": 50},
}


def tiny(*assignments: str, base: Mapping[str, Any] = TINY) -> Recipe:
    """The tiny recipe with some keys changed."""
    return single(from_mapping(base, "tiny"), assignments)


def rows_without_clock(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Log rows without the columns that tell the time."""
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in log]


class Counted(nn.Module):
    """A network of features that notes down in ``$COUNTED`` that one was made: how often runs were really started."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 8)
        with open(os.environ["COUNTED"], "a") as file:
            file.write("made\n")

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x.flatten(1)))


class Deadly(Counted):
    """Kills its own process in the middle of an epoch: the first ``$DEADLY`` times that it is made in this test."""

    def __init__(self) -> None:
        super().__init__()
        made = len(Path(os.environ["COUNTED"]).read_text().splitlines())
        self.fuse = 12 if made <= int(os.environ["DEADLY"]) else -1

    def forward(self, x: Tensor) -> Tensor:
        self.fuse -= 1
        if self.fuse == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)
