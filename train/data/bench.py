"""What loading clips costs without a cache: ours, and plain webdataset with decord, on the same shards.

Both read and decode the same clips to frames of the same number and size, in one process; torch scales in
one thread a worker. CPU seconds are the process's, all threads together.
"""

from __future__ import annotations

import gc
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from shards.errors import ClipError, ConfigError, InputError
from shards.storage import beside, is_http, is_remote
from train.data.clips import ClipRow, Clips
from train.data.decode import decode
from train.data.decoders import decoder
from train.data.fitting import fitted
from train.data.times import asked_times
from train.plan import View

__all__ = ["Loading", "measure_ours", "measure_webdataset", "views_of"]

_MOST_FRAMES: Final = 49


@dataclass(frozen=True, slots=True)
class Loading:
    """What loading some clips took."""

    by: str
    workers: int
    clips: int
    failed: int
    frames: int
    seconds: float
    cpu_seconds: float

    @property
    def clips_a_second(self) -> float:
        """Of wall time."""
        return self.clips / self.seconds

    @property
    def cpu_seconds_a_clip(self) -> float:
        """Of all threads."""
        return self.cpu_seconds / max(1, self.clips)


def views_of(durations_s: Iterable[float], fps: float, height: int, width: int) -> list[View]:
    """Return a view of each clip: its first 4k+1 frames at that rate, at most 49."""
    counts = [min(_MOST_FRAMES, max(0, int(length * fps - 0.01)) // 4 * 4 + 1) for length in durations_s]
    return [View(0.0, fps, count, height, width) for count in counts]


def measure_ours(clips: Clips, views: Sequence[View], decoder_name: str, workers: int) -> Loading:
    """Load a view of each clip by one of our decoders."""
    chosen = decoder(decoder_name)

    def load(number: int) -> int:
        row = clips.row(number)
        try:
            return len(decode(clips.read(row), views[number], row.shown, chosen, row.rolls))
        except ClipError:
            return 0

    with _one_thread(), ThreadPoolExecutor(workers) as pool:
        return _measured(f"ours, {decoder_name}", workers, lambda: pool.map(load, range(len(clips))))


def measure_webdataset(clips: Clips, views: Sequence[View]) -> Loading:
    """Load the same with webdataset and decord, as one does: pictures by number, at the mean frame rate.

    Raises ConfigError without the packages, InputError for shards that do not lie on a local disk.
    """
    try:
        import decord
        import webdataset
    except ImportError as exc:
        raise ConfigError(f"to compare with: install webdataset and decord ({exc})") from exc
    rows = {row.clip_id: (row, view) for row, view in zip(_rows(clips), views, strict=True)}
    shards = sorted({_local(row) for row, _ in rows.values()})

    def load() -> Iterator[int]:
        for sample in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False):
            if sample["__key__"] not in rows:
                continue
            row, view = rows[sample["__key__"]]
            try:
                reader = decord.VideoReader(io.BytesIO(sample["mp4"]), ctx=decord.cpu(0), num_threads=1)
                last, fps = len(reader) - 1, reader.get_avg_fps()
                numbers = [min(last, int(time_s * fps)) for time_s in asked_times(view)]
                yield len(_scaled(reader.get_batch(numbers).asnumpy(), row, view))
            except (decord.DECORDError, RuntimeError):
                yield 0

    with _one_thread(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # webdataset leaves its files to the garbage collector
        found = _measured("webdataset, decord", 1, load)
        gc.collect()
    return found


def _scaled(frames_THWC: npt.NDArray[np.uint8], row: ClipRow, view: View) -> npt.NDArray[np.uint8]:
    return np.stack([fitted(frame, row.shown, view.height, view.width) for frame in frames_THWC])


def _measured(by: str, workers: int, load: Callable[[], Iterable[int]]) -> Loading:
    cpu_s, begin_s = process_time(), perf_counter()
    frames = list(load())
    seconds, cpu_seconds = perf_counter() - begin_s, process_time() - cpu_s
    read = sum(count > 0 for count in frames)
    return Loading(by, workers, read, len(frames) - read, sum(frames), seconds, cpu_seconds)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rows(clips: Clips) -> Iterator[ClipRow]:
    return (clips.row(number) for number in range(len(clips)))


def _local(row: ClipRow) -> str:
    storage, name = beside(row.manifest, row.shard)
    if is_remote(storage.root) or is_http(storage.root):
        raise InputError(
            f"{storage.address(name)}: to compare with webdataset, shards on a local disk are wanted"
        )
    return os.path.abspath(storage.address(name))


def record(loading: Loading) -> Mapping[str, Any]:
    """Return a measurement as plain JSON."""
    return {
        "by": loading.by,
        "workers": loading.workers,
        "clips": loading.clips,
        "failed": loading.failed,
        "frames": loading.frames,
        "clips_a_second": loading.clips_a_second,
        "cpu_seconds_a_clip": loading.cpu_seconds_a_clip,
    }
