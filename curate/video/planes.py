"""A decoded picture made small: planes by halving for the detectors, JPEG for the samples.

The planes are the decoder's own, read in place: converting to RGB at full size costs more than decoding.
Halving by exactly 1/2 costs an eighth of a fractional INTER_AREA. What is not planar YUV or gray (RGB,
palettes, NV12, packed formats) is converted once to full-range 4:4:4 first, which is slow and rare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from curate.frames import NativeLuma, Plane, SmallFrame
from curate.pyramid import Sheet, half
from curate.video.geometry import Orientation

__all__ = ["LUMA_LONG_PX", "Shrinker", "read_plane"]

LUMA_LONG_PX = 320
"""the longest that a small plane may be"""
CHROMA_LONG_PX = 160

_PLANAR = re.compile(
    r"(yuvj?|yuva)(420|422|444|440|411|410)p(9le|10le|12le|14le|16le)?|gray(9le|10le|12le|14le|16le)?"
)
_UPRIGHT = Orientation()
_BT709, _UNSPECIFIED = 1, 2  # AVColorSpace
_Samples = npt.NDArray[Any]  # uint8 or uint16


def read_plane(plane: VideoPlane, wide: bool = False, channels: int = 1) -> _Samples:
    """Return a view of the plane's samples, shape (height, width * channels), without its lines' padding."""
    shape = plane.height, plane.width * channels
    if wide:
        return np.ndarray(shape, np.uint16, memoryview(plane), 0, (plane.line_size, 2))
    return np.ndarray(shape, np.uint8, memoryview(plane), 0, (plane.line_size, 1))


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the planes of one pixel format are read."""

    planar: bool
    bits: int
    chroma: bool
    limited: bool

    @classmethod
    def of(cls, picture: av.VideoFrame) -> _Layout:
        name = picture.format.name
        limited = picture.color_range != ColorRange.JPEG and not name.startswith("yuvj")
        planar = _PLANAR.fullmatch(name) is not None
        bits = picture.format.components[0].bits
        return cls(planar, bits, not name.startswith("gray"), limited)


class Shrinker:
    """Makes small planes and JPEGs of the pictures of one stream."""

    def __init__(self, orientation: Orientation, color_matrix: int = _UNSPECIFIED, together: int = 1) -> None:
        """Take how the stream is shown; frames that are looked at `together` have their planes on sheets."""
        self._orientation = orientation
        self._upright = orientation == _UPRIGHT
        # for RGB that a decoder made out of YUV: the way back
        self._rgb_matrix = Colorspace.ITU709 if color_matrix == _BT709 else Colorspace.ITU601
        self._together = together
        self._sheets: tuple[Sheet, Sheet] | None = None
        self._kind: tuple[str, int, int, int] | None = None
        self._layout = _Layout(False, 8, False, False)
        self._reformatter = VideoReformatter()
        self._latest: tuple[int, av.VideoFrame, _Layout] | None = None

    def small(self, picture: av.VideoFrame, index: int, time_s: float) -> SmallFrame:
        """Return the frame shrunk, turned as it is shown."""
        layout = self._layout_of(picture)
        if not layout.planar:
            picture = self._reformatter.reformat(
                picture,
                format="yuv444p",
                dst_colorspace=self._rgb_matrix,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
            layout = _Layout(True, 8, True, False)
        wide = layout.bits > 8
        planes = [read_plane(plane, wide) for plane in picture.planes[: 3 if layout.chroma else 1]]
        sheets = self._sheets
        if sheets is None or sheets[0].full:
            sheets = self._sheets = self._new_sheets([plane.shape for plane in planes])
        luma, chroma = sheets[0].place(), sheets[1].place()
        self._lay(planes[0], layout, LUMA_LONG_PX, luma)
        if layout.chroma:
            rows = len(chroma) // 2
            self._lay(planes[1], layout, CHROMA_LONG_PX, chroma[:rows])
            self._lay(planes[2], layout, CHROMA_LONG_PX, chroma[rows:])
        else:
            chroma[:] = 128
        # The frame gets no hold of the picture: detectors keep frames, and would keep full-size memory too.
        self._latest = (index, picture, layout)
        native = partial(self._native, index)
        return SmallFrame.of_stack(
            index, time_s, luma, chroma, limited=layout.limited, native=native, sheets=sheets
        )

    def _new_sheets(self, sizes: Sequence[tuple[int, ...]]) -> tuple[Sheet, Sheet]:
        """Return empty sheets for luma and chroma, given the (height, width) of the picture's planes."""
        luma = _small(sizes[0], LUMA_LONG_PX)
        chroma = _small(sizes[1], CHROMA_LONG_PX) if len(sizes) > 1 else _small(luma, max(luma) // 2 or 1)
        if self._orientation.transpose:
            luma, chroma = luma[::-1], chroma[::-1]
        return Sheet(self._together, *luma), Sheet(self._together, 2 * chroma[0], chroma[1])

    def _lay(self, samples: _Samples, layout: _Layout, long_px: int, place: Plane) -> None:
        """Halve samples until their long side is at most `long_px`; leave them, turned, in eight bit."""
        straight = self._upright and layout.bits == 8
        left_px = max(samples.shape)
        while left_px > long_px:
            left_px >>= 1
            if straight and left_px <= long_px:
                half(samples, out=place)
                return
            samples = half(samples)
        place[:] = self._orientation.apply(_eight_bit(samples, layout))

    def jpeg(self, picture: av.VideoFrame, width_px: int, height_px: int, quality: int) -> bytes:
        """Return a JPEG of the given display size: oriented, square pixels, full-range BT.601 (JFIF)."""
        if self._orientation.transpose:
            width_px, height_px = height_px, width_px
        small = self._reformatter.reformat(
            picture,
            width=width_px,
            height=height_px,
            format="bgr24",
            src_colorspace=_matrix(picture),
            interpolation=Interpolation.AREA,
            threads=1,
        )
        image = read_plane(small.planes[0], channels=3).reshape(height_px, width_px, 3)
        done, data = cv2.imencode(".jpg", self._orientation.apply(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise RuntimeError(f"OpenCV wrote no JPEG of {width_px}x{height_px} px")
        return bytes(data)

    def _native(self, index: int) -> NativeLuma:
        """Return the full-size luma of the frame last made small."""
        if self._latest is None or self._latest[0] != index:
            raise RuntimeError(f"the full-size luma of frame {index} is gone: ask while the frame is pushed")
        _, picture, layout = self._latest
        samples = read_plane(picture.planes[0], layout.bits > 8)
        step = 2.0 ** (layout.bits - 8)
        if layout.limited:
            return NativeLuma(samples, 255 / 219 / step, 16 * step)
        return NativeLuma(samples, 1 / step, 0.0)

    def _layout_of(self, picture: av.VideoFrame) -> _Layout:
        kind = picture.format.name, picture.color_range, picture.width, picture.height
        if kind != self._kind:
            self._kind, self._layout, self._sheets = kind, _Layout.of(picture), None
        return self._layout


def _matrix(picture: av.VideoFrame) -> Colorspace | None:
    """Return the colour matrix to assume: the picture's own, else by its size, as players do."""
    if picture.colorspace != _UNSPECIFIED or picture.format.is_rgb:
        return None
    return Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601


def _eight_bit(samples: _Samples, layout: _Layout) -> Plane:
    return cv2.convertScaleAbs(samples, alpha=2.0 ** (8 - layout.bits)) if layout.bits > 8 else samples


def _small(size: tuple[int, ...], long_px: int) -> tuple[int, int]:
    """Return (height, width) halved until the longer is at most `long_px`."""
    height, width = size
    while max(height, width) > long_px:
        height, width = height >> 1 or 1, width >> 1 or 1
    return height, width
