"""What the loop is given: where steps and packs come from, where results go, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from train.data import Batches
from train.loop.samples import Sampler
from train.loop.validation import Deal, HeldOut
from train.plan import PlannedStep

__all__ = ["Data", "Outcome", "Planned", "Settings"]


class Planned(Protocol):
    """Where the loop gets its steps."""

    kept: int
    """clips drawn so far that were admitted"""
    dropped: int
    """and that were not"""

    def step(self, number: int) -> PlannedStep:
        """Return a step; asked for one after another."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return what `restore` goes on from after the last step, for JSON."""
        ...

    def restore(self, state: Mapping[str, Any], *, other_manifest: bool = False) -> None:
        """Go on from a state; `other_manifest`: also where it was taken over other clips."""
        ...

    def take_blocks(self) -> Sequence[Any]:
        """Return the records (dataclasses) of the blocks of steps that ended since the last call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """What is trained on."""

    planner: Planned
    batches: Batches
    deal: Deal
    digest: str
    """of the manifests"""
    held_out: HeldOut | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """How a process trains; nothing here changes the numbers."""

    output: Path
    resume: Path | None = None
    """the checkpoint to go on from"""
    other_manifest: bool = False
    """go on although the manifests are not those of the checkpoint"""
    sampler: Sampler | None = None
    wandb: str | None = None
    """project to log to; None: not"""
    trace_steps: int = 0
    """so many steps after the first few are traced by torch's profiler"""
    hang_s: float = 1800.0
    """0: no watchdog"""
    shown: bool = False
    """draw a progress line"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    steps: int
    """done, of all stages"""
    checkpoint: Path
    stopped: bool
    """by SIGTERM, before its last step"""
