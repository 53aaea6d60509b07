"""How much the picture moves, in frame diagonals a second: dense optical flow over a fixed time.

Time and not frames: a clip has the same motion at 24, 30 and 60 frames a second, and where frames are
doubled. Diagonals and not pixels: the same motion at every size. Four pairs a second, 1/15 s apart, each
wholly within the clip, on a luma plane of 160 px.

Cost: 0.2 ms a pair, 0.03 ms a frame at 30 frames a second. DIS at its `ultrafast` preset on 160 px is within
10 % of the speed of a panned texture from 0.002 to 1.25 diagonals a second; `fast` on 320 px costs nine times
as much and is no better. Beyond that it loses hold and reads 0.4 to 1: fast still, but not how fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from curate.frames import Plane, SmallFrame
from curate.records import Options, Row
from filters.track import Cadence, Track, trimmed_mean
from shards.schemas import column

__all__ = ["MotionSignal", "PairMotion", "flow_plane", "measure_flow", "motion_total"]

Flow = npt.NDArray[np.float32]

_FLOW_LONG_PX = 160
_FLOW_SHORT_PX = 48
# A frame that is due a moment later, by the rounding of timestamps to milliseconds, will do.
_ROUNDING_S = 0.002
# Pairs across a missed cut or a flash have absurd flow; a tenth is one pair of a clip of 3 s.
_TRIM = 0.1


@dataclass(frozen=True, slots=True)
class PairMotion:
    """What one pair of frames says."""

    total: float
    """diagonals a second"""


def flow_plane(luma_HW: Plane) -> Plane:
    """Return the plane for optical flow: its long side at 160 px, or its short one at 48 where that is more.

    uint8 in, uint8 out. One size for all pictures: on a larger plane the same motion reads faster.
    """
    height, width = luma_HW.shape
    if max(height, width) == _FLOW_LONG_PX and min(height, width) >= _FLOW_SHORT_PX:
        return luma_HW
    scale = max(_FLOW_LONG_PX / max(height, width), _FLOW_SHORT_PX / min(height, width))
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    plane: Plane = cv2.resize(luma_HW, size, interpolation=how)
    return plane


def _nearest(frame: SmallFrame) -> Plane:
    """Return the halved plane if `flow_plane` would make just that, else the whole."""
    halved = frame.luma.at_most(_FLOW_LONG_PX)
    fits = max(halved.shape) == _FLOW_LONG_PX and min(halved.shape) >= _FLOW_SHORT_PX
    return halved if fits else frame.luma_HW


def measure_flow(flow_HW2: Flow, dt_s: float) -> PairMotion:
    """Return the motion of a flow field: the mean length of its vectors over the diagonal and the time.

    `flow_HW2` (float32) is in pixels of its own grid, `dt_s` the time between the two frames. Blank areas and
    what stands still count as zero: a small mover before a fixed camera moves the picture little.
    """
    height, width = flow_HW2.shape[:2]
    x, y = flow_HW2[..., 0], flow_HW2[..., 1]
    # Not cv2.magnitude: its last bit depends on where in memory an array lies.
    length_px = float(np.sqrt(x * x + y * y).mean())
    return PairMotion(length_px / (float(np.hypot(height, width)) * dt_s))


def motion_total(pairs: list[PairMotion]) -> float | None:
    """Return a clip's motion in diagonals a second: the mean over its pairs without the outer tenths.

    None of no pairs. Doubled frames make single pairs too slow and others too fast; their mean is right.
    """
    return trimmed_mean([pair.total for pair in pairs], _TRIM)


class MotionOptions(Options):
    """When the flow is measured."""

    # Not a multiple of the periods in which frames are doubled (6 of 30, 5 of 30, 2): with 0.2 s, pairs would
    # always meet the same phase of 25 in 30, and read 40 % wrong; tests hold the common patterns to 10 %.
    every_s: float = Field(0.237, gt=0, description="one pair of frames about every so often")
    # A whole number of frames at 15, 30 and 60 a second; the same 0.08 s at 25 and 50.
    apart_s: float = Field(1 / 15, gt=0, description="time between the two frames of a pair, at least")

    @model_validator(mode="after")
    def _consistent(self) -> MotionOptions:
        if self.apart_s > self.every_s:
            raise ValueError(
                f"apart_s ({self.apart_s}) is above every_s ({self.every_s}): pairs would overlap"
            )
        return self


class MotionSignal:
    """`motion_total` of clips while their source is decoded."""

    version: ClassVar[int] = 2
    Options: ClassVar[type[Options]] = MotionOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "motion_total",
                pa.float64(),
                "diagonal/s",
                "mean optical flow over picture and time; null where no two frames of the clip are compared",
            )
        ]
    )

    def __init__(self, options: MotionOptions) -> None:
        self._apart_s = options.apart_s - _ROUNDING_S
        self._cadence = Cadence(options.every_s)
        self._pairs: Track[PairMotion] = Track()
        self._first: tuple[int, float, Plane] | None = None
        self._dis: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def push(self, frame: SmallFrame) -> None:
        """Take the next frame; cheap but for the second of a pair."""
        plane: Plane | None = None
        if self._first is not None:
            index, time_s, first = self._first
            if frame.time_s - time_s < self._apart_s:
                return
            plane = flow_plane(_nearest(frame))
            if plane.shape == first.shape:
                flow: Flow = self._dis.calc(first, plane, None)
                self._pairs.add(index, frame.index, measure_flow(flow, frame.time_s - time_s))
            self._first = None
        if self._cadence.due(frame.time_s):
            plane = flow_plane(_nearest(frame)) if plane is None else plane
            self._first = frame.index, frame.time_s, plane

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return `motion_total` over the pairs wholly within the frames."""
        return {"motion_total": motion_total(self._pairs.within(start_frame, end_frame))}

    def forget(self, before_frame: int) -> None:
        """Drop pairs that begin earlier."""
        self._pairs.forget(before_frame)
