"""The figures of Xiao and Bamler 2023 that are drawn of grids, and the diagram of their models."""

import colorsys
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from ratelab.analysis.choice import Task
from ratelab.analysis.landscape import Landscape, score
from ratelab.analysis.plane import plane, planes
from ratelab.core.estimate import Estimate
from ratelab.exact.accuracy import highest_accuracy
from ratelab.report import grid_figures as drawn
from ratelab.report.diagrams import GENERATE, INFER, hierarchies_diagram
from ratelab.report.look import to_png
from ratelab.report.marked_figure import marked_figure
from ratelab.report.panels import RINGS, Scored
from ratelab.report.price_colours import colour_grid, price_colours
from ratelab.store import Store
from synthetic_grid import AXIS, all_scores, estimate, write_grid

GENERATION = ("inception_score", "diversity", "sharpness")


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    return plane(write_grid(tmp_path_factory.mktemp("grid"), (0.1, 0.3, 1.0, 3.0, 10.0), scores=all_scores)).landscapes[0]


def tasks(land: Landscape, *names: str) -> list[Task]:
    known = {task.name: task for task in land.tasks}
    return [known[name] for name in names]


def panels(figure: Figure) -> list[Any]:
    """The panels of a figure in order of reading, colour bars left out."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def offsets(axes: Any) -> np.ndarray:
    return np.asarray(axes.collections[0].get_offsets())


@pytest.mark.spec("HV49")
def test_the_colour_of_a_pair_of_prices_is_its_direction_and_distance() -> None:
    cells = [(1.0, 1.0), (10.0, 1.0), (1.0, 10.0), (0.1, 1.0), (1.0, 0.1), (10.0**0.5, 1.0)]
    found = [colorsys.rgb_to_hsv(*colour) for colour in price_colours(cells)]
    assert [hue for hue, _, _ in found[1:5]] == pytest.approx([0.0, 0.25, 0.5, 0.75])
    assert [saturation for _, saturation, _ in found] == pytest.approx([0.0, 1.0, 1.0, 1.0, 1.0, 0.5])


@pytest.mark.spec("HV49")
def test_the_first_figure_has_a_surface_two_maps_and_a_landscape_for_each_task(land: Landscape) -> None:
    chosen = tasks(land, "psnr", "accuracy_rbf_svm, layer 2", "inception_score")
    figure = drawn.overview_figure([(land, chosen)])
    surface, colours, rates, *landscapes = panels(figure)
    assert surface.name == "3d"
    assert len(landscapes) == 3
    assert np.allclose(colours.images[0].get_array(), colour_grid(land))
    assert {tuple(map(float, at)) for at in offsets(rates)} == {(p.rates[0].value, p.rates[1].value) for p in land.points}
    for axes, task in zip(landscapes, chosen, strict=True):
        matrix = np.asarray(axes.images[0].get_array(), dtype=float)
        assert matrix[0, 0] == score(land.cells[0.1, 10.0], task)  # rows: beta_1 from high to low; columns: beta_2 rising
        (star,) = axes.collections[-1].get_offsets()
        assert matrix[int(star[1]), int(star[0])] == matrix.max() == task.values[task.best.run].value
    assert to_png(figure, 40).startswith(b"\x89PNG")


@pytest.mark.spec("HV50")
def test_the_diagram_has_the_arrows_of_three_inferences_and_of_the_model() -> None:
    (axes,) = hierarchies_diagram().axes
    arrows = [text for text in axes.texts if isinstance(text, Annotation)]
    titles = {text.get_text(): text.get_position()[0] for text in axes.texts if text.get_weight() == "bold"}
    near: dict[str, list[tuple[str, int, int]]] = {title: [] for title in titles}
    for arrow in arrows:
        (x0, y0), (x1, y1) = arrow.xyann, arrow.xy
        title = min(titles, key=lambda t: abs(titles[t] - (x0 + x1) / 2))
        colour = (arrow.arrowprops or {})["color"]
        place = "across" if abs(x1 - x0) > 0.5 else "infer" if colour == INFER else "model"
        assert colour in (INFER, GENERATE)
        shift = (math.copysign(0.33, y1 - y0) if y0 != y1 else 0.0) if place != "across" else 0.0
        near[title].append((place, round((y0 - 0.1 - shift) / 1.2), round((y1 - 0.1 + shift) / 1.2)))
    assert {title: sorted(found) for title, found in near.items()} == {
        "(a) bottom-up": [("infer", 0, 1), ("infer", 1, 2)],
        "(b) Ladder VAE": [("across", 1, 1), ("across", 2, 2), ("infer", 0, 1), ("infer", 1, 2), ("model", 2, 1)],
        "(c) generalised top-down": [("infer", 0, 1), ("infer", 0, 2), ("infer", 2, 1)],
        "model": [("model", 1, 0), ("model", 2, 1)],
    }


@pytest.mark.spec("HV51")
def test_a_score_over_the_rates_is_drawn_as_a_surface_and_flat(land: Landscape) -> None:
    surface, flat = panels(drawn.rates_figure([(land, tasks(land, "psnr"))]))
    assert surface.name == "3d"
    assert [line.get_xydata()[0, 0] for line in flat.lines] == [0.0] * len(flat.lines)
    assert all(sum(line.get_xydata()[0]) == sum(line.get_xydata()[1]) for line in flat.lines)
    circles = [c for c in flat.collections[1:] if np.allclose(c.get_edgecolor()[0][:3], _rgb("VAE"))]
    assert [tuple(c.get_offsets()[0]) for c in circles] == [tuple(r.value for r in land.cells[1.0, 1.0].rates)]


def _rgb(kind: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return to_rgb(RINGS[kind])


@pytest.mark.spec("HV52")
def test_three_marked_models_show_samples_above_reconstructions(land: Landscape) -> None:
    from matplotlib.image import imread

    marked = {task.name: task.best for task in tasks(land, "psnr", "accuracy_rbf_svm, layer 2", "inception_score")}
    axes = panels(marked_figure({"digits": marked}))
    assert len(axes) == 6
    for column, point in enumerate(marked.values()):
        for row, kind in enumerate(("samples", "reconstructions")):
            shown = axes[3 * row + column].images[0].get_array()
            assert np.allclose(shown, imread(point.record.pictures[kind]))
    assert "β₂, β₁ = 0.1, 0.1" in axes[0].get_title()


@pytest.mark.spec("HV53")
def test_the_hull_lies_above_every_model_and_holds_its_vertices(land: Landscape) -> None:
    (task,) = tasks(land, "inception_score")
    (axes,) = panels(drawn.hull_figure([(land, [task])]))
    corners = axes.lines[0].get_xydata()
    seen = {(p.rate.value, task.values[p.run].value) for p in land.points}
    assert {tuple(map(float, corner)) for corner in corners} <= seen
    for rate, value in seen:
        if corners[0, 0] <= rate <= corners[-1, 0]:
            assert value <= np.interp(rate, corners[:, 0], corners[:, 1]) + 1e-9


@pytest.mark.spec("HV54")
def test_generation_has_three_panels_over_the_rates(land: Landscape) -> None:
    chosen = tasks(land, *GENERATION)
    found = panels(drawn.generation_figure([(land, chosen)]))
    assert [axes.get_title() for axes in found] == ["Inception score", "diversity", "sharpness"]
    for axes, task in zip(found, chosen, strict=True):
        values = dict(zip(map(tuple, offsets(axes)), axes.collections[0].get_array(), strict=True))
        for point in land.points:
            assert values[point.rates[0].value, point.rates[1].value] == task.values[point.run].value


@pytest.mark.spec("HV55")
def test_labels_have_ten_panels_with_the_limit_that_the_information_sets(land: Landscape) -> None:
    names = ["label_information", *(f"{name}, layer 2" for name in drawn.ACCURACIES)]
    chosen = tasks(land, *names)
    found = panels(drawn.labels_figure([(land, chosen)]))
    assert len(found) == 10
    for axes, task in zip(found[:5], chosen, strict=True):
        assert sorted(axes.collections[0].get_array()) == sorted(e.value for e in task.values.values())
    for axes, task in zip(found[6:], chosen[1:], strict=True):
        (limit,) = axes.lines
        assert limit.get_linestyle() == "--"
        assert [y for _, y in limit.get_xydata()] == pytest.approx([highest_accuracy(x, 10) for x, _ in limit.get_xydata()])
        assert {y for _, y in offsets(axes)} == {e.value for e in task.values.values()}
    assert found[5].lines[0].get_xydata()[1, 0] == found[5].lines[0].get_xydata()[1, 1]  # information is at most the rate


@pytest.mark.spec("HV56")
def test_the_same_figures_are_drawn_of_every_grid_of_a_store(tmp_path: Path) -> None:
    for data in ("mnist", "svhn"):
        write_grid(tmp_path, scores=all_scores, data=data)
    lands = [land for each in planes(tmp_path) for land in each.landscapes]
    assert [land.points[0].data for land in lands] == ["mnist", "svhn"]
    psnr = [(land, tasks(land, "psnr")) for land in lands]
    assert len(panels(drawn.rates_figure(psnr))) == 4
    assert len(panels(drawn.hull_figure(psnr))) == 2
    assert len(panels(drawn.generation_figure([(land, tasks(land, *GENERATION)) for land in lands]))) == 6
    whole = drawn.overview_figure([(land, tasks(land, "psnr", "accuracy_knn, layer 2", "inception_score")) for land in lands])
    assert len(panels(whole)) == 12
    assert [part.get_suptitle() for part in whole.subfigs] == ["mnist: hierarchy, 2 layers", "svhn: hierarchy, 2 layers"]


def test_a_figure_of_a_grid_with_holes_says_how_many(tmp_path: Path) -> None:
    (land,) = plane(write_grid(tmp_path, AXIS, holes=((0.1, 10.0),), scores=all_scores)).landscapes
    figure = drawn.overview_figure([(land, tasks(land, "psnr", "accuracy_knn, layer 2", "inception_score"))])
    assert figure.subfigs[0].get_suptitle() == "digits: hierarchy, 2 layers; no run for 1 of 9 pairs of prices"
    assert np.isnan(colour_grid(land)).any(-1).sum() == 1
    assert to_png(figure, 40).startswith(b"\x89PNG")


def test_runs_without_a_limit_leave_the_others_theirs(tmp_path: Path) -> None:
    store = write_grid(tmp_path, scores=all_scores)
    folder = Store(store).runs()[0]
    with folder.locked():
        results = folder.results() or {}
        del results["estimates"]["accuracy_limit"]
        folder.write_results(results)
    (land,) = plane(store).landscapes
    found = panels(drawn.labels_figure([(land, tasks(land, "label_information", "accuracy_knn, layer 2"))]))
    others = [p.record.estimates["label_information"].value for p in land.points if "accuracy_limit" in p.record.estimates]
    assert found[3].lines[0].get_xdata()[[0, -1]] == pytest.approx([min(others), max(others)])
    assert isinstance(land.points[0].record.estimates["psnr"], Estimate)


def test_equal_scores_lie_in_the_middle_of_a_narrow_scale(tmp_path: Path) -> None:
    same = {"psnr": estimate(20.0, "dB")}
    land = plane(write_grid(tmp_path, scores=lambda rates: same, pictures=False)).landscapes[0]
    scored = Scored.of(land, *tasks(land, "psnr"))
    assert scored is not None
    assert (scored.norm.vmin, scored.norm(20.0), scored.norm.vmax) == (19.0, 0.5, 21.0)


def test_totals_are_written_on_their_lines_apart_from_runs_and_each_other(land: Landscape) -> None:
    figure = drawn.rates_figure([(land, tasks(land, "psnr"))])
    axes = panels(figure)[1]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    runs = axes.transData.transform([[p.rates[0].value, p.rates[1].value] for p in land.points])
    assert not any(box.contains(x, y) for box in boxes for x, y in runs)
    for text in axes.texts:
        assert sum(text.xy) == pytest.approx(float(text.get_text().removeprefix("R = ")), rel=1e-2)


@pytest.mark.parametrize("points", [3, 5])
def test_the_limit_of_accuracies_is_drawn_by_its_formula_between_the_runs(points: int, tmp_path: Path) -> None:
    axis = tuple(np.geomspace(0.1, 10, points).tolist())
    land = plane(write_grid(tmp_path, axis, scores=all_scores, pictures=False)).landscapes[0]
    figure = drawn.labels_figure([(land, tasks(land, "label_information", "accuracy_knn, layer 2"))])
    (curve,) = [line for axes in figure.axes for line in axes.lines if line.get_gid() == "limit"]
    assert len(curve.get_xdata()) == 200
    for x, y in zip(curve.get_xdata(), curve.get_ydata(), strict=True):
        assert y == pytest.approx(highest_accuracy(float(x), 10), abs=1e-6)
