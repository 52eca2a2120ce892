"""The codes of a model as draws of a law q(z) that others may learn: those of its top layer, or of layers further down.

q(z_>=l) is the law of layers L to l together, drawn from the top down for examples x ~ p*, and m(z_>=l) = m(z_L) ... m(z_l | z_>l) has a
density. A lower layer alone has two laws, q(z_l) and m(z_l), of which draws are all there is: both densities are integrals over the
layers above. By the data processing inequality

    KL(q(z_l) || m(z_l)) <= KL(q(z_>=l) || m(z_>=l)) <= R(z_>=l) .
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.model import Model
from ratelab.core.passes import Layer, Pass


def represented(seen: Pass) -> tuple[Layer, ...]:
    """The layers of the representation, auxiliary ones left out."""
    return tuple(layer for layer in seen.layers if not layer.auxiliary)


@dataclass(frozen=True)
class Codes:
    """Which latents are the codes: layers L to ``layer`` side by side, or that layer ``alone``; without one, the top layer.

    Layers count from the data, as in z_1 ... z_L. Codes are vectors: what a layer's shape is, it is flattened.
    """

    layer: int | None = None
    alone: bool = False

    def layers(self, seen: Pass) -> tuple[Layer, ...]:
        """The layers that make up the codes, top first."""
        every = represented(seen)
        last = len(every) - (self.layer or len(every))
        return every[last if self.alone else 0 : last + 1]

    def values(self, seen: Pass) -> Tensor:
        """(K, B, d) draws of q(z)."""
        return torch.cat([layer.z.flatten(2) for layer in self.layers(seen)], -1)

    def log_marginal(self, seen: Pass) -> Tensor:
        """(K, B) log m(z), nats, of the draws of a pass; not of a lower layer alone."""
        return torch.stack([layer.log_marginal for layer in self.layers(seen)]).sum(0)

    def drawn(self, model: Model, seen: Pass, n: int, noise: Noise) -> Tensor:
        """(n, d) draws of m(z): of the top layer's marginal, or of all layers from there down, as the model generates them."""
        layers = self.layers(seen)
        if len(layers) == 1 and layers[0] is seen.top:
            return layers[0].marginal.draw(noise, n).value.flatten(1)
        return self.values(model.generate(n, noise))[0]

    def suffix(self, seen: Pass) -> str:
        """What an estimate's name ends in where the codes are not the top layer's: ``_to_layer_1``, or ``_of_layer_1`` alone."""
        if self.layer in (None, len(represented(seen))):
            return ""
        return f"_{'of' if self.alone else 'to'}_layer_{self.layer}"

    def divergence(self, seen: Pass) -> str:
        """What an estimate of KL(q(z) || m(z)) is of."""
        top = len(represented(seen))
        if top == 1:
            return "KL(q(z) || m(z))"
        if not self.suffix(seen):
            return f"KL(q(z) || m(z)) of layer {top}"
        return f"KL(q(z) || m(z)) of layer{f' {self.layer} alone' if self.alone else f's {top} to {self.layer}'}"

    def lack(self, seen: Pass) -> str:
        """Why the law of these codes cannot be learnt from draws, in one line; empty where it can. The encoder may be implicit."""
        if seen.weights is not None:
            return "this model enumerates its latents, whose law is known without learning"
        every = represented(seen)
        if not every:
            return "this model has no latents"
        if self.layer is not None and not 1 <= self.layer <= len(every):
            return f"layer {self.layer} is none of this model's {len(every)}, which count from the data"
        layers = self.layers(seen)
        if any(law is not None and math.isfinite(law.capacity) for layer in layers for law in (layer.encoder, layer.marginal)):
            return "the codes of this model are no real-valued vectors"
        if layers[0] is every[0] and layers[0].marginal.batch_shape != ():
            return "the marginal of these latents depends on other latents"
        fixed = [bool(layer.log_encoder.isposinf().all()) for layer in every]
        if all(fixed[: len(every) + 1 - self.layer]) if self.alone and self.layer else any(fixed[: len(layers)]):
            return (
                "the encoder is deterministic: the codes of N examples are N points, and their KL from any density is infinite"
            )
        return ""
