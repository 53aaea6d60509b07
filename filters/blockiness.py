"""The grid that coarse coding leaves in a picture, at full size and at any offset.

Steps between neighbours are gathered by where they lie on a grid of 48 px, which all the usual ones divide:
8 px (MPEG, JPEG, H.264), 12 and 16 (the same, scaled up by 1.5 and 2, or macroblocks). So measures of several
frames can be added up before the grid is looked for, which chance then hardly feigns.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from filters.tiles import GRID_PX, Tiles

__all__ = ["Steps", "blockiness", "grid_steps"]

Steps = npt.NDArray[np.float64]

_PERIODS_PX = (8, 12, 16)
# Levels of 255: a step at a block's edge is small, an object's edge large; and steps that nobody sees.
_LARGE, _UNSEEN = 12.0, 0.5


def grid_steps(tiles: Tiles) -> Steps | None:
    """Return the mean step, in levels of 255, over each column and row of the grid, (2, 48); None of no tile.

    [0, k] is of the steps between columns k - 1 and k, modulo 48; [1, k] of those between rows. A step counts
    as 12 levels at most, so that a few edges of objects don't outweigh the rest.
    """
    samples = tiles.samples_NHW
    count, rows, columns = samples.shape
    if count == 0:
        return None
    most = np.int16(max(1, round(_LARGE / tiles.scale)))
    across = np.minimum(np.abs(samples[:, :, 1:] - samples[:, :, :-1]), most)
    down = np.minimum(np.abs(samples[:, 1:] - samples[:, :-1]), most)
    # Sums of small integers in float64: exact, in any order.
    by_column = cv2.reduce(across.reshape(-1, columns - 1), 0, cv2.REDUCE_SUM, dtype=cv2.CV_64F).ravel()
    by_row = cv2.reduce(down.reshape(-1, columns), 1, cv2.REDUCE_SUM, dtype=cv2.CV_64F)
    by_row = by_row.reshape(count, rows - 1).sum(axis=0)
    return np.stack(
        [
            _folded(by_column) / (count * rows) * tiles.scale,
            _folded(by_row) / (count * columns) * tiles.scale,
        ]
    )


def _folded(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the means by phase; `sums` begin at phase 1, as there is no step before the first line."""
    whole = np.concatenate([[np.nan], sums]).reshape(-1, GRID_PX)
    means: npt.NDArray[np.float64] = np.nanmean(whole, axis=0) if len(whole) > 1 else whole[0]
    return means


def blockiness(frames: Sequence[Steps]) -> float | None:
    """Return by how much steps on the grid exceed those off it; 0 is none, 1 twice as large; None of nothing.

    The largest phase over the median phase of the grid's period, less 1, at the period where that is most;
    the mean of the two directions. After the normalised gradient of Muijs and Kirenko, "A no-reference
    blocking artifact measure for adaptive video processing" (EUSIPCO 2005), which also looks for the grid;
    half a level is added to the median, below which a grid isn't seen.
    """
    if not frames:
        return None
    steps = np.mean(frames, axis=0)
    excess = [max(_excess(direction, period) for period in _PERIODS_PX) for direction in steps]
    return float(np.mean(excess))


def _excess(steps: npt.NDArray[np.float64], period: int) -> float:
    phases = np.nanmean(steps.reshape(-1, period), axis=0)
    usual = float(np.median(phases))
    return (float(phases.max()) - usual) / (usual + _UNSEEN)
