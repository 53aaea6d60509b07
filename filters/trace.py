"""How a clip's picture changes: 8 x 8 block means of its luma, eight times a second, in 32 bytes a step.

Copies are aligned by it at a fraction of the interval at which samples lie, and one moment before a fixed
camera is told from another (`filters.alignment`). The grid begins with the clip and holds seconds, not
frames: between two frames a step is interpolated, so a copy at another frame rate has the same trace.

A trace is the clip's mean picture and, for each step, what differs from it: the signed square roots (which
keep one bright change from drowning the others) in steps of two fifths of their root mean square over the
clip, from -7 to 7. Quiet blocks round to zero, and with them the noise of compression. Last comes the clip's
portrait (`filters.portrait`).

Cost: 5 microseconds a frame looked at, at most sixteen a second; 1 kB a clip and 0.26 kB a second of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.frames import Plane, SmallFrame
from curate.records import Options, Row
from filters.portrait import SIDE, block_sums, portrait
from filters.track import Cadence, Track
from shards.schemas import column

__all__ = [
    "BLOCKS",
    "HEAD_BYTES",
    "RATE",
    "STEP_BYTES",
    "TAIL_BYTES",
    "TraceSignal",
    "block_means",
    "on_grid",
    "pack",
    "unpack",
]

BLOCKS: Final = 8
RATE: Final = 8
"""steps a second"""
HEAD_BYTES: Final = 2 + BLOCKS * BLOCKS
"""the size of a step in 1/256 of a level's root, little-endian, and the mean picture, a byte a block"""
STEP_BYTES: Final = BLOCKS * BLOCKS // 2
"""two blocks a byte, the first in the low half, as its value plus 8"""
TAIL_BYTES: Final = SIDE * SIDE
"""the portrait, a byte a block"""

_LOOKED_AT_PX: Final = 80
"""the size that the shot detector looks at, too: it is made anyway"""
_PICTURED_PX: Final = 160
"""the size of the pictures that the portrait is the mean of"""
_PICTURED_EVERY_S: Final = 0.25
_STEP_OF_RMS: Final = 0.4
_LARGEST: Final = 7
_SCALE: Final = 256


def block_means(luma_hw: Plane) -> npt.NDArray[np.float32]:
    """Return the means (64,) of 8 x 8 equal blocks of a plane of at most 112 x 112, row by row, in levels.

    The sums are of whole numbers below 2**24: exact in float32, in whatever order they are made.
    """
    rows, columns, areas = block_sums(*luma_hw.shape, BLOCKS)
    sums: npt.NDArray[np.float32] = rows @ (luma_hw.astype(np.float32) @ columns)
    sums /= areas
    return sums.ravel()


def on_grid(times_s: npt.NDArray[np.float64], blocks_N64: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the blocks (steps, 64) every 1/8 s from the first time to the last, between two linearly."""
    count = int((times_s[-1] - times_s[0]) * RATE + 1e-6) + 1
    if len(times_s) < 2:
        return blocks_N64[:1].astype(np.float64)
    grid_s = times_s[0] + np.arange(count) / RATE
    before = np.clip(np.searchsorted(times_s, grid_s, "right") - 1, 0, len(times_s) - 2)
    share = ((grid_s - times_s[before]) / (times_s[before + 1] - times_s[before]))[:, None]
    steps: npt.NDArray[np.float64] = blocks_N64[before] * (1 - share) + blocks_N64[before + 1] * share
    return steps


def pack(steps_T64: npt.NDArray[np.float64], picture_1024: npt.NDArray[np.uint8]) -> bytes:
    """Return the trace of block means in levels and a portrait, as described above."""
    mean = steps_T64.mean(0)
    rest = steps_T64 - mean
    roots = np.sign(rest) * np.sqrt(np.abs(rest))
    step = max(1, round(_STEP_OF_RMS * _SCALE * float(np.sqrt((roots * roots).mean()))))
    codes = np.clip(np.rint(roots * (_SCALE / step)), -_LARGEST, _LARGEST).astype(np.int8) + 8
    halves = codes.astype(np.uint8).reshape(len(codes), STEP_BYTES, 2)
    head = np.array([step], "<u2").tobytes() + np.rint(mean).astype(np.uint8).tobytes()
    return bytes(head + (halves[..., 0] | halves[..., 1] << 4).tobytes() + picture_1024.tobytes())


class Unpacked(NamedTuple):
    """What a trace holds."""

    size: float
    """of a step of the codes, in roots of a level"""
    mean: npt.NDArray[np.uint8]
    """(64,) the mean picture"""
    codes: npt.NDArray[np.int8]
    """(steps, 64) what changes"""
    picture: npt.NDArray[np.uint8]
    """(1024,) the portrait"""


def unpack(trace: bytes | npt.NDArray[np.uint8]) -> Unpacked:
    """Return what a trace holds."""
    data = np.frombuffer(trace, np.uint8)
    packed = data[HEAD_BYTES:-TAIL_BYTES].reshape(-1, STEP_BYTES)
    codes = np.stack((packed & 15, packed >> 4), axis=-1).reshape(len(packed), BLOCKS * BLOCKS)
    return Unpacked(
        (int(data[0]) + 256 * int(data[1])) / _SCALE,
        data[2:HEAD_BYTES],
        codes.astype(np.int8) - np.int8(8),
        data[-TAIL_BYTES:],
    )


class TraceSignal:
    """`trace` of clips while their source is decoded."""

    version: ClassVar[int] = 2
    Options: ClassVar[type[Options]] = Options
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "trace",
                pa.binary(),
                doc="changes of 8 x 8 blocks of luma, 8 a second, what copies are told by; null of one frame",
            )
        ]
    )

    def __init__(self, options: object) -> None:  # noqa: ARG002
        self._cadence = Cadence(1 / (2 * RATE))
        self._frames: Track[tuple[float, npt.NDArray[np.float32]]] = Track()
        self._pictured = Cadence(_PICTURED_EVERY_S)
        self._pictures: Track[Plane] = Track()

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames; sixteen a second are looked at."""
        for frame in self._cadence.among(frames):
            means = block_means(frame.luma.at_most(_LOOKED_AT_PX))
            self._frames.add(frame.index, frame.index, (frame.time_s, means))
        for frame in self._pictured.among(frames):
            # A copy: the plane may be part of a larger one.
            self._pictures.add(frame.index, frame.index, frame.luma.at_most(_PICTURED_PX).copy())

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return `trace`; null where fewer than two frames were looked at."""
        frames = self._frames.within(start_frame, end_frame)
        if len(frames) < 2:
            return {"trace": None}
        times_s = np.array([time_s for time_s, _ in frames])
        steps = on_grid(times_s, np.stack([means for _, means in frames]))
        return {"trace": pack(steps, portrait(self._pictures.within(start_frame, end_frame)))}

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)
        self._pictures.forget(before_frame)
