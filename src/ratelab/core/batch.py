"""What one step sees (:class:`Batch`) and the only source of randomness (:class:`Noise`)."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

# Uniform draws stay inside (0, 1) by one float32 half-ulp, so that their logarithms are finite.
_OPEN = 2.0**-25


@dataclass(frozen=True)
class Batch:
    """One minibatch.

    ``x``: (B, \\*event), floating point, in the units of the model's data. ``index``: (B,), the rows in the data set.
    ``epoch``: a float, 2.5 is half way through the third (schedules). Optional: ``y`` (B,) labels; ``weight`` (B,), the
    probabilities of an exact sum over a finite p\\*(x); ``condition`` (B, L), e.g. log beta.
    """

    x: Tensor
    index: Tensor | None = None
    epoch: float | Tensor = 0.0
    y: Tensor | None = None
    weight: Tensor | None = None
    condition: Tensor | None = None

    @property
    def size(self) -> int:
        """B, the number of examples."""
        return self.x.shape[0]

    def pick(self, rows: Tensor) -> "Batch":
        """The examples at ``rows`` (B',) with all that belongs to them.

        >>> Batch(torch.arange(6.0).view(3, 2), y=torch.arange(3)).pick(torch.tensor([2])).y
        tensor([2])
        """
        index, y, weight, condition = (
            None if part is None else part[rows] for part in (self.index, self.y, self.weight, self.condition)
        )
        return Batch(self.x[rows], index, self.epoch, y, weight, condition)


class Noise(ABC):
    """The only source of randomness. Every law of ours draws from it, so that draws can be replayed and stacked."""

    @abstractmethod
    def normal(self, shape: Iterable[int]) -> Tensor:
        """Standard normal draws."""

    @abstractmethod
    def uniform(self, shape: Iterable[int]) -> Tensor:
        """Uniform draws from the open interval (0, 1)."""

    @abstractmethod
    def gumbel(self, shape: Iterable[int]) -> Tensor:
        """Standard Gumbel draws, -log(-log u)."""


class LiveNoise(Noise):
    """Draws from a generator of its own. One is made for each run and purpose, never shared."""

    def __init__(self, seed: int, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.device, self.dtype = torch.device(device), dtype

    @classmethod
    def for_purpose(
        cls, seed: int, purpose: str, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> "LiveNoise":
        """The stream of one run and one purpose (``order``, ``data``, ``training``, ``evaluation``, ...)."""
        return cls(seed_for(seed, purpose), device=device, dtype=dtype)

    def normal(self, shape: Iterable[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self.generator, device=self.device, dtype=self.dtype)

    def uniform(self, shape: Iterable[int]) -> Tensor:
        u = torch.rand(tuple(shape), generator=self.generator, device=self.device, dtype=self.dtype)
        return u.clamp_(_OPEN, 1 - _OPEN)

    def gumbel(self, shape: Iterable[int]) -> Tensor:
        return -torch.log(-torch.log(self.uniform(shape)))

    def permutation(self, n: int) -> Tensor:
        """A random order of ``range(n)``, on the CPU's index type."""
        return torch.randperm(n, generator=self.generator, device=self.device)

    def state(self) -> Tensor:
        """The generator's state as a byte tensor (goes into the checkpoint)."""
        return self.generator.get_state()

    def load_state(self, state: Tensor) -> None:
        """Continue from a state that :meth:`state` returned."""
        self.generator.set_state(state)


class RecordedNoise(Noise):
    """Passes another source through and remembers every draw in :attr:`draws`, for :class:`ReplayedNoise`."""

    def __init__(self, source: Noise) -> None:
        self.source = source
        self.draws: list[Tensor] = []

    def _keep(self, draw: Tensor) -> Tensor:
        self.draws.append(draw)
        return draw

    def normal(self, shape: Iterable[int]) -> Tensor:
        return self._keep(self.source.normal(shape))

    def uniform(self, shape: Iterable[int]) -> Tensor:
        return self._keep(self.source.uniform(shape))

    def gumbel(self, shape: Iterable[int]) -> Tensor:
        return self._keep(self.source.gumbel(shape))


class ReplayedNoise(Noise):
    """Gives back tensors drawn before, in order: ``vmap`` maps over them, so each stacked model sees its own noise."""

    def __init__(self, draws: Iterable[Tensor]) -> None:
        self._draws = iter(draws)

    def _next(self, shape: Iterable[int]) -> Tensor:
        draw, wanted = next(self._draws, None), tuple(shape)
        if draw is None or tuple(draw.shape) != wanted:
            got = None if draw is None else tuple(draw.shape)
            raise RuntimeError(f"replayed noise: the model asked for a draw of shape {wanted}, the record holds {got}")
        return draw

    normal = uniform = gumbel = _next


class ModeNoise(Noise):
    """Makes every law yield its mode: normal and Gumbel draws are 0, uniform draws 1/2."""

    def __init__(self, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.device, self.dtype = torch.device(device), dtype

    def normal(self, shape: Iterable[int]) -> Tensor:
        return torch.zeros(tuple(shape), device=self.device, dtype=self.dtype)

    def uniform(self, shape: Iterable[int]) -> Tensor:
        return torch.full(tuple(shape), 0.5, device=self.device, dtype=self.dtype)

    gumbel = normal


MODE = ModeNoise()


def seed_for(seed: int, purpose: str) -> int:
    """A 63-bit seed derived from a run's seed and a purpose; different purposes give unrelated streams."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
