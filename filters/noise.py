"""Noise of the luma at full size: what is left of the flattest parts when their structure is taken away."""

from __future__ import annotations

import math

import cv2
import numpy as np

from filters.tiles import Tiles

__all__ = ["noise_sigma"]

_BLOCK_PX = 8
# The share of the blocks that hold little but noise in nearly any picture.
_FLAT = 0.2
_SECOND_STEP = np.array([1, -2, 1], np.float32)


def noise_sigma(tiles: Tiles) -> float | None:
    """Return the standard deviation of the noise, in levels of 255; None of no tile.

    Immerkær, "Fast Noise Variance Estimation" (CVIU 64, 1996): the mean absolute response to the mask
    (1 -2 1; -2 4 -2; 1 -2 1), times sqrt(pi / 2) / 6, blind to planes and straight edges along the axes. Here
    of blocks of 8 x 8 px, of which the 20th percentile is taken: texture fills the others. A picture of
    leaves alone has a "noise" of about 1. A tenth too low for white noise, by the percentile; noise that a
    codec or scaler has smeared over neighbours counts less than it is, and so does any above 30.
    """
    count, rows, columns = tiles.samples_NHW.shape
    if count == 0:
        return None
    tall = tiles.samples_NHW.reshape(-1, columns)
    response = cv2.sepFilter2D(tall, cv2.CV_16S, _SECOND_STEP, _SECOND_STEP)
    # Saturates at 255: flat blocks are far below.
    size = cv2.convertScaleAbs(response)
    sums = cv2.boxFilter(size, cv2.CV_16U, (_BLOCK_PX, _BLOCK_PX), anchor=(0, 0), normalize=False)
    by_tile = np.asarray(sums).reshape(count, rows, columns)
    blocks = by_tile[:, 1 : rows - _BLOCK_PX : _BLOCK_PX, 1 : columns - _BLOCK_PX : _BLOCK_PX].ravel()
    rank = int(_FLAT * blocks.size)
    flat = float(np.partition(blocks, rank)[rank])
    return math.sqrt(math.pi / 2) / 6 * flat / _BLOCK_PX**2 * tiles.scale
