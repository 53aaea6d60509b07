"""What the split pass costs above a bare decode of the same files.

The reference is the least that anyone can do: PyAV, one thread, every frame decoded and dropped. The split
pass is the real one, worker and decoder child together, from opening a file to the committed unit; start-up
(imports, spawning) is apart. Both are CPU seconds, paired run by run, because machines drift.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import PurePath
from statistics import median
from time import perf_counter, process_time

import av
from rich.table import Table

from curate.plan import Plan
from curate.sources import list_sources
from curate.split.unit import SplitRunner
from curate.tally import Tally
from curate.tasks import Task
from curate.units import Unit, divide
from shards.errors import SourceError
from shards.storage import open_storage

__all__ = ["DecodeBench", "PairedRun", "bench_decode", "render_decode"]


@dataclass(frozen=True, slots=True)
class PairedRun:
    """One pair: CPU seconds of the bare decode and of the split pass."""

    decode_s: float
    split_s: float

    @property
    def ratio(self) -> float:
        """Split over decode."""
        return self.split_s / self.decode_s


@dataclass(frozen=True, slots=True)
class DecodeBench:
    """The pairs, what the steps of the split took, and the gain of two processes over one.

    `left_out` are the files that a bare decode does not read to their end: nothing to compare with.
    """

    frames: int
    pairs: tuple[PairedRun, ...]
    steps_s: dict[str, float]
    decode_gain: float | None
    split_gain: float | None
    left_out: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Median of the pairs."""
        return median(pair.ratio for pair in self.pairs)


def decode_bare(paths: Sequence[str]) -> int:
    """Decode every frame of the first video stream of `paths` on one thread and drop it; return how many."""
    frames = 0
    for path in paths:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            for _ in container.decode(stream):
                frames += 1
    return frames


class _Split:
    """The split pass in this process, with its decoder child, warmed up."""

    def __init__(self, plan: Plan, folder: str) -> None:
        self._runner = SplitRunner(plan.passes[0], open_storage(folder).create())

    def run(self, unit: Unit) -> Tally:
        """Run a unit and return its seconds by step."""
        steps = Tally()
        steps.add(self._runner.run(Task("split", unit), lambda _: None).seconds)
        return steps

    def cpu_s(self) -> float:
        """Return what this process and its decoder have used."""
        return process_time() + self._runner.decoder_cpu_s()

    def close(self) -> None:
        """End the decoder."""
        self._runner.close()


def bench_decode(inputs: Sequence[str], plan: Plan, *, runs: int = 3, scaling: bool = True) -> DecodeBench:
    """Return paired CPU times over the files of `inputs`; `scaling` adds the gain of two processes.

    Raises SourceError where no file can be decoded.
    """
    listed = [s for s in list_sources(inputs).sources if s.duplicate_of is None]
    counts = {source.uri: _frames(source.uri) for source in listed}
    sources = [source for source in listed if counts[source.uri]]
    left_out = tuple(source.uri for source in listed if not counts[source.uri])
    if not sources:
        raise SourceError(f"none of {len(listed)} files can be decoded to its end: {', '.join(left_out[:3])}")
    (unit,) = divide(sources, unit_bytes=2**62, unit_sources=len(sources))
    paths = [source.uri for source in sources]
    folder = tempfile.mkdtemp(prefix="curate-bench-")
    split = _Split(plan, folder)
    try:
        split.run(divide(sources[:1], unit_bytes=2**62, unit_sources=1)[0])
        pairs, steps = [], Tally()
        for _ in range(runs):
            before_s = process_time()
            decode_bare(paths)
            decode_s = process_time() - before_s
            before_s = split.cpu_s()
            steps.add(split.run(unit))
            pairs.append(PairedRun(decode_s, split.cpu_s() - before_s))
    finally:
        split.close()
        shutil.rmtree(folder, ignore_errors=True)
    decode_gain, split_gain = _gains(paths, plan, unit) if scaling else (None, None)
    steps_s = {step: s / runs for step, s in steps.items()}
    return DecodeBench(sum(counts.values()), tuple(pairs), steps_s, decode_gain, split_gain, left_out)


def _frames(path: str) -> int:
    """Return how many frames a bare decode yields, 0 where it does not come to the end."""
    try:
        return decode_bare([path])
    except (av.error.FFmpegError, IndexError):
        return 0


def _gains(paths: Sequence[str], plan: Plan, unit: Unit) -> tuple[float, float]:
    """Return how much more two processes do in a second than one: bare decoders, and split workers."""
    decode = [_rate(_timed_decode, (list(paths),), processes) for processes in (1, 2)]
    split = [_rate(_timed_split, (plan, unit), processes) for processes in (1, 2)]
    return decode[1] / decode[0], split[1] / split[0]


def _rate(work: Callable[..., float], arguments: tuple[object, ...], processes: int) -> float:
    """Return runs of `work` a second with so many at once, by the wall time that each measured of itself."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        started = [pool.submit(work, *arguments) for _ in range(processes)]
        return sum(1 / future.result() for future in started)


def _timed_decode(paths: list[str]) -> float:
    decode_bare(paths[:1])
    started_s = perf_counter()
    decode_bare(paths)
    return perf_counter() - started_s


def _timed_split(plan: Plan, unit: Unit) -> float:
    with tempfile.TemporaryDirectory(prefix="curate-bench-") as folder:
        split = _Split(plan, folder)
        try:
            split.run(Unit("warm", unit.sources[:1]))
            started_s = perf_counter()
            split.run(unit)
            return perf_counter() - started_s
        finally:
            split.close()


def render_decode(bench: DecodeBench) -> Table:
    """Return the figures as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "CPU s", "× decode"):
        table.add_column(name, justify="left" if not name else "right")
    decode_s = median(pair.decode_s for pair in bench.pairs)
    split_s = median(pair.split_s for pair in bench.pairs)
    table.add_row(f"bare decode, {bench.frames} frames", f"{decode_s:.2f}", "1.00")
    table.add_row("split pass", f"{split_s:.2f}", f"{bench.ratio:.2f}")
    table.add_row("  pairs", "", " ".join(f"{pair.ratio:.2f}" for pair in bench.pairs))
    for step, seconds in sorted(bench.steps_s.items(), key=lambda item: -item[1]):
        table.add_row(f"  {step} (wall)", f"{seconds:.2f}", f"{seconds / decode_s:.2f}")
    if bench.decode_gain and bench.split_gain:
        table.add_row("two processes over one: bare decode", "", f"{bench.decode_gain:.2f}")
        table.add_row("two processes over one: split pass", "", f"{bench.split_gain:.2f}")
        table.add_row("  split's gain over decode's", "", f"{bench.split_gain / bench.decode_gain:.2f}")
    if bench.left_out:
        names = ", ".join(PurePath(path).name for path in bench.left_out[:3])
        table.add_row(f"left out, a bare decode fails: {len(bench.left_out)} ({names})", "", "")
    return table
