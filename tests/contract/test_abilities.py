"""What a law declares it can do is what it can do, for every law there is."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ratelab.distributions
from ratelab.core.batch import LiveNoise
from ratelab.core.law import Law
from ratelab.distributions.affine import Affine
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.distributions.categorical import Categorical
from ratelab.distributions.discretised import DiscretisedLogistic
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows import FLOWS
from ratelab.distributions.flows.step import Composed, Inverse
from ratelab.distributions.foreign import ForeignLaw
from ratelab.distributions.full_gaussian import FullGaussian
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.distributions.levels import CategoricalLevels
from ratelab.distributions.logistic import Logistic
from ratelab.distributions.logistic_mixture import LogisticMixture
from ratelab.distributions.mixtures import GaussianMixture, Mixture
from ratelab.distributions.one_hot import OneHot
from ratelab.distributions.point import Implicit, Point
from ratelab.distributions.quantised import QuantisedNormal
from ratelab.distributions.recurrent import Recurrent
from ratelab.distributions.repeated import Repeated
from ratelab.networks.gated_pixelcnn import GatedPixelCnn
from ratelab.networks.lstm import CoordinateLstm

B, SMALL, LARGE = 3, 4, 8  # examples, and the sizes of event at which operations are counted


def rows(d: int) -> torch.Tensor:
    return torch.randn(B, d, generator=torch.Generator().manual_seed(d))


def gaussian(d: int) -> DiagonalGaussian:
    return DiagonalGaussian(rows(d), scale=rows(d).exp())


def pixels(d: int) -> Autoregressive:
    torch.manual_seed(0)
    return Autoregressive(GatedPixelCnn(1, 1, features=2, layers=1), None, (1, 1, d), lambda p: Bernoulli(p, event_axes=3))


def flowed(name: str, backwards: bool = False) -> Callable[[int], Law]:
    def make(d: int) -> Law:
        torch.manual_seed(0)
        options: dict[str, Any] = {"hidden": (16, 16)} if "hidden" in FLOWS[name].schema.model_fields else {}
        steps = Composed(FLOWS[name].target(d, 0, **options) for _ in range(2))
        return Flowed(gaussian(d), Inverse(steps) if backwards else steps)

    return make


LAWS: dict[str, Callable[[int], Law]] = {
    "diagonal Gaussian": gaussian,
    "standard normal": lambda d: StandardNormal((d,), torch.zeros(())),
    "full Gaussian": lambda d: FullGaussian(rows(d), torch.eye(d).expand(B, d, d)),
    "logistic": lambda d: Logistic(rows(d), torch.ones(())),
    "affine": lambda d: Affine(gaussian(d), torch.ones(d), torch.full((d,), 2.0)),
    "Bernoulli": lambda d: Bernoulli(rows(d)),
    "categorical": lambda d: Categorical(rows(d)),
    "one-hot": lambda d: OneHot(rows(2 * d).unflatten(-1, (2, d))),
    "256 levels": lambda d: CategoricalLevels(rows(256 * d).unflatten(-1, (256, d))),
    "discretised logistic": lambda d: DiscretisedLogistic(rows(d), torch.full((B, d), -2.0)),
    "quantised normal": lambda d: QuantisedNormal(rows(d).sigmoid(), torch.full((B, d), -2.0)),
    "mixture of logistics": lambda d: LogisticMixture(rows(30 * d).unflatten(-1, (30, 1, d)), channels=1),
    "mixture of Gaussians": lambda d: GaussianMixture(torch.zeros(B), gaussian(d)),
    "mixture": lambda d: Mixture(torch.zeros(B), FullGaussian(rows(d), torch.eye(d).expand(B, d, d))),
    "pixel after pixel": pixels,
    "of torch.distributions": lambda d: ForeignLaw(torch.distributions.Laplace(rows(d), torch.ones(B, d)), (B,), (d,)),
    "repeated": lambda d: Repeated(pixels(d), B),
    "coordinate after coordinate": lambda d: Recurrent(CoordinateLstm(d, 4)),
    "point": lambda d: Point(rows(d)),
    "implicit": lambda d: Implicit(lambda noise: 2 * noise, rows(2), (d,), d),
    **{f"{name} flow": flowed(name) for name in FLOWS},
    **{f"{name} flow backwards": flowed(name, backwards=True) for name in FLOWS},
}
ALL = pytest.mark.parametrize("name", LAWS)


class Counting(TorchDispatchMode):
    """Counts the operations that torch performs."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


def operations(work: Callable[[], object]) -> int:
    with torch.no_grad(), Counting() as counter:
        work()
    return counter.operations


def test_every_law_is_here() -> None:
    for found in pkgutil.walk_packages(ratelab.distributions.__path__, "ratelab.distributions."):
        importlib.import_module(found.name)
    waiting, every = [Law], set()
    while waiting:
        every |= (new := set(waiting.pop().__subclasses__()))
        waiting += new
    known = {law for law in every if law.__module__.startswith("ratelab.distributions")}
    assert known == {type(make(SMALL)) for make in LAWS.values()}


@ALL
def test_scores_split_into_units_where_a_law_says_so(name: str) -> None:
    law = LAWS[name](SMALL)
    value = law.draw(LiveNoise(0)).value
    units = law.unit_log_prob(value)
    assert (units is not None) == law.abilities.elementwise
    if units is not None and law.event_shape:
        assert torch.allclose(units.flatten(value.ndim - len(law.event_shape)).sum(-1), law.log_prob(value), atol=1e-4)


@ALL
def test_a_density_is_missing_where_a_law_says_so(name: str) -> None:
    law = LAWS[name](SMALL)
    value, scored = law.draw(LiveNoise(0))
    scored = law.log_prob(value) if scored is None else scored
    assert bool(scored.isfinite().all()) == law.abilities.density


@ALL
def test_a_divergence_is_closed_where_a_law_says_so(name: str) -> None:
    law = LAWS[name](SMALL)
    assert (law.kl(law) is not None) == law.abilities.closed_kl


@ALL
def test_work_that_is_parallel_takes_as_many_operations_for_twice_the_units(name: str) -> None:
    """And work in sequence takes more: counted, not timed."""
    small, large = (LAWS[name](d) for d in (SMALL, LARGE))
    draws = [operations(lambda law=law: law.draw(LiveNoise(0), 2)) for law in (small, large)]
    assert (draws[0] == draws[1]) == small.abilities.parallel_draws, draws
    if small.abilities.density:
        values = [law.draw(LiveNoise(0), 2).value.clone() for law in (small, large)]
        scores = [operations(lambda law=law, v=v: law.log_prob(v)) for law, v in zip((small, large), values, strict=True)]
        assert (scores[0] == scores[1]) == small.abilities.parallel_scores, scores
