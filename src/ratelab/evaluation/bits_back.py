"""Real bits: lossless bits-back coding with a one-layer VAE (Hinton and van Camp 1993; Townsend et al. 2019, BB-ANS).

For each example: *decode* a code from the stack under e(z|x), which takes bits off; encode x under d(x|z), then z under m(z). What an
example adds is -log d(x|z) - log m(z) + log e(z|x), the negative ELBO of that draw. Decompression runs the same steps backwards,
the last example first, and puts the borrowed bits back.

The bits that a code is drawn from were put there by the code before it, and are no fair coins where the aggregated posterior is not
m(z) ("dirty bits"). So they are first turned, each by a bit of a fixed pseudo-random stream: that costs nothing, is undone on the
way back, and makes each code a fair draw from e(z|x), whose mean price is the negative ELBO.

Codes lie on a grid of width 2^-9, fine against usual posteriors. Constriction gives every point of a law's range a mass of 2^-24 at
least; so that such points are few and near, a posterior's range is 6 to 12 of its spreads on each side. Masses of pixels are kept
at 2^-20 or above: a level that the model holds to be less probable takes 20 bits, fewer than the negative ELBO says, and the others
pay at most 2^-12 / log 2 bits a pixel for it.

Networks run in float64, one example at a time, and what they give is rounded before it is coded, so that it is the same on both
sides though sums may be taken in another order; a checksum of the data tells if it was not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from hashlib import shake_128
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.core.model import Model
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.distributions.levels import LEVELS, TOP
from ratelab.models.vae import Vae

Symbols = NDArray[np.int32]
Floats = NDArray[np.float64]

PER_UNIT = 512  # grid points per unit of z
REACH, WIDEST = 16, 4  # posterior means lie within (-16, 16); spreads of posteriors are at most 4
TAILS = 6  # spreads on each side of a posterior's mean that are coded
CLASSES = range(3, 12)  # of posteriors, by the power of two of grid steps that their spread is below; 2^11 steps are WIDEST
EDGE = (REACH + TAILS * WIDEST) * PER_UNIT  # codes lie within these grid points
LEAST_WORDS, WORDS_PER_LATENT = 4, 1  # 32-bit words lent to the first example: a code takes 24 bits at most
WORD = 2**24  # what one symbol takes from the stack at most
FINE = 2.0**20  # to which multiple of 1 / FINE what the networks give is rounded


@dataclass(frozen=True)
class Stack:
    """What a compressed set of examples is: ``words`` of the stack, ``count`` examples, ``lent`` words that it began with."""

    words: NDArray[np.uint32]
    count: int
    lent: int

    @property
    def bits(self) -> int:
        """What the examples take, the words lent to the first one left out."""
        return 32 * (len(self.words) - self.lent)


class Codec:
    """Codes for one model. Raises :class:`UserError` for a model that this way of coding does not fit, and without constriction."""

    def __init__(self, model: Model) -> None:
        try:
            import constriction
        except ImportError:
            raise UserError("real bits need the package constriction; pip install 'ratelab[bits]'") from None
        self._new: Callable[[Any], Any] = constriction.stream.stack.AnsCoder
        laws = constriction.stream.model
        self._marginal = laws.QuantizedGaussian(-EDGE, EDGE - 1)
        self._posteriors = [laws.QuantizedGaussian(-TAILS * 2**power, TAILS * 2**power - 1) for power in CLASSES]
        self._bits = laws.Uniform(WORD)
        self._pixel = laws.Bernoulli(perfect=False)
        self._level = laws.Categorical(perfect=False)
        if not isinstance(model, Vae) or model.conditioning is not None:
            raise UserError("real bits are for a plain 'vae' of one layer and one beta; this model is another")
        self.model = deepcopy(model).double().cpu().eval()
        self.shape, self.latents = model.event_shape, int(np.prod(model.latent_shapes[0]))
        with torch.no_grad():
            self._check()

    def _check(self) -> None:
        posterior, prior = self.model.encode(torch.zeros(1, *self.shape).double()), self.model.prior()
        if not isinstance(posterior, DiagonalGaussian) or not isinstance(prior, (StandardNormal, DiagonalGaussian)):
            raise UserError(
                "real bits need the encoder 'gaussian' and the marginal 'normal' or 'diagonal'; this model has others"
            )
        law = self.model.likelihood(torch.zeros(1, self.latents).double())
        if not law.mass or not law.normalised:
            raise UserError(
                "real bits need a likelihood of discrete data, e.g. 'bernoulli' or 'discretised-logistic'; this has none"
            )
        if masses(law) is None:
            raise UserError("real bits need a likelihood that factorises over the pixels; this decoder draws them in sequence")
        self.levels = 2 if isinstance(law, Bernoulli) else LEVELS

    @torch.no_grad()
    def compress(self, x: NDArray[np.uint8], tick: Callable[[int], None] = lambda done: None) -> Stack:
        """Examples (N, \\*event), as levels (0 .. 255, or 0 and 1), on a stack."""
        lent = LEAST_WORDS + WORDS_PER_LATENT * self.latents
        coder = self._new(np.random.default_rng(0).integers(1, 2**32, lent, dtype=np.uint32))
        prior = self._prior()
        for done, example in enumerate(x, 1):
            self._turn(coder, done)
            z = self._take(coder, example)
            coder.encode_reverse(example.reshape(-1).astype(np.int32), *self._pixels(z))
            coder.encode_reverse(z, self._marginal, *prior)
            tick(done)
        return Stack(coder.get_compressed(), len(x), lent)

    @torch.no_grad()
    def decompress(self, stack: Stack, tick: Callable[[int], None] = lambda done: None) -> NDArray[np.uint8]:
        """The examples of a stack, exactly."""
        coder, prior = self._new(stack.words), self._prior()
        found = np.zeros((stack.count, *self.shape), dtype=np.uint8)
        for done in range(1, stack.count + 1):
            z = coder.decode(self._marginal, *prior)
            example = np.asarray(coder.decode(*self._pixels(z))).reshape(self.shape)
            self._put_back(coder, z, example)
            self._turn(coder, stack.count - done + 1)
            found[stack.count - done] = example
            tick(done)
        return found

    def _turn(self, coder: Any, number: int) -> None:
        """Exclusive or of the bits that the code of example ``number`` is drawn from with a fixed stream; its own inverse."""
        mask = np.frombuffer(shake_128(str(number).encode()).digest(4 * self.latents), dtype="<u4") % WORD
        coder.encode_reverse(coder.decode(self._bits, self.latents) ^ mask.astype(np.int32), self._bits)

    def _prior(self) -> tuple[Floats, Floats]:
        prior = self.model.prior()
        if isinstance(prior, StandardNormal):
            return np.full(self.latents, -0.5), np.full(self.latents, float(PER_UNIT))
        assert isinstance(prior, DiagonalGaussian)
        return on_grid(prior.loc, prior.scale.expand(prior.loc.shape), REACH)

    def _take(self, coder: Any, example: NDArray[Any]) -> Symbols:
        """A code drawn from e(z|x) by what lies on the stack."""
        z, rest, spread, groups = self._posterior(example)
        for law, own in groups:
            z[own] += coder.decode(law, rest[own], spread[own])
        return z

    def _put_back(self, coder: Any, z: Symbols, example: NDArray[Any]) -> None:
        """Undoes :meth:`_take`."""
        centre, rest, spread, groups = self._posterior(example)
        for law, own in reversed(groups):
            coder.encode_reverse((z - centre)[own], law, rest[own], spread[own])

    def _posterior(self, example: NDArray[Any]) -> tuple[Symbols, Floats, Floats, list[tuple[Any, NDArray[np.intp]]]]:
        """Grid points nearest to the means, what is left of the means, spreads, and which latents each law of a range codes."""
        x = torch.as_tensor(example[None] / (1 if self.levels == 2 else TOP), dtype=torch.float64)
        law = self.model.encode(x)
        assert isinstance(law, DiagonalGaussian)
        mean, spread = on_grid(law.loc[0], law.scale.expand(law.loc.shape)[0], WIDEST)
        least = np.searchsorted([2.0**power for power in CLASSES], spread)
        groups = [(range_, np.flatnonzero(least == place)) for place, range_ in enumerate(self._posteriors)]
        centre = np.round(mean)
        return centre.astype(np.int32), mean - centre, spread, [(range_, own) for range_, own in groups if len(own)]

    def _pixels(self, z: Symbols) -> tuple[Any, Floats]:
        """The entropy model of all pixels given a code on the grid, and its parameters."""
        code = torch.as_tensor((z + 0.5) / PER_UNIT).unsqueeze(0)
        probabilities = masses(self.model.likelihood(code))
        assert probabilities is not None
        if self.levels == 2:
            return self._pixel, rounded(probabilities, 1 / FINE, 1 - 1 / FINE)
        return self._level, rounded(probabilities, 1 / FINE, 1.0)


def masses(law: Law) -> Floats | Tensor | None:
    """(D,) probabilities of a 1, or (D, 256) of every level, given one example's law; None where the law does not factorise."""
    if isinstance(law, Bernoulli):
        return law.mean.flatten()
    values = torch.arange(LEVELS, dtype=torch.float64).reshape(-1, 1, *(1 for _ in law.event_shape)) / TOP
    scores = law.unit_log_prob(values.expand(LEVELS, 1, *law.event_shape))
    return None if scores is None else scores.reshape(LEVELS, -1).T.exp().contiguous()


def on_grid(loc: Tensor, scale: Tensor, widest: int) -> tuple[Floats, Floats]:
    """A Gaussian's mean and spread in grid steps, rounded; a code z stands for [z, z + 1) steps, coded by its lower end."""
    mean = rounded(loc.flatten(), -float(REACH), float(REACH)) * PER_UNIT - 0.5
    return mean, rounded(scale.flatten(), 1 / FINE, float(widest)) * PER_UNIT


def rounded(values: Floats | Tensor, least: float, most: float) -> Floats:
    """Rounded to multiples of 1 / :data:`FINE` and kept within limits, which are such multiples."""
    numbers = values.numpy() if isinstance(values, Tensor) else values
    return np.clip(np.round(numbers * FINE) / FINE, least, most)


@contextmanager
def one_thread() -> Iterator[None]:
    """One example at a time gains nothing from threads, and their number may change the order of sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
