"""What a sweep asks of the place where its jobs are made: this machine's cores, a Ray cluster, Slurm."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from ratelab.core.errors import UserError
from ratelab.runs.recipe import Recipe
from ratelab.runs.results import Results

Made = dict[str, Results]


@dataclass(frozen=True)
class Task:
    """Runs (id -> recipe) that one worker makes, several as one stack. ``resumed``: the members of the unfinished stack that they go on
    with."""

    runs: Mapping[str, Recipe]
    resumed: tuple[str, ...] = ()


class Lost(Exception):
    """The worker died while it had a task. ``innocent``: its whole machine went away, which says nothing about the task."""

    def __init__(self, what: str, innocent: bool = False) -> None:
        super().__init__(what)
        self.innocent = innocent


class Unseen(UserError):
    """A worker does not see the store: nothing of the sweep can be made there."""


class Engine(ABC):
    """Makes tasks on its workers, which share the store and nothing else with whoever hands them out.

    ``one_fate``: when a worker dies, the others lose their tasks with it, and nobody knows which task killed it.
    ``said``: what the user should know about the workers, one line each.
    """

    one_fate = False
    said: tuple[str, ...] = ()

    @abstractmethod
    def slots(self) -> int:
        """How many tasks may be under way at this moment."""

    @abstractmethod
    def submit(self, task: Task) -> Future[Made]:
        """Hand out a task. The future holds the results by run id; runs that are missing (another process makes them, or the sweep
        stops) are to be asked for again. It raises :class:`Lost` where the worker died and :class:`Unseen` where it has no store."""

    @abstractmethod
    def halt(self) -> None:
        """Let the workers save their state and stop; when interrupted again, end them at once."""

    @abstractmethod
    def close(self) -> None:
        """Give the workers back; nothing is under way."""
