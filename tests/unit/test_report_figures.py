"""The static figures hold what they promise: every run where it was measured, the lines, units, and legends off the data."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ratelab.analysis.plane import Plane, plane
from ratelab.report.curves_figure import curve, curves_figure
from ratelab.report.look import COLOURS, marks, to_png, to_svg
from ratelab.report.overfitting_figure import overfitting_figure
from ratelab.report.parts_figure import differing_parts, parts_figure
from ratelab.report.phase_figure import phase_figure
from ratelab.report.plane_figure import plane_figure
from ratelab.report.toy_figure import toy_figure
from ratelab.report.toy_plane_figure import toy_plane_figure
from synthetic_store import recipe, run_id, write_run, write_sweep, write_twelve_families


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Plane:
    return plane(write_sweep(tmp_path_factory.mktemp("store") / "sweep"))


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Plane:
    return plane(write_twelve_families(tmp_path_factory.mktemp("store") / "twelve"))


def line(axes: Axes, name: str) -> Line2D:
    return next(found for found in axes.lines if found.get_gid() == name)


def corners(found: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(*found.get_data(), strict=True)]


def legends_lie_off_the_data(figure: Figure) -> bool:
    FigureCanvasAgg(figure).draw()
    return all(not legend.get_window_extent().overlaps(axes.bbox) for legend in figure.legends for axes in figure.axes)


@pytest.mark.spec("RD59")
def test_the_phase_diagram_has_its_lines_at_the_entropy(tmp_path: Path) -> None:
    figure = phase_figure(entropy=80.2)
    axes = figure.axes[0]
    assert all(r + d == pytest.approx(80.2) for r, d in corners(line(axes, "diagonal")))
    assert corners(line(axes, "diagonal")) == [(0.0, 80.2), (80.2, 0.0)]
    assert [r for r, _ in corners(line(axes, "left"))] == [0.0, 0.0]
    assert [d for _, d in corners(line(axes, "bottom"))] == [0.0, 0.0]
    (tmp_path / "phase.png").write_bytes(to_png(figure))
    assert (tmp_path / "phase.png").read_bytes().startswith(b"\x89PNG")
    assert to_svg(figure).startswith("<svg")


@pytest.mark.parametrize("total", [False, True])
def test_every_run_is_drawn_where_it_was_measured_with_one_standard_error(sweep: Plane, total: bool) -> None:
    figure = plane_figure(sweep, total)
    drawn = [c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer)]
    centres = {(x, y) for c in drawn for x, y in corners(c.lines[0])}
    assert centres == {(p.rate.value, sum(p.xy) if total else p.distortion.value) for p in sweep.shown}
    bars = [segment for c in drawn for segment in c.lines[2][1].get_segments()]
    lengths = [float(np.ptp(segment[:, 1])) for segment in bars]
    assert lengths == pytest.approx([2 * (p.neg_elbo if total else p.distortion).stderr for p in sweep.shown])


def test_the_plane_shows_frontier_hull_and_the_smallest_sum(sweep: Plane) -> None:
    axes = plane_figure(sweep).axes[0]
    assert sweep.h_hat is not None
    hat = sum(sweep.h_hat.xy)
    assert corners(line(axes, "h-hat")) == [(0.0, hat), (hat, 0.0)]
    assert line(axes, "h-hat").get_linestyle() == "--"
    assert corners(line(axes, "hull")) == [p.xy for p in sweep.hull]
    assert {p.xy for p in sweep.frontier} <= set(corners(line(axes, "frontier")))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate R (nats)", "distortion D (nats)")


def test_one_run_alone_makes_a_figure(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [0.0], -3.0)
    alone = plane(tmp_path)
    for total in (False, True):
        assert to_svg(plane_figure(alone, total))


@pytest.mark.spec("RD61")
def test_four_panels_show_all_runs_and_the_frontier_of_each_part(twelve: Plane) -> None:
    assert differing_parts(twelve) == ["encoder", "decoder", "marginal"]
    figure = parts_figure(twelve)
    first, *rest = figure.axes
    assert len(figure.axes) == 4
    assert twelve.h_hat is not None
    hat = sum(twelve.h_hat.xy)
    assert corners(line(first, "h-hat")) == [(0.0, hat), (hat, 0.0)]
    assert line(first, "h-hat").get_linestyle() == "--"
    assert corners(line(first, "hull")) == [p.xy for p in twelve.hull]
    steps = corners(line(first, "frontier"))
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(steps))
    assert {p.xy for p in twelve.frontier} <= set(steps)
    looks = {(m.get_marker(), m.get_fillstyle(), str(m.get_color())) for m in first.lines if m.get_marker() not in ("", "None")}
    assert len(looks) == 12
    for axes, part, kinds in zip(rest, ("encoder", "decoder", "marginal"), (2, 2, 3), strict=True):
        assert part in axes.get_title("left")
        assert len([one for one in axes.lines if one.get_marker() == "None"]) == kinds
    blue, green = (one.get_color() for one in rest[1].lines if one.get_marker() == "None")
    assert (blue, green) == (COLOURS[0], COLOURS[2])


@pytest.mark.spec("RD62")
def test_the_sum_view_holds_the_same_points(twelve: Plane) -> None:
    def points(figure: Figure) -> list[tuple[float, float]]:
        return sorted(corners(m)[0] for m in figure.axes[0].lines if not m.get_gid())

    plain, total = points(parts_figure(twelve)), points(parts_figure(twelve, total=True))
    assert len(plain) == len(twelve.shown) == 48
    assert sorted((r, d + r) for r, d in plain) == pytest.approx(np.array(total))


def test_legends_lie_off_the_data(sweep: Plane, twelve: Plane) -> None:
    assert legends_lie_off_the_data(plane_figure(sweep))
    assert legends_lie_off_the_data(plane_figure(twelve, total=True))
    assert legends_lie_off_the_data(parts_figure(twelve))


def test_a_figure_is_the_same_text_every_time(sweep: Plane) -> None:
    assert to_svg(plane_figure(sweep)) == to_svg(plane_figure(sweep))


def test_each_family_has_a_mark_of_its_own() -> None:
    looks = marks([f"family {i}" for i in range(42)])
    assert len({(m.colour, m.marker) for m in looks.values()}) == 42


def test_curves_follow_the_log_and_skip_what_is_unknown() -> None:
    log = [
        {"epoch": 1, "train/rate": 1.0, "train/distortion": 5.0},
        {"epoch": 2, "train/rate": None, "train/distortion": 4.0},
        {"epoch": 3, "train/rate": "inf", "train/distortion": 3.0},
        {"epoch": 4, "train/rate": 2.0, "train/distortion": 2.0},
    ]
    assert curve(log, "rate") == ([1.0, 4.0], [1.0, 2.0])
    assert curve(log, "neg_elbo") == ([1.0, 4.0], [6.0, 4.0])
    assert curve([*log, {"epoch": 5, "validation/rate": 9.0}], "rate") == ([5.0], [9.0])
    assert curve([], "rate") == ([], [])


def test_training_curves_have_a_row_per_family(sweep: Plane) -> None:
    figure = curves_figure(sweep)
    assert figure is not None
    panels = [axes for axes in figure.axes if axes.lines]
    assert len(panels) == 3 * len(sweep.families)
    assert all(len(axes.lines) == 6 for axes in panels)


def test_without_logs_there_are_no_training_curves(tmp_path: Path) -> None:
    write_run(tmp_path, "a", [1.0], 3.0, given=recipe())
    (tmp_path / run_id("a") / "log.jsonl").unlink()
    assert curves_figure(plane(tmp_path)) is None


def toy_column(codes: int) -> dict[str, np.ndarray]:
    """Laws and tables of a made-up toy model of four states."""
    x, z = np.full(4, 0.25), np.full(codes, 1 / codes)
    return {
        **dict.fromkeys(("p*(x)", "g(x)", "d(x)"), x),
        **dict.fromkeys(("m(z)", "e(z)", "e(z|0)", "e(z|1)"), z),
        "e(z|x)": np.tile(z, (4, 1)),
        "d(x|z)": np.tile(x, (codes, 1)),
        "p(x'|x)": np.tile(x, (4, 1)),
    }


@pytest.mark.spec("RD60")
def test_the_toy_panel_has_five_rows_for_three_models() -> None:
    columns = {"(a) optimum": toy_column(2), "(b) ELBO": toy_column(6), "(c) target": toy_column(6)}
    figure = toy_figure(columns)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert len(panels) == 15
    for axes, (title, column) in zip(panels[:3], columns.items(), strict=True):
        assert axes.get_title() == title
        assert [bar.get_height() for bar in axes.patches] == column["p*(x)"].tolist()
        assert len(axes.lines) == 2  # g(x) and d(x)
    for axes, column in zip(panels[3:6], columns.values(), strict=True):
        assert [bar.get_height() for bar in axes.patches] == column["m(z)"].tolist()
        assert len(axes.lines) == 3  # e(z), and of each class
    tops = [axes.get_ylim()[1] for axes in panels[3:6]]
    assert tops[1] == tops[2] < 0.2 < 0.5 < tops[0], "six codes are not drawn on the scale of two"
    for i, name in enumerate(("e(z|x)", "d(x|z)", "p(x'|x)")):
        for axes, column in zip(panels[6 + 3 * i : 9 + 3 * i], columns.values(), strict=True):
            assert np.array_equal(axes.images[0].get_array(), column[name])
    assert all(axes.get_xlabel() for axes in panels)
    assert legends_lie_off_the_data(figure)


def test_toy_models_lie_beside_the_exact_curves() -> None:
    curve = {"rate": np.array([0.1, 0.5]), "distortion": np.array([3.0, 2.0])}
    groups = {"ELBO": [{"rate": 0.0, "distortion": 2.5}], "target": [{"rate": 0.5, "distortion": 2.0}]}
    figure = toy_plane_figure(groups, curve, entropy=2.5, information=0.3)
    whole, close = figure.axes
    assert [tuple(np.concatenate(found.get_data())) for found in whole.lines[:2]] == [(0, 2.5, 2.5, 0), (0.1, 0.5, 3.0, 2.0)]
    assert [tuple(np.concatenate(found.get_data())) for found in close.lines[2:]] == [(0.0, 2.5), (0.5, 2.5), (0.3, 2.5)]
    assert tuple(np.concatenate(whole.lines[4].get_data())) == pytest.approx((0.3, 2.2))
    assert legends_lie_off_the_data(figure)


def test_what_was_learnt_of_samples_lies_beside_the_target() -> None:
    records = [{"examples": n, "s_sample": 0.1, "s": 1.0, "law_from_sample": 2.0 / n} for n in (5.0, 20.0, 20.0)]
    figure = overfitting_figure({"ELBO": records, "held": records}, entropy=3.0)
    sample, held_out = figure.axes
    n, target = sample.lines[0].get_data()
    assert np.allclose(target, 3.0 - np.log(n))
    assert np.array(sample.lines[1].get_data()).tolist() == [[5.0, 20.0], [0.4, 0.1]]
    assert len(sample.lines) == 4
    assert [len(found.get_xdata()) for found in held_out.lines] == [3, 3]
    assert held_out.get_yscale() == "log"
    assert legends_lie_off_the_data(figure)
