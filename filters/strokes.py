"""Upright strokes of a picture, and where they stay while the picture around them moves.

Text, logos and banners are full of upright strokes. Those of a scene stay too where the camera does: so what
stays counts only where most of the cells around it change, and is left open where they don't. Cells are
squares of a fortieth of the long side. Cost: a pair of small planes 0.2 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane

__all__ = ["Strokes", "Verdict", "find_strokes", "overlay_share", "text_bands"]

Mask = npt.NDArray[np.uint8]
"""0 and 1"""
Verdict = bool | None
"""None: the picture around it doesn't move, so it can't be told"""

# Levels of 255 between the pixels on both sides of a stroke's edge.
_EDGE = 24
_CELLS = 40
# Levels by which a cell's mean changes where something moves, and the share of the cells around that must.
_CHANGE, _AROUND = 4, 0.6
# The share of the frames in which a lasting stroke may be missing: white on white.
_DROWNED = 0.2
# An overlay's cell is a tenth strokes. A line over more of the height than this is an edge of a bar or frame.
_CELL_STROKES, _LINE = 0.1, 0.6
# Text: the share of a window that is strokes, the window's sides in cells, the share of the width it fills,
# and where it lies.
_DENSITY, _WINDOW = 0.07, (3, 0.6)
_TEXT_WIDTH = 0.15
_BOTTOM, _TOP = 0.36, 0.25


@dataclass(frozen=True, slots=True)
class Strokes:
    """Where luma rises and falls to the right, a bit a pixel; and the mean luma of each cell."""

    bits: npt.NDArray[np.uint8]
    shape: tuple[int, int]
    cells: Plane

    def masks(self) -> Mask:
        """Return rising and falling edges, shape (2, H, W)."""
        height, width = self.shape
        return np.unpackbits(self.bits, count=2 * height * width).reshape(2, height, width)


def find_strokes(luma_HW: Plane) -> Strokes:
    """Return where luma changes by 24 levels or more over two pixels."""
    height, width = luma_HW.shape
    edges = np.zeros((2, height, width), bool)
    if width > 2:
        left, right = luma_HW[:, :-2], luma_HW[:, 2:]
        edges[0, :, 1:-1] = cv2.subtract(right, left) >= _EDGE
        edges[1, :, 1:-1] = cv2.subtract(left, right) >= _EDGE
    side = _cell_px(luma_HW.shape)
    size = (max(1, width // side), max(1, height // side))
    cells = cv2.resize(luma_HW[: size[1] * side, : size[0] * side], size, interpolation=cv2.INTER_AREA)
    return Strokes(np.packbits(edges), (height, width), np.asarray(cells))


def overlay_share(frames: Sequence[Strokes]) -> float | None:
    """Return the share of the picture in cells of strokes that last while all around them moves, 0 to 1.

    `frames` are of one size. None of fewer than four, and where strokes last in a picture that stands still.
    Overlays found as what a temporal minimum of the gradient leaves: Dekel, Rubinstein, Liu and Freeman, "On
    the Effectiveness of Visible Watermarks" (CVPR 2017), who take the median over many pictures; here signed
    edges that at least four fifths of the frames share.
    """
    if len(frames) < 4:
        return None
    counts = np.zeros((2, *frames[0].shape), np.uint16)
    for frame in frames:
        counts += frame.masks()
    lasting = (counts >= np.ceil((1 - _DROWNED) * len(frames))).astype(np.uint8)
    lasting[:, :, lasting.mean(axis=1).max(axis=0) > _LINE] = 0
    cells = _cell_means(lasting.max(axis=0), frames[0]) >= _CELL_STROKES
    means = np.stack([frame.cells for frame in frames])
    # A cell moves where its mean differs in more than a frame or two.
    spread = np.percentile(means, 90, axis=0) - np.percentile(means, 10, axis=0)
    found, open_ = 0, 0
    for part in _parts(cells):
        if _changes_around(part, cells, spread >= 2 * _CHANGE):
            found += int(part.sum())
        else:
            open_ += int(part.sum())
    if open_ > found and np.mean(spread[~cells] >= 2 * _CHANGE if not cells.all() else 0) < _AROUND:
        return None
    return found / cells.size


def text_bands(before: Strokes, after: Strokes) -> Verdict:
    """Return whether a line of text stands at the bottom or the top of both frames while the picture moves.

    A line of text is where windows of three cells by half a cell are dense with rising and falling edges alike
    that stay, over a seventh of the width, in the lowest 36 or the uppermost 25 % of the height. Density of
    horizontal gradients as the mark of text: Wolf and Jolion, "Extraction and recognition of artificial text in
    multimedia documents" (Pattern Analysis and Applications 6, 2003).
    """
    height, width = before.shape
    side = _cell_px(before.shape)
    window = (round(_WINDOW[0] * side) | 1, round(_WINDOW[1] * side) | 1)
    stay = before.masks() & after.masks()
    stay[:, int(_TOP * height) : int((1 - _BOTTOM) * height)] = 0
    dense = [
        cv2.boxFilter(plane, cv2.CV_16U, window, normalize=False) >= _DENSITY * window[0] * window[1]
        for plane in stay
    ]
    text = (dense[0] & dense[1]).astype(np.uint8)
    rows = text.sum(axis=1) >= _TEXT_WIDTH * width
    if np.count_nonzero(rows) < max(2, side // 3):
        return False
    text[~rows] = 0
    cells = _cell_means(text, before) > 0.25
    return True if _changes_around(cells, cells, cv2.absdiff(before.cells, after.cells) >= _CHANGE) else None


def _cell_px(shape: tuple[int, ...]) -> int:
    return max(2, round(max(shape) / _CELLS))


def _cell_means(mask_HW: Mask, like: Strokes) -> npt.NDArray[np.float64]:
    side = _cell_px(like.shape)
    rows, columns = like.cells.shape
    whole = mask_HW[: rows * side, : columns * side]
    means: npt.NDArray[np.float64] = whole.reshape(rows, -1, columns, whole.shape[1] // columns).mean(axis=(1, 3))
    return means


def _parts(cells: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    """Return the connected parts of a mask of cells."""
    count, labels = cv2.connectedComponents(cells.astype(np.uint8), connectivity=8)
    return [np.asarray(labels == label) for label in range(1, count)]


def _changes_around(
    part: npt.NDArray[np.bool_], taken: npt.NDArray[np.bool_], changes: npt.NDArray[np.bool_]
) -> bool:
    """Return whether most of the cells that surround a part, two deep, change."""
    grown = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    around = changes[grown & ~taken]
    return bool(around.size and around.mean() >= _AROUND)
