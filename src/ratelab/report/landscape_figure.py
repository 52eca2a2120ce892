"""One score over a grid of two-layer models: as a surface over the rates of the layers, over their plane, over the prices, and against
the total rate with its hull (Xiao and Bamler 2023, Fig. 1, 3, 5, 6 and 7)."""

from matplotlib.figure import Figure

from ratelab.analysis.choice import Task
from ratelab.analysis.landscape import DISTORTION, Landscape
from ratelab.analysis.plane import Plane
from ratelab.report.look import new_figure, style
from ratelab.report.panels import Scored, hull, prices_plane, rates_plane, rings_legend, surface


def landscape_figure(land: Landscape, task: Task | None) -> Figure | None:
    """Four panels of one ``task`` (None: the distortion) over one landscape; None where fewer than three of its runs have the score.

    Cells without a run, or without the score, are left white and counted in the title of their panel.
    """
    scored = Scored.of(land, task)
    if scored is None:
        return None
    with style():
        figure = new_figure(8.4, 7.4)
        surface(figure.add_subplot(2, 2, 1, projection="3d"), scored)
        mapped = rates_plane(figure.add_subplot(2, 2, 2), scored)
        figure.axes[1].set_title("dashed: constant total rate")
        prices_plane(figure.add_subplot(2, 2, 3), scored)
        hull(figure.add_subplot(2, 2, 4), scored)
        figure.colorbar(mapped, ax=figure.axes[1], label=scored.name)
        rings_legend(figure, figure.axes[1])
        figure.suptitle(land.family)
    return figure


def landscape_figures(plane: Plane) -> dict[str, Figure]:
    """A figure for every landscape of a plane and every score that its runs have, the distortion first; by name."""
    named = {
        f"landscape-{position + 1}-{slug(DISTORTION if task is None else task.name)}": landscape_figure(land, task)
        for position, land in enumerate(plane.landscapes)
        for task in (None, *plane.tasks)
    }
    return {name: figure for name, figure in named.items() if figure is not None}


def slug(name: str) -> str:
    """A score's name as part of a file's.

    >>> slug("accuracy_knn, layer 2")
    'accuracy-knn-layer-2'
    """
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())


def caption(name: str) -> str:
    """What stands below a figure of :func:`landscape_figures`.

    >>> caption("landscape-1-psnr")
    'psnr over the rates and the prices of two layers'
    """
    return f"{name.split('-', 2)[2].replace('-', ' ')} over the rates and the prices of two layers"
