"""What crosses between the driver and a worker: a unit of a pass to be done, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

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
    alone: bool = False
    """a worker has died over this unit: nothing else may be in flight beside it"""

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
    """Not a source's or a clip's fault; `blame` says whose."""

    kind: str
    message: str
    exit_code: int
    trace: str = ""
    blame: Literal["program", "storage", "node"] = "program"
    """program: the run stops; storage: worth another try; node: worth another try on another machine"""


Report: TypeAlias = "Done | TaskFailed"
