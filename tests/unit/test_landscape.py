"""Grids of two-layer models: cells, holes, figures, and their place on the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratelab.analysis.landscape import landscapes, score
from ratelab.analysis.plane import Plane, plane
from ratelab.report import write_report
from ratelab.report.landscape_figure import landscape_figure, landscape_figures
from ratelab.report.look import to_png
from ratelab.report.write import Drawing
from ratelab.store import Store
from synthetic_grid import AXIS, TWO, write_grid
from synthetic_store import recipe, run_id, write_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Plane:
    return plane(write_grid(tmp_path_factory.mktemp("grid")))


@pytest.mark.spec("HV43")
def test_the_cells_of_a_grid_are_its_pairs_of_prices(whole: Plane) -> None:
    (land,) = whole.landscapes
    assert (land.upper, land.lower, land.missing) == (AXIS, AXIS, [])
    assert land.cells[0.1, 10.0].run == run_id("0.1x10")
    assert score(land.cells[1.0, 1.0], None) == land.cells[1.0, 1.0].distortion.value
    assert [task.name for task in whole.tasks] == ["psnr", "accuracy_knn, layer 2", "accuracy_knn, layer 1"]


def test_runs_that_span_no_grid_have_no_landscape(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [1.0, 2.0], 3.0, given=recipe(1.0, TWO))
    write_run(tmp_path, "b", [1.0, 1.0], 4.0, given=recipe(0.5, TWO))
    write_run(tmp_path, "c", [1.0], 4.0)
    assert landscapes(plane(tmp_path).shown) == []  # a diagonal is no grid
    given: dict[str, Any] = recipe(1.0, TWO)
    given["objective"]["beta"] = [1.0, 0.5]
    write_run(tmp_path, "d", [1.0, 1.5], 4.0, given=given)
    found = landscapes(plane(tmp_path).shown)
    assert [(land.upper, land.lower) for land in found] == [((0.5, 1.0), (0.5, 1.0))]
    assert found[0].missing == [(0.5, 1.0)]


def image_of(axes: Any) -> np.ndarray:
    return np.ma.filled(axes.images[0].get_array().astype(float), np.nan)


@pytest.mark.spec("HV51", "HV53")
def test_a_figure_has_diagonals_of_constant_rate_and_circles_for_baselines_and_hull(whole: Plane) -> None:
    (land,) = whole.landscapes
    figure = landscape_figure(land, whole.tasks[0])
    assert figure is not None
    surface, rates, prices, hull = figure.axes[:4]
    assert surface.name == "3d"
    diagonals = [line.get_xydata() for line in rates.lines]
    assert len(diagonals) >= 4
    assert all(line[0, 0] == 0 == line[1, 1] and line[0, 1] == line[1, 0] for line in diagonals)
    matrix = image_of(prices)
    assert matrix[0, 0] == score(land.cells[0.1, 10.0], whole.tasks[0])  # beta_1 falls downwards, beta_2 rises to the right
    assert matrix[2, 2] == score(land.cells[10.0, 0.1], whole.tasks[0])
    colours = [tuple(np.round(c.get_edgecolor()[0], 2)) for c in prices.collections]
    assert colours.count((0.1, 0.1, 0.1, 1.0)) == 1  # the VAE
    assert colours.count((0.84, 0.37, 0.0, 1.0)) == 2  # the other equal prices
    chosen = hull.lines[0].get_xydata()
    best = [(p.rate.value, score(p, whole.tasks[0])) for p in whole.tasks[0].optimal]
    assert np.allclose(chosen, best)


def test_a_surface_and_a_landscape_are_drawn_for_every_score(whole: Plane) -> None:
    figures = landscape_figures(whole)
    assert list(figures) == [
        f"landscape-1-{name}" for name in ("distortion", "psnr", "accuracy-knn-layer-2", "accuracy-knn-layer-1")
    ]
    assert all(figure.axes[0].name == "3d" and len(figure.axes) == 5 for figure in figures.values())


def test_a_grid_with_holes_is_drawn_and_says_what_is_missing(tmp_path: Path) -> None:
    store = write_grid(tmp_path / "store", holes=((0.1, 10.0), (1.0, 1.0)))
    (land,) = plane(store).landscapes
    assert land.missing == [(0.1, 10.0), (1.0, 1.0)]
    figure = landscape_figure(land, None)
    assert figure is not None
    assert np.isnan(image_of(figure.axes[2])).sum() == 2
    assert figure.axes[2].get_title() == "2 of 9 cells empty"
    assert to_png(figure, 40).startswith(b"\x89PNG")
    page, *files = write_report(store, tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    assert "no run on the plane for 2 of 9 pairs of prices" in text
    assert "(0.1000, 10.00), (1.000, 1.000)" in text
    assert "psnr over the rates and the prices of two layers" in text
    assert any(file.name == "landscape-1-psnr.png" for file in files)


def test_a_score_that_few_runs_have_is_not_drawn(tmp_path: Path) -> None:
    store = write_grid(tmp_path, (0.5, 1.0), holes=((0.5, 0.5), (1.0, 1.0)))
    (land,) = plane(store).landscapes
    assert landscape_figure(land, None) is None
    assert Store(store).runs()


def test_many_scores_of_many_grids_leave_room_for_pictures_on_the_page(whole: Plane, tmp_path: Path) -> None:
    figure = landscape_figure(whole.landscapes[0], whole.tasks[0])
    assert figure is not None
    shown, whole_size = Drawing.of(figure, stand_in=True), Drawing.of(figure)
    assert shown.source.startswith("data:image/png;base64,iVBOR")
    assert len(shown.source) < 0.25 * len(whole_size.source)
    assert shown.png == whole_size.png
