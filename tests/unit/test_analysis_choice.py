"""Which model for which task: the upper hull over the total rate, scores per layer, and what is missing."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelab.analysis.choice import prices, role
from ratelab.analysis.geometry import XY, best_for_rate, upper_hull
from ratelab.analysis.plane import frontier_document, plane
from ratelab.core.estimate import Estimate
from ratelab.store import Store
from synthetic_store import recipe, run_id, write_run

COORDINATE = st.integers(1, 400).map(lambda k: k / 4)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=30)
TWO = {"name": "hierarchy", "latent_dim": [4, 8], "encoder": {"name": "gaussian"}, "decoder": {"name": "mlp"}}


def height(vertices: list[XY], rate: float) -> float:
    (r0, v0), (r1, v1) = next(pair for pair in pairwise(vertices) if pair[0][0] <= rate <= pair[1][0])
    return v0 + (v1 - v0) * (rate - r0) / (r1 - r0)


@pytest.mark.spec("HV35")
@given(POINTS)
def test_no_point_lies_above_the_upper_hull_and_its_vertices_are_points(points: list[XY]) -> None:
    vertices = [points[i] for i in upper_hull(points)]
    assert [v[0] for v in vertices] == sorted({v[0] for v in vertices})
    if len(vertices) > 1:
        assert all(v <= height(vertices, r) + 1e-9 for r, v in points)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(vertices)]
    assert all(a > b for a, b in pairwise(slopes))  # strictly concave: no three on a line


@pytest.mark.spec("HV35")
@given(POINTS)
def test_each_choice_is_best_in_an_interval_of_total_rate_next_to_it(points: list[XY]) -> None:
    chosen = best_for_rate(points)
    at = [points[i] for i in chosen]
    assert max(v for _, v in points) in [v for _, v in at]
    for i, (rate, score) in enumerate(at):
        low = at[i - 1][0] if i else min(r for r, _ in points)
        high = at[i + 1][0] if i + 1 < len(at) else rate
        left = max(v for r, v in points if low < r <= rate or r == rate)
        right = max(v for r, v in points if rate <= r < high or r == rate)
        assert score in (left, right)


@pytest.mark.spec("HV35")
def test_steep_losses_at_high_rates_are_not_chosen_and_gentle_ones_are() -> None:
    rising = [(1.0, 1.0), (2.0, 3.0), (3.0, 3.5)]
    assert best_for_rate([*rising, (3.2, 1.0)]) == [0, 1, 2]  # its facet meets rate 0 far above 7
    assert best_for_rate([*rising, (9.0, 3.0)]) == [0, 1, 2, 3]
    assert best_for_rate([(r, -v) for r, v in rising], higher=False) == [0, 1, 2]
    assert best_for_rate([(2.0, 5.0)]) == [0]


def score(value: float, of: str = "held-out accuracy", bound: Any = "estimate") -> dict[str, Any]:
    return Estimate(value, 0.01, 200, of=of, bound=bound, unit="1").to_json()


def write_scored(store: Path, name: str, rates: list[float], found: dict[str, Any], beta: Any, judged: Any = None) -> None:
    """A run with scores on both splits; on validation they are ``judged`` where given."""
    folder = write_run(store, name, rates, 30 - sum(rates), given={**recipe(beta, TWO)}, changes=found)
    results = folder.results() or {}
    folder.write_results({**results, "validation": {**results["validation"], **(judged or found)}})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for i, (rates, psnr, accuracy) in enumerate([
        ([1.0, 4.0], 10.0, (0.2, 0.6)), ([4.0, 1.0], 8.0, (0.7, 0.3)), ([6.0, 6.0], 14.0, (0.65, 0.5)), ([9.0, 9.0], 15.0, (0.4, 0.4)),
    ]):  # fmt: skip
        scores = {
            "psnr": score(psnr),
            "accuracy_knn": [score(a) for a in accuracy],
            "accuracy_limit": score(0.99, bound="upper"),
        }
        write_scored(tmp_path, f"a{i}", rates, scores, [1.0, 0.5 * (i + 1)])
    write_run(tmp_path, "b0", [2.0, 2.0], 25.0, given=recipe(1.0, TWO))
    return tmp_path


@pytest.mark.spec("HV35", "HV43")
def test_every_score_and_layer_is_a_task_with_its_hull_and_best(store: Path) -> None:
    tasks = {task.name: task for task in plane(store).tasks}
    assert list(tasks) == ["psnr", "accuracy_knn, layer 2", "accuracy_knn, layer 1"]
    assert tasks["psnr"].best.run == run_id("a3")
    assert tasks["accuracy_knn, layer 2"].best.run == run_id("a1")
    assert [p.run for p in tasks["psnr"].optimal] == [run_id(n) for n in ("a0", "a2", "a3")]
    assert [p.run for p in tasks["psnr"].missing] == [run_id("b0")]
    points = {p.run: p for p in plane(store).points}
    assert [role(points[run_id(n)]) for n in ("a0", "a1", "b0")] == ["", "VAE", "VAE"]
    assert prices(points[run_id("a2")]) == (1.0, 1.5)


def test_roles_of_baselines() -> None:
    from ratelab.analysis.point import points
    from ratelab.analysis.records import read_records

    def of(tmp: Path, beta: Any) -> str:
        write_run(tmp, "a", [1.0, 2.0], 3.0, given=recipe(beta, TWO))
        (point,) = points(read_records(tmp))
        return role(point)

    import tempfile

    for beta, expected in ((1, "VAE"), ([1.0, 1.0], "VAE"), ([0.5, 0.5], "beta-VAE"), (0.5, "beta-VAE"), ([0.5, 1.0], "")):
        with tempfile.TemporaryDirectory() as folder:
            assert of(Path(folder), beta) == expected


def test_scores_are_chosen_on_validation_and_reported_on_test(tmp_path: Path) -> None:
    write_scored(tmp_path, "a", [1.0, 1.0], {"psnr": score(9.0)}, [1.0, 2.0], {"psnr": score(5.0)})
    write_scored(tmp_path, "b", [2.0, 1.0], {"psnr": score(7.0)}, [1.0, 1.0], {"psnr": score(8.0)})
    (task,) = plane(tmp_path).tasks
    assert task.best.run == run_id("b")
    assert task.values[task.best.run].value == 7.0


def test_a_score_of_which_less_is_better(tmp_path: Path) -> None:
    for name, fid in (("a", 30.0), ("b", 20.0)):
        write_scored(tmp_path, name, [1.0, fid], {"fid": score(fid)}, [1.0, fid])
    (task,) = plane(tmp_path).tasks
    assert (task.best.run, task.higher) == (run_id("b"), False)


def test_the_document_says_it_all_and_only_when_asked(store: Path) -> None:
    assert "per_task" not in frontier_document(store)
    document = json.loads(json.dumps(frontier_document(store, per_task=True), allow_nan=False))
    found = document["per_task"]["psnr"]
    assert found["better"] == "higher"
    assert found["best"]["run"] == run_id("a3")
    assert [row["run"] for row in found["hull"]] == [run_id(n) for n in ("a0", "a2", "a3")]
    assert [row["rate"] for row in found["hull"]] == [5.0, 12.0, 18.0]
    assert found["missing"] == [run_id("b0")]
    assert Store(store).runs()
