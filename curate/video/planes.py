"""A decoded picture made small: planes by halving for the detectors, JPEG for the samples.

The planes are the decoder's own, read in place: converting to RGB at full size costs more than decoding.
Halving by exactly 1/2 costs an eighth of a fractional INTER_AREA. What is not planar YUV or gray (RGB,
palettes, NV12, packed formats) is converted once to full-range 4:4:4 first, which is slow and rare.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from curate.frames import NativeLuma, Plane, SmallFrame, half, halve
from curate.video.geometry import Orientation

__all__ = ["Shrinker", "read_plane"]

LUMA_LONG_PX = 320
CHROMA_LONG_PX = 160

_PLANAR = re.compile(
    r"(yuvj?|yuva)(420|422|444|440|411|410)p(9le|10le|12le|14le|16le)?|gray(9le|10le|12le|14le|16le)?"
)
_UPRIGHT = Orientation()
_BT709, _UNSPECIFIED = 1, 2  # AVColorSpace
_Samples = npt.NDArray[Any]  # uint8 or uint16


def read_plane(plane: VideoPlane, width: int, height: int, wide: bool) -> _Samples:
    """Return a view of the plane's samples, shape (height, width), without the padding of its lines."""
    if wide:
        return np.ndarray((height, width), np.uint16, memoryview(plane), 0, (plane.line_size, 2))
    return np.ndarray((height, width), np.uint8, memoryview(plane), 0, (plane.line_size, 1))


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

    def __init__(self, orientation: Orientation, color_matrix: int = _UNSPECIFIED) -> None:
        self._orientation = orientation
        # for RGB that a decoder made out of YUV: the way back
        self._rgb_matrix = Colorspace.ITU709 if color_matrix == _BT709 else Colorspace.ITU601
        self._format = ""
        self._range = -1
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
        stored = picture.planes
        luma = _eight_bit(halve(_samples(stored[0], layout), LUMA_LONG_PX), layout)
        if layout.chroma:
            chroma = _eight_bit(_stacked(*(_samples(plane, layout) for plane in stored[1:3])), layout)
        else:
            height, width = (max(1, side // 2) for side in luma.shape)
            chroma = np.full((2 * height, width), 128, np.uint8)
        if luma.base is not None:
            # What was not halved is still the decoder's memory, which the next frame will use.
            luma = luma.copy()
        if self._orientation != _UPRIGHT:
            luma = self._orientation.apply(luma)
            chroma = np.concatenate([self._orientation.apply(plane) for plane in np.split(chroma, 2)])
        # The frame gets no hold of the picture: detectors keep frames, and would keep full-size memory too.
        self._latest = (index, picture, layout)
        native = partial(self._native, index)
        return SmallFrame.of_stack(index, time_s, luma, chroma, limited=layout.limited, native=native)

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
        image = read_plane(small.planes[0], width_px * 3, height_px, False).reshape(height_px, width_px, 3)
        done, data = cv2.imencode(".jpg", self._orientation.apply(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise RuntimeError(f"OpenCV wrote no JPEG of {width_px}x{height_px} px")
        return bytes(data)

    def _native(self, index: int) -> NativeLuma:
        """Return the full-size luma of the frame last made small."""
        if self._latest is None or self._latest[0] != index:
            raise RuntimeError(f"the full-size luma of frame {index} is gone: ask while the frame is pushed")
        _, picture, layout = self._latest
        plane = picture.planes[0]
        samples = read_plane(plane, plane.width, plane.height, layout.bits > 8)
        step = 2.0 ** (layout.bits - 8)
        if layout.limited:
            return NativeLuma(samples, 255 / 219 / step, 16 * step)
        return NativeLuma(samples, 1 / step, 0.0)

    def _layout_of(self, picture: av.VideoFrame) -> _Layout:
        name, color_range = picture.format.name, picture.color_range
        if name != self._format or color_range != self._range:
            self._format, self._range = name, color_range
            self._layout = _Layout.of(picture)
        return self._layout


def _matrix(picture: av.VideoFrame) -> Colorspace | None:
    """Return the colour matrix to assume: the picture's own, else by its size, as players do."""
    if picture.colorspace != _UNSPECIFIED or picture.format.is_rgb:
        return None
    return Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601


def _samples(plane: VideoPlane, layout: _Layout) -> _Samples:
    return read_plane(plane, plane.width, plane.height, layout.bits > 8)


def _eight_bit(samples: _Samples, layout: _Layout) -> Plane:
    return cv2.convertScaleAbs(samples, alpha=2.0 ** (8 - layout.bits)) if layout.bits > 8 else samples


def _stacked(u: _Samples, v: _Samples) -> _Samples:
    """Return both planes halved until their long side is at most 160 px, u over v."""
    long_px = max(u.shape)
    while long_px >> 1 > CHROMA_LONG_PX:
        u, v, long_px = half(u), half(v), long_px >> 1
    if long_px <= CHROMA_LONG_PX:
        return np.concatenate((u, v))
    height, width = (side >> 1 or 1 for side in u.shape)
    stack = np.empty((2 * height, width), u.dtype)
    half(u, out=stack[:height])
    half(v, out=stack[height:])
    return stack
