"""Bars of KL(q(z) || m(z)) from what runs hold: every estimate at its height with its error, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ratelab.analysis.divergence import ESTIMATES, divergences
from ratelab.analysis.records import read_records
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.report.kl_figure import kl_bars_figure
from synthetic_store import recipe, run_id, write_run

VALUES = {"marginal_kl": 12.0, "marginal_kl_ratio": 9.5, "marginal_kl_dv": -3.0, "marginal_kl_gmm": 7.25}


def changes(values: dict[str, float], stderr: float = 0.5) -> dict[str, Any]:
    return {name: Estimate(value, stderr, 200, of="KL(q(z) || m(z))").to_json() for name, value in values.items()}


def bars(figure: Figure) -> dict[str, float]:
    """Heights by the names that the bars carry."""
    found = (patch for axes in figure.axes for patch in axes.patches if isinstance(patch, Rectangle))
    return {str(patch.get_gid()): float(patch.get_height()) for patch in found if patch.get_gid()}


@pytest.mark.spec("DM63")
def test_every_estimate_of_every_run_is_a_bar_of_its_height_with_its_error(tmp_path: Path) -> None:
    normal = {"name": "vae", "encoder": {"name": "gaussian"}}
    flow = {"name": "vae", "encoder": {"name": "flow"}}
    write_run(tmp_path, "aa", [20.0], 60.0, given=recipe(model=normal), changes=changes(VALUES))
    write_run(tmp_path, "bb", [21.0], 60.0, given=recipe(model=flow), changes=changes({"marginal_kl": 13.0}))
    write_run(tmp_path, "cc", [21.0], 60.0)  # not measured
    write_run(tmp_path, "dd", [21.0], 60.0, given=recipe(data="omniglot"), changes=changes({"marginal_kl": float("inf")}))
    found = divergences(read_records(tmp_path))
    assert [(each.title, each.data) for each in found] == [("vae, gaussian, beta 1", "digits"), ("vae, flow, beta 1", "digits")]
    figure = kl_bars_figure(found)
    first, second = run_id("aa"), run_id("bb")
    heights = {f"{first} {name}": value for name, value in VALUES.items()}
    assert bars(figure) == heights | {f"{first} rate": 20.0, f"{second} rate": 21.0, f"{second} marginal_kl": 13.0}
    assert len([c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer)]) == 7
    errors = [c.errorbar.lines[2][0].get_segments()[0] for c in figure.axes[0].containers if getattr(c, "errorbar", None)]
    assert sorted(round(float(top - bottom), 6) for (_, bottom), (_, top) in errors) == [0.4, 0.4, 1, 1, 1, 1, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        ESTIMATES[name].replace("-", "–") for name in ("rate", *VALUES)
    ]
    assert figure.axes[0].get_yscale() == "linear"


def test_data_sets_have_panels_of_their_own_and_far_estimates_a_logarithmic_axis(tmp_path: Path) -> None:
    write_run(tmp_path, "aa", [20.0], 60.0, changes=changes(VALUES | {"marginal_kl_ratio": 25812.8}))
    write_run(tmp_path, "bb", [9.0], 60.0, given=recipe(data="omniglot"), changes=changes({"marginal_kl": 8.0}))
    figure = kl_bars_figure(divergences(read_records(tmp_path)))
    assert [(axes.get_title(loc="left"), axes.get_yscale()) for axes in figure.axes] == [
        ("digits", "symlog"),
        ("omniglot", "linear"),
    ]


def test_a_store_that_was_not_measured_says_how(tmp_path: Path) -> None:
    write_run(tmp_path, "aa", [20.0], 60.0)
    with pytest.raises(UserError, match=r"no run given was measured .* --estimators marginal-kl"):
        divergences(read_records(tmp_path))
