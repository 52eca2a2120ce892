"""The codes of a model as draws of a law q(z) that others may learn: those of the top layer, which stand on x alone."""

import math

from ratelab.core.passes import Pass


def divergence_of(seen: Pass) -> str:
    """What an estimate of KL(q(z) || m(z)) is of; of the top layer where there are several."""
    layers = sum(not layer.auxiliary for layer in seen.layers)
    return "KL(q(z) || m(z))" + ("" if layers == 1 else f" of layer {layers}")


def codes_lack(seen: Pass) -> str:
    """Why the law q(z) of a model's top-layer codes cannot be learnt from draws, in one line; empty where it can.

    Draws are enough: the encoder may be implicit.
    """
    if seen.weights is not None:
        return "this model enumerates its latents, whose law is known without learning"
    if all(layer.auxiliary for layer in seen.layers):
        return "this model has no latents"
    top = seen.top
    discrete = any(law is not None and math.isfinite(law.capacity) for law in (top.encoder, top.marginal))
    if discrete or top.z.ndim != 3:
        return "the codes of this model are no real-valued vectors"
    if top.marginal.batch_shape != ():
        return "the marginal of these latents depends on other latents"
    if bool(top.log_encoder.isposinf().all()):
        return "the encoder is deterministic: the codes of N examples are N points, and their KL from any density is infinite"
    return ""
