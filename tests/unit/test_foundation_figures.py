"""Figures of the foundations: what is drawn is what was given, every arrow and area of it."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ratelab.report.diagrams import chain_diagram, joints_diagram, orders_diagram
from ratelab.report.look import to_png, to_svg
from ratelab.report.posterior_figure import posterior_figure


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def arrows(figure: Figure) -> int:
    return sum(text.arrow_patch is not None for axes in figure.axes for text in axes.texts if hasattr(text, "arrow_patch"))


def texts_lie_inside(figure: Figure) -> bool:
    FigureCanvasAgg(figure).draw()
    frame = figure.bbox
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts if text.get_text()]
    return all(frame.x0 - 1 <= b.x0 and b.x1 <= frame.x1 + 1 and frame.y0 - 1 <= b.y0 and b.y1 <= frame.y1 + 1 for b in boxes)


@pytest.mark.spec("VF62")
def test_the_diagrams_name_their_densities_and_draw_their_arrows() -> None:
    joints, chain, orders = joints_diagram(), chain_diagram(3), orders_diagram(3)
    for part in ("p*(x)", "m(z)", "e(z|x)", "d(x|z)", "D + R − H"):
        assert part in words(joints)
    assert arrows(joints) == 2
    assert all(f"$z_{{{step}}}$" in words(chain) for step in (1, 2, 3))
    assert arrows(chain) == 2 + 3 * 3  # x to the network to z_0; into and out of every step, and the context to it
    # bottom-up: 3 up and 3 down; top-down: 3 from x, 2 down, and the model's 3
    assert arrows(orders) == 6 + 8
    for figure in (joints, chain, orders):
        assert texts_lie_inside(figure)
        assert to_png(figure, 60).startswith(b"\x89PNG")
        assert to_svg(figure).startswith("<svg")


@pytest.mark.spec("VF63")
def test_the_posteriors_are_drawn_where_they_lie() -> None:
    """Four Gaussian bumps: each colour's outer contour surrounds its own bump and no other; the marginal is around 0."""
    reach, grid = 3.0, np.linspace(-3, 3, 121)
    centres = [(-1.5, -1.5), (-1.5, 1.5), (1.5, -1.5), (1.5, 1.5)]

    def bump(x: float, y: float, width: float) -> np.ndarray:
        return np.exp(-((grid[:, None] - x) ** 2 + (grid - y) ** 2) / (2 * width**2))

    posteriors = np.stack([bump(x, y, 0.4) for x, y in centres])
    figure = posterior_figure(bump(0, 0, 1), {"one": posteriors, "other": posteriors[::-1]}, reach)
    assert [axes.get_title() for axes in figure.axes] == ["marginal m(z)", "one", "other"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["$z_1$"] * 3
    for axes, order in ((figure.axes[1], centres), (figure.axes[2], centres[::-1])):
        outlines = {collection.get_gid(): collection.get_paths() for collection in axes.collections if collection.get_gid()}
        assert list(outlines) == [f"point {i}" for i in (1, 2, 3, 4)]
        for paths, centre in zip(outlines.values(), order, strict=True):
            distances = np.linalg.norm(np.concatenate([path.vertices for path in paths]) - centre, axis=1)
            assert np.allclose(distances, 0.4 * np.sqrt(-2 * np.log(0.08)), atol=0.02), (
                "where the density is 8 % of its maximum"
            )
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"e(z|x), point {i}" for i in (1, 2, 3, 4)]
    assert to_png(figure, 60).startswith(b"\x89PNG")
