"""Shot boundaries against marked truth: what counts as found, missed and false.

A hard cut counts as found when a hard detection lies within a frame of it (one to one). Detections within a
marked gradual range are neither right nor wrong as cuts; the range counts as found when a transition overlaps
it or a cut lies in it. Rows whose `cut_truth` is not `exact` are not scored. Sources are divided into two
halves by a hash of their names, so that settings chosen on one can be checked on the other.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.frames import Boundary
from shards.errors import InputError

__all__ = ["DetectorBench", "FileResult", "Truth", "half_of", "match", "read_truth"]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a person marked in a file."""

    file: str
    labels: str
    hard: tuple[int, ...]
    """first frame of each new shot after a cut"""
    gradual: tuple[tuple[int, int], ...]
    """first and last frame of each dissolve, fade or wipe"""

    @property
    def undisturbed(self) -> bool:
        """Nothing may be cut here: labelled clean or a trap, with no boundary marked."""
        return ("clean" in self.labels or "(trap)" in self.labels) and not self.hard and not self.gradual


@dataclass(frozen=True, slots=True)
class FileResult:
    """What a detector made of a file."""

    truth: Truth
    missed: tuple[int, ...]
    false: tuple[int, ...]
    """cuts where there is none"""
    gradual_missed: tuple[tuple[int, int], ...]
    gradual_false: tuple[tuple[int, int], ...]
    """frame ranges of transitions that overlap none in the truth"""
    gradual_left: tuple[tuple[int, int], ...]
    """transitions in the truth that lie partly within a shot"""
    frames: int
    cpu_s: float

    @property
    def hits(self) -> int:
        """Cuts found."""
        return len(self.truth.hard) - len(self.missed)


@dataclass(frozen=True, slots=True)
class DetectorBench:
    """All files of one detector."""

    name: str
    files: tuple[FileResult, ...]

    def half(self, half: int) -> DetectorBench:
        """Return the files of one half of the sources."""
        return DetectorBench(self.name, tuple(f for f in self.files if half_of(f.truth.file) == half))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cuts found, false, missed."""
        return (
            sum(f.hits for f in self.files),
            sum(len(f.false) for f in self.files),
            sum(len(f.missed) for f in self.files),
        )

    @property
    def f1(self) -> float:
        """2·found / (2·found + false + missed); 1 where there is nothing to find and nothing found."""
        hits, false, missed = self.counts
        return 2 * hits / (2 * hits + false + missed) if hits + false + missed else 1.0

    @property
    def gradual(self) -> tuple[int, int]:
        """Gradual ranges found, and all."""
        every = sum(len(f.truth.gradual) for f in self.files)
        return every - sum(len(f.gradual_missed) for f in self.files), every

    @property
    def disturbed(self) -> tuple[FileResult, ...]:
        """Clean files and traps with a boundary in them."""
        return tuple(f for f in self.files if f.truth.undisturbed and (f.false or f.gradual_false))

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a frame."""
        return 1e3 * sum(f.cpu_s for f in self.files) / max(1, sum(f.frames for f in self.files))


def half_of(file: str) -> int:
    """Return 0 or 1 for the half that a file's source belongs to: the parity of a hash of the source's name.

    The source is what stands before `--` (files of one project resemble each other); for Panda-70M, whose
    files come from as many videos, it is the file.
    """
    source = file if file.startswith("Panda-70M") else file.split("--", maxsplit=1)[0]
    return hashlib.sha256(source.encode()).digest()[0] % 2


def read_truth(path: Path) -> list[Truth]:
    """Return the rows with exact truth.

    Raises InputError: no such file, or a column is missing or malformed.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            return [_truth(row) for row in csv.DictReader(lines) if row["cut_truth"] == "exact"]
    except OSError as exc:
        raise InputError(f"{path}: cannot read the truth ({exc.strerror})") from exc
    except (KeyError, ValueError) as exc:
        raise InputError(
            f"{path}: needs columns file, hard_cuts (frames), cut_truth and gradual (first-last); got {exc}"
        ) from exc


def _truth(row: Mapping[str, str]) -> Truth:
    ranges = [span.split("-") for span in row["gradual"].split()]
    return Truth(
        row["file"],
        row.get("labels") or "",
        tuple(int(frame) for frame in row["hard_cuts"].split()),
        tuple((int(first), int(last)) for first, last in ranges),
    )


def match(
    truth: Truth, found: Sequence[Boundary], frames: int, cpu_s: float, tolerance: int = 1
) -> FileResult:
    """Score the boundaries of one file; cuts within `tolerance` frames are the same."""
    cuts = [b.start_frame for b in found if b.kind == "hard"]
    transitions = [(b.end_frame, b.start_frame) for b in found if b.kind != "hard"]
    missed, left = [], list(cuts)
    for cut in truth.hard:
        near = [c for c in left if abs(c - cut) <= tolerance]
        if near:
            left.remove(min(near, key=lambda c: abs(c - cut)))
        else:
            missed.append(cut)
    false = [c for c in left if not any(a - tolerance <= c <= b + tolerance for a, b in truth.gradual)]
    spans = [*transitions, *((c, c) for c in cuts)]
    gradual_missed = [(a, b) for a, b in truth.gradual if not any(_touch(s, (a, b)) for s in spans)]
    marked = [*truth.gradual, *((c - tolerance, c + tolerance) for c in truth.hard)]
    # A transition that begins or ends the source divides nothing.
    within = [s for s in transitions if s[0] > 0 and s[1] < frames]
    gradual_false = [s for s in within if not any(_touch(s, m) for m in marked)]
    # `last` is still mixed; a shot that starts on it or before holds a part of the transition.
    gradual_left = [
        (a, b) for a, b in truth.gradual if not any(s[0] <= a + 2 and s[1] >= b - 2 for s in transitions)
    ]
    return FileResult(
        truth, tuple(missed), tuple(false), tuple(gradual_missed), tuple(gradual_false), tuple(gradual_left),
        frames, cpu_s,
    )  # fmt: skip


def _touch(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] <= b[1] and a[1] >= b[0]
