"""The traces of a run's clips, read in place: what is found in any of their steps, and two of them compared.

The column stays where Arrow holds it; a step is unpacked when it is asked for. Memory beside the column: 32
bytes a clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from filters.portrait import SIDE
from filters.trace import BLOCKS, HEAD_BYTES, STEP_BYTES, TAIL_BYTES, unpack

__all__ = ["Trace", "Traces", "mirrored"]

_MANY: Final = 16
_AT_ONCE: Final = 1 << 30
_STEPS: Final = 1 << 14

Ints = npt.NDArray[np.int64]
Levels = npt.NDArray[np.float32]

_CODES: Final = np.arange(256)[:, None] // (1, 16) % 16 - 8
_SQUARES: Final = (_CODES * np.abs(_CODES)).astype(np.float32).view(np.uint64).ravel()
"""of the two codes of each byte, their signs kept: two float32"""
_PAIRS: Final = _CODES.astype(np.float32).view(np.uint64).ravel()
"""the two codes of each byte: two float32"""
_SUMS: Final = (_CODES * _CODES).sum(1).astype(np.uint8)
"""of the squares of the two codes of each byte"""


@dataclass(frozen=True, slots=True)
class Trace:
    """One clip's trace, unpacked."""

    size: float
    """of a step of the codes, in roots of a level"""
    mean: npt.NDArray[np.uint8]
    """(64,) the mean picture"""
    codes: npt.NDArray[np.int8]
    """(steps, 64) what changes"""
    picture: npt.NDArray[np.uint8]
    """(1024,) the portrait"""

    def levels(self, start: int, end: int) -> Levels:
        """Return the blocks (steps, 64) of steps [start, end), in levels."""
        roots = self.codes[start:end].astype(np.float32) * np.float32(self.size)
        shown: Levels = self.mean + roots * np.abs(roots)
        return shown

    @property
    def change(self) -> float:
        """The mean change of blocks over the clip, in levels."""
        squares = int((self.codes.astype(np.int64) ** 2).sum())
        return squares * self.size**2 / max(1, self.codes.size)


def mirrored(trace: Trace) -> Trace:
    """Return the trace of the mirrored clip."""
    mean = trace.mean.reshape(BLOCKS, BLOCKS)[:, ::-1].ravel()
    grid = trace.codes.reshape(-1, BLOCKS, BLOCKS)[:, :, ::-1]
    picture = trace.picture.reshape(SIDE, SIDE)[:, ::-1].ravel()
    return Trace(trace.size, mean, grid.reshape(len(trace.codes), -1), picture)


class Traces:
    """Traces by rank of their clips; a clip without one, or with one step, has no steps."""

    def __init__(self, column: pa.ChunkedArray, order: Ints) -> None:
        """Take the column of a table, and which row each rank is."""
        chunks = _few(column)
        self._data: list[npt.NDArray[np.uint8]] = []
        starts, ends, chunk_of = [], [], []
        for number, chunk in enumerate(chunks):
            buffers = chunk.buffers()
            offsets = np.frombuffer(buffers[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            held = np.asarray(chunk.is_valid())
            self._data.append(np.frombuffer(buffers[2] or b"", np.uint8))
            starts.append(offsets[:-1].astype(np.int64))
            ends.append(np.where(held, offsets[1:], offsets[:-1]).astype(np.int64))
            chunk_of.append(np.full(len(chunk), number, np.int32))
        none = np.empty(0, np.int64)
        self._start = np.concatenate([none, *starts])[order]
        self._chunk = np.concatenate([none, *chunk_of])[order].astype(np.int32)
        size = np.concatenate([none, *ends])[order] - self._start
        steps = np.maximum(0, size - HEAD_BYTES - TAIL_BYTES) // STEP_BYTES
        self.steps: npt.NDArray[np.int32] = np.where(steps > 1, steps, 0).astype(np.int32)
        """how many steps each clip has"""

    def __len__(self) -> int:
        return len(self.steps)

    def of(self, clip: int) -> Trace:
        """Return a clip's trace."""
        start = int(self._start[clip])
        end = start + HEAD_BYTES + int(self.steps[clip]) * STEP_BYTES + TAIL_BYTES
        return Trace(*unpack(self._data[self._chunk[clip]][start:end]))

    def changes(self) -> npt.NDArray[np.float64]:
        """Return each clip's mean change of blocks, in levels; 0 of one without a trace."""
        squares = np.zeros(len(self))
        sizes = np.zeros(len(self))
        for clip, step in self.every(1):
            clips, steps = clip.astype(np.int64), step.astype(np.int64)
            body = self._taken(clips, self._start[clips] + HEAD_BYTES + steps * STEP_BYTES, STEP_BYTES)
            by_step = np.take(_SUMS, body).sum(1, dtype=np.uint32)
            here = clips[steps == 0]
            squares[here] = np.bincount(clips - here[0], by_step)[here - here[0]]
            head = self._taken(here, self._start[here], 2)
            sizes[here] = head[:, 0] / 256 + head[:, 1]
        changes: npt.NDArray[np.float64] = squares * sizes**2 / np.maximum(1, self.steps * BLOCKS * BLOCKS)
        return changes

    def pictures(self, clip_N: Ints, step_N: Ints) -> Levels:
        """Return the blocks (N, 64), in levels, of steps of clips."""
        start = self._start[clip_N]
        head = self._taken(clip_N, start, HEAD_BYTES)
        body = self._taken(clip_N, start + HEAD_BYTES + step_N * STEP_BYTES, STEP_BYTES)
        sizes = head[:, 0].astype(np.float32) / np.float32(256) + head[:, 1]
        shown: Levels = np.take(_SQUARES, body).view(np.float32)
        shown *= (sizes * sizes)[:, None]
        shown += head[:, 2:]
        return shown

    def codes(self, clip_N: Ints, step_N: Ints) -> Levels:
        """Return what changes (N, 64) at steps of clips, as the traces hold it."""
        body = self._taken(clip_N, self._start[clip_N] + HEAD_BYTES + step_N * STEP_BYTES, STEP_BYTES)
        return np.take(_PAIRS, body).view(np.float32)

    def portraits(self, clip_N: Ints) -> npt.NDArray[np.uint8]:
        """Return the portraits (N, 32, 32) of clips that have steps."""
        at = self._start[clip_N] + HEAD_BYTES + self.steps[clip_N].astype(np.int64) * STEP_BYTES
        return self._taken(clip_N, at, TAIL_BYTES).reshape(-1, SIDE, SIDE)

    def _taken(self, clip_N: Ints, at_N: Ints, size: int) -> npt.NDArray[np.uint8]:
        """Return (N, size) bytes of the clips' chunks from those places on."""
        found = np.empty((len(clip_N), size), np.uint8)
        chunk = self._chunk[clip_N]
        for number, data in enumerate(self._data):
            here = np.flatnonzero(chunk == number)
            if len(here):
                found[here] = sliding_window_view(data, size)[at_N[here]]
        return found

    def every(self, nth: int) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """Yield (clip, step) of every `nth` step of each clip, in order, some at a time."""
        counts = -(-self.steps.astype(np.int64) // nth)
        ends = np.cumsum(counts)
        low = 0
        while low < len(counts):
            done = int(ends[low - 1]) if low else 0
            high = max(low + 1, int(np.searchsorted(ends, done + _STEPS, "right")))
            size = counts[low:high]
            clip = np.repeat(np.arange(low, high), size)
            step = (np.arange(len(clip)) - np.repeat(np.cumsum(size) - size, size)) * nth
            low = high
            if len(clip):
                yield clip.astype(np.int32), step.astype(np.int32)


def _few(column: pa.ChunkedArray) -> list[pa.BinaryArray]:
    """Return the chunks of a column; where they are many, put together to some of a GiB."""
    if column.num_chunks <= _MANY:
        return list(column.chunks)
    groups: list[list[pa.BinaryArray]] = [[]]
    size = 0
    for chunk in column.chunks:
        if size + chunk.nbytes > _AT_ONCE and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append(chunk)
        size += chunk.nbytes
    return [pa.concat_arrays(group) for group in groups if group]
