"""Black frames, and black bars around the picture, from a few frames a second.

A bar is a strip along an edge that is black in every frame measured, and ends in a straight line: a dark
scene has dark edges too, but no such line. Bars come in pairs: what is counted is twice the thinner one, so
that a dark floor is no bar. Rows and columns are those of the stored picture; in a source that is shown
turned by 90 degrees, `letterbox_share` is of the bars at its left and right. Subtitles and a logo may stand
in a bar.

Cost: 0.06 ms a frame measured, two a second; it keeps a row and a column of bytes of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from curate.frames import Plane, SmallFrame
from curate.records import Options, Row
from filters.track import Cadence, Track
from shards.schemas import column

__all__ = ["BordersSignal", "bars_share", "is_black", "line_profile"]

Profile = npt.NDArray[np.uint8]

# Of 255, after the stretch of limited range: what encoders leave of black.
_BLACK = 24
# A frame is black although this share of it (a logo, noise) is not.
_BLACK_EXCEPT = 0.005
# Shares of the fullest line's lit pixels: what subtitles or a logo light of a line in a bar; and what the
# picture lights of its outermost lines, which may be soft over 2 % of the picture (scaling, compression).
_TEXT, _STRAIGHT = 0.2, 0.6
_SOFT = 0.02


def is_black(luma_HW: Plane) -> bool:
    """Return whether at most 0.5 % of the picture is brighter than 24 of 255."""
    return bool(np.count_nonzero(luma_HW > _BLACK) <= _BLACK_EXCEPT * luma_HW.size)


def line_profile(luma_HW: Plane, axis: int) -> Profile:
    """Return the share, times 255, of each row's (`axis` 0) or column's (1) pixels that are not black."""
    _, lit_HW = cv2.threshold(luma_HW, _BLACK, 255, cv2.THRESH_BINARY)
    profile: Profile = cv2.reduce(lit_HW, 1 - axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel().astype(np.uint8)
    return profile


def bars_share(profiles: list[Profile]) -> float:
    """Return the share of the lines that lies in a pair of black bars, 0 to 1; 0 where all is black.

    `profiles` are of the rows, or of the columns, of one or more frames of one size.
    """
    lit = np.max(profiles, axis=0) / 255
    inside = np.flatnonzero(lit > _TEXT * lit.max())
    if inside.size == 0:
        return 0.0
    first, last = int(inside[0]), int(inside[-1])
    soft = max(2, round(_SOFT * lit.size))
    edges = lit[first : first + soft + 1].max(), lit[max(0, last - soft) : last + 1].max()
    if min(edges) < _STRAIGHT * lit.max():
        return 0.0
    return float(2 * min(first, lit.size - 1 - last) / lit.size)


class BordersOptions(Options):
    """When borders are looked for."""

    every_s: float = Field(0.8, gt=0, description="one frame about every so often")


class BordersSignal:
    """Black frames and bars of clips while their source is decoded."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = BordersOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column("black_share", pa.float64(), "1", "share of the frames measured that are all black"),
            column("letterbox_share", pa.float64(), "1", "share of the height in black bars"),
            column("pillarbox_share", pa.float64(), "1", "share of the width in black bars"),
        ]
    )

    def __init__(self, options: BordersOptions) -> None:
        self._cadence = Cadence(options.every_s)
        self._frames: Track[tuple[Profile, Profile] | None] = Track()

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames; only one every `every_s` is measured."""
        for frame in self._cadence.among(frames):
            luma = frame.luma_HW
            lines = None if is_black(luma) else (line_profile(luma, 0), line_profile(luma, 1))
            self._frames.add(frame.index, frame.index, lines)

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the shares over the frames measured; null where none was; bars also where all are black."""
        frames = self._frames.within(start_frame, end_frame)
        seen = [lines for lines in frames if lines is not None]
        shape = {(rows.size, columns.size) for rows, columns in seen}
        # A source that changes its size within a shot has no edge to speak of.
        bars = len(shape) == 1
        return {
            "black_share": (len(frames) - len(seen)) / len(frames) if frames else None,
            "letterbox_share": bars_share([rows for rows, _ in seen]) if bars else None,
            "pillarbox_share": bars_share([columns for _, columns in seen]) if bars else None,
        }

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)
