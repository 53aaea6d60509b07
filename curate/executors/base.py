"""What the driver asks of an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from curate.tasks import Report, Task

__all__ = ["Died", "Event", "Executor", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A task is alive: what it has added since it last said so."""

    counts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Died:
    """The worker of a task died: "killed by SIGSEGV"."""

    how: str


Event: TypeAlias = "tuple[Task, Progress | Report | Died]"


class Executor(Protocol):
    """Runs tasks somewhere. A task ends with one Report or Died, after any number of Progress."""

    def free(self) -> int:
        """Return how many tasks can be taken at once now."""

    def submit(self, task: Task) -> None:
        """Start a task; only while `free()` is above zero."""

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """Return what has happened, after at most `timeout_s`."""

    def close(self) -> None:
        """End every worker, whatever it is doing."""
