"""The contract of a model: data in, a :class:`~ratelab.core.passes.Pass` out."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.condition import Conditioning
from ratelab.core.passes import Pass

Group = Literal["inference", "generative"]


class Paced(nn.Module):
    """A part of a model in which a number follows the epoch; the training loop says before each which one begins.

    The number is a buffer that is not saved: it is a function of the epoch alone.
    """

    @abstractmethod
    def pace(self, epoch: float) -> None:
        """Take on what belongs to ``epoch``."""


class Model(nn.Module):
    """A latent-variable model. ``event_shape`` is one example's shape, ``latent_shapes`` each layer's, top layer first."""

    event_shape: tuple[int, ...]
    latent_shapes: tuple[tuple[int, ...], ...]
    stacks: bool = True  # False: something in it changes in the forward pass, so that models cannot be trained side by side
    target: Literal["x", "y", "z"] = "x"  # what the decoder scores: the example, its label, or codes of another model
    learns_from: Literal["train", "validation"] = "train"  # the split it is trained on

    @property
    def conditioning(self) -> Conditioning | None:
        """The range of beta that one model serves, and the beta it is used at (its module ``conditioned``); None for one beta."""
        found = self._modules.get("conditioned")
        return found if isinstance(found, Conditioning) else None

    @abstractmethod
    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        """A pass from data: x from the batch, ``samples`` draws of z. ``path=False`` stops gradients at z."""

    @abstractmethod
    def generate(self, n: int, noise: Noise) -> Pass:
        """A pass from the model: ``n`` draws of z ~ m(z), x ~ d(x|z) (the pass's target)."""

    @abstractmethod
    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        """log d(x|z) + log m(z) in nats, (K, B); ``z`` holds one (K, B, \\*event) tensor per layer, top layer first."""

    def log_encoders(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor | None:
        """(L, K, B) log e(z_l | x, z_>l) in nats of latents ``z`` drawn elsewhere, as in :meth:`log_joint`, for x (B, \\*event).

        None where the layers are not inferred from the top down, or their laws score their own draws alone.
        """
        return None

    @abstractmethod
    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        """The decoder's mean for latents drawn or edited elsewhere: (\\*lead, \\*event_l) each -> (\\*lead, \\*event)."""

    @abstractmethod
    def group(self, which: Group) -> Iterator[nn.Parameter]:
        """The parameters of inference (encoder) or of the generative side (decoder, marginal)."""
