"""From run folders to the plane: what is shown, what is kept apart, what is best, and the JSON document."""

import json
import math
from pathlib import Path

import pytest

from ratelab.analysis.plane import frontier_document, plane, planes
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.store import Store
from synthetic_store import densities, recipe, run_id, write_run, write_sweep


def test_points_carry_estimates_labels_and_layers(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    chosen = plane(tmp_path)
    point = next(p for p in chosen.points if p.run == run_id("23a7c9"))
    assert (point.family, point.setting, point.beta) == ("hierarchy, 2 layers", "beta 1", 1.0)
    assert len(point.rates) == 2
    assert sum(layer.value for layer in point.rates) == pytest.approx(point.rate.value)
    assert point.neg_elbo.value == pytest.approx(sum(point.xy))
    assert point.traits == {"encoder": "gaussian", "decoder": "mlp"}


def test_infinite_unknown_and_unfinished_runs_are_listed_and_never_on_the_plane(tmp_path: Path) -> None:
    write_run(tmp_path, "good", [3.0], 4.0)
    for run, kind in (
        ("gan", {"distortion": (math.nan, "the generator has no likelihood")}),
        ("ae", {"rate": (math.inf, None)}),
    ):
        changes = {n: Estimate(v, math.nan, 9, of=n, why=why).to_json() for n, (v, why) in kind.items()}
        write_run(tmp_path, run, [0.0], 1.0, changes=changes)
    grey = Estimate(0.0, 0.1, 9, of="reconstruction loss (no likelihood)", bound="estimate").to_json()
    write_run(tmp_path, "grey", [0.0], 0.0, changes={"distortion": grey})
    write_run(tmp_path, "hot", status="diverged", why="NaN in epoch 2")
    slow = write_run(tmp_path, "slow", status="running")
    chosen = plane(tmp_path)
    with slow.locked():
        assert {p.run: p.apart for p in plane(tmp_path).apart}[slow.id] == "running"
    assert [p.run for p in chosen.shown] == [run_id("good")]
    assert {p.run: p.apart for p in chosen.apart} == {
        run_id("ae"): "the rate is infinite",
        run_id("gan"): "the distortion is unknown: the generator has no likelihood",
        run_id("grey"): "the distortion is an estimate without a guaranteed side: reconstruction loss (no likelihood)",
        run_id("hot"): "diverged: NaN in epoch 2",
        run_id("slow"): "stopped",
    }
    assert [p.run for p in chosen.frontier] == [p.run for p in chosen.hull] == [run_id("good")]


def test_models_are_chosen_on_validation(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [0.0], 20.0, validation=([0.0], 20.0))
    write_run(tmp_path, "b", [5.0], 9.0, validation=([5.0], 10.0))
    write_run(tmp_path, "c", [9.0], 8.0, validation=([9.0], 4.0))
    write_run(tmp_path, "d", [30.0], 1.0, validation=([30.0], 3.0))
    write_run(tmp_path, "e", [30.0], 0.0, validation=([30.0], 6.0))
    chosen = plane(tmp_path)
    assert {task: p.run for task, p in chosen.best.items() if p} == {
        "reconstruct": run_id("d"),
        "represent": run_id("c"),
        "generate": run_id("c"),
    }
    assert chosen.h_hat is not None
    assert chosen.h_hat.run == run_id("b")


def test_without_a_knee_the_tightest_bound_represents(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [0.0], 20.0)
    write_run(tmp_path, "b", [5.0], 9.0)
    best = plane(tmp_path).best
    assert best["represent"] is best["generate"] is not None
    assert best["generate"].run == run_id("b")


def test_a_model_without_a_rate_does_not_represent(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [0.0], 8.0)
    write_run(tmp_path, "b", [5.0], 7.0)
    best = plane(tmp_path).best
    assert [best[task].run for task in ("generate", "represent")] == [run_id("a"), run_id("b")]
    write_run(tmp_path / "alone", "a", [0.0], 8.0)
    assert plane(tmp_path / "alone").best["represent"] is None


def test_the_document_is_json_with_the_promised_shape(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    document = json.loads(json.dumps(frontier_document(tmp_path), allow_nan=False))
    assert set(document) == {"schema", "store", "data", "runs", "frontier", "hull", "h_hat", "best", "apart", "gaps"}
    shown = {r["run"]: sum(r["estimates"][k]["value"] for k in ("rate", "distortion")) for r in document["runs"]
             if r["status"] == "done" and r["estimates"]["rate"]["value"] != "inf"}  # fmt: skip
    assert set(document["hull"]) <= set(document["frontier"]) <= set(shown)
    assert document["h_hat"]["value"] == min(shown.values()) == shown[document["h_hat"]["run"]]
    assert document["h_hat"]["bound"] == "upper"
    assert set(document["best"]) == {"reconstruct", "represent", "generate"}
    assert [a["run"] for a in document["apart"]] == [run_id(name) for name in ("b0ad", "de7e", "f00f")]


def test_data_sets_share_no_plane(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [1.0], 2.0)
    write_run(tmp_path, "b", [1.0], 2.0, given=recipe(data="mnist"))
    assert [p.data for p in planes(tmp_path)] == ["digits", "mnist"]
    assert plane(tmp_path, "mnist").shown[0].run == run_id("b")
    with pytest.raises(UserError, match="several data sets"):
        plane(tmp_path)
    with pytest.raises(UserError, match="holds no run on 'faces'"):
        plane(tmp_path, "faces")


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ([{"lr": 0.1}, {"lr": 0.01}], ["beta 1, optimiser lr 0.1", "beta 1, optimiser lr 0.01"]),
        ([{"name": "adam"}, {"name": "sgd", "momentum": 0.9}], ["beta 1, adam", "beta 1, sgd"]),
        ([{"lr": 0.1}, {"lr": 0.1}], ["beta 1", "beta 1"]),
    ],
)
def test_runs_of_one_model_and_objective_say_how_they_were_optimised(
    tmp_path: Path, changes: list[dict[str, object]], labels: list[str]
) -> None:
    for name, change in zip("ab", changes, strict=True):
        write_run(tmp_path, name, [1.0], 2.0, given={**recipe(), "optimiser": {"name": "adam", **change}})
    assert sorted(p.setting for p in plane(tmp_path).points) == sorted(labels)


def test_settings_see_inside_an_option_of_the_objective(tmp_path: Path) -> None:
    for name, epochs in (("a", 5), ("b", 10)):
        given = recipe()
        given["objective"]["warmup"] = {"name": "linear", "over": epochs}
        write_run(tmp_path, name, [1.0], 2.0, given=given)
    write_run(tmp_path, "c", [1.0], 2.0, given=recipe(data="mnist"))
    found = {p.setting for each in planes(tmp_path) for p in each.points if p.data == "digits"}
    assert found == {"beta 1, warmup linear, objective warmup over 5", "beta 1, warmup linear, objective warmup over 10"}


@pytest.mark.spec("RD24")
def test_each_run_on_the_plane_has_a_region_and_those_apart_have_none(tmp_path: Path) -> None:
    given = recipe(data="static_mnist")
    for name, rate, distortion in (("a", 20.0, 60.0), ("b", 0.1, 90.0), ("c", 150.0, 20.0), ("d", 100.0, 0.1)):
        write_run(tmp_path, name, [rate], distortion, given=given)
    write_run(tmp_path, "e", status="diverged", given=given)
    found = {run["run"]: (run["region"], run["behaviour"]) for run in frontier_document(tmp_path)["runs"]}
    assert found == {
        run_id("a"): ("diagonal", "syntactic encoder"),
        run_id("b"): ("left line", "autodecoder"),
        run_id("c"): ("interior", "autoencoder"),
        run_id("d"): ("bottom line", "syntactic encoder"),
        run_id("e"): (None, None),
    }


def test_a_density_has_no_bottom_line(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [5.0], -90.0, changes=densities([5.0], -90.0))
    write_run(tmp_path, "b", [9.0], 0.0, changes=densities([9.0], 0.0))
    assert [run["region"] for run in frontier_document(tmp_path)["runs"]] == ["diagonal", "interior"]


def test_probabilities_and_densities_share_no_plane(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [5.0], 40.0)
    write_run(tmp_path, "b", [5.0], -90.0, changes=densities([5.0], -90.0))
    write_run(tmp_path, "c", status="running")
    assert {p.data: [point.run for point in p.shown] for p in planes(tmp_path)} == {
        "digits": [run_id("a")],
        "digits, densities": [run_id("b")],
    }
    assert [p.run for p in plane(tmp_path, "digits").apart] == [run_id("c")]
    bounds = {data: frontier_document(tmp_path, data)["h_hat"] for data in ("digits", "digits, densities")}
    assert [b["of"] for b in bounds.values()] == ["entropy of the data", "differential entropy of the data"]
    assert [b["value"] for b in bounds.values()] == [45.0, -85.0]


def test_densities_alone_keep_the_name_of_their_data(tmp_path: Path) -> None:
    write_run(tmp_path, "b", [5.0], -90.0, changes=densities([5.0], -90.0))
    gan = Estimate(math.nan, math.nan, 9, of="distortion", why="the generator has no likelihood").to_json()
    write_run(tmp_path, "gan", [0.0], 1.0, changes={"distortion": gan})
    (chosen,) = planes(tmp_path)
    assert (chosen.data, chosen.entropy, len(chosen.apart)) == ("digits", "differential entropy", 1)


def test_a_store_without_results_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no store at"):
        planes(tmp_path / "nowhere")
    Store.create(tmp_path)
    with pytest.raises(UserError, match="holds no run;"):
        planes(tmp_path)
    write_run(tmp_path, "slow", status="running")
    write_run(tmp_path, "hot", status="failed", why="killed")
    with pytest.raises(UserError, match=r"no finished run \(1 failed, 1 stopped\)"):
        planes(tmp_path)


@pytest.mark.parametrize("file", ["results.json", "recipe.json", "provenance.json"])
@pytest.mark.parametrize("text", ["{", '{"data": 3, "seconds": 3}', '{"schema": 99}'])
def test_a_damaged_run_is_listed_and_hides_no_other(tmp_path: Path, file: str, text: str) -> None:
    write_run(tmp_path, "a", [1.0], 2.0)
    folder = write_run(tmp_path, "b", [1.0], 1.0)
    (folder.path / file).write_text(text)
    (chosen,) = planes(tmp_path)
    assert [p.run for p in chosen.shown] == [run_id("a")]
    (apart,) = chosen.apart
    assert apart.apart.startswith(f"damaged: {folder.path / file} ")
    assert [entry["run"] for entry in frontier_document(tmp_path)["apart"]] == [folder.id]


def test_a_run_that_tells_nothing_is_listed_beside_every_plane(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [1.0], 2.0)
    write_run(tmp_path, "b", [1.0], 2.0, given=recipe(data="mnist"))
    folder = write_run(tmp_path, "c", [1.0], 1.0)
    for file in ("recipe.json", "results.json"):
        (folder.path / file).write_text("{")
    assert [(p.data, len(p.shown), [lost.run for lost in p.apart]) for p in planes(tmp_path)] == [
        ("digits", 1, [folder.id]),
        ("mnist", 1, [folder.id]),
    ]


def test_a_store_with_damaged_runs_alone_says_what_to_do(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", [1.0], 2.0)
    (folder.path / "results.json").write_text('{"schema": 1, "status": "done"}')
    with pytest.raises(UserError, match=r"no finished run \(1 damaged\); .*results\.json is corrupt .*; delete .*again"):
        planes(tmp_path)
