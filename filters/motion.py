"""How much the picture moves, in frame diagonals a second, and what moves it: the camera, or things in it.

Dense optical flow over a fixed time, parted by `filters.camera`; `filters.camera_path` tells the kind of the
camera's movement where things move before it, `filters.stills` photographs that it moves over from scenes.

Time and not frames: a clip has the same motion at 24, 30 and 60 frames a second, and where frames are
doubled. Diagonals and not pixels: the same motion at every size. Four pairs a second, 1/15 s apart, each
wholly within the clip, on a luma plane of 160 px.

Cost: 0.06 to 0.07 ms a frame at 30 frames a second, 0.03 of it the flow; 0.12 in short stills. DIS at its
`ultrafast` preset on 160 px is within 10 % of the speed of a panned texture from 0.002 to 1.25 diagonals a
second (a zoom reads up to a quarter too slow); `fast` on 320 px costs nine times as much and is no better.
Beyond that it loses hold and reads 0.4 to 1: fast still, but not how fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from curate.frames import Plane, SmallFrame
from curate.records import Options, Row
from filters.camera import (
    CameraKind,
    FlowSamples,
    Similarity,
    amounts,
    classify_camera,
    fit_camera,
    sample_flow,
    shake,
    support_of,
    velocities,
)
from filters.camera_path import follow_camera
from filters.stills import StillPair, still_score
from filters.track import Cadence, Track, trimmed_mean
from shards.schemas import column

__all__ = [
    "MotionSignal",
    "PairMotion",
    "camera_kind",
    "flow_plane",
    "measure_flow",
    "motion_parts",
    "motion_total",
]

Flow = npt.NDArray[np.float32]

_FLOW_LONG_PX = 160
_FLOW_SHORT_PX = 48
# A frame that is due a moment later, by the rounding of timestamps to milliseconds, will do.
_ROUNDING_S = 0.002
_WHOLLY = 0.9
"""share of the texture that follows the flow's fits from which nothing is left to find; two clips in five"""
# Pairs across a missed cut or a flash have absurd flow; a tenth is one pair of a clip of 3 s.
_TRIM = 0.1


@dataclass(frozen=True, slots=True)
class PairMotion:
    """What one pair of frames says."""

    total: float
    """diagonals a second"""
    time_s: float
    """of the first frame"""
    dt_s: float
    samples: FlowSamples
    first_HW: Plane
    """a copy: a frame's plane may keep its neighbours' in memory"""


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


def measure_flow(flow_HW2: Flow, time_s: float, dt_s: float, first_HW: Plane) -> PairMotion:
    """Return the motion of a flow field: the mean length of its vectors over the diagonal and the time.

    `flow_HW2` (float32) is in pixels of its own grid, `dt_s` the time between the two frames, `first_HW` the
    first of them. Blank areas and what stands still count as zero: a small mover before a fixed camera moves
    the picture little.
    """
    height, width = flow_HW2.shape[:2]
    # DIS enlarges what it found on a grid four times coarser: one vector in four each way says the same.
    picked = flow_HW2[2::4, 2::4].copy()
    picked *= picked
    # Not cv2.magnitude: its last bit depends on where in memory an array lies.
    length_px = float(np.sqrt(picked[..., 0] + picked[..., 1]).mean())
    total = length_px / (hypot(height, width) * dt_s)
    return PairMotion(total, time_s, dt_s, sample_flow(flow_HW2, first_HW), first_HW.copy())


def motion_total(pairs: list[PairMotion]) -> float | None:
    """Return a clip's motion in diagonals a second: the mean over its pairs without the outer tenths.

    None of no pairs. Doubled frames make single pairs too slow and others too fast; their mean is right.
    """
    return trimmed_mean([pair.total for pair in pairs], _TRIM)


def motion_parts(pairs: list[PairMotion], cameras: list[Similarity | None]) -> Row:
    """Return `motion_camera`, `motion_object`, `shake` of a clip; null where no pair has texture.

    Means over pairs like `motion_total`'s. They don't add up to it: a thing may move against the camera.
    """
    seen = [(camera, pair) for camera, pair in zip(cameras, pairs, strict=True) if camera is not None]
    moves, times_s = [camera for camera, _ in seen], [pair.dt_s for _, pair in seen]
    parts = amounts([pair.samples for _, pair in seen], moves)
    of_camera, of_objects = ([one / t for one, t in zip(part, times_s, strict=True)] for part in parts)
    return {
        "motion_camera": trimmed_mean(of_camera, _TRIM),
        "motion_object": trimmed_mean(of_objects, _TRIM),
        "shake": shake(velocities(moves, times_s)),
    }


def camera_kind(pairs: list[PairMotion], cameras: list[Similarity | None]) -> CameraKind | None:
    """Return `camera` of a clip; None where no pair has texture.

    Where nearly all of the picture follows the flow's fits, they say it. Elsewhere the path from first frame
    to first frame does, for which they are guesses.
    """
    seen = [(camera, pair) for camera, pair in zip(cameras, pairs, strict=True) if camera is not None]
    moves = [camera for camera, _ in seen]
    followed = support_of(moves)
    if followed >= _WHOLLY or len(pairs) < 2 or not seen:
        return classify_camera(velocities(moves, [pair.dt_s for _, pair in seen]), 0.0, followed)
    apart_s = [later.time_s - one.time_s for one, later in pairwise(pairs)]
    guesses = [
        _gone_on(camera, span_s / pair.dt_s)
        for camera, pair, span_s in zip(cameras[:-1], pairs[:-1], apart_s, strict=True)
    ]
    path = follow_camera([pair.first_HW for pair in pairs], guesses, apart_s)
    return classify_camera(velocities(path, apart_s), support_of(path), followed)


def _gone_on(camera: Similarity | None, times: float) -> Similarity:
    """Return a move that goes on for so many times its own time; rest where it is not known."""
    if camera is None:
        return Similarity(0.0, 0.0, 0.0, 0.0)
    return Similarity(camera.x * times, camera.y * times, camera.zoom * times, camera.roll * times)


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
    """Motion, camera and stillness of clips while their source is decoded."""

    version: ClassVar[int] = 5
    Options: ClassVar[type[Options]] = MotionOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "motion_total",
                pa.float64(),
                "diagonal/s",
                "mean optical flow over picture and time; null where no two frames of the clip are compared",
            ),
            column("motion_camera", pa.float64(), "diagonal/s", "of it, what one move of the camera makes"),
            column("motion_object", pa.float64(), "diagonal/s", "mean of what is left: things, parallax"),
            column("camera", pa.string(), "1", "static, pan, tilt, zoom, roll, handheld or mixed; else null"),
            column("shake", pa.float64(), "diagonal/s", "RMS of the unsteady part of the camera's velocity"),
            column(
                "still_score",
                pa.float64(),
                "1",
                "0 a moving scene, 1 a still, moved over or not; null if short",
            ),
            column("moved_still", pa.bool_(), "1", "still_score is at least 0.5"),
        ]
    )

    def __init__(self, options: MotionOptions) -> None:
        self._apart_s = options.apart_s - _ROUNDING_S
        self._cadence = Cadence(options.every_s)
        self._pairs: Track[PairMotion] = Track()
        self._first: tuple[int, float, Plane] | None = None
        self._count = 0
        # Judged when a clip is asked for: a scene is mostly known by its first pair.
        self._stills: Track[StillPair] = Track()
        self._earlier: tuple[int, float, Plane] | None = None
        self._dis: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames; cheap but for the second of a pair."""
        for frame in frames:
            self._take(frame)

    def _take(self, frame: SmallFrame) -> None:
        plane: Plane | None = None
        if self._first is not None:
            index, time_s, first = self._first
            if frame.time_s - time_s < self._apart_s:
                return
            plane = flow_plane(_nearest(frame))
            if plane.shape == first.shape:
                flow: Flow = self._dis.calc(first, plane, None)
                self._pairs.add(index, frame.index, measure_flow(flow, time_s, frame.time_s - time_s, first))
            self._first = None
        if self._cadence.due(frame.time_s):
            plane = flow_plane(_nearest(frame)) if plane is None else plane
            self._first = frame.index, frame.time_s, plane
            self._keep(frame.index, plane, frame.time_s)

    def _keep(self, index: int, plane: Plane, time_s: float) -> None:
        """Of four first frames of pairs, keep the first with the third: half a second, once a second.

        Copied: a frame's plane may keep its neighbours' in memory.
        """
        phase = self._count % 4
        self._count += 1
        if phase == 0:
            self._earlier = index, time_s, plane.copy()
        elif phase == 2 and self._earlier is not None:
            first_index, first_s, first = self._earlier
            if first.shape == plane.shape:
                self._stills.add(first_index, index, StillPair(first_s, time_s, first, plane.copy()))

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the columns over the pairs wholly within the frames."""
        pairs = self._pairs.within(start_frame, end_frame)
        # Of a clip whose size changes on its way, the camera is that of the first size.
        alike = [one for one in pairs if np.array_equal(one.samples.at_2N, pairs[0].samples.at_2N)]
        cameras = fit_camera([pair.samples for pair in alike])
        moves = [(pair.time_s, pair.dt_s, camera) for pair, camera in zip(alike, cameras, strict=True)]
        score = still_score(self._stills.within(start_frame, end_frame), moves)
        return {
            "motion_total": motion_total(pairs),
            **motion_parts(alike, cameras),
            "camera": camera_kind(alike, cameras),
            "still_score": score,
            "moved_still": None if score is None else score >= 0.5,
        }

    def forget(self, before_frame: int) -> None:
        """Drop pairs that begin earlier."""
        self._pairs.forget(before_frame)
        self._stills.forget(before_frame)
