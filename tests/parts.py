"""Small stages, detectors and signals for tests, named in pipelines as `parts:Class`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from curate.frames import Boundary, SmallFrame
from curate.records import Clip, Failure, Options, Outcome, Row, Stage, WholeRunStage
from shards.errors import WorkerLostError
from shards.schemas import column


class JumpDetector:
    """A hard cut wherever the mean luma jumps by more than 40."""

    version: ClassVar[int] = 1

    class Options(Options):
        jump: float = 40.0

    def __init__(self, options: Options) -> None:
        self._jump = options.jump  # type: ignore[attr-defined]
        self._last: float | None = None
        self.settled = 0

    def digests(self) -> Mapping[str, str]:
        return {}

    def push(self, frames: Sequence[SmallFrame]) -> Sequence[Boundary]:
        found = []
        for frame in frames:
            mean = float(frame.luma_HW.mean())
            if self._last is not None and abs(mean - self._last) > self._jump:
                found.append(Boundary(frame.index, frame.index, "hard"))
            self._last = mean
            self.settled = frame.index + 1
        return found

    def finish(self) -> Sequence[Boundary]:
        return []


class MeanLuma:
    """The mean luma of a clip."""

    version: ClassVar[int] = 1
    provides: ClassVar[pa.Schema] = pa.schema([column("mean_luma", pa.float64(), "0–255")])
    Options: ClassVar[type[Options]] = Options

    def __init__(self, _options: Options) -> None:
        self._means: dict[int, float] = {}

    def push(self, frames: Sequence[SmallFrame]) -> None:
        self._means |= {frame.index: float(frame.luma_HW.mean()) for frame in frames}

    def summary(self, start_frame: int, end_frame: int) -> Row:
        return {"mean_luma": float(np.mean([self._means[n] for n in range(start_frame, end_frame)]))}

    def forget(self, before_frame: int) -> None:
        self._means = {n: mean for n, mean in self._means.items() if n >= before_frame}


class Tripod:
    """A camera that stands still."""

    version: ClassVar[int] = 1
    provides: ClassVar[pa.Schema] = pa.schema([column("camera", pa.string())])
    Options: ClassVar[type[Options]] = Options

    def __init__(self, _options: Options) -> None:
        return None

    def push(self, _frames: Sequence[SmallFrame]) -> None:
        return None

    def summary(self, _start: int, _end: int) -> Row:
        return {"camera": "static"}

    def forget(self, _before: int) -> None:
        return None


class SampleCount(Stage):
    """How many samples a clip has; counts its calls in a file, to show what was computed."""

    version = 1
    needs = frozenset({"samples", "duration_s"})
    provides = pa.schema([column("sample_count", pa.int32())])

    class Options(Options):
        calls: str = ""
        add: int = 0

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        if self.options.calls:
            with Path(self.options.calls).open("a") as file:
                file.writelines(f"{clip.clip_id}\n" for clip in clips)
        return [{"sample_count": len(clip.samples()) + self.options.add} for clip in clips]


class Picky(Stage):
    """Fails, dies or raises over clips of sources whose name holds a word."""

    version = 1
    needs = frozenset({"source_uri"})
    provides = pa.schema([column("picked", pa.bool_())])

    class Options(Options):
        fail: str = ""
        kill: str = ""
        lose: str = ""
        """what the worker holds dies: an inference engine"""
        crash: str = ""
        hang: str = ""
        until: str = ""
        """a file: once it exists, nothing is wrong any more"""

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        return [self._one(str(clip.row["source_uri"])) for clip in clips]

    def _one(self, uri: str) -> Outcome:
        options = self.options
        if options.until and Path(options.until).exists():
            return {"picked": True}
        if options.fail and options.fail in uri:
            return Failure("PickyError", "not to my taste")
        if options.kill and options.kill in uri:
            os.kill(os.getpid(), signal.SIGKILL)
        if options.lose and options.lose in uri:
            raise WorkerLostError("the engine has died")
        if options.crash and options.crash in uri:
            raise RuntimeError("a bug in a stage")
        if options.hang and options.hang in uri:
            time.sleep(3600)
        return {"picked": True}


class DiesLoading(Stage):
    """Kills its worker while its model loads, as one does that runs out of memory."""

    version = 1
    provides = pa.schema([column("never", pa.int32())])

    class Options(Options):
        spare: str = ""
        """a file: the first worker to find it takes it away and lives"""

    def setup(self) -> None:
        try:
            os.unlink(self.options.spare)
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        return [{"never": 1} for _ in clips]


class WrongColumn(Stage):
    """Returns a column that it does not provide."""

    version = 1
    provides = pa.schema([column("right", pa.int32())])

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        return [{"wrong": 1} for _ in clips]


class NeedsNothingThere(Stage):
    """Needs a column that nobody provides."""

    version = 1
    needs = frozenset({"motion_totl"})
    provides = pa.schema([column("never", pa.int32())])

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        return [{"never": 1} for _ in clips]


class NastyDetector(JumpDetector):
    """Finds cuts as JumpDetector does, and misbehaves on very bright frames."""

    class Options(Options):
        jump: float = 40.0
        mode: str = "none"
        """stall, memory, segv, or touch:PATH"""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._mode = options.mode  # type: ignore[attr-defined]

    def push(self, frames: Sequence[SmallFrame]) -> Sequence[Boundary]:
        if any(frame.luma_HW.mean() > 200 for frame in frames):
            if self._mode == "stall":
                time.sleep(3600)
            elif self._mode == "memory":
                np.ones(2**40, np.uint8)
            elif self._mode == "segv":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif self._mode.startswith("touch:"):
                os.utime(self._mode.removeprefix("touch:"), ns=(1, 1))
        return super().push(frames)


class Rank(WholeRunStage):
    """A clip's place among all clips of the run, the darkest first."""

    version = 1
    needs = frozenset({"mean_luma"})
    provides = pa.schema([column("rank", pa.int32()), column("of", pa.int32())])

    class Options(Options):
        calls: str = ""
        """a file that gets a line for each call"""
        lose: bool = False

    def process(self, clips: pa.Table) -> pa.Table:
        if self.options.calls:
            with open(self.options.calls, "a") as file:
                file.write(f"{clips.num_rows}\n")
        ids, luma = clips["clip_id"].to_pylist(), clips["mean_luma"].to_numpy()
        order = np.argsort(luma, kind="stable")[: -1 if self.options.lose else None]
        ranks = pa.array(range(len(order)), pa.int32())
        ranked = pa.array([ids[place] for place in order], pa.string())
        return pa.table(
            {"clip_id": ranked, "rank": ranks, "of": pa.array([len(ids)] * len(order), pa.int32())}
        )
