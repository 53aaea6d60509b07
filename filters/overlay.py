"""What is laid over a moving picture and stays where it is: logos, watermarks, banners; and subtitles.

No text is read. From the small planes, so strokes finer than a pixel at 320 px are lost; and of a picture that
doesn't move nothing can be said: the columns are null. Bars are no overlay (see `filters.borders`).

Cost: one frame a second, 0.3 ms; it keeps two bits a pixel of each, 14 kB at 320 x 180.
"""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from curate.frames import SmallFrame
from curate.records import Options, Row
from filters.strokes import Strokes, Verdict, find_strokes, overlay_share, text_bands
from filters.track import Cadence, Track, mean
from shards.schemas import column

__all__ = ["OverlaySignal"]


class OverlayOptions(Options):
    """When overlays are looked for."""

    every_s: float = Field(1.0, gt=0, description="one frame about every so often")


class OverlaySignal:
    """Logos, banners and subtitles of clips while their source is decoded."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = OverlayOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column("overlay_area", pa.float64(), "1", "share of the picture in strokes that stay as it moves"),
            column("subtitle_band", pa.float64(), "1", "share of the time with a line of text at bottom or top"),
        ]
    )

    def __init__(self, options: OverlayOptions) -> None:
        self._cadence = Cadence(options.every_s)
        self._frames: Track[Strokes] = Track()
        self._pairs: Track[Verdict] = Track()
        self._last: tuple[int, Strokes] | None = None

    def push(self, frame: SmallFrame) -> None:
        """Take the next frame; only one every `every_s` is measured."""
        if not self._cadence.due(frame.time_s):
            return
        strokes = find_strokes(frame.luma_HW)
        self._frames.add(frame.index, frame.index, strokes)
        if self._last is not None and self._last[1].shape == strokes.shape:
            self._pairs.add(self._last[0], frame.index, text_bands(self._last[1], strokes))
        self._last = (frame.index, strokes)

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the shares; null where too few frames were measured, or the picture stands still."""
        frames = self._frames.within(start_frame, end_frame)
        told = [float(pair) for pair in self._pairs.within(start_frame, end_frame) if pair is not None]
        one_size = len({frame.shape for frame in frames}) == 1
        return {
            "overlay_area": overlay_share(frames) if one_size else None,
            "subtitle_band": mean(told),
        }

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)
        self._pairs.forget(before_frame)
