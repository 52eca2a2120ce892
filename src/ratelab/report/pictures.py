"""Pictures for the page: each embedded once, the most telling runs first, until the page is large enough."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ratelab.analysis.point import Point

_PNG = "data:image/png;base64,"

CAPTIONS = {
    "reconstructions": "Reconstructions of test examples",
    "samples": "Samples from the model",
}


@dataclass
class Album:
    """Pictures by the hash of their content (``data:`` addresses), and which run shows which.

    ``room``: bytes of pictures that the page holds; beyond it a run's pictures stay in its folder.
    """

    room: int
    sources: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)
    size: int = 0

    def add(self, point: Point) -> None:
        """Take in a run's pictures, unless they would take more than the room there is."""
        if point.run in self.runs or point.run in self.left_out:
            return
        if self.size >= self.room:
            self.left_out[point.run] = None
            return
        contents = {name: path.read_bytes() for name, path in point.record.pictures.items()}
        keys = {name: hashlib.sha256(content).hexdigest()[:16] for name, content in contents.items()}
        fresh = {keys[name]: content for name, content in contents.items() if keys[name] not in self.sources}
        size = sum(map(len, fresh.values()))
        if self.size + size > self.room:
            self.left_out[point.run] = None
            return
        self.size += size
        self.sources |= {key: _PNG + base64.b64encode(content).decode("ascii") for key, content in fresh.items()}
        self.runs[point.run] = keys


def album(points: Iterable[Point], room: int) -> Album:
    """The pictures of all runs, in the order given, as far as there is room (bytes)."""
    found = Album(room)
    for point in points:
        found.add(point)
    return found


def caption(name: str) -> str:
    """A picture's caption.

    >>> caption("samples"), caption("latent_walk")
    ('Samples from the model', 'Latent walk')
    """
    return CAPTIONS.get(name, name.replace("_", " ").replace("-", " ").capitalize())
