"""One run in the store: what it leaves behind, and what happens when it is disturbed."""

import json
import math
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import rows_without_clock, tiny

from ratelab.core.errors import UserError
from ratelab.evaluation import evaluate
from ratelab.runs import Circumstances, execute, finished, known, open_run, recipe_of
from ratelab.runs.interrupt import patient
from ratelab.store import Busy, Store

OFTEN = Circumstances(checkpoint_every=0.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "runs")


def never(row: Mapping[str, Any]) -> None:
    pytest.fail("an epoch was trained")


def twin(store: Store) -> Store:
    return Store.create(store.path.with_name("twin"))


@pytest.mark.spec("RD28")
def test_a_run_leaves_everything_that_is_needed_to_use_it_again(store: Store) -> None:
    rows: list[Any] = []
    results = execute(tiny("objective.beta=0.5"), store, on_row=rows.append)
    (folder,) = store.runs()
    assert results == folder.results() == finished(folder) == known(folder)
    assert (results["schema"], results["run"], results["status"]) == (1, folder.id, "done")
    assert results["recipe"]["objective"]["beta"] == 0.5
    assert [row["epoch"] for row in folder.log()] == [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert {"train/rates", "train/rate", "train/distortion", "validation/neg_elbo"} <= set(folder.log()[0])
    assert set(folder.pictures()) == {"reconstructions", "samples"}
    assert recipe_of(folder).key() == tiny("objective.beta=0.5").key()
    assert folder.checkpoint()
    json.loads((folder.path / "results.json").read_text(), parse_constant=pytest.fail)


def test_estimates_of_test_and_validation_have_the_documented_shape(store: Store) -> None:
    results = execute(tiny("training.epochs=1"), store)
    for split, n in (("estimates", 250), ("validation", 250)):
        estimates = results[split]
        assert {"rate", "rates", "distortion", "neg_elbo"} <= set(estimates)
        assert len(estimates["rates"]) == 1
        for name in ("rate", "distortion", "neg_elbo"):
            assert set(estimates[name]) == {"value", "stderr", "n", "unit", "bound", "of"}
            assert (estimates[name]["n"], estimates[name]["unit"]) == (n, "nat")
        total = estimates["rate"]["value"] + estimates["distortion"]["value"]
        assert math.isclose(total, estimates["neg_elbo"]["value"], rel_tol=1e-6)


def test_per_example_values_average_to_the_estimates(store: Store) -> None:
    results = execute(tiny("training.epochs=1"), store)
    arrays = store.runs()[0].per_example()
    for name in ("rate", "distortion", "neg_elbo"):
        assert arrays[name].shape == (250,)
        assert math.isclose(float(arrays[name].astype(float).mean()), results["estimates"][name]["value"], rel_tol=1e-6)


def test_provenance_says_where_a_run_was_made(store: Store) -> None:
    execute(tiny("training.epochs=1"), store)
    (folder,) = store.runs()
    provenance = folder.provenance()
    assert provenance["hash"].startswith(folder.id)
    assert provenance["data"]["name"] == "digits"
    assert len(provenance["data"]["digest"]) == 64
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["finished"] >= provenance["started"]
    assert set(provenance["seconds"]) == {"data", "training", "evaluation", "pictures"}


@pytest.mark.spec("GE01")
def test_the_same_recipe_gives_the_same_run_and_another_seed_another(store: Store) -> None:
    first, second = execute(tiny(), store), execute(tiny(), twin(store))
    assert first == second
    a, b = store.runs()[0], twin(store).runs()[0]
    assert a.weights() == b.weights()
    assert rows_without_clock(a.log()) == rows_without_clock(b.log())
    assert execute(tiny("seed=1"), store)["estimates"] != first["estimates"]


def test_torchs_own_random_stream_has_no_part_in_a_run(store: Store) -> None:
    torch.manual_seed(1)
    execute(tiny("training.epochs=1"), store)
    after = torch.initial_seed()
    torch.manual_seed(2)
    execute(tiny("training.epochs=1"), twin(store))
    assert store.runs()[0].weights() == twin(store).runs()[0].weights()
    assert after == 1


def test_a_finished_run_is_not_made_again(store: Store) -> None:
    results = execute(tiny(), store)
    times = {path: path.stat().st_mtime_ns for path in store.path.rglob("*") if path.is_file()}
    assert execute(tiny("title=other"), store, on_row=never) == results
    assert times == {path: path.stat().st_mtime_ns for path in store.path.rglob("*") if path.is_file()}


@pytest.mark.spec("GE02")
def test_a_reloaded_model_measures_what_was_measured(store: Store) -> None:
    results = execute(tiny(), store)
    trained = open_run(store.runs()[0])
    assert not trained.model.training
    estimates, arrays = evaluate(
        trained.model, trained.dataset, "test", trained.recipe.evaluation.estimators, trained.recipe.seed
    )
    assert {name: estimates[name].to_json() for name in ("rate", "distortion")} == {  # type: ignore[union-attr]
        name: results["estimates"][name] for name in ("rate", "distortion")
    }
    np.testing.assert_array_equal(arrays["rate"], store.runs()[0].per_example()["rate"])


def test_early_stopping_keeps_and_evaluates_the_best_epochs_weights(store: Store) -> None:
    results = execute(tiny("training.early_stopping.patience=2", "optimiser.lr=0.3", "training.epochs=30"), store)
    validation = [row["validation/neg_elbo"] for row in store.runs()[0].log()]
    best = validation.index(min(validation)) + 1
    assert best + 2 == len(validation) < 30
    to_the_best = execute(tiny("optimiser.lr=0.3", f"training.epochs={best}"), twin(store))
    assert results["estimates"] == to_the_best["estimates"]
    for name, kept in open_run(store.runs()[0]).model.state_dict().items():
        torch.testing.assert_close(kept, open_run(twin(store).runs()[0]).model.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_an_interrupted_run_continues_bit_for_bit(store: Store, stopped_after: int) -> None:
    execute(tiny(), twin(store))
    seen: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        execute(tiny(), store, on_row=seen.append, stop=lambda: len(seen) >= stopped_after - 1)
    (folder,) = store.runs()
    assert len(folder.log()) == stopped_after
    assert known(folder)["status"] == "running"
    assert finished(folder) is None
    more: list[Any] = []
    results = execute(tiny(), store, on_row=more.append)
    assert [row["epoch"] for row in more] == list(range(stopped_after + 1, 5))
    (undisturbed,) = twin(store).runs()
    assert results == undisturbed.results()
    assert folder.weights() == undisturbed.weights()
    assert rows_without_clock(folder.log()) == rows_without_clock(undisturbed.log())


def test_rows_after_the_last_checkpoint_are_dropped(store: Store) -> None:
    def break_after_two(row: Any) -> None:
        if row["epoch"] == 3:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        execute(tiny(), store, Circumstances(checkpoint_every=1e9), on_row=break_after_two)
    (folder,) = store.runs()
    assert (len(folder.log()), folder.has_checkpoint()) == (3, False)
    with open(folder.path / "log.jsonl", "a") as log:
        log.write('{"epoch": 4, "train/lo')
    execute(tiny(), store)
    assert [row["epoch"] for row in folder.log()] == [1, 2, 3, 4]


def test_checkpoints_lie_as_far_apart_as_asked(store: Store) -> None:
    def count(circumstances: Circumstances, target: Store) -> int:
        times: set[int] = set()

        def look(row: Any) -> None:
            path = target.runs()[0].path / "checkpoint.safetensors"
            times.update([path.stat().st_mtime_ns] if path.is_file() else [])

        execute(tiny(), target, circumstances, on_row=look)
        return len(times)

    assert count(OFTEN, store) == 4
    assert count(Circumstances(checkpoint_every=1e9), twin(store)) == 1


@pytest.mark.parametrize("damage", [lambda blob: blob[:-100], lambda blob: b"", lambda blob: b"\xff" * 200])
def test_a_corrupt_checkpoint_is_named_with_what_to_do(store: Store, damage: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(tiny(), store, stop=lambda: True)
    (folder,) = store.runs()
    path = folder.path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"checkpoint\.safetensors is corrupt .*; delete the folder") as caught:
        execute(tiny(), store)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_model_is_refused(store: Store) -> None:
    for recipe in (tiny(), tiny("model.latent_dim=3")):
        with pytest.raises(KeyboardInterrupt):
            execute(recipe, store, stop=lambda: True)
    a, b = store.runs()
    a.write_checkpoint(b.checkpoint())
    with pytest.raises(UserError, match="does not fit this model"):
        execute(recipe_of(a), store)


def test_damaged_results_are_named_and_made_again_once_removed(store: Store) -> None:
    results = execute(tiny(), store)
    path = store.runs()[0].path / "results.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=r"results\.json is corrupt .*; delete .* evaluated again"):
        execute(tiny(), store)
    path.unlink()
    assert execute(tiny(), store, on_row=never) == results


def test_results_of_a_newer_schema_ask_for_an_upgrade(store: Store) -> None:
    execute(tiny("training.epochs=1"), store)
    path = store.runs()[0].path / "results.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(UserError, match="newer RateLab"):
        execute(tiny("training.epochs=1"), store)


def test_a_diverged_run_reports_its_last_good_state(store: Store) -> None:
    recipe = tiny("optimiser.lr=1e30", "training.epochs=8")
    results = execute(recipe, store)
    assert results["status"] == "diverged"
    assert "epoch" in results["why"]
    assert isinstance(results["estimates"]["distortion"]["value"], float)
    assert len(store.runs()[0].log()) < 8
    assert execute(recipe, store, on_row=never) == results


def test_ctrl_c_saves_the_state_and_goes_on(store: Store) -> None:
    def press(row: Any) -> None:
        if row["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        execute(tiny(), store, Circumstances(checkpoint_every=1e9), on_row=press)
    (folder,) = store.runs()
    assert (len(folder.log()), folder.has_checkpoint()) == (3, True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert execute(tiny(), store)["status"] == "done"


def test_a_second_ctrl_c_stops_at_once() -> None:
    with patient() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_run_that_another_process_makes_is_left_to_it(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(tiny(), store, stop=lambda: True)
    with store.runs()[0].locked(), pytest.raises(Busy, match="is being made by another process"):
        execute(tiny(), store)


def test_parts_that_do_not_fit_the_data_are_refused_before_training(store: Store, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 3)))
    real = tiny(f"data={{name: array, path: '{tmp_path / 'x.npy'}'}}")
    with pytest.raises(UserError, match=r"model\.decoder: 'bernoulli' scores binary data"):
        execute(real, store)
    with pytest.raises(UserError, match=r"objective\.beta: 3 weights"):
        execute(tiny("objective.beta=[1, 2, 3]"), store)
    assert [path.name for path in store.path.iterdir()] == ["store.json"], "a mistake left something behind"
    with pytest.raises(UserError, match="no file"):
        execute(tiny("data={name: array, path: nowhere.npy}"), store)
    assert store.runs() == []


def test_devices_that_are_not_there_are_said_so(store: Store) -> None:
    with pytest.raises(UserError, match="no device 'gpu'; use auto, cpu or cuda"):
        execute(tiny(), store, Circumstances(device="gpu"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA device"):
            execute(tiny(), store, Circumstances(device="cuda"))


def test_a_run_of_a_version_with_fewer_keys_is_told_apart_from_changed_data(store: Store) -> None:
    execute(tiny("training.epochs=1"), store)
    (made,) = store.runs()
    document = json.loads((made.path / "recipe.json").read_text())
    del document["training"]["precision"]
    (made.path / "recipe.json").write_text(json.dumps(document))
    made.path.rename(store.path / "0123456789ab")  # ids come from all keys
    with pytest.raises(
        UserError, match=r"another version of RateLab, which had no training.precision; use it, or train it again"
    ):
        open_run(store.run("0123456789ab"))


def test_data_that_changed_since_is_noticed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).integers(0, 2, size=(60, 4)))
    recipe = tiny(f"data={{name: array, path: '{path}'}}", "training.epochs=1")
    execute(recipe, store)
    np.save(path, np.random.default_rng(1).integers(0, 2, size=(60, 4)))
    elsewhere = Circumstances(data_folder=tmp_path)  # nothing is remembered of another folder's data
    with pytest.raises(UserError, match="its data changed since; train it again"):
        open_run(store.runs()[0], elsewhere)
    execute(recipe, store, elsewhere)
    assert len(store.runs()) == 2
