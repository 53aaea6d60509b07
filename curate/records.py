"""What travels between the parts: small, frozen records, and the life cycle of a stage.

A stage sees clips and returns one outcome for each, in the same order: a row (the columns that it
`provides`), several rows where its table has several a clip (captions in variants), or a failure. It holds
its models between calls and nothing else: a worker may die at any moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

__all__ = [
    "Clip",
    "Failure",
    "Options",
    "Outcome",
    "Row",
    "Sample",
    "Source",
    "Stage",
    "Value",
    "WholeRunStage",
]

Value: TypeAlias = "str | int | float | bool | bytes | Sequence[Value] | Mapping[str, Value] | None"
Row: TypeAlias = Mapping[str, Any]
"""Columns by name; their types are the table's schema."""


class Options(BaseModel):
    """Base of every options model: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Source:
    """One input file as the plan saw it."""

    uri: str
    bytes: int
    version: str
    """etag, or modification time in nanoseconds: with `bytes`, what must not change while it is read"""
    duplicate_of: str | None = None
    offset: int | None = None
    """of a member of a tar: where it begins there"""
    carried: tuple[Any, ...] = ()
    """values of the input list's columns"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One JPEG of a clip and its exact time on the source's clock."""

    time_s: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on its way through a pass: the columns known so far, and its artifacts on demand.

    `row` joins the tables of the passes read. `samples()` and `media()` read from storage and are only
    available to stages whose `needs` name "samples" and "media".
    """

    row: Row
    samples: Callable[[], tuple[Sample, ...]]
    media: Callable[[], bytes]

    @property
    def clip_id(self) -> str:
        """The clip's id, a hash that holds no dot."""
        return str(self.row["clip_id"])


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a clip has no row: the error's class name and a message of one line."""

    error: str
    message: str

    @classmethod
    def of(cls, exc: BaseException) -> Failure:
        """Return the failure that `exc` stands for."""
        return cls(type(exc).__name__, " ".join(str(exc).split()) or repr(exc))


Outcome: TypeAlias = "Row | tuple[Row, ...] | Failure"


class Stage(ABC):
    """A step of a pass over clips. Built once a worker from its checked options."""

    version: ClassVar[int]
    """raise it and results are recomputed"""
    needs: ClassVar[frozenset[str]] = frozenset()
    """columns and artifacts read: "samples", "media", "motion_total" """
    provides: ClassVar[pa.Schema]
    """columns written besides clip_id, typed, units in the field metadata"""
    Options: ClassVar[type[Options]] = Options
    concurrent: ClassVar[bool] = False
    """several threads of a worker may call `process` at once, each with clips of another unit"""

    def __init__(self, options: Any) -> None:
        self.options = options

    def digests(self) -> Mapping[str, str]:
        """Return name → digest of each model file that decides the results; part of the fingerprint."""
        return {}

    def setup(self) -> None:
        """Load what is needed, once a worker."""

    @abstractmethod
    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return one outcome per clip, in the same order."""

    def counts(self) -> Mapping[str, float]:
        """Return what else was counted since the last call: tokens, requests; for metrics and the summary.

        With several units in flight a unit gets what others did meanwhile, too: only sums over a run mean
        something.
        """
        return {}

    def close(self) -> None:
        """Let go of everything; safe after a failed `setup`."""


class WholeRunStage(ABC):
    """A step over all clips of a run at once, after a barrier: alone in its pass, run by the driver."""

    version: ClassVar[int]
    """raise it and results are recomputed"""
    needs: ClassVar[frozenset[str]] = frozenset()
    """columns read"""
    provides: ClassVar[pa.Schema]
    """columns written besides clip_id, typed, units in the field metadata"""
    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options

    def digests(self) -> Mapping[str, str]:
        """Return name → digest of each model file that decides the results; part of the fingerprint."""
        return {}

    @abstractmethod
    def process(self, clips: pa.Table) -> pa.Table:
        """Return `clip_id` and the columns provided, a row for each of `clips`, in any order.

        `clips` has `clip_id` and the columns needed, of every clip that `where` admits, in order of
        `clip_id`. The result must not depend on how clips fall into units.
        """
