"""The share of a clip's time in which nothing changes: frozen pictures, slides, a paused screen.

Each frame is reduced to the means of some 40 x 22 blocks and compared with the first frame of the run of
equal frames that it may continue; with the first and not the last, so that a slow zoom does not pass for a
still. A run counts from 0.3 s on: doubled frames (25 in 30, 12 in 24, threes of animation) are not frozen.
Noise of compression averages out in a block; a mouse cursor does not.

Cost: 0.02 ms a frame. Every frame is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.frames import Plane, Pyramid, SmallFrame
from curate.records import Options, Row
from filters.track import Track
from shards.schemas import column

__all__ = ["FrozenSignal", "frozen_share", "largest_change"]

_BLOCKS_PX = 56
"""A small plane of 161 to 320 px gives 28 to 56 block means along the long side, each of 4 or 8 px."""


def largest_change(a_hw: Plane, b_hw: Plane) -> int:
    """Return the largest change of any block, 0 to 255; 255 between pictures of different sizes."""
    if a_hw.shape != b_hw.shape:
        return 255
    return int(cv2.norm(a_hw, b_hw, cv2.NORM_INF))


def frozen_share(times_s: list[float], runs: list[int], min_s: float) -> float | None:
    """Return the share of the time from first to last frame that lies in runs of at least `min_s`.

    `times_s` rises; `runs` gives each frame the number of its run of equal frames. None of fewer than two
    frames.
    """
    if len(times_s) < 2:
        return None
    time_N = np.asarray(times_s)
    starts = np.flatnonzero(np.diff(np.asarray(runs), prepend=runs[0] - 1))
    ends = np.append(starts[1:], len(runs)) - 1
    lengths_s = time_N[ends] - time_N[starts]
    # A microsecond: a run of exactly `min_s` counts however its timestamps round.
    frozen_s = lengths_s[lengths_s >= min_s - 1e-6].sum()
    return float(frozen_s / (time_N[-1] - time_N[0]))


class FrozenOptions(Options):
    """What counts as frozen."""

    min_s: float = Field(0.3, gt=0, description="shorter standstills are judder")
    change: int = Field(2, ge=0, le=254, description="levels of 255 by which a block's mean may change")


class FrozenSignal:
    """`frozen_share` of clips while their source is decoded."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = FrozenOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "frozen_share",
                pa.float64(),
                "1",
                "share of the time in which nothing changes; null of a single frame",
            )
        ]
    )

    def __init__(self, options: FrozenOptions) -> None:
        self._options = options
        self._reference: Plane | None = None
        self._run = 0
        self._frames: Track[tuple[float, int]] = Track()

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames: each continues the run of equal frames, or begins one."""
        planes = Pyramid.each_at_most([frame.luma for frame in frames], _BLOCKS_PX)
        for frame, means in zip(frames, planes, strict=True):
            if self._reference is None or largest_change(self._reference, means) > self._options.change:
                self._reference = means
                self._run += 1
            self._frames.add(frame.index, frame.index, (frame.time_s, self._run))

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return `frozen_share`; a run that goes beyond the frames counts as far as it lies in them."""
        frames = self._frames.within(start_frame, end_frame)
        times_s, runs = [time_s for time_s, _ in frames], [run for _, run in frames]
        return {"frozen_share": frozen_share(times_s, runs, self._options.min_s)}

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)
