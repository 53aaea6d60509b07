"""What the driver asks of an executor, and what an executor tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from curate.tasks import Report, Task

__all__ = [
    "Died",
    "Event",
    "Executor",
    "LoadFailed",
    "Loaded",
    "NotBegun",
    "Note",
    "Progress",
    "TaskEvent",
]


@dataclass(frozen=True, slots=True)
class Progress:
    """A task is alive: what it has added since it last said so."""

    counts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Died:
    """The worker of a task died: "killed by SIGSEGV"."""

    how: str


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The worker was gone before it could begin the task."""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """What became of a task."""

    task: Task
    what: Progress | Report | Died | NotBegun


@dataclass(frozen=True, slots=True)
class Loaded:
    """A worker has loaded the models of a pass."""

    pass_name: str


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A worker died while it loaded the models of a pass."""

    pass_name: str
    how: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know."""

    text: str


Event: TypeAlias = "TaskEvent | Loaded | LoadFailed | Note"


class Executor(Protocol):
    """Runs tasks somewhere. A task ends with one Report, Died or NotBegun, after any number of Progress."""

    def offer(self, task: Task) -> bool:
        """Start a task if there is room for it now, and say whether there was."""

    def wait(self, timeout_s: float, waiting: Mapping[str, int]) -> Sequence[Event]:
        """Return what has happened, after at most `timeout_s`.

        `waiting` says how many tasks of each pass would begin at once if there was room: by that an executor
        may grow and shrink.
        """

    def close(self) -> None:
        """End every worker, whatever it is doing."""
