"""A model that was made elsewhere, from its parts: an encoder, a decoder and a marginal that return laws."""

from collections.abc import Callable, Iterator
from itertools import chain

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

AnyLaw = Law | Distribution
Encoder = Callable[[Tensor], "AnyLaw | tuple[Tensor, Tensor]"]
Decoder = Callable[[Tensor], Distribution]


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
            self.latent_shapes = (_latent_shape(encoder(example)),)
            shape = self.latent_shapes[0]
            given = Normal(example.new_zeros(shape), example.new_ones(shape)) if marginal is None else marginal
            self._check_marginal(given)
            self._marginal = as_law(given, (), shape)
            self._check_decoder(decoder(example.new_zeros(1, *shape)))

    def _check_marginal(self, law: AnyLaw) -> None:
        found = tuple(law.event_shape) if isinstance(law, Law) else (*law.batch_shape, *law.event_shape)
        if found != self.latent_shapes[0]:
            raise UserError(f"marginal: a law over {found}, but the encoder's latents have shape {self.latent_shapes[0]}")

    def _check_decoder(self, law: object) -> None:
        if not isinstance(law, Distribution):
            raise UserError(
                f"decoder: expected a law, e.g. torch.distributions.Bernoulli(logits=...), got {type(law).__name__}"
            )
        found = (*law.batch_shape, *law.event_shape)
        if found != (1, *self.event_shape):
            raise UserError(f"decoder: a law over {found} for one latent, but an example has shape {self.event_shape}")

    def encode(self, x: Tensor) -> Law:
        """e(z|x) for x (B, \\*event)."""
        given = self._encoder(x)
        if isinstance(given, tuple):
            return DiagonalGaussian(given[0], log_scale=0.5 * given[1], event_axes=len(self.latent_shapes[0]))
        return as_law(given, (len(x),), self.latent_shapes[0])

    def likelihood(self, z: Tensor) -> Law:
        """d(x|z) for z (K, B, \\*latent)."""
        lead = tuple(z.shape[:2])
        return as_law(self._decoder(z.flatten(0, 1)), lead, self.event_shape)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        law = self.encode(batch.x)
        z, scored = law.draw(noise, samples)
        return Pass(batch, batch.x, (Layer(z, law, self._marginal, scored),), self.likelihood(z))

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


def _latent_shape(given: object) -> tuple[int, ...]:
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, Tensor) for part in given):
        return tuple(given[0].shape[1:])
    if isinstance(given, (Law, Distribution)):
        return (*given.batch_shape, *given.event_shape)[1:]
    raise UserError(
        f"encoder: expected a law, e.g. torch.distributions.Normal(mean, std), or the pair (mean, log variance), got {type(given).__name__}"
    )
