"""Writes the report: one self-contained page, and its figures as files beside it."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from ratelab import __version__
from ratelab.analysis.plane import Plane, planes
from ratelab.analysis.point import Point
from ratelab.core.errors import UserError
from ratelab.report import view
from ratelab.report.citations import papers
from ratelab.report.curves_figure import curves_figure
from ratelab.report.landscape_figure import caption as land_caption
from ratelab.report.landscape_figure import landscape_figures
from ratelab.report.landscape_view import landscape_json
from ratelab.report.look import to_png, to_svg, to_thumbnail
from ratelab.report.numbers import number, shown
from ratelab.report.parts_figure import differing_parts, parts_figure
from ratelab.report.phase_figure import phase_figure
from ratelab.report.pictures import Album, album, caption
from ratelab.report.plane_figure import plane_figure
from ratelab.store.files import make_folder, write_file

PAGE = 14_000_000  # bytes of a page that opens at once
ROWS = 4_000  # bytes for a run's rows and numbers
LAND = "landscape-"  # how the names of figures of grids begin


@dataclass(frozen=True)
class Drawing:
    """A figure as it is written: drawing one twice would take most of the report's time."""

    svg: str
    png: bytes
    small: bytes = b""

    @classmethod
    def of(cls, figure: Figure, stand_in: bool = False) -> "Drawing":
        """``stand_in``: the page shows it only where no script draws the same better; a small picture does for that."""
        svg = to_svg(figure)
        figure.set_layout_engine("none")  # the places of things are settled; finding them again takes as long as drawing
        return cls(svg, to_png(figure), to_thumbnail(figure) if stand_in else b"")

    @property
    def source(self) -> str:
        """An SVG picture in a ``data:`` address: as sharp as an inline one, and its ids cannot meet another's."""
        if self.small:
            return "data:image/png;base64," + base64.b64encode(self.small).decode("ascii")
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode("ascii")


@dataclass(frozen=True)
class Chapter:
    """One data set of the store: its plane and its figures, by name."""

    key: str
    plane: Plane
    figures: dict[str, Drawing]


def write_report(store: Path | str, output: Path | str, title: str = "Rate-distortion report") -> list[Path]:
    """Write ``output`` (an ``.html`` page that needs no network) and its figures in the folder ``<output's stem>-figures``.

    Each data set of the store gets its own plane. Returns every file written, the page first. Raises :class:`UserError`
    when the store holds no finished run or ``output`` is no file name for a page.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm") or output.is_dir():
        raise UserError(f"cannot write the report to {output}: give a file name that ends in .html, e.g. '-o report.html'")
    found = planes(store)
    chapters = [Chapter(f"data-{i + 1}", plane, _figures(plane)) for i, plane in enumerate(found)]
    phase = Drawing.of(phase_figure())
    make_folder(output.parent)
    write_file(output, render(str(store), chapters, phase, title).encode())
    folder = output.parent / f"{output.stem}-figures"
    make_folder(folder)
    return [output, *_write_figures(folder, chapters, phase)]


def render(store: str, chapters: list[Chapter], phase: Drawing, title: str) -> str:
    """The page as text."""
    points = list({p.run: p for chapter in chapters for p in chapter.plane.points}.values())
    pictures = album(_by_interest([chapter.plane for chapter in chapters]), room(chapters, phase, len(points)))
    environment = Environment(loader=PackageLoader("ratelab.report", "."), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals.update(view=view, land_caption=land_caption, number=number, shown=shown, caption=caption)
    return environment.get_template("page.html").render(
        title=title,
        store=store,
        version=__version__,
        chapters=chapters,
        points=points,
        pictures=pictures,
        phase=phase,
        papers=papers([p.record.recipe for p in points if p.record.recipe]),
        provenance=view.provenance(points),
        style=Markup(_asset("style.css")),
        script=Markup(_asset("page.js")),
        landscape=Markup(_asset("landscape.js")),
        plotly=Markup(_plotly()),
        data=_embedded(_data(chapters, pictures)),
    )


def room(chapters: list[Chapter], phase: Drawing, runs: int) -> int:
    """How many bytes of pictures the page holds beside its script, its figures and the rows of its runs (base64 adds a third)."""
    figures = sum(len(drawing.source) for chapter in chapters for drawing in chapter.figures.values()) + len(phase.source)
    return max(0, (PAGE - len(_plotly()) - figures - ROWS * runs) * 3 // 4)


def _figures(plane: Plane) -> dict[str, Drawing]:
    """The figures of one plane that have something to show."""
    figures: dict[str, Figure | None] = {"curves": curves_figure(plane) if plane.shown else None}
    if plane.shown:
        figures |= {"plane": plane_figure(plane), "plane-sum": plane_figure(plane, total=True)}
    if len(differing_parts(plane)) > 1:
        figures |= {"parts": parts_figure(plane), "parts-sum": parts_figure(plane, total=True)}
    figures |= landscape_figures(plane)
    return {name: Drawing.of(figure, name.startswith(LAND)) for name, figure in figures.items() if figure is not None}


def _write_figures(folder: Path, chapters: list[Chapter], phase: Drawing) -> list[Path]:
    prefix = {c.key: f"{c.key}-" if len(chapters) > 1 else "" for c in chapters}
    named = {f"{prefix[c.key]}{name}": figure for c in chapters for name, figure in c.figures.items()}
    written: list[Path] = []
    for name, figure in {**named, "phase-diagram": phase}.items():
        for suffix, content in ((".svg", figure.svg.encode()), (".png", figure.png)):
            write_file(folder / (name + suffix), content)
            written.append(folder / (name + suffix))
    return written


def _by_interest(found: list[Plane]) -> list[Point]:
    """Best models first, then those of grids, hull, frontier, and the rest: the order in which pictures are embedded."""
    best = [p for plane in found for p in plane.best.values() if p is not None]
    tasks = [task for plane in found for land in plane.landscapes for task in land.tasks]
    return [
        *best,
        *(task.best for task in tasks),
        *(p for task in tasks for p in task.optimal),
        *(p for x in found for p in x.hull),
        *(p for x in found for p in x.frontier),
        *(p for x in found for p in x.points),
    ]


def _data(chapters: list[Chapter], pictures: Album) -> dict[str, Any]:
    """What the script knows; pictures that the page shows anyway are not repeated."""
    on_page = {key for c in chapters for p in c.plane.best.values() if p for key in pictures.runs.get(p.run, {}).values()}
    return {
        "planes": {
            c.key: {**view.plot(c.plane), "landscapes": [landscape_json(land) for land in c.plane.landscapes]} for c in chapters
        },
        "names": {p.run: view.name(p) for c in chapters for p in c.plane.points},
        "pictures": {key: source for key, source in pictures.sources.items() if key not in on_page},
        "shown": {run: {caption(n): key for n, key in names.items()} for run, names in pictures.runs.items()},
        "leftOut": list(pictures.left_out),
    }


def _embedded(document: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in, whatever the names in it are."""
    text = json.dumps(document, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The script of plotly.js, as its Python package ships it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
