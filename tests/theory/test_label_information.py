"""What latents say about labels, on laws where it is known; and the scores that need a classifier's probabilities."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.divergences.frechet import frechet, moments
from ratelab.divergences.inception import inception
from ratelab.estimators.downstream import Downstream, held_out_accuracy, split
from ratelab.estimators.label_information import LabelInformation, class_log_densities, label_terms
from ratelab.exact.accuracy import highest_accuracy


def posteriors(centres: Tensor, spread: float) -> DiagonalGaussian:
    return DiagonalGaussian(centres, log_scale=torch.full_like(centres, math.log(spread)))


def information(law: DiagonalGaussian, labels: Tensor, seed: int = 0) -> Tensor:
    z = law.draw(LiveNoise(seed, dtype=law.loc.dtype)).value
    return label_terms(class_log_densities(z, law, labels, int(labels.max()) + 1), labels)


@pytest.mark.spec("HV27")
def test_nothing_is_known_where_posteriors_are_equal_and_everything_where_classes_lie_apart() -> None:
    labels = torch.arange(300) % 3 % 2  # twice as many of class 0
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    same = information(posteriors(torch.zeros(300, 4), 0.3), labels)
    assert same.abs().max() < 1e-9
    apart = information(posteriors(100.0 * labels[:, None].expand(300, 4).float(), 0.3), labels)
    assert apart.mean().item() == pytest.approx(entropy, abs=1e-9)


@pytest.mark.spec("HV27")
def test_the_estimate_agrees_with_quadrature_of_the_same_mixtures() -> None:
    labels = torch.arange(400) % 2
    centres = (labels * 1.5 + 0.5 * torch.randn(400, generator=torch.Generator().manual_seed(0))).double()[:, None]
    law = posteriors(centres, 0.8)
    grid = torch.linspace(-8, 10, 4001, dtype=torch.float64)[:, None]
    density = class_log_densities(grid, law, labels, 2).exp() / 2
    total = density.sum(-1, keepdim=True)
    exact = float((density * (2 * density / total).log()).sum() * (grid[1] - grid[0]))
    terms = torch.cat([information(law, labels, seed) for seed in range(20)])
    assert abs(terms.mean() - exact) < 4 * terms.std() / len(terms) ** 0.5
    assert 0.1 < exact < 0.6


@pytest.mark.spec("HV27")
def test_the_matrix_form_is_the_broadcast_sum_also_where_posteriors_are_narrow() -> None:
    stream = torch.Generator().manual_seed(0)
    loc = 3 * torch.randn(200, 8, generator=stream)
    law = DiagonalGaussian(loc, log_scale=-3 + torch.randn(200, 8, generator=stream))
    labels = torch.randint(0, 4, (200,), generator=stream)
    z = law.draw(LiveNoise(0)).value.double()
    wide = DiagonalGaussian(law.loc.double(), log_scale=law.log_scale.double()).log_prob(z[:, None])  # (draw, posterior)
    expected = [wide[:, labels == c].logsumexp(-1) - math.log(int((labels == c).sum())) for c in range(4)]
    assert torch.allclose(class_log_densities(z, law, labels, 5)[:, :4], torch.stack(expected, -1), atol=1e-7)
    assert (class_log_densities(z, law, labels, 5)[:, 4] == -torch.inf).all()


class Given(torch.nn.Module):
    """A "model" whose top layer is given by the examples themselves."""

    latent_shapes = ((2,),)

    def __init__(self, spread: float, batch_axes: int = 1) -> None:
        super().__init__()
        self.spread, self.batch_axes = spread, batch_axes

    def forward(self, batch: Batch, noise: Any, samples: int = 1) -> Pass:
        loc = batch.x if self.batch_axes == 1 else batch.x.unsqueeze(0)
        law = posteriors(loc, self.spread)
        z = law.draw(noise, 1 if self.batch_axes == 1 else None).value
        return Pass(batch, batch.x, (Layer(z, law, StandardNormal((2,), batch.x)),), None)


def seen_by(estimator: Any, x: Tensor, y: Tensor, spread: float = 0.5) -> Any:
    for rows in torch.arange(len(x)).split(64):
        estimator.observe(Given(spread), Batch(x[rows], y=y[rows]), LiveNoise(int(rows[0])))
    return estimator.result()


def clusters(n: int, apart: float) -> tuple[Tensor, Tensor]:
    y = torch.arange(n) % 4
    corners = apart * torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    return corners[y] + 0.3 * torch.randn(n, 2, generator=torch.Generator().manual_seed(1)), y


@pytest.mark.spec("HV27", "HV20")
def test_no_classifier_of_the_draws_beats_the_limit_of_the_information_they_carry() -> None:
    for apart in (0.3, 1.0):
        x, y = clusters(300, apart)
        found = seen_by(LabelInformation(), x, y)
        limit, nats = found["accuracy_limit"], found["label_information"]
        assert limit.bound == "upper"
        assert limit.value == highest_accuracy(nats.value, 4)
        assert -4 * nats.stderr < nats.value < math.log(4)
        for estimate in [row for rows in seen_by(Downstream(drawn=True), x, y).values() for row in rows]:
            assert estimate.value < limit.value + 4 * (estimate.stderr + limit.stderr)


def test_a_law_that_depends_on_other_latents_has_no_such_mixture() -> None:
    seen = Given(0.5, batch_axes=2)(Batch(torch.zeros(3, 2)), LiveNoise(0))
    with pytest.raises(UserError, match="given x alone"):
        LabelInformation().check(None, seen)  # type: ignore[arg-type]


@pytest.mark.spec("HV28", "HV29", "HV30", "HV31", "N44")
def test_the_protocol_holds_out_the_last_fifth_of_the_permutation_of_seed_42() -> None:
    train, test = split(50)
    order = np.random.RandomState(42).permutation(50)
    assert np.array_equal(np.concatenate([train, test]), order)
    assert len(test) == 10
    stream = np.random.default_rng(0)
    x, y = stream.standard_normal((50, 3)), np.zeros(50, dtype=int)
    y[test] = np.arange(10) % 2
    y[train] = np.arange(40) % 2
    x[:, 0] += 50 * y
    for kind in ("logistic", "linear-svm", "rbf-svm", "knn"):
        accuracy, n = held_out_accuracy(kind, x, y)  # type: ignore[arg-type]
        assert (accuracy, n) == (1.0, 10), kind
        flipped = y.copy()
        flipped[test] = 1 - flipped[test]  # labels that are held out are never trained on
        assert held_out_accuracy(kind, x, flipped)[0] == 0.0, kind  # type: ignore[arg-type]


@pytest.mark.spec("HV28", "HV29", "HV30", "HV31", "N44")
def test_the_classifiers_are_those_of_the_protocol() -> None:
    from ratelab.estimators.downstream import classifiers

    made = {kind: make() for kind, make in classifiers().items()}
    assert [(c.solver, c.random_state, c.C) for c in made["logistic"]] == [("saga", seed, 1.0) for seed in range(5)]
    assert [(c.kernel, c.C, c.gamma) for c in (*made["linear-svm"], *made["rbf-svm"])] == [
        ("linear", 1.0, "scale"),
        ("rbf", 1.0, "scale"),
    ]
    assert [c.n_neighbors for c in made["knn"]] == [5]


def test_downstream_reports_each_layer_of_the_modes() -> None:
    x, y = clusters(100, 2.0)
    found = seen_by(Downstream(kinds=("knn",)), x, y, spread=50.0)
    (estimate,) = found["accuracy_knn"]
    assert estimate.value > 0.8  # modes, not draws, which are lost in noise
    assert estimate.n == 20
    assert estimate.of == "held-out accuracy of knn on modes of layer 1"
    assert Downstream.needs.examples == 10, "of which two are held out"


@pytest.mark.spec("HV32")
def test_the_frechet_distance_of_equal_sets_is_zero_and_of_shifted_ones_the_shift() -> None:
    a = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([1.0, 2.0, 0.0, 0.0, -1.0])
    assert frechet(moments(a), moments(a)) == pytest.approx(0.0, abs=1e-9)
    assert frechet(moments(a), moments(a + shift)) == pytest.approx(6.0, rel=1e-6)
    unit = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    wide = unit[0], torch.diag(torch.tensor([4.0, 9.0, 1.0], dtype=torch.float64))
    assert frechet(unit, wide) == pytest.approx(1 + 4)  # sum (1 - s)^2
    mixed = torch.tensor([[2.0, 1.0, 0], [1, 3, 0.5], [0, 0.5, 1]], dtype=torch.float64)
    from scipy.linalg import sqrtm

    expected = float(np.trace(mixed.numpy() + wide[1].numpy() - 2 * np.real(sqrtm(mixed.numpy() @ wide[1].numpy()))))
    assert frechet((unit[0], mixed), wide) == pytest.approx(expected, rel=1e-9)


@pytest.mark.spec("HV25", "HV26", "DM45")
def test_the_inception_score_is_diversity_times_sharpness_within_its_limits() -> None:
    stream = torch.Generator().manual_seed(0)
    for sharpness in (0.1, 1.0, 10.0):
        found = inception((sharpness * torch.randn(1003, 10, generator=stream)).log_softmax(-1), 5)
        assert torch.allclose(found.score, found.diversity * found.sharpness, atol=0, rtol=1e-9)
        assert len(found.score) == 5
        for value, low in ((found.score, 1.0), (found.diversity, 1.0), (found.sharpness, 0.1)):
            assert (value >= low - 1e-12).all()
            assert (value <= 10 / (1 if low == 1 else 10) + 1e-12).all()


@pytest.mark.spec("HV25", "DM45")
def test_a_classifier_that_cannot_tell_scores_one_and_a_sure_one_the_number_of_classes() -> None:
    even = inception(torch.zeros(20, 4), 2)
    assert torch.allclose(even.score, torch.ones(2, dtype=torch.float64))
    assert torch.allclose(even.diversity, 4 * torch.ones(2, dtype=torch.float64))
    sure = inception(torch.where(torch.eye(4).repeat(6, 1) > 0, 0.0, -60.0), 3)
    assert torch.allclose(sure.score, 4 * torch.ones(3, dtype=torch.float64))
    alike = inception(torch.tensor([0.0, -60.0, -60.0]).repeat(12, 1), 3)
    assert torch.allclose(alike.score, torch.ones(3, dtype=torch.float64))
    assert torch.allclose(alike.sharpness, torch.ones(3, dtype=torch.float64))
