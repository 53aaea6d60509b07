"""A clip's mean picture in 32 x 32 blocks: what says whether one clip is a crop of another, and which.

The 8 x 8 blocks of a trace are too coarse to tell a crop by: of a crop to 90 % they explain hardly more
through the right window than without. At 32 x 32 the right window leaves an eighth of what the whole leaves
unexplained, and the mean pictures of two scenes don't fit through any.

Cost: a copy of one small plane four times a second, and 1 kB a clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from curate.frames import Plane

__all__ = ["SIDE", "block_sums", "correlated", "portrait"]

SIDE: Final = 32
_PARTS: Final = 16
_LEAST_PX: Final = 2
"""of a side, for every block to have a part of a pixel: strips are that thin after halving"""


@cache
def _shares(size_px: int, blocks: int) -> npt.NDArray[np.float32]:
    """Return (blocks, pixels) how many sixteenths of each pixel lie in each of equal parts of a line."""
    edges = np.rint(np.arange(blocks + 1) * (size_px * _PARTS / blocks))
    pixels = np.arange(size_px) * _PARTS
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + _PARTS)
    shares: npt.NDArray[np.float32] = np.maximum(high - low, 0).astype(np.float32)
    return shares


@cache
def block_sums(height: int, width: int, blocks: int) -> tuple[npt.NDArray[np.float32], ...]:
    """Return (blocks, height), (width, blocks), and the areas (blocks, blocks) of what the two sum up.

    Of planes whose sides have at least a sixteenth of a pixel a block.
    """
    rows, columns = _shares(height, blocks), _shares(width, blocks)
    return rows, columns.T.copy(), np.outer(rows.sum(1), columns.sum(1)).astype(np.float32)


def portrait(planes_hw: Sequence[Plane]) -> npt.NDArray[np.uint8]:
    """Return the mean (1024,) of planes in 32 x 32 equal blocks, row by row, in levels.

    Planes may differ in size. The sums are of whole numbers, exact in float64.
    """
    sums: dict[tuple[int, ...], npt.NDArray[np.int64]] = {}
    for given in planes_hw:
        plane = given
        for axis in (0, 1):
            if plane.shape[axis] < _LEAST_PX:
                plane = np.repeat(plane, _LEAST_PX, axis)
        if plane.shape in sums:
            sums[plane.shape] += plane
        else:
            sums[plane.shape] = plane.astype(np.int64)
    total = np.zeros((SIDE, SIDE))
    for shape, plane_sum in sums.items():
        rows, columns, areas = (part.astype(np.float64) for part in block_sums(*shape, SIDE))
        total += rows @ plane_sum @ columns / areas
    mean: npt.NDArray[np.uint8] = np.rint(total / len(planes_hw)).astype(np.uint8).ravel()
    return mean


def correlated(a_N: npt.NDArray[np.uint8], b_N: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the correlation of each two pictures (N, ...) of at most 1024 blocks; 0 where one is plain."""
    a, b = (x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float32) for x in (a_N, b_N))
    blocks = a.shape[1]
    sum_a, sum_b = a.sum(1, dtype=np.float64), b.sum(1, dtype=np.float64)
    # Of whole numbers: sums of products in float64 are exact.
    both, own_a, own_b = (np.einsum("nk,nk->n", x, y, dtype=np.float64) for x, y in ((a, b), (a, a), (b, b)))
    own = np.sqrt((blocks * own_a - sum_a * sum_a) * (blocks * own_b - sum_b * sum_b))
    like: npt.NDArray[np.float64] = (blocks * both - sum_a * sum_b) / np.maximum(own, 1e-9)
    return like
