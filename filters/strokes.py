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

__all__ = ["Cells", "Strokes", "Verdict", "find_strokes", "has_text", "moving_cells", "overlay_share"]

Cells = npt.NDArray[np.bool_]
Verdict = bool | None
"""None: the picture around it doesn't move, so it can't be told"""

# Levels of 255 between the pixels on both sides of a stroke's edge.
_EDGE = 24
_CELLS = 40
# Levels by which a cell's mean changes where something moves, and the share of the cells around that must.
_CHANGE, _AROUND = 8, 0.6
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
    """shape (2, H, W / 8): rising and falling"""
    shape: tuple[int, int]
    cells: Plane


def find_strokes(luma_HW: Plane) -> Strokes:
    """Return where luma changes by 24 levels or more over two pixels."""
    height, width = luma_HW.shape
    edges = np.zeros((2, height, width), bool)
    if width > 2:
        left, right = luma_HW[:, :-2], luma_HW[:, 2:]
        np.greater_equal(cv2.subtract(right, left), _EDGE, out=edges[0, :, 1:-1])
        np.greater_equal(cv2.subtract(left, right), _EDGE, out=edges[1, :, 1:-1])
    side = _cell_px(luma_HW.shape)
    size = (max(1, width // side), max(1, height // side))
    cells = cv2.resize(luma_HW[: size[1] * side, : size[0] * side], size, interpolation=cv2.INTER_AREA)
    return Strokes(np.packbits(edges, axis=-1), (height, width), np.asarray(cells))


def moving_cells(frames: Sequence[Strokes]) -> Cells:
    """Return the cells whose mean luma differs by 8 levels or more over the frames (10th to 90th percentile)."""
    means = np.stack([frame.cells for frame in frames])
    low, high = np.percentile(means, (10, 90), axis=0)
    return np.asarray(high - low >= _CHANGE)


def overlay_share(frames: Sequence[Strokes], moving: Cells) -> float | None:
    """Return the share of the picture in cells of strokes that last while all around them moves, 0 to 1.

    `frames` are of one size. None of fewer than four, and where strokes last in a picture that stands still.
    After Dekel, Rubinstein, Liu and Freeman, "On the Effectiveness of Visible Watermarks" (CVPR 2017), who find
    a watermark as the median of the gradients of many pictures; here as signed edges that at least four fifths of
    the frames share.
    """
    if len(frames) < 4:
        return None
    frames = frames[:255]  # fits the counts
    height, width = frames[0].shape
    counts = np.zeros((2, height, width), np.uint8)
    for frame in frames:
        counts += np.unpackbits(frame.bits, axis=-1, count=width)
    lasting = counts >= np.ceil((1 - _DROWNED) * len(frames))
    lasting[:, :, lasting.mean(axis=1).max(axis=0) > _LINE] = False
    cells = _cell_means(lasting[0] | lasting[1], frames[0]) >= _CELL_STROKES
    found, unclear = 0, 0
    for part in _parts(cells):
        if _moves_around(part, cells, moving):
            found += int(part.sum())
        else:
            unclear += int(part.sum())
    return None if unclear > found else found / cells.size


def has_text(before: Strokes, after: Strokes, moving: Cells) -> Verdict:
    """Return whether a line of text stands at the bottom or the top of two frames, half a second apart.

    A line of text is where windows of three cells by half a cell are dense with rising and falling edges alike
    that stay, over a seventh of the width, in the lowest 36 or the uppermost 25 % of the height. Density of
    horizontal gradients as the mark of text: Wolf and Jolion, "Extraction and recognition of artificial text in
    multimedia documents" (Pattern Analysis and Applications 6, 2003). None where the picture around stands still.
    """
    height, width = before.shape
    side = _cell_px(before.shape)
    window = (round(_WINDOW[0] * side) | 1, round(_WINDOW[1] * side) | 1)
    text = np.zeros(before.shape, bool)
    for strip in (slice(0, int(_TOP * height)), slice(int((1 - _BOTTOM) * height), height)):
        stay = before.bits[:, strip] & after.bits[:, strip]
        if not stay.size or int(np.bitwise_count(stay).sum()) < _DENSITY * _TEXT_WIDTH * width * side:
            continue
        rising, falling = np.unpackbits(stay, axis=-1, count=width)
        least = _DENSITY * window[0] * window[1]
        dense = [cv2.boxFilter(mask, cv2.CV_16U, window, normalize=False) > least for mask in (rising, falling)]
        np.logical_and(*dense, out=text[strip])
        text[strip][np.count_nonzero(text[strip], axis=1) < _TEXT_WIDTH * width] = False
    if not text.any():
        return False
    cells = _cell_means(text, before) > 0.25
    return True if _moves_around(cells, cells, moving) else None


def _cell_px(shape: tuple[int, ...]) -> int:
    return max(2, round(max(shape) / _CELLS))


def _cell_means(mask_HW: Cells, like: Strokes) -> npt.NDArray[np.float64]:
    side = _cell_px(like.shape)
    rows, columns = like.cells.shape
    whole = mask_HW[: rows * side, : columns * side]
    means: npt.NDArray[np.float64] = whole.reshape(rows, -1, columns, whole.shape[1] // columns).mean(axis=(1, 3))
    return means


def _parts(cells: Cells) -> list[Cells]:
    """Return the connected parts of a mask of cells."""
    count, labels = cv2.connectedComponents(cells.astype(np.uint8), connectivity=8)
    return [np.asarray(labels == label) for label in range(1, count)]


def _moves_around(
    part: Cells, taken: Cells, moving: Cells
) -> bool:
    """Return whether most of the cells that surround a part, two deep, move."""
    grown = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    around = moving[grown & ~taken]
    return bool(around.size and around.mean() >= _AROUND)
