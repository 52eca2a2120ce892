"""The accuracy bound: its table, its inverse, random joint tables, and the chain of inequalities down to the rates."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ratelab.core.errors import UserError
from ratelab.exact.accuracy import highest_accuracy, information_needed, label_entropy

Floats = NDArray[np.float64]
NEEDED = {
    0.1: 0,
    0.3: 0.153664,
    0.5: 0.510826,
    0.7: 1.032553,
    0.8: 1.362738,
    0.9: 1.757780,
    0.95: 1.994209,
    0.99: 2.224611,
    1: 2.302585,
}
ALLOWED = {0.1: 0.256866, 0.5: 0.495051, 1.0: 0.689217, 1.5: 0.837045, 2.0: 0.951124, 2.2: 0.986285}


@pytest.mark.spec("HV21")
def test_the_information_an_accuracy_needs_is_tabled_and_rises() -> None:
    for accuracy, nats in NEEDED.items():
        assert information_needed(accuracy, 10) == pytest.approx(nats, abs=1e-6)
    for classes, entropy in ((2, None), (10, None), (5, 1.2)):
        grid = [information_needed(a, classes, entropy) for a in np.linspace(1 / classes, 1, 400)]
        assert (np.diff(grid) > 0).all()
        assert grid[-1] == pytest.approx(math.log(classes) if entropy is None else entropy)
        assert grid[0] == pytest.approx(grid[-1] - math.log(classes), abs=1e-12)


@pytest.mark.spec("HV22")
def test_the_inverse_is_one_and_holds_at_the_ends() -> None:
    for nats, accuracy in ALLOWED.items():
        assert highest_accuracy(nats, 10) == pytest.approx(accuracy, abs=1e-6)
    for classes, entropy in ((2, None), (10, None), (10, 1.9), (100, None)):
        for a in np.linspace(1 / classes + 1e-3, 1, 200):
            assert highest_accuracy(information_needed(a, classes, entropy), classes, entropy) == pytest.approx(a, abs=1e-9)
        assert highest_accuracy(100.0, classes, entropy) == 1.0
        assert highest_accuracy(-5.0, classes, entropy) == 1 / classes


def information(joint: Floats) -> float:
    """I of a table of two variables, nats."""
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / product[seen])).sum())


def entropy(p: Floats) -> float:
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def tables(count: int) -> list[Floats]:
    """Joint tables of M labels and a code, from even to almost deterministic."""
    stream = np.random.default_rng(0)
    sizes = [(int(stream.integers(2, 8)), int(stream.integers(1, 12))) for _ in range(count)]
    return [stream.dirichlet(np.full(m * z, stream.choice([0.05, 0.3, 1.0, 5.0]))).reshape(m, z) for m, z in sizes]


@pytest.mark.spec("HV23", "N43")
def test_no_table_beats_the_bound_whatever_the_classifier() -> None:
    stream = np.random.default_rng(1)
    for joint in tables(400):
        m, codes = joint.shape
        labels, nats = entropy(joint.sum(1)), information(joint)
        for guess in (joint.argmax(0), stream.integers(0, m, codes)):
            accuracy = float(joint[guess, np.arange(codes)].sum())
            assert information_needed(accuracy, m, labels) <= nats + 1e-9
            if accuracy >= 1 / m:
                assert accuracy <= highest_accuracy(nats, m, labels) + 1e-9


@pytest.mark.spec("HV23")
@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.95])
def test_the_bound_is_tight_where_the_other_labels_share_evenly(accuracy: float) -> None:
    m = 7
    posterior = np.full((m, m), (1 - accuracy) / (m - 1))
    np.fill_diagonal(posterior, accuracy)
    assert information(posterior / m) == pytest.approx(information_needed(accuracy, m), abs=1e-12)


@pytest.mark.spec("HV20", "N43")
def test_a_layer_knows_no_more_of_the_label_than_of_x_and_no_more_than_its_rates() -> None:
    """A chain y -> x -> (z_2, z_1) in finite tables: I(y;z_l) <= I(x;z_l) <= E KL(q(z_l|x) || p(z_l)) <= R(z_>=l)."""
    stream = np.random.default_rng(0)
    for _ in range(200):
        y_x = stream.dirichlet(np.full(3 * 5, 0.3)).reshape(3, 5)
        p_x = y_x.sum(0)
        q2 = stream.dirichlet(np.full(4, 0.4), 5)  # (x, z2)
        q1 = stream.dirichlet(np.full(3, 0.4), (5, 4))  # (x, z2, z1)
        m2, m1 = stream.dirichlet(np.ones(4)), stream.dirichlet(np.ones(3), 4)
        rate2 = float((p_x[:, None] * q2 * np.log(q2 / m2)).sum())
        rate1 = float((p_x[:, None, None] * q2[..., None] * q1 * np.log(q1 / m1)).sum())
        lower, prior = np.einsum("xi,xij->xj", q2, q1), m2 @ m1  # q(z_1|x), p(z_1)
        for law, marginal, rates in ((q2, m2, rate2), (lower, prior, rate2 + rate1)):
            about_y, about_x = information(y_x @ law), information(p_x[:, None] * law)
            single = float((p_x[:, None] * law * np.log(law / marginal)).sum())
            assert about_y <= about_x + 1e-12
            assert about_x <= single + 1e-12
            assert single <= rates + 1e-12


def test_the_entropy_of_labels() -> None:
    assert label_entropy([3, 1]) == pytest.approx(torch.distributions.Categorical(torch.tensor([0.75, 0.25])).entropy().item())
    assert label_entropy([4, 0]) == 0.0


@pytest.mark.parametrize(("call", "message"), [
    (lambda: information_needed(1.2, 10), "accuracy: must lie in"),
    (lambda: information_needed(0.5, 1), "two classes on"),
    (lambda: highest_accuracy(1.0, 10, 3.0), "have 0 to 2.30259 nats"),
])  # fmt: skip
def test_impossible_numbers_are_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=message):
        call()
