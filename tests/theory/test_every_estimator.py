"""Every estimator of the table on random models whose answer is known: its value, its side, its standard error.

A case measures many models at once and says for each number what it is of and, where that is known, what it is on average. A new
estimator, or a new number of an old one, fails here until it has a case, or a reason why it has none.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from known import (
    Worlds,
    at_posterior,
    cross_entropy,
    generative_lower,
    model_information,
    random_worlds,
    shares,
)
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.critic import KnownCritic, Pairs
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.estimators import ESTIMATORS
from ratelab.estimators.averages import mean_of
from ratelab.estimators.judged import InceptionScore
from ratelab.exact import gaussians
from ratelab.models import MODELS

REPEATS, RANDOM = 200, 1000


class Known(NamedTuple):
    """A number that was measured; the quantity it is of, which it bounds where it claims to; and what it is on average."""

    found: Estimate
    of: float | None = None
    mean: float | None = None


Numbers = Mapping[str, Known]


class Case(NamedTuple):
    """``measure(models, near)`` gives the numbers of each of ``models`` random models.

    ``near``: models for which every average is known, for truth and standard errors; else any, for the sides of bounds.
    ``sided``: whether any number claims a side. ``without``: numbers of which nothing is known, or without a standard error, and why.
    """

    measure: Callable[[int, bool], Iterator[Numbers]]
    sided: bool = False
    without: Mapping[str, str] = {}


def made(name: str, *parts: Any, **options: Any) -> Any:
    return ESTIMATORS.build(ESTIMATORS.resolve({"name": name, **options}, "e"), *parts)


def noise(seed: int) -> LiveNoise:
    return LiveNoise(seed, dtype=torch.float64)


def exactly(found: Estimate, value: float | Tensor) -> Known:
    return Known(found, float(value), float(value))


# Linear-Gaussian models, all of them in one pass.

SHAPES = ((4, 1), (6, 2), (5, 2))


def in_worlds(
    tell: Callable[[Worlds, int, Mapping[str, Any]], Numbers],
    estimator: Callable[[], Estimator],
    examples: int,
    rough: Callable[[], Estimator] | None = None,
    shapes: tuple[tuple[int, int], ...] = SHAPES,
) -> Callable[[int, bool], Iterator[Numbers]]:
    """A case that measures worlds of several shapes; ``tell`` says what is known of one model's results.

    ``shapes``: their numbers of dimensions and latents. ``rough``: the estimator where only sides are looked at, for bounds that are loose.
    """

    def measure(models: int, near: bool) -> Iterator[Numbers]:
        for part, (n, k) in zip(np.array_split(np.arange(models), len(shapes)), shapes, strict=True):
            worlds = Worlds(random_worlds(len(part), n, k, seed=n, near=near))
            whole = estimator() if near or rough is None else rough()
            with torch.no_grad():
                whole.observe(worlds, worlds.data(examples, seed=1), noise(2))
            for i, one in enumerate(shares(whole, len(part))):
                yield tell(worlds, i, one.result())

    return measure


def known_to(function: Callable[[Worlds], Any]) -> Callable[[Worlds], Any]:
    """What is known of worlds, once for all their models."""
    last: list[Any] = []

    def remembered(worlds: Worlds) -> Any:
        if not last or last[0] is not worlds:
            last[:] = [worlds, function(worlds)]
        return last[1]

    return remembered


surprise = known_to(lambda worlds: cross_entropy(worlds.exact))
point = known_to(lambda worlds: (worlds.exact.rate, worlds.exact.distortion))


def rate_distortion(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    rate, distortion = (float(value[i]) for value in point(worlds))
    return {
        "rate": exactly(found["rate"], rate),
        "rates": exactly(found["rates"][0], rate),
        "distortion": exactly(found["distortion"], distortion),
        "neg_elbo": Known(found["neg_elbo"], float(surprise(worlds)[i]), rate + distortion),
    }


def importance_weighted(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    """Near the posterior 200 samples leave less than a hundredth of a nat."""
    nll = float(surprise(worlds)[i])
    lost = sum(float(value[i]) for value in point(worlds)) - nll
    return {"iwae": exactly(found["iwae"], nll), "iwae_gain": exactly(found["iwae_gain"], lost)}


def annealed(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    return {"ais": exactly(found["ais"], surprise(worlds)[i])}


model_entropy = known_to(lambda worlds: gaussians.entropy(worlds.exact.model_covariance))


def bidirectional(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    upper, lower, gap = (found[f"bidirectional_{name}"] for name in ("upper", "lower", "gap"))
    entropy = float(model_entropy(worlds)[i])
    return {
        "bidirectional_upper": exactly(upper, entropy),
        "bidirectional_lower": exactly(lower, entropy),
        "bidirectional_gap": Known(gap, 0.0),
    }


SLOPES = (0.5, 1.0)
channels = known_to(lambda worlds: [at_posterior(worlds.exact, b) for b in SLOPES])
curve = known_to(lambda worlds: [(best.rate, best.distortion) for best in channels(worlds)])


def annealed_curve(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    """Each slope's rate and distortion, of which alone neither side is known."""
    numbers = {}
    for at, (rates, distortions) in enumerate(curve(worlds)):
        numbers[f"annealed_rates {SLOPES[at]}"] = exactly(found["annealed_rates"][at], rates[i])
        numbers[f"annealed_distortions {SLOPES[at]}"] = exactly(found["annealed_distortions"][at], distortions[i])
    return numbers


generated = known_to(lambda worlds: (model_information(worlds.exact), generative_lower(worlds.exact)))


def generative_information(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    information, lower = (float(value[i]) for value in generated(worlds))
    return {"generative_information": Known(found["generative_information"], information, lower)}


def squared_error(worlds: Worlds) -> Tensor:
    """(M,) of reconstructions through modes, over all values of an example (its number is always right)."""
    exact = worlds.exact
    blind = torch.eye(exact.mean.shape[-1]) - exact.decoder_weight @ exact.encoder_weight
    offset = exact.mean - (exact.decoder_weight @ exact.encode(exact.mean).unsqueeze(-1)).squeeze(-1) - exact.decoder_bias
    error = (blind @ exact.covariance @ blind.mT).diagonal(dim1=-2, dim2=-1).sum(-1) + offset.square().sum(-1)
    return error / worlds.event_shape[0]


missed = known_to(squared_error)
SPAN = 1e4


def psnr(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    return {"psnr": exactly(found["psnr"], 10 * math.log10(SPAN**2 / float(missed(worlds)[i])))}


def active_units(models: int, near: bool) -> Iterator[Numbers]:
    """Units whose mean's variance is at least three times the threshold, or at most a third of it."""
    exact = random_worlds(models, 3, 2, seed=5, near=near)
    spread = (exact.encoder_weight @ exact.covariance @ exact.encoder_weight.mT).diagonal(dim1=-2, dim2=-1)
    stream = torch.Generator().manual_seed(6)
    used = torch.rand(spread.shape, generator=stream) < 0.5
    wanted = 0.01 * (torch.where(used, 1, -1) * (1.1 + 3 * torch.rand(spread.shape, generator=stream))).exp()
    scaled = exact.encoder_weight * (wanted / spread).sqrt().unsqueeze(-1)
    worlds, whole = Worlds(type(exact)(**{**vars(exact), "encoder_weight": scaled})), made("active-units")
    with torch.no_grad():
        whole.observe(worlds, worlds.data(60, seed=1), noise(2))
    for count, one in zip(used.sum(-1), shares(whole, models), strict=True):
        yield {"active_units": exactly(one.result()["active_units"][0], count)}


def posterior_variance(worlds: Worlds, i: int, found: Mapping[str, Any]) -> Numbers:
    variances = worlds.exact.encoder_covariance.diagonal(dim1=-2, dim2=-1)
    return {"posterior_variance": exactly(found["posterior_variance"][0], variances[i].mean())}


# Codes: laws N(loc_n, s^2 I) of z given each of N examples, against m = N(0, I).


class Coded:
    """A model whose example is the mean of its code, (N, d), of standard deviation ``scale``; two layers where there are two scales.

    The layers are independent given x.
    """

    latent_shapes = ((1,),)

    def __init__(self, *scales: float) -> None:
        self.scales = scales

    def laws(self, loc: Tensor) -> list[DiagonalGaussian]:
        return [DiagonalGaussian(loc, scale=torch.full_like(loc, scale)) for scale in self.scales]

    def __call__(self, batch: Batch, noise: Noise, samples: int = 1) -> Pass:
        marginal = StandardNormal(tuple(batch.x.shape[1:]), batch.x)
        layers = (Layer(law.draw(noise, samples).value, law, marginal) for law in self.laws(batch.x))
        return Pass(batch, batch.x, tuple(layers), None)

    def log_encoders(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return torch.stack([law.log_prob(value) for law, value in zip(self.laws(x), z, strict=True)])


def uniform(stream: np.random.Generator, low: float, high: float) -> float:
    return float(stream.uniform(low, high))


def marginal_kl(models: int, near: bool) -> Iterator[Numbers]:
    """x ~ N(shift, spread^2 I) and z ~ N(x, width^2 I), so that q(z) is a Gaussian.

    Near: wide codes in one dimension, which 500 examples fill, and not at the marginal: where the divergence vanishes, so does what
    the standard error is of to first order. Else four dimensions, of which the sum is less skewed.
    """
    for seed in range(models):
        stream = np.random.default_rng((seed, 1 + near))
        width, spread = (uniform(stream, 0.5, 1.2), uniform(stream, 0.3, 0.8)) if near else np.exp(stream.uniform(-1, 1, 2))
        shift = stream.uniform(0.7, 1.5, 1) if near else stream.uniform(-1, 1, 4)
        x = torch.as_tensor(stream.normal(shift, spread, (500, len(shift))))
        estimator = made("marginal-kl")
        estimator.observe(Coded(width), Batch(x), noise(seed))
        found, variance = estimator.result(), spread**2 + width**2
        divergence = 0.5 * (variance + shift**2 - 1 - math.log(variance)).sum()
        information = 0.5 * len(shift) * math.log(variance / width**2)
        yield {
            **{name: exactly(found[name], divergence) for name in ("marginal_kl", "marginal_kl_lower")},
            **{name: exactly(found[name], information) for name in ("information", "information_upper")},
        }


def joint_marginal_kl(models: int, near: bool) -> Iterator[Numbers]:
    """Two layers about one x ~ N(shift, spread^2): together they are a Gaussian of the covariance spread^2 + diag(width^2).

    That many times over where only sides are looked at, so that the sum is less skewed.
    """
    examples, times = (300, 1) if near else (150, 6)
    for seed in range(models):
        stream = np.random.default_rng((seed, 3 + near))
        low, high = (0.7, 1.2) if near else (0.6, 1.6)
        widths, spread = stream.uniform(low, high, 2), uniform(stream, 0.3, 0.6 if near else 1.5)
        shift = uniform(stream, 0.7, 1.5)
        x = torch.as_tensor(stream.normal(shift, spread, (examples, times)))
        estimator = made("joint-marginal-kl")
        estimator.observe(Coded(*widths), Batch(x), noise(seed))
        found, numbers = estimator.result(), {}
        for i in range(2):
            own = widths[: i + 1] ** 2
            covariance = spread**2 + np.diag(own)
            volume = np.linalg.slogdet(covariance)[1]
            divergence = 0.5 * times * (np.trace(covariance) + (i + 1) * (shift**2 - 1) - volume)
            information = 0.5 * times * (volume - np.log(own).sum())
            numbers |= {
                f"{name} {i}": exactly(found[name][i], divergence) for name in ("joint_marginal_kl", "joint_marginal_kl_lower")
            }
            numbers |= {
                f"{name} {i}": exactly(found[name][i], information) for name in ("joint_information", "joint_information_upper")
            }
        yield numbers


class Parabola:
    """a + b v + c v^2 of a single value: as a critic, or as the log-density of a Gaussian; its mean under one, and of its exponential."""

    def __init__(self, a: float, b: float, c: float) -> None:
        self.terms = a, b, c

    @classmethod
    def log_normal(cls, mean: float, scale: float) -> "Parabola":
        v = scale**2
        return cls(-0.5 * (mean**2 / v + math.log(2 * math.pi * v)), mean / v, -0.5 / v)

    def __sub__(self, other: "Parabola") -> "Parabola":
        return Parabola(*(one - two for one, two in zip(self.terms, other.terms, strict=True)))

    def __mul__(self, factor: float) -> "Parabola":
        return Parabola(*(factor * term for term in self.terms))

    def __call__(self, z: Tensor) -> Tensor:
        a, b, c = self.terms
        return (a + b * z + c * z.square()).squeeze(-1)

    score = log_prob = __call__

    def mean(self, mean: float, scale: float) -> float:
        a, b, c = self.terms
        return a + b * mean + c * (mean**2 + scale**2)


def kl(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (Parabola.log_normal(*one) - Parabola.log_normal(*other)).mean(*one)


def density_model(name: str) -> Callable[[int, bool], Iterator[Numbers]]:
    """Codes N(mu, s^2) and a density N(a, b^2) that is not theirs."""

    def measure(models: int, near: bool) -> Iterator[Numbers]:
        for seed in range(models):
            stream = np.random.default_rng(seed)
            (mu, a), (s, b) = stream.normal(0, 0.5, 2), np.exp(stream.normal(0, 0.5, 2))
            estimator = made(name, Parabola.log_normal(a, b))
            estimator.observe(Coded(s), Batch(torch.full((400, 1), mu).double()), noise(seed))
            divergence, short = kl((mu, s), (0, 1)), kl((mu, s), (a, b))
            yield {key: Known(found, divergence, divergence - short) for key, found in estimator.result().items()}

    return measure


def critic(seed: int, p: tuple[float, float], q: tuple[float, float], near: bool) -> Parabola:
    """log p - log q, or any critic; that of neither has exponentials without a mean."""
    best = Parabola.log_normal(*p) - Parabola.log_normal(*q)
    return best if near else best * 0.5 - Parabola(*np.random.default_rng(seed + 10**6).uniform((-1, -0.3, 0), (1, 0.3, 0.2)))


def certified(found: Mapping[str, Estimate], stem: str, divergence: float, near: bool) -> Numbers:
    """The two lower bounds: equal to the divergence on average under the best critic (but for the bias of the logarithm of a mean)."""
    return {name: Known(found[name], divergence, divergence if near else None) for name in (f"{stem}_dv", f"{stem}_nwj")}


def density_ratio(models: int, near: bool) -> Iterator[Numbers]:
    for seed in range(models):
        stream = np.random.default_rng(seed)
        p, q = (stream.normal(0, 0.3), uniform(stream, 0.6, 1.0)), (0.0, 1.0)
        t = critic(seed, p, q, near)
        estimator = made("marginal-kl-ratio", t)
        estimator.observe(Coded(p[1]), Batch(torch.full((400, 1), p[0]).double()), noise(seed))
        found, divergence = estimator.result(), kl(p, q)
        yield {
            "marginal_kl_ratio": Known(found["marginal_kl_ratio"], divergence, t.mean(*p)),
            **certified(found, "marginal_kl", divergence, near),
        }


class TwoKnown(KnownCritic):
    """A critic of N(mu_1, s_1^2), label 1, and N(mu_2, s_2^2)."""

    def __init__(self, first: tuple[float, float], second: tuple[float, float], logit: Parabola) -> None:
        super().__init__()
        self.first, self.second, self.logit = first, second, logit

    @property
    def divergence(self) -> float:
        return kl(self.second, self.first)

    def meet(self, batch: Batch, noise: Noise) -> Pairs:
        return Pairs(*(mean + scale * noise.normal((batch.size, 1)) for mean, scale in (self.first, self.second)))

    def score(self, value: Tensor, noise: Noise | None = None) -> Tensor:
        return self.logit(value)

    def judge(self, *_: Any) -> Pass:
        raise NotImplementedError

    forward = generate = log_joint = decode = group = judge  # type: ignore[assignment]


def synthetic_kl(models: int, near: bool) -> Iterator[Numbers]:
    for seed in range(models):
        stream = np.random.default_rng(seed)
        first, second = (0.0, 1.0), (stream.normal(0, 0.3), uniform(stream, 0.6, 1.0))
        t = critic(seed, second, first, near)  # of label 0: minus the logit
        model, estimator = TwoKnown(first, second, t * -1.0), made("synthetic-kl")
        estimator.observe(model, Batch(torch.zeros(2000, 1).double()), noise(seed + 1000))
        found = estimator.result()
        yield {
            "synthetic_kl": Known(found["synthetic_kl"], model.divergence, t.mean(*second)),
            "synthetic_kl_bias": exactly(found["synthetic_kl_bias"], t.mean(*second) - model.divergence),
            **certified(found, "synthetic_kl", model.divergence, near),
        }


# Draws of a generator, and what others think of them.


class Draws:
    """A model whose draws, and the means of its decoder, are of one law: ``draw(noise, n)``."""

    def __init__(self, draw: Callable[[Noise, int], Tensor]) -> None:
        self.draw = draw

    def generate(self, n: int, noise: Noise) -> Pass:
        x = self.draw(noise, n)
        return Pass(Batch(x), x, (), None, origin="model")


def wasserstein(models: int, near: bool) -> Iterator[Numbers]:
    for seed in range(models):
        stream = np.random.default_rng(seed)
        laws = [(stream.normal(), math.exp(stream.normal(0, 0.5))) for _ in range(3)]
        f = Parabola(*stream.normal(size=3))
        held_out, training = (torch.as_tensor(stream.normal(*law, (200, 1))) for law in laws[:2])
        mean, scale = laws[2]
        model = Draws(lambda noise, n, mean=mean, scale=scale: mean + scale * noise.normal((n, 1)))
        estimator = made("wasserstein", f)
        estimator.observe_training(model, Batch(training), noise(seed), 200)
        estimator.observe(model, Batch(held_out), noise(seed))
        found = estimator.result()
        truth = [f.mean(*law) - f.mean(*laws[2]) for law in laws[:2]]
        yield {
            name: exactly(found[name], value) for name, value in zip(("wasserstein", "wasserstein_train"), truth, strict=True)
        }


def parzen(models: int, near: bool) -> Iterator[Numbers]:
    """Of the window on the very draws that are made, what examples of a known law give on average: by quadrature over them.

    That many draws make the window the smoothed law of the model is shown in test_likelihood_estimators.py.
    """
    nodes, weights = (torch.as_tensor(part) for part in hermegauss(80))
    for seed in range(models):
        stream = np.random.default_rng(seed)
        mean, scale, sigma = stream.normal(), uniform(stream, 0.5, 1.5), uniform(stream, 0.4, 0.8)
        at, spread = mean + stream.normal(0, 0.5), uniform(stream, 0.5, 1.0)
        model = Draws(lambda noise, n, mean=mean, scale=scale: mean + scale * noise.normal((n, 1)))
        estimator = made("parzen", samples=100, sigmas=[sigma])
        estimator.observe(model, Batch(torch.as_tensor(stream.normal(at, spread, (200, 1)))), noise(seed))
        window = DiagonalGaussian(model.draw(noise(seed), 100), scale=torch.full((100, 1), sigma))
        log_window = window.log_prob((at + spread * nodes).view(-1, 1, 1)).logsumexp(-1) - math.log(100)
        yield {"parzen": exactly(estimator.result()["parzen"], -(log_window @ weights) / math.sqrt(2 * math.pi))}


class Judge:
    """A classifier of integers by a table of log-probabilities, or of numbers by a logit against none."""

    def __init__(self, table: Tensor | None = None, slope: float = 1.0) -> None:
        self.table, self.slope = table, slope

    def log_probs(self, x: Tensor) -> Tensor:
        if self.table is not None:
            return self.table[x.long().flatten()]
        logit = self.slope * x.flatten()
        return torch.stack([torch.zeros_like(logit), logit], -1).log_softmax(-1)


def inception_score(models: int, near: bool) -> Iterator[Numbers]:
    """Eight kinds of draws, equally often, one of two classes more than the other: where they are even, diversity is at its largest.

    Forty splits, more than a recipe may ask for: the spread over five has a heavy-tailed t of its own.
    """
    for seed in range(models):
        logits = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        table = (logits + torch.tensor([1.5, 0.0])).log_softmax(-1)
        model = Draws(lambda noise, n: (8 * noise.uniform((n, 1))).floor())
        estimator = InceptionScore(Judge(table), samples=20_000, splits=40)
        estimator.observe(model, Batch(torch.zeros(1, 1)), noise(seed))
        found, probs = estimator.result(), table.exp()
        mean = probs.mean(0)
        diversity = float(-(mean * mean.log()).sum())
        sharpness = float((probs * table).sum(-1).mean())
        truth = {"inception_score": diversity + sharpness, "diversity": diversity, "sharpness": sharpness}
        yield {name: exactly(found[name], math.exp(value)) for name, value in truth.items()}


class Passed:
    """A model that gives the example back through its decoder, scaled; its target may be the label."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, batch: Batch, noise: Noise, samples: int = 1) -> Pass:
        return Pass(batch, batch.x, (), DiagonalGaussian(self.scale * batch.x.unsqueeze(0), scale=torch.ones(1)))


def labelled(seed: int, n: int) -> tuple[Tensor, Tensor, float, float]:
    """Numbers of either sign, and labels that tell the sign with a probability; (x, y, mean of x, probability)."""
    stream = np.random.default_rng(seed)
    mean, right = stream.normal(0, 0.5), uniform(stream, 0.55, 0.95)
    x = stream.normal(mean, 1.0, (n, 1))
    y = (x[:, 0] > 0) == (stream.random(n) < right)
    return torch.as_tensor(x), torch.as_tensor(y).long(), mean, right


def recognised(models: int, near: bool) -> Iterator[Numbers]:
    nodes, weights = hermegauss(80)
    for seed in range(models):
        x, y, mean, right = labelled(seed, 200)
        estimator = made("reconstruction-accuracy", Judge(slope=0.8))
        estimator.observe(Passed(1.5), Batch(x, y=y), noise(seed))
        found = estimator.result()
        p = 1 / (1 + np.exp(-0.8 * 1.5 * (mean + nodes)))
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)) @ weights / math.sqrt(2 * math.pi)
        yield {
            "reconstruction_accuracy": exactly(found["reconstruction_accuracy"], right),
            "reconstruction_entropy": exactly(found["reconstruction_entropy"], entropy),
        }


class Guess(Passed):
    """A model of labels whose most probable one is the sign's."""

    def __call__(self, batch: Batch, noise: Noise, samples: int = 1) -> Pass:
        law = DiagonalGaussian((batch.x.T > 0).double(), scale=torch.ones(1), event_axes=0)
        return Pass(batch, batch.x, (), law)


def accuracy(models: int, near: bool) -> Iterator[Numbers]:
    for seed in range(models):
        x, y, _, right = labelled(seed, 200)
        estimator = made("accuracy")
        estimator.observe(Guess(1.0), Batch(x, y=y), noise(seed))
        yield {"accuracy": exactly(estimator.result()["accuracy"], right)}


# Two labels, equally often: z = apart y + N(0, v), of which information and the best accuracy are integrals of one number.


@cache
def told_by(separation: float) -> tuple[float, float]:
    """I(y; z) in nats and the best classifier's accuracy for two normals so many standard deviations apart."""
    grid = np.linspace(-10, 10 + separation, 4001)
    p = [np.exp(-0.5 * (grid - at) ** 2) / math.sqrt(2 * math.pi) for at in (0, separation)]
    m = 0.5 * (p[0] + p[1])
    information = sum(0.5 * (q * np.log(q / m)).sum() for q in p) * (grid[1] - grid[0])
    return float(information), 0.5 * (1 + math.erf(separation / 2 / math.sqrt(2)))


class Labelled(NamedTuple):
    """Means of codes by label, and how far apart the codes' classes lie, in standard deviations, layer by layer with those above."""

    x: Tensor
    y: Tensor
    model: Coded
    apart: list[float]


def classes(seed: int, examples: int, layers: int = 1) -> Labelled:
    stream = np.random.default_rng(seed)
    apart, within = uniform(stream, 0.8, 2.0), uniform(stream, 0.3, 0.6)
    scales = stream.uniform(0.7, 1.0, layers)
    y = stream.permutation(np.arange(examples) % 2)
    x = apart * y + stream.normal(0, within, examples)
    spread = [math.sqrt(within**2 + 1 / sum(1 / scales[: i + 1] ** 2)) for i in range(layers)]
    return Labelled(torch.as_tensor(x[:, None]), torch.as_tensor(y), Coded(*scales), [round(apart / s, 6) for s in spread])


def label_information(models: int, near: bool) -> Iterator[Numbers]:
    for seed in range(models):
        world, estimator = classes(seed, 400 if near else 100), made("label-information")
        estimator.observe(world.model, Batch(world.x, y=world.y), noise(seed))
        yield limited(estimator.result(), "label_information", "accuracy_limit", world.apart[0])


def limited(found: Mapping[str, Any], information: str, limit: str, separation: float) -> Numbers:
    from ratelab.exact.accuracy import highest_accuracy

    nats, best = told_by(separation)
    return {information: exactly(found[information], nats), limit: Known(found[limit], best, highest_accuracy(nats, 2))}


def joint_label_information(models: int, near: bool) -> Iterator[Numbers]:
    examples = 300 if near else 60
    for seed in range(models):
        world, estimator = classes(seed, examples, layers=2), made("joint-label-information", examples=examples)
        estimator.observe(world.model, Batch(world.x, y=world.y), noise(seed))
        found = estimator.result()
        yield {
            f"{name} {i}": number
            for i, separation in enumerate(world.apart)
            for name, number in limited(
                {key: rows[i] for key, rows in found.items()}, "joint_label_information", "joint_accuracy_limit", separation
            ).items()
        }


def neighbour_information(models: int, near: bool) -> Iterator[Numbers]:
    for seed in range(models):
        world, estimator = classes(seed, 400), made("neighbour-information")
        estimator.observe(world.model, Batch(world.x, y=world.y), noise(seed))
        yield {"neighbour_information": exactly(estimator.result()["neighbour_information"][0], told_by(world.apart[0])[0])}


def downstream(models: int, near: bool) -> Iterator[Numbers]:
    """Two classes of one number, which a straight line and 400 examples tell apart as well as can be."""
    for seed in range(models):
        world, estimator = classes(seed, 500), made("downstream", kinds=["linear-svm"], drawn=True)
        estimator.observe(world.model, Batch(world.x.float(), y=world.y), noise(seed))
        found, (_, best) = estimator.result(), told_by(world.apart[0])
        yield {name: exactly(rows[0], best) for name, rows in found.items()}


# Tables, of which every expectation is a sum.


class Table:
    """A density q(x) of states."""

    event_shape: tuple[int, ...] = ()

    def __init__(self, q: Tensor) -> None:
        self.q = q

    def log_prob(self, x: Tensor) -> Tensor:
        return self.q.log()[x.long()]


def generative_bounds(models: int, near: bool) -> Iterator[Numbers]:
    """200 examples of a random law, and 4000 for training, of which 200 are looked at."""
    states = Split(np.arange(6, dtype=np.float32))
    dataset = Dataset("states", Support.REAL, states, states, states)
    model: Any = MODELS.build(MODELS.resolve({"name": "tables", "states": 6, "latent_states": 3}, "m"), dataset).double()
    for seed in range(models):
        stream = torch.Generator().manual_seed(seed)
        law, q = (torch.randn(6, dtype=torch.float64, generator=stream).softmax(-1) for _ in range(2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(generator=stream)
        tables, training = model.tables(law), torch.multinomial(law, 4000, True, generator=stream).double()
        estimator = made("generative-bounds", Table(q))
        with torch.no_grad():
            estimator.observe_training(model, Batch(training[::20]), noise(seed), 4000)
            estimator.observe(model, Batch(torch.multinomial(law, 200, True, generator=stream).double()), noise(seed))
        found, entropy = estimator.result(), float(tables.entropy)
        crossed = entropy + float(tables.s_functional(q))
        on_sample = -float(q.log()[training.long()].mean()) - math.log(4000)
        yield {
            "generative_information_upper": Known(
                found["generative_information_upper"], float(tables.model_information), float(tables.g_functional(q))
            ),
            "cross_entropy": Known(found["cross_entropy"], entropy, crossed),
            "u": exactly(found["u"], tables.u_functional(q)),
            "s_sample": exactly(found["s_sample"], on_sample),
            "s_target": Known(found["s_target"], entropy - math.log(4000), crossed - math.log(4000)),
        }


DRAWS_LEFT = "a count of draws, without a standard error"
CASES: dict[str, Case] = {
    "rate-distortion": Case(in_worlds(rate_distortion, lambda: made("rate-distortion"), 1000), sided=True),
    "iwae": Case(
        in_worlds(
            importance_weighted,
            lambda: made("iwae", samples=200, chunk=10),
            100,
            rough=lambda: made("iwae", samples=3),
        ),
        sided=True,
    ),
    "ais": Case(
        in_worlds(
            annealed,
            lambda: made("ais", chains=2, temperatures=20, leapfrogs=2),
            100,
            rough=lambda: made("ais", chains=1, temperatures=4, leapfrogs=1),
        ),
        sided=True,
        without={"ais_chains": "how well the chains went", "ais_acceptance": "how well the chains went"},
    ),
    "bidirectional": Case(
        in_worlds(
            bidirectional,
            lambda: made("bidirectional", chains=2, temperatures=50, leapfrogs=2),
            60,
            rough=lambda: made("bidirectional", chains=1, temperatures=4, leapfrogs=1),
        ),
        sided=True,
    ),
    "annealed-curve": Case(
        in_worlds(
            annealed_curve,
            lambda: made("annealed-curve", betas=SLOPES, chains=4, temperatures=50, leapfrogs=2),
            80,
            shapes=((4, 1),),
        )
    ),
    "parzen": Case(parzen),
    "marginal-kl": Case(marginal_kl, sided=True),
    "joint-marginal-kl": Case(joint_marginal_kl, sided=True),
    "marginal-kl-ratio": Case(density_ratio, sided=True, without={"marginal_kl_draws": DRAWS_LEFT}),
    **{name: Case(density_model(name), sided=True) for name in ("marginal-kl-gmm", "marginal-kl-maf", "marginal-kl-lstm")},
    "active-units": Case(active_units),
    "posterior-variance": Case(in_worlds(posterior_variance, lambda: made("posterior-variance"), 60)),
    "generative-information": Case(in_worlds(generative_information, lambda: made("generative-information"), 1000), sided=True),
    "generative-bounds": Case(generative_bounds, sided=True),
    "wasserstein": Case(wasserstein),
    "synthetic-kl": Case(
        synthetic_kl,
        sided=True,
        without={"synthetic_kl_true": "the truth itself, in closed form", "synthetic_kl_draws": DRAWS_LEFT},
    ),
    "psnr": Case(in_worlds(psnr, lambda: made("psnr", range=SPAN), 300)),
    "label-information": Case(label_information, sided=True),
    "joint-label-information": Case(joint_label_information, sided=True),
    "neighbour-information": Case(neighbour_information),
    "downstream": Case(downstream),
    "accuracy": Case(accuracy),
    "inception-score": Case(inception_score),
    "reconstruction-accuracy": Case(recognised),
}
WITHOUT = {
    "fid": "no side and no standard error; its arithmetic against closed forms: tests/theory/test_label_information.py",
    "fid-inception": "as fid, in features of weights that are not at hand: tests/unit/test_inception.py",
}


def test_every_estimator_has_a_case() -> None:
    assert not set(CASES) & set(WITHOUT)
    assert set(CASES) | set(WITHOUT) == set(ESTIMATORS)


@pytest.mark.parametrize("name", CASES)
def test_every_number_of_an_estimator_is_in_its_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, seen = ESTIMATORS[name].target, set()
    result = target.result  # type: ignore[attr-defined]

    def watched(self: Estimator) -> Mapping[str, Any]:
        found = result(self)
        seen.update(found)
        return found

    monkeypatch.setattr(target, "result", watched)
    rows = list(CASES[name].measure(len(SHAPES), True))
    assert {key.split()[0] for row in rows for key in row} | set(CASES[name].without) == seen
    claims = {number.found.bound for row in rows for number in row.values()}
    assert CASES[name].sided == bool(claims & {"upper", "lower"})


def scores(numbers: list[tuple[Estimate, float]]) -> np.ndarray:
    return np.array([(found.value - truth) / found.stderr for found, truth in numbers])


@pytest.mark.parametrize("name", CASES)
def test_values_are_true_and_standard_errors_calibrated(name: str) -> None:
    """Over 200 random models: never four standard errors off, the z-scores' spread is 1, and no bias shows (half an error at most)."""
    rows = list(CASES[name].measure(REPEATS, True))
    for key in rows[0]:
        pairs = [(row[key].found, row[key].mean) for row in rows]
        known = [(found, mean) for found, mean in pairs if mean is not None]
        if not known:
            continue
        if math.isnan(known[0][0].stderr):
            assert all(found.value == mean for found, mean in known), key
            continue
        z = scores(known)
        assert len(z) == REPEATS, key
        assert abs(z).max() < 4, key
        assert 0.85 < z.std() < 1.15, key
        assert abs(z.mean()) < 0.5, key


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.sided])
def test_bounds_of_a_thousand_random_models_are_on_their_side(name: str) -> None:
    """Never beyond by four standard errors of one model, nor by four of them all together."""
    rows = list(CASES[name].measure(RANDOM, False))
    for key in rows[0]:
        sided = [row[key] for row in rows if row[key].found.bound in ("upper", "lower")]
        known = [(number.found, number.of) for number in sided if number.of is not None]
        if not known:
            continue
        assert len(known) > 0.9 * RANDOM, key
        z = scores(known) * (1 if known[0][0].bound == "upper" else -1)
        assert z.min() > -4, key
        assert z.mean() > -4 / math.sqrt(RANDOM), key


def test_a_thousand_annealed_points_lie_above_their_curve() -> None:
    """R + b D is above the curve's on average, well above it after a journey of four temperatures."""
    for n, k in SHAPES:
        worlds = Worlds(random_worlds(RANDOM // len(SHAPES), n, k, seed=n, near=False))
        rough = made("annealed-curve", betas=SLOPES, chains=2, temperatures=4, leapfrogs=1)
        with torch.no_grad():
            rough.observe(worlds, worlds.data(60, seed=1), noise(2))
        for i, one in enumerate(shares(rough, worlds.models)):
            for at, (rates, distortions) in enumerate(curve(worlds)):
                found = mean_of(one.rates[at].values + SLOPES[at] * one.distortions[at].values, "R + b D", "upper")
                assert found.value - float(rates[i] + SLOPES[at] * distortions[i]) > -4 * found.stderr
