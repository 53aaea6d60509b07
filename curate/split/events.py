"""What a scan of a source tells as it goes, and where its time went."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

from curate.records import Failure, Row, Sample

__all__ = ["ClipCut", "ClipLost", "Event", "Heartbeat", "SourceScanned", "Stopwatch"]


@dataclass(frozen=True, slots=True)
class ClipCut:
    """A clip and all that belongs to it; `row` lacks only where the bytes are stored."""

    row: Row
    media: bytes
    samples: tuple[Sample, ...]
    signals: Row


@dataclass(frozen=True, slots=True)
class ClipLost:
    """A clip that could not be cut."""

    clip_id: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The scan is alive: frames decoded so far."""

    frames: int


@dataclass(frozen=True, slots=True)
class SourceScanned:
    """The end of a source: its row, its shots, and what took the time."""

    row: Row
    shots: tuple[Row, ...]
    damage: str | None
    """why the source was not read whole; a failure row of its own"""
    seconds: Row


Event: TypeAlias = "ClipCut | ClipLost | Heartbeat | SourceScanned"


@dataclass(slots=True)
class Stopwatch:
    """Wall seconds by step."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=perf_counter)

    def lap(self, step: str) -> None:
        """Charge the time since the last lap to `step`."""
        now = perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now
