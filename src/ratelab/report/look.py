"""One look for every figure: sizes, colours that colour-blind readers can tell apart, one marker scheme per family."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

INK, GREY, LIGHT = "#1a1a1a", "#767676", "#d9d9d9"

# Okabe and Ito's palette without black (the frontier) and yellow (too pale on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# The same shapes by their names in matplotlib and in plotly; seven, so that colour and shape repeat together only after 42.
MARKERS = (
    ("o", "circle"),
    ("s", "square"),
    ("^", "triangle-up"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
    ("X", "x"),
)

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "path",
    "svg.hashsalt": "ratelab",
    "mathtext.fontset": "dejavusans",
}


@dataclass(frozen=True)
class Mark:
    """How a family is drawn: a colour and a shape, under its name in matplotlib and in plotly."""

    colour: str
    marker: str
    symbol: str


def marks(families: Sequence[str]) -> dict[str, Mark]:
    """A mark for each family, the same in every figure of a page.

    >>> marks(["vae", "hierarchy"])["hierarchy"]
    Mark(colour='#D55E00', marker='s', symbol='square')
    """
    return {
        family: Mark(COLOURS[i % len(COLOURS)], *MARKERS[i % len(MARKERS)]) for i, family in enumerate(dict.fromkeys(families))
    }


@contextmanager
def style() -> Iterator[None]:
    """The settings under which every figure is built and saved; the user's own settings stay as they are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that makes room for its labels and for a legend outside the data."""
    return Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element to be put into a page; the same figure gives the same text."""
    out = io.StringIO()
    with style():
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def to_png(figure: Figure, dots_per_inch: int = 200) -> bytes:
    """The figure as a PNG file."""
    out = io.BytesIO()
    with style():
        figure.savefig(out, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return out.getvalue()


def to_thumbnail(figure: Figure) -> bytes:
    """The figure as a PNG file of a tenth of the bytes: few pixels, few colours."""
    out = io.BytesIO()
    Image.open(io.BytesIO(to_png(figure, 80))).convert("RGB").quantize(64).save(out, format="PNG", optimize=True)
    return out.getvalue()
