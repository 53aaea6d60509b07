"""A few tiles of a frame at the decoder's own resolution, for what shrinking hides.

Tiles lie in the middles of a grid of two rows and three columns, fewer where they would overlap: off the
edges, where bars, logos and subtitles stand. They are of 8 bits whatever the source has: what these
measures look for is visible. Cost: reading 55,000 samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import NativeLuma, Plane

__all__ = ["GRID_PX", "Tiles", "as_bytes", "cut_tiles", "lively_tiles"]

GRID_PX = 48
"""tiles begin at multiples of it, so that all of them see grids of 8, 12, 16 and 24 px at one phase"""
_TILE_PX = 2 * GRID_PX
_ROWS, _COLUMNS = 2, 3
# Levels of 255 up to which and from which a tile's mean is black or burnt out.
_BLACK, _WHITE = 4, 251


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles of one picture, in the range in which they are stored."""

    samples_NHW: npt.NDArray[np.uint8]
    scale: float
    """levels of 255 that one step of a sample is worth"""
    contrasts: list[float]
    """standard deviation of each, in levels of 255"""


def as_bytes(native: NativeLuma, part_HW: npt.NDArray[Any]) -> tuple[Plane, float]:
    """Return a part of the picture in 8 bits, not stretched, and the levels of 255 that a step is worth."""
    if part_HW.dtype == np.uint8:
        return np.ascontiguousarray(part_HW), native.scale
    step = 16 / native.black if native.black else native.scale
    return np.asarray(cv2.convertScaleAbs(part_HW, alpha=step)), native.scale / step


def _starts(length_px: int, tile_px: int, most: int) -> list[int]:
    count = max(1, min(most, length_px // tile_px))
    middles = [(2 * n + 1) * length_px // (2 * count) for n in range(count)]
    return [max(0, middle - tile_px // 2) // GRID_PX * GRID_PX for middle in middles]


def cut_tiles(samples_HW: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return copies of up to six tiles, one below the other; none of a picture below 48 px a side.

    Shape (N, H, W), sides of 96 px; 48 px where the picture's side is below 96 px.
    """
    height, width = samples_HW.shape
    rows, columns = (min(_TILE_PX, side // GRID_PX * GRID_PX) for side in (height, width))
    if not rows or not columns:
        return np.empty((0, rows, columns), samples_HW.dtype)
    return np.stack(
        [
            samples_HW[top : top + rows, left : left + columns]
            for top in _starts(height, rows, _ROWS)
            for left in _starts(width, columns, _COLUMNS)
        ]
    )


def lively_tiles(native: NativeLuma) -> Tiles:
    """Return the tiles that show something: neither black nor burnt out."""
    tiles = cut_tiles(native.samples_HW)
    count, rows, columns = tiles.shape
    if count == 0:
        return Tiles(tiles.astype(np.uint8), native.scale, [])
    samples, scale = as_bytes(native, tiles.reshape(-1, columns))
    samples_NHW = samples.reshape(count, rows, columns)
    black = 16 if native.black else 0
    low, high = black + _BLACK / scale, black + _WHITE / scale
    moments = [cv2.meanStdDev(tile) for tile in samples_NHW]
    lively = [low < float(mean[0, 0]) < high for mean, _ in moments]
    contrasts = [float(deviation[0, 0]) * scale for _, deviation in moments]
    if not all(lively):
        samples_NHW = samples_NHW[lively]
        contrasts = [contrast for contrast, shown in zip(contrasts, lively, strict=True) if shown]
    return Tiles(samples_NHW, scale, contrasts)
