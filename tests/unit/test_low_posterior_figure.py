"""Figures of low-posterior samples: every image in its place, every group in every histogram."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ratelab.report.look import to_png
from ratelab.report.low_posterior_figure import low_posterior_analysis, low_posterior_grids, tiled

RNG = np.random.default_rng(0)
COUNT = 12


@pytest.fixture(scope="module")
def found() -> dict[str, np.ndarray]:
    edges = np.linspace(0, 1, 9)
    arrays: dict[str, np.ndarray] = {
        "edges": edges,
        "map": RNG.normal(size=(30, 2)),
        "map_group": np.repeat([0, 1, 2], [10, 12, 8]),
    }
    for i, (group, n) in enumerate({"uniform": 50, "neighbours": COUNT, "samples": COUNT, "usual": COUNT}.items()):
        arrays[group] = RNG.random((n, 3, 4, 4))
        arrays[f"{group}_neg_elbo"] = 100 + 10 * i + RNG.normal(size=n)
        arrays[f"{group}_rate"] = 10 + i + RNG.random(n)
        arrays[f"{group}_pixels"] = np.histogram(arrays[group], edges)[0] / arrays[group].size
    return arrays


def test_tiles_lie_row_by_row_eight_beside_each_other() -> None:
    images = np.arange(10).reshape(10, 1, 1, 1) / 10 * np.ones((10, 1, 2, 3))
    picture = tiled(images)
    assert picture.shape == (2 * 2 + 2, 8 * 3 + 7 * 2, 3)
    assert (picture[:2, 15:18] == 0.3).all(), "the fourth"
    assert (picture[4:6, 5:8] == 0.9).all(), "the tenth, below the second"


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (3, 1, 3), (8, 2, 4), (12, 2, 8), (64, 8, 8), (200, 14, 15)])
def test_the_grids_are_as_high_as_their_pictures(n: int, rows: int, columns: int) -> None:
    images = np.zeros((n, 1, 28, 28))
    figure = low_posterior_grids(dict.fromkeys(("samples", "neighbours", "usual"), images))
    height, width = figure.axes[0].images[0].get_array().shape[:2]
    assert (height, width) == (30 * rows - 2, 30 * columns - 2)
    assert figure.get_figheight() == pytest.approx(2.7 * height / width + 0.3)


@pytest.mark.spec("DM64")
def test_the_grids_show_samples_neighbours_and_usual_samples(found: dict[str, np.ndarray]) -> None:
    figure = low_posterior_grids(found)
    titles = {axes.get_title(loc="left"): axes.images[0].get_array() for axes in figure.axes}
    assert list(titles) == ["low-posterior samples", "their nearest neighbours in the data", "usual samples"]
    for shown, name in zip(titles.values(), ("samples", "neighbours", "usual"), strict=True):
        np.testing.assert_allclose(shown[:4, 6:10], found[name][1].transpose(1, 2, 0))
        np.testing.assert_allclose(shown[6:10, :4], found[name][8].transpose(1, 2, 0))
    half = low_posterior_grids(found, -1.0, 1.0)
    np.testing.assert_allclose(half.axes[0].images[0].get_array()[:4, :4], (1 + found["samples"][0].transpose(1, 2, 0)) / 2)
    assert to_png(figure, 60).startswith(b"\x89PNG")


@pytest.mark.spec("DM65")
def test_every_group_is_in_the_histograms_and_the_map(found: dict[str, np.ndarray]) -> None:
    figure = low_posterior_analysis(found)
    elbo, rate, pixels, codes = figure.axes
    for axes, name, sign in ((elbo, "neg_elbo", -1), (rate, "rate", 1)):
        steps = {patch.get_gid(): patch.get_data() for patch in axes.patches}
        assert set(steps) == {"uniform", "neighbours", "samples"}
        for group, (heights, edges, _) in steps.items():
            assert (heights * np.diff(edges)).sum() == pytest.approx(1.0)
            np.testing.assert_allclose(heights, np.histogram(sign * found[f"{group}_{name}"], edges, density=True)[0])
        means = sorted(float(np.ravel(line.get_xdata())[0]) for line in axes.lines)
        assert means == pytest.approx(sorted(sign * found[f"{group}_{name}"].mean() for group in steps))
    for patch in pixels.patches:
        assert (patch.get_data()[0] == found[f"{patch.get_gid()}_pixels"]).all()
    points = {cloud.get_gid(): cloud.get_offsets() for cloud in codes.collections}
    assert [len(cloud) for cloud in points.values()] == [10, 12, 8]
    np.testing.assert_allclose(points["low-posterior z"], found["map"][22:])
    FigureCanvasAgg(figure).draw()
    assert not any(figure.legends[0].get_window_extent().overlaps(axes.bbox) for axes in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "uniformly chosen data (50)", "nearest neighbours in the data (12)", "low-posterior samples (12)",
    ]  # fmt: skip
