"""A model that was made elsewhere, from its parts: an encoder, a decoder and a marginal that return laws."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.foreign import as_law
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.one_hot import is_discrete

AnyLaw = Law | Distribution
Encoder = Callable[[Tensor], "AnyLaw | tuple[Tensor, Tensor]"]
Decoder = Callable[[Tensor], Distribution]


class NumberedLayer(Layer):
    """A layer whose scores are numbers: NaN from a part made elsewhere is a mistake, and :class:`UserError` names the part."""

    @cached_property
    def log_encoder(self) -> Tensor:
        without_density = self.encoder is not None and not self.encoder.abilities.density
        return super().log_encoder if without_density else _numbers("encoder", super().log_encoder)

    @cached_property
    def log_marginal(self) -> Tensor:
        return _numbers("marginal", super().log_marginal)


class NumberedPass(Pass):
    """A pass whose distortion is a number, as in :class:`NumberedLayer`; scored only where it is asked for."""

    @cached_property
    def distortion(self) -> Tensor:
        return _numbers("decoder", super().distortion)


class ForeignModel(Model):
    """One layer of latents. ``encoder``: x (B, \\*event) -> a law over (B, \\*latent), or the pair (mean, log variance) of a Gaussian.

    ``decoder``: z (n, \\*latent) -> a law over (n, \\*event). ``marginal``: a law over (\\*latent), or None for N(0, I). Laws are of
    ``torch.distributions``; every axis behind the first is part of the event. ``example``: (1, \\*event), to try them on.
    Raises :class:`UserError` where they do not fit each other.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, marginal: AnyLaw | None, example: Tensor) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(
            {name: part for name, part in (("encoder", encoder), ("decoder", decoder)) if isinstance(part, nn.Module)}
        )
        self._encoder, self._decoder = encoder, decoder
        self.event_shape = tuple(example.shape[1:])
        with torch.no_grad():
            given = _called("encoder", encoder, example)
            shape = _latent_shape(given)
            self.latent_shapes = (shape,)
            standard = Normal(example.new_zeros(shape), example.new_ones(shape))
            self._marginal = self._prior(standard if marginal is None else marginal, self._posterior(given, 1))
            self.likelihood(example.new_zeros(1, 1, *shape))

    def _prior(self, law: object, posterior: Law) -> Law:
        """m(z), which scores the same kind of values as the encoder's law does."""
        shape = self.latent_shapes[0]
        if not isinstance(law, (Law, Distribution)):
            raise UserError(f"marginal: expected a law over {shape}, or None for N(0, I), got {type(law).__name__}")
        found = tuple(law.event_shape) if isinstance(law, Law) else (*law.batch_shape, *law.event_shape)
        if found != shape:
            raise UserError(f"marginal: a law over {found}, but the encoder's latents have shape {shape}")
        prior = as_law(law, (), shape)
        if is_discrete(prior) != is_discrete(posterior):  # a mass less a density would be no rate
            one, other = ("discrete", "continuous") if is_discrete(posterior) else ("continuous", "discrete")
            raise UserError(f"marginal: a {other} law, but the encoder's latents are {one}; give a {one} marginal")
        return prior

    def _posterior(self, given: Any, n: int) -> Law:
        """What the encoder gave for ``n`` examples, as a law of ours."""
        shape = self.latent_shapes[0]
        found = _value_shape(given)
        if found != (n, *shape):
            raise UserError(f"encoder: a law over {found} for {n} examples, expected {(n, *shape)}: one latent for each")
        if isinstance(given, tuple):
            return DiagonalGaussian(given[0], log_scale=0.5 * given[1], event_axes=len(shape))
        return as_law(given, (n,), shape)

    def encode(self, x: Tensor) -> Law:
        """e(z|x) for x (B, \\*event)."""
        return self._posterior(_called("encoder", self._encoder, x), len(x))

    def likelihood(self, z: Tensor) -> Law:
        """d(x|z) for z (K, B, \\*latent)."""
        lead = tuple(z.shape[:2])
        law = _called("decoder", self._decoder, z.flatten(0, 1))
        if not isinstance(law, Distribution):
            raise UserError(
                f"decoder: expected a law, e.g. torch.distributions.Bernoulli(logits=...), got {type(law).__name__}"
            )
        found, expected = _value_shape(law), (math.prod(lead), *self.event_shape)
        if found != expected:
            raise UserError(f"decoder: a law over {found}, expected {expected}: latents are {len(z[0])} x {tuple(z.shape[2:])}")
        return as_law(law, lead, self.event_shape)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        law = self.encode(batch.x)
        z, scored = law.draw(noise, samples)
        if not bool(z.isfinite().all()):
            raise UserError("encoder: its latents are NaN or infinite for some examples; check its weights and the scale of X")
        return NumberedPass(batch, batch.x, (NumberedLayer(z, law, self._marginal, scored),), self.likelihood(z))

    def generate(self, n: int, noise: Noise) -> Pass:
        z = self._marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self.likelihood(z)
        x = decoder.draw(noise).value[0]
        return Pass(Batch(x), x, (Layer(z, self.encode(x), self._marginal),), decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).log_prob(x) + self._marginal.log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        lead = z[0].shape[: z[0].ndim - len(self.latent_shapes[0])]
        return self.likelihood(z[0].reshape(1, -1, *self.latent_shapes[0])).mean.reshape(*lead, *self.event_shape)

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        name = "encoder" if which == "inference" else "decoder"
        return chain(self.parts[name].parameters()) if name in self.parts else iter(())


def _called(name: str, part: Callable[[Tensor], Any], value: Tensor) -> Any:
    """What a part gives for ``value``; :class:`UserError` where it is no function, or where its own code fails."""
    if not callable(part):
        raise UserError(f"{name}: expected a function or module that returns a law, got {type(part).__name__}")
    try:
        return part(value)
    except Exception as error:  # the part is the user's code, and may raise anything
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise UserError(f"{name}: {type(error).__name__} on {value.dtype} of shape {tuple(value.shape)}: {reason}") from error


def _latent_shape(given: object) -> tuple[int, ...]:
    """The shape of one latent, from what the encoder gave for one example."""
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, Tensor) for part in given):
        mean, log_variance = given
        if mean.shape != log_variance.shape:
            raise UserError(
                f"encoder: mean and log variance have shapes {tuple(mean.shape)} and {tuple(log_variance.shape)}; give both one shape"
            )
        if not (mean.is_floating_point() and log_variance.is_floating_point()):
            raise UserError(f"encoder: mean and log variance are {mean.dtype} and {log_variance.dtype}; give real floats")
    elif not isinstance(given, (Law, Distribution)):
        raise UserError(
            "encoder: expected a law, e.g. torch.distributions.Normal(mean, std), or the pair (mean, log variance), "
            f"got {type(given).__name__}"
        )
    return _value_shape(given)[1:]


def _value_shape(given: Any) -> tuple[int, ...]:
    """The shape of all that a law, or a pair (mean, log variance), is over."""
    return tuple(given[0].shape) if isinstance(given, tuple) else (*given.batch_shape, *given.event_shape)


def _numbers(part: str, scores: Tensor) -> Tensor:
    """``scores``; :class:`UserError` naming the part whose law gave them where one is NaN."""
    if bool(scores.isnan().any()):
        raise UserError(f"{part}: its log-density is NaN for some examples; check its weights and the scale of X")
    return scores
