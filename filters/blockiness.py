"""The grid that coarse coding leaves in a picture, at full size and at any offset.

Grids looked for are of 8 px (MPEG, JPEG, H.264), 12 and 16 (the same, scaled up by 1.5 and 2, or
macroblocks). Tiles begin at multiples of these, so that steps between neighbours can be added up over tiles
and frames before a grid is looked for, which chance then hardly feigns.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from filters.tiles import Tiles

__all__ = ["Steps", "blockiness", "grid_steps"]

Steps = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

_PERIODS_PX = (8, 12, 16)
# Levels of 255: a step at a block's edge is small, an object's edge large; and steps that nobody sees.
_LARGE, _UNSEEN = 12.0, 0.5


def grid_steps(tiles: Tiles) -> Steps | None:
    """Return the mean step from column to column and from row to row, in levels of 255; None of no tile.

    Element [0][k] is of the steps from column k to k + 1 of the tiles, [1][k] from row to row. A step counts
    as 12 levels at most, so that a few edges of objects don't outweigh the rest.
    """
    samples = tiles.samples_NHW
    count, rows, columns = samples.shape
    if count == 0:
        return None
    most = max(1, round(_LARGE / tiles.scale))
    tall = samples.reshape(-1, columns)
    across = cv2.min(cv2.absdiff(tall[:, 1:], tall[:, :-1]), most)
    down = cv2.min(cv2.absdiff(tall[1:], tall[:-1]), most)
    by_column = cv2.reduce(across, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    sums = cv2.reduce(down, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    # The last step of each tile leads into the next one.
    by_row = np.append(sums, 0).reshape(count, rows).sum(axis=0)[:-1]
    return by_column * (tiles.scale / (count * rows)), by_row * (tiles.scale / (count * columns))


def blockiness(frames: Sequence[Steps]) -> float | None:
    """Return by how much steps on the grid exceed those off it; 0 is none, 1 twice as large; None of nothing.

    The largest phase over the median phase of the grid's period, less 1, at the period where that is most;
    the mean of the two directions. After the normalised gradient of Muijs and Kirenko, "A no-reference
    blocking artifact measure for adaptive video processing" (EUSIPCO 2005), which also looks for the grid;
    half a level is added to the median, below which a grid isn't seen.
    """
    if not frames:
        return None
    excesses: list[float] = []
    for axis in (0, 1):
        steps = np.mean([frame[axis] for frame in frames], axis=0)
        excesses.append(max(_excess(steps, period) for period in _PERIODS_PX))
    return sum(excesses) / 2


def _excess(steps: npt.NDArray[np.float64], period: int) -> float:
    # No step leads to a tile's first line.
    rows = np.concatenate([[0.0], steps]).reshape(-1, period)
    counts = np.full(period, len(rows))
    counts[0] -= 1
    if not counts[0]:
        rows, counts = rows[:, 1:], counts[1:]
    phases = np.sort(rows.sum(axis=0) / counts)
    middle = len(phases) // 2
    usual = float(phases[middle] + phases[~middle]) / 2
    return (float(phases[-1]) - usual) / (usual + _UNSEEN)
