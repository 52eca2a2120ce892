"""The ablation of KL annealing: the recipe pairs every price with and without, and the log tells the two apart."""

from pathlib import Path

import pytest

from ratelab.runs import Circumstances, execute, expand, read_recipe
from ratelab.store import Store

TINY = ('data={"name": "strokes", "n": 520}', "training.epochs=4", "training.batch_size=600")


@pytest.mark.spec("RD54")
def test_every_price_is_trained_with_and_without_annealing(tmp_path: Path) -> None:
    runs = expand(read_recipe("alemi2018/annealing"))
    prices = {
        annealing: [r.objective["beta"] for r in runs if r.objective["annealing"] == annealing] for annealing in (0.0, 6.0)
    }
    assert prices[0.0] == prices[6.0] == [0.25, 0.5, 1.0, 2.0, 4.0]
    store = Store.create(tmp_path / "store")
    tiny = [run for run in expand(read_recipe("alemi2018/annealing"), TINY) if run.objective["beta"] == 4.0]
    assert len(tiny) == 2
    for run in tiny:
        results = execute(run, store, Circumstances())
        rows = store.run(results["run"]).log()
        rise = run.objective["annealing"]
        for row in rows:  # one step for each epoch: the weight at epoch t is t / rise, or 1
            weight = (row["epoch"] - 1) / rise if rise else 1.0
            paid = row["train/loss"] - row["train/distortion"]
            assert paid == pytest.approx(4.0 * weight * row["train/rate"], abs=0.6)  # the logged rate is sampled
        assert (rows[0]["train/loss"] == pytest.approx(rows[0]["train/distortion"], abs=1e-3)) is bool(rise)
