"""What one does with a trained model: encode, reconstruct, sample, interpolate. Arrays in, arrays out, in the data's units."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, Literal, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise, ModeNoise, Noise
from ratelab.core.errors import UserError
from ratelab.core.law import Draw, Law
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.training.precision import repeatable

Floats = NDArray[np.floating]
Path = Literal["linear", "spherical"]
CHUNK = 500
Given = ParamSpec("Given")
Found = TypeVar("Found")


def placed(model: Model) -> tuple[torch.device, torch.dtype]:
    """Where a model lives and in which precision."""
    first = next(model.parameters(), None)
    return (torch.device("cpu"), torch.float32) if first is None else (first.device, first.dtype)


def batches(model: Model, x: Floats) -> Iterator[Batch]:
    """Chunks of ``x`` (N, \\*event) as batches; :class:`UserError` where an example has another shape than the model's."""
    if tuple(x.shape[1:]) != model.event_shape:
        raise UserError(f"examples have shape {tuple(x.shape[1:])}, this model was trained on {model.event_shape}")
    device, dtype = placed(model)
    for start in range(0, len(x), CHUNK):
        yield Batch(torch.as_tensor(x[start : start + CHUNK]).to(device, dtype))


def at_rest(function: Callable[Concatenate[Model, Given], Found]) -> Callable[Concatenate[Model, Given], Found]:
    """``function`` of a model that is in evaluation mode, without gradients and in full float32."""

    @wraps(function)
    def run(model: Model, /, *args: Given.args, **kwargs: Given.kwargs) -> Found:
        with torch.no_grad(), repeatable(placed(model)[0]):
            return function(model.eval(), *args, **kwargs)

    return run


def live(model: Model, seed: int, purpose: str) -> LiveNoise:
    """A random stream where the model lives."""
    device, dtype = placed(model)
    return LiveNoise.for_purpose(seed, purpose, device=device, dtype=dtype)


def modes(model: Model) -> Noise:
    """The noise under which every law yields its mode."""
    device, dtype = placed(model)
    return ModeNoise(device=device, dtype=dtype)


@at_rest
def encode(model: Model, x: Floats, seed: int | None = None) -> list[Floats]:
    """One (N, \\*event_l) array per layer, top first: the mode of each layer given the modes above, or draws with a ``seed``."""
    if not model.latent_shapes:
        raise UserError("this model has no latents: there is nothing to encode and no path between two examples")
    noise = modes(model) if seed is None else live(model, seed, "encode")
    rows = [[layer.z[0] for layer in model(batch, noise).layers if not layer.auxiliary] for batch in batches(model, x)]
    return [torch.cat(layer).cpu().numpy() for layer in zip(*rows, strict=True)]


def _gives_examples(model: Model) -> None:
    """:class:`UserError` for a model whose decoder scores no examples: it cannot make any."""
    if model.target == "y":
        raise UserError("this model predicts labels and makes no examples; it can only encode")
    if model.target == "z":
        raise UserError("this model is of another run's codes and makes no examples; use that run")


@at_rest
def decode(model: Model, z: list[Floats]) -> Floats:
    """The decoder's mean for (N, \\*event_l) latents, one array per layer, top first."""
    _gives_examples(model)
    device, dtype = placed(model)
    for given, wanted in zip(z, model.latent_shapes, strict=True):
        if tuple(given.shape[1:]) != wanted:
            raise UserError(f"latents have shape {tuple(given.shape[1:])}, this model's layer has {wanted}")
    chunks = [
        model.decode(tuple(torch.as_tensor(layer[start : start + CHUNK]).to(device, dtype) for layer in z))
        for start in range(0, len(z[0]), CHUNK)
    ]
    return torch.cat(chunks).cpu().numpy()


@at_rest
def reconstruct(model: Model, x: Floats, seed: int, draws: int = 5) -> dict[str, Floats]:
    """Three reconstructions of (N, \\*event) examples, all from one draw z ~ e(z|x) per example.

    ``mean``: the decoder's mean; ``sample``: one draw x ~ d(x|z); ``average``: the mean of ``draws`` draws with the same z
    (the columns of Alemi et al. 2018, Fig. 4).
    """
    _gives_examples(model)
    noise = live(model, seed, "reconstruct")
    parts: dict[str, list[Tensor]] = {"mean": [], "sample": [], "average": []}
    for batch in batches(model, x):
        law = model(batch, noise).decoder
        if law is None:
            raise UserError("this model has no decoder likelihood to reconstruct with")
        repeated = torch.stack([_value(law.draw(noise)) for _ in range(draws)])
        parts["mean"].append(law.mean[0])
        parts["sample"].append(repeated[0])
        parts["average"].append(repeated.mean(0))
    return {name: torch.cat(chunks).cpu().numpy() for name, chunks in parts.items()}


def _value(draw: Draw) -> Tensor:
    return draw.value[0]


@at_rest
def sample(model: Model, n: int, seed: int) -> dict[str, Floats]:
    """``n`` samples of the model: ``mean`` of d(x|z) and one ``sample`` x ~ d(x|z), both from the same z ~ m(z)."""
    passes = _generated(model, n, seed)
    means = [seen.target if seen.decoder is None else seen.decoder.mean[0] for seen in passes]
    return {"mean": torch.cat(means).cpu().numpy(), "sample": torch.cat([seen.target for seen in passes]).cpu().numpy()}


@at_rest
def sampled_images(model: Model, n: int, seed: int) -> Floats:
    """What a picture of ``n`` samples shows: means of d(x|z), or draws x ~ d(x|z) where pixels are drawn one after the other.

    Such a law's mean is that of its likeliest image: for a model of digits nearly black, whatever it draws.
    """
    return torch.cat([_image(seen.decoder, seen.target) for seen in _generated(model, n, seed)]).cpu().numpy()


def _generated(model: Model, n: int, seed: int) -> list[Pass]:
    if n < 1:
        raise UserError(f"the number of samples must be at least 1; got {n}")
    _gives_examples(model)
    noise = live(model, seed, "sample")
    return [model.generate(min(CHUNK, n - start), noise) for start in range(0, n, CHUNK)]


@at_rest
def reconstructed_images(model: Model, x: Floats, seed: int) -> Floats:
    """What a picture of reconstructions shows, as :func:`sampled_images` does, from one z ~ e(z|x) for each example."""
    noise = live(model, seed, "reconstruct")
    images = []
    for batch in batches(model, x):
        law = model(batch, noise).decoder
        if law is None:
            raise UserError("this model has no decoder likelihood to reconstruct with")
        images.append(_image(law, None if law.abilities.parallel_draws else _value(law.draw(noise))))
    return torch.cat(images).cpu().numpy()


def _image(law: Law | None, drawn: Tensor | None) -> Tensor:
    if law is not None and law.abilities.parallel_draws:
        return law.mean[0]
    assert drawn is not None
    return drawn


def interpolate(model: Model, first: Floats, second: Floats, steps: int = 8, path: Path = "linear") -> Floats:
    """Decoded paths between the modes of pairs of examples: (N, \\*event) twice -> (N, steps, \\*event)."""
    if steps < 2:
        raise UserError(f"an interpolation needs at least 2 steps; got {steps}")
    starts, ends = encode(model, first), encode(model, second)
    frames = []
    for t in np.linspace(0.0, 1.0, steps):
        frames.append(decode(model, [between(a, b, float(t), path) for a, b in zip(starts, ends, strict=True)]))
    return np.stack(frames, axis=1)


def between(a: Floats, b: Floats, t: float, path: Path) -> Floats:
    """The point at ``t`` in [0, 1] from ``a`` to ``b`` (N, \\*event): along the chord, or along the great circle through both."""
    if path == "linear":
        return (1 - t) * a + t * b
    axes = tuple(range(1, a.ndim))
    size_a, size_b = (np.sqrt((v**2).sum(axes, keepdims=True)) + 1e-12 for v in (a, b))
    angle = np.arccos(np.clip((a * b).sum(axes, keepdims=True) / (size_a * size_b), -1.0, 1.0))
    sine = np.sin(angle)
    straight = sine < 1e-6
    safe = np.where(straight, 1.0, sine)
    weight_a = np.where(straight, 1 - t, np.sin((1 - t) * angle) / safe)
    weight_b = np.where(straight, t, np.sin(t * angle) / safe)
    return weight_a * a + weight_b * b
