"""A few tiles of a frame at the decoder's own resolution, for what shrinking hides.

Tiles lie in the middles of a grid of two rows and three columns, fewer where they would overlap: off the
edges, where bars, logos and subtitles stand. What is done with them is in 16-bit integers: quick, and no
result depends on where in memory an array lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.frames import NativeLuma

__all__ = ["GRID_PX", "Samples", "Tiles", "as_samples", "cut_tiles", "lively_tiles"]

Samples = npt.NDArray[np.int16]

GRID_PX = 48
"""tiles begin at multiples of it, so that all of them see grids of 8, 12, 16 and 24 px at one phase"""
_TILE_PX = 3 * GRID_PX
_ROWS, _COLUMNS = 2, 3
# Levels of 255 at which black and white are clipped, and what share of a tile may be.
_BLACK, _WHITE = 4, 251
_CLIPPED = 0.5
# A Laplacian of 12-bit samples still fits 16 bits.
_MOST_LEVELS = 4096


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles of one picture."""

    samples_NHW: Samples
    scale: float
    """levels of 255 that one step of a sample is worth"""


def as_samples(native: NativeLuma, part: Any) -> tuple[Samples, float]:
    """Return the part of a picture as int16 and its scale; what has more than 12 bits loses the lowest."""
    shift = max(0, round(np.log2(256 / (native.scale * _MOST_LEVELS) + 1e-9))) if part.itemsize > 1 else 0
    samples = (part >> shift if shift else part).astype(np.int16)
    return samples, native.scale * 2**shift


def _starts(length_px: int, tile_px: int, most: int) -> list[int]:
    count = max(1, min(most, length_px // tile_px))
    middles = [(2 * n + 1) * length_px // (2 * count) for n in range(count)]
    return [max(0, middle - tile_px // 2) // GRID_PX * GRID_PX for middle in middles]


def cut_tiles(samples_HW: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return copies of up to six tiles, shape (N, H, W); none of a picture below 48 px a side.

    Sides are 144 px, or the largest multiple of 48 px that fits a smaller picture.
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
    """Return the tiles that show something: at most half black or burnt out."""
    tiles = cut_tiles(native.samples_HW)
    low, high = (native.black + level / native.scale for level in (_BLACK, _WHITE))
    lively = [
        tile
        for tile in tiles
        if np.count_nonzero(tile <= low) + np.count_nonzero(tile >= high) <= _CLIPPED * tile.size
    ]
    return Tiles(*as_samples(native, np.stack(lively) if lively else tiles[:0]))
