"""What is laid over a moving picture and stays where it is: logos, watermarks, banners; and subtitles.

No text is read. From the small planes, so strokes finer than a pixel at 320 px are lost; and of a picture
that doesn't move nothing can be said: the columns are null. Bars are no overlay (see `filters.borders`).

Cost: two frames every 2.5 s, 0.7 % of a bare decode, and as much for the summaries; it keeps two bits a pixel
of each, 14 kB at 320 x 180.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from curate.frames import SmallFrame
from curate.records import Options, Row
from filters.strokes import Strokes, find_strokes, has_text, moving_cells, overlay_share
from filters.track import Cadence, Track, mean
from shards.schemas import column

__all__ = ["OverlaySignal"]


_PAIR_S = 0.5


class OverlayOptions(Options):
    """When overlays are looked for."""

    every_s: float = Field(2.5, gt=1, description="two frames, half a second apart, about every so often")


class OverlaySignal:
    """Logos, banners and subtitles of clips while their source is decoded."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = OverlayOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "overlay_area", pa.float64(), "1", "share of the picture in strokes that stay as it moves"
            ),
            column(
                "subtitle_band", pa.float64(), "1", "share of the time with a line of text at bottom or top"
            ),
        ]
    )

    def __init__(self, options: OverlayOptions) -> None:
        self._cadence = Cadence(options.every_s)
        self._frames: Track[tuple[bool, Strokes]] = Track()
        self._second_s: float | None = None

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames; measured is one every `every_s`, and the one half a second later."""
        for frame in frames:
            first = self._cadence.due(frame.time_s)
            if first:
                self._second_s = frame.time_s + _PAIR_S
            elif self._second_s is None or frame.time_s < self._second_s - 1e-5:
                continue
            else:
                self._second_s = None
            self._frames.add(frame.index, frame.index, (first, find_strokes(frame.luma_HW)))

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the shares; null where too few frames were measured, or the picture stands still."""
        entries = self._frames.within(start_frame, end_frame)
        frames = [frame for _, frame in entries]
        if len({frame.shape for frame in frames}) != 1:
            return {"overlay_area": None, "subtitle_band": None}
        pairs = [
            (before, after) for (first, before), (again, after) in pairwise(entries) if first and not again
        ]
        texts = [has_text(pairs, index) for index in range(len(pairs))]
        return {
            "overlay_area": overlay_share(frames, moving_cells(frames)),
            "subtitle_band": mean([float(text) for text in texts if text is not None]),
        }

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)
