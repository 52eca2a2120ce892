"""How a decoder gets its network: from the recipe, or a user's own module in its place; and which shapes it takes."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ratelab.core.errors import UserError
from ratelab.networks import RENDERERS


def renderer(
    node: str | Mapping[str, Any], latent_shape: tuple[int, ...], out_shape: tuple[int, ...], module: nn.Module | None
) -> nn.Module:
    """The network from latents to ``out_shape`` that a resolved node describes; ``module`` is wired in where one is given."""
    wiring = (latent_shape, out_shape) if module is None else (latent_shape, out_shape, module)
    return RENDERERS.build(node, *wiring)  # type: ignore[arg-type]


def image_shape(event_shape: tuple[int, ...], decoder: str, instead: str) -> tuple[int, int, int]:
    """``event_shape`` as (C, H, W), or a :class:`UserError` where it is no image."""
    if len(event_shape) != 3:
        raise UserError(f"decoder '{decoder}' scores images (C, H, W), not data of shape {event_shape}; use '{instead}'")
    return event_shape[0], event_shape[1], event_shape[2]


def several(count: int, event_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of ``count`` numbers for every value of an event, stacked along its first axis.

    >>> several(256, (3, 8, 8)), several(2, (5,))
    ((768, 8, 8), (10,))
    """
    return (count * event_shape[0], *event_shape[1:])
