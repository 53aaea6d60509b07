"""What crosses between the driver and a worker: a unit of a pass to be done, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from curate.records import Failure
from curate.units import Unit

__all__ = ["Done", "Report", "Task", "TaskFailed"]


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of one pass."""

    pass_name: str
    unit: Unit
    condemned: Mapping[str, Failure] = field(default_factory=dict)
    """source URI → why it is not to be touched: it has killed its worker whenever it was tried"""
    only: str | None = None
    """try this source alone and commit nothing: does it kill its worker?"""
    retry: frozenset[str] | None = None
    """error classes of failures to try again; empty for all; None to leave failures be"""

    @property
    def key(self) -> tuple[str, str]:
        """Pass and unit."""
        return self.pass_name, self.unit.id


@dataclass(frozen=True, slots=True)
class Done:
    """The unit is committed."""

    counts: Mapping[str, float]
    """clips_in, rows, failed, not_admitted, computed, frames, video_s, media_bytes …"""
    seconds: Mapping[str, float]
    """wall seconds by step"""


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The program, its surroundings or a stage of one's own failed: the run stops."""

    kind: str
    message: str
    exit_code: int
    trace: str = ""


Report: TypeAlias = "Done | TaskFailed"
