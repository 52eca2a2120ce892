"""Sums over the batches of an epoch, kept as tensors so that no step waits for a number."""

from typing import Any

import torch
from torch import Tensor

from ratelab.core.objective import Turn
from ratelab.core.passes import Pass


class Tally:
    """Example-weighted means of rates, distortion, losses and an objective's own terms over one epoch."""

    def __init__(self, sums: dict[str, Tensor] | None = None, counts: dict[str, int] | None = None) -> None:
        self._sums: dict[str, Tensor] = {} if sums is None else sums
        self._counts: dict[str, int] = {} if counts is None else counts

    def count(self, name: str, mean: Tensor, size: int) -> None:
        """Count the mean of one quantity over ``size`` examples."""
        if name in self._sums:
            self._sums[name].add_(mean, alpha=size)
            self._counts[name] += size
        else:
            self._sums[name] = mean * size
            self._counts[name] = size

    @torch.no_grad()
    def add(self, player: str, turn: Turn, size: int) -> None:
        """Count one turn of a player: its loss and terms, and the pass of the player "model"."""
        self.count("loss" if player == "model" else f"{player}/loss", turn.loss.total.detach(), size)
        for name, value in turn.loss.terms.items():
            self.count(name, value.detach(), size)
        if player == "model" and turn.seen is not None:
            self.see(turn.seen, size)

    @torch.no_grad()
    def see(self, seen: Pass, size: int) -> None:
        """Count a pass: its rates and its distortion, from the same samples."""
        self.count("rates", seen.mean(seen.rates), size)
        self.count("distortion", seen.mean(seen.distortion), size)

    def member(self, position: int) -> "Tally":
        """One model's part, where everything counted was stacked: (M, ...)."""
        return Tally({name: total[position] for name, total in self._sums.items()}, self._counts)

    def finite(self) -> bool:
        """No loss was NaN or infinite (rates and distortions may be unknown or infinite by nature)."""
        losses = [total for name, total in self._sums.items() if name.endswith("loss")]
        return not losses or bool(torch.stack(losses).isfinite().all())

    def row(self, prefix: str) -> dict[str, Any]:
        """Plain numbers under ``prefix/``, with the total rate and the negative ELBO added. Nats."""
        means = {name: (total / self._counts[name]).tolist() for name, total in self._sums.items()}
        means["rate"] = sum(means["rates"])
        means["neg_elbo"] = means["rate"] + means["distortion"]
        return {f"{prefix}/{name}": value for name, value in means.items()}
