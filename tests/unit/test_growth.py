"""A store of many runs: what it costs grows with the runs and with nothing else, and its page stays of a size that opens."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ratelab.analysis.plane import frontier_document, planes
from ratelab.analysis.progress import progress_document
from ratelab.report import curves_figure, write, write_report
from ratelab.store import Store
from synthetic_store import write_many


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("growth")
    return {runs: write_many(folder / str(runs), runs) for runs in (40, 160)}


def calls(act: Callable[[], object]) -> int:
    """How many functions an act calls: a clock that no other process disturbs."""
    count = Counter[str]()

    def tick(frame: FrameType, event: str, argument: Any) -> None:
        count[event] += 1

    earlier = sys.getprofile()
    sys.setprofile(tick)
    try:
        act()
    finally:
        sys.setprofile(earlier)
    return count["call"] + count["c_call"]


@pytest.mark.parametrize(
    "act", [lambda s: Store(s).runs(), progress_document, frontier_document], ids=["list", "status", "frontier"]
)
def test_work_grows_no_faster_than_the_runs(stores: dict[int, Path], act: Callable[[Path], object]) -> None:
    few, many = (calls(lambda store=store: act(store)) for store in stores.values())
    assert many < 1.15 * 4 * few


def test_a_page_of_many_runs_leaves_out_curves_and_says_so(
    stores: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves_figure, "MOST", 100)
    (plane,) = planes(stores[160])
    chosen = curves_figure.drawn(plane)
    assert len(chosen) == 100 < len(plane.trainings)
    assert {point.family for point in chosen} == set(plane.families)
    page = write_report(stores[160], tmp_path / "many.html")[0].read_text()
    assert "one line per run, of 100 runs spread evenly over the rates of each family." in page
    small = write_report(stores[40], tmp_path / "few.html")[0].read_text()
    assert "one line per run." in small


def test_pictures_take_what_the_rest_of_the_page_leaves(
    stores: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = write_report(stores[40], tmp_path / "whole.html")[0].stat().st_size
    monkeypatch.setattr(write, "PAGE", everything - 50_000)
    page = write_report(stores[40], tmp_path / "tight.html")[0]
    assert page.stat().st_size <= everything - 50_000
    assert "with them this page would be too large" in page.read_text()
