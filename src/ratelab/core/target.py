"""What asking for a rate or a distortion means: one number or one per layer, when it counts as reached, and whether it can be.

Shared by every objective that is given a target (Alemi et al. 2018, section 4; Xiao and Bamler 2023, section 5).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.core.passes import Pass

RELATIVE, ABSOLUTE = 0.02, 0.1  # a target counts as reached within the larger of 2 % and 0.1 nat


def one_per_layer(values: float | tuple[float, ...], setting: Setting, where: str, what: str) -> None:
    """:class:`UserError` where a tuple has not one entry for each layer; ``where`` is the option, ``what`` its entries."""
    layers = len(setting.latent_shapes)
    if isinstance(values, tuple) and len(values) != layers:
        raise UserError(f"{where}: {len(values)} {what} for a model of {layers} layer(s); give one number or {layers}")


def tolerance(target: float) -> float:
    """How far from ``target`` (nats) still counts as reached."""
    return max(RELATIVE * abs(target), ABSOLUTE)


@torch.no_grad()
def trial(model: Model, noise_seed: int = 0) -> Pass:
    """A pass of two examples of zeros, to learn what a model reports before it is trained. The model is left as it was."""
    training, first = model.training, next(model.parameters())
    model.eval()
    try:
        x = torch.zeros(2, *model.event_shape, device=first.device, dtype=first.dtype)
        return model(Batch(x), LiveNoise(noise_seed, device=first.device, dtype=first.dtype))
    finally:
        model.train(training)


def check_rate(
    model: Model, objective: str, rows: int = 1, targets: Sequence[float] = (), verb: str = "steers", what: str = "targets"
) -> None:
    """:class:`UserError` where the rate is not finite, not one for each of ``rows``, or cannot be as large as its target.

    ``verb``: what the objective does with the rate; ``what``: what it has one of for each row.
    """
    seen = trial(model)
    rates = seen.rates
    if not bool(rates.isfinite().all()):
        size = "infinite" if bool(rates.isinf().any()) else "unknown"
        raise UserError(
            f"objective '{objective}' {verb} the rate, but this model's is {size}: its encoder has no density;"
            " choose a stochastic encoder, e.g. 'gaussian'"
        )
    if rows > 1 and rates.shape[-3] != rows:
        one = what.removesuffix("s")
        raise UserError(
            f"objective '{objective}': {rows} {what}, but this model's rate does not split over layers; give one {one}, the total"
        )
    if targets:
        _check_capacity(seen, objective, targets)


def _check_capacity(seen: Pass, objective: str, targets: Sequence[float]) -> None:
    """:class:`UserError` where discrete latents have too few values to carry a target."""
    capacities = [math.inf if layer.encoder is None else layer.encoder.capacity for layer in seen.layers]
    if len(targets) == 1:
        capacities = [sum(capacities)]
    for target, capacity in zip(targets, capacities, strict=True):
        if target > capacity:
            raise UserError(
                f"objective '{objective}': a rate of {target:g} nats is more than these discrete latents can carry, "
                f"{capacity:.4g}; ask for less or give the model more latents"
            )


def missed(quantity: str, targets: Iterable[float], measured: Mapping[str, Result]) -> str:
    """One line such as ``target 40 nats not reached: 31.2 +- 0.3``; empty where all targets are reached.

    ``quantity``: ``rate``, ``rates`` or ``distortion``, the estimate to look at. A target is reached within the larger of 2 %
    and 0.1 nat, plus four standard errors of the measurement.

    >>> missed("rate", [40.0], {"rate": Estimate(31.2, 0.3, 500, of="rate")})
    'target 40 nats not reached: 31.2 +- 0.3'
    >>> missed("rate", [31.0], {"rate": Estimate(31.2, 0.3, 500, of="rate")})
    ''
    """
    found = measured[quantity]
    estimates = found if isinstance(found, list) else [found]
    pairs = list(zip(targets, estimates, strict=True))
    if all(_reached(target, estimate) for target, estimate in pairs):
        return ""
    wanted = ", ".join(f"{target:g}" for target, _ in pairs)
    got = ", ".join(f"{estimate.value:.1f} +- {estimate.stderr:.1f}" for _, estimate in pairs)
    return f"target{'s' if len(pairs) > 1 else ''} {wanted} nats not reached: {got}"


def off_target(row: Mapping[str, Any]) -> str:
    """How far a training's epoch was from the target it was given, for its progress line; empty where none was.

    >>> off_target({"train/target_gap": -8.76}), off_target({"train/target_gap": [0.02, -3.0]}), off_target({})
    (', off target by -8.8', ', off targets by +0.0, -3.0', '')
    """
    gap = row.get("train/target_gap")
    if gap is None:
        return ""
    if isinstance(gap, list):
        return f", off targets by {', '.join(f'{one:+.1f}' for one in gap)}"
    return f", off target by {gap:+.1f}"


def _reached(target: float, estimate: Estimate) -> bool:
    return abs(estimate.value - target) <= tolerance(target) + 4 * estimate.stderr


def priced(price: Tensor | float, rates: Tensor) -> Tensor:
    """``price * rates`` in which a price of 0 leaves out even an infinite or unknown rate.

    >>> priced(torch.tensor([0.0, 2.0]), torch.tensor([torch.inf, 3.0]))
    tensor([0., 6.])
    """
    price = torch.as_tensor(price, dtype=rates.dtype, device=rates.device)
    return (price * rates).masked_fill(price == 0, 0.0)
