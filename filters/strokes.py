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
"""None: it can't be told"""

# Levels of 255 between the pixels on both sides of a stroke's edge.
_EDGE = 24
_CELLS = 40
# Levels by which a cell's mean changes where something moves, and the share of the cells around that must.
_CHANGE, _AROUND = 5, 0.6
# The share of the frames in which a lasting stroke may be missing: white on white.
_DROWNED = 0.2
# An overlay's cell is a tenth strokes. A line over more of the height than this is an edge of a bar or frame.
_CELL_STROKES, _LINE = 0.1, 0.4
# Text: the share of a window that is strokes, the window's sides in cells, the share of the width it fills,
# and where it lies.
_DENSITY, _WINDOW = 0.1, (3, 0.6)
_TEXT_WIDTH = 0.2
_BOTTOM, _TOP = 0.36, 0.25
_TEXT_HEIGHT, _AROUND_TEXT = 0.2, 0.4
# The share of the strokes that stay for half a second in a picture that stands still.
_STILL = 0.35
# Where the camera stands still, more of all strokes last while part of the picture is at rest, or fewer of
# the lasting ones' cells have movement around.
_MOST_LASTING, _ALL_MOVES, _CLEAR = 0.3, 0.9, 0.7


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
    """Return the cells whose mean luma, against that of the 5 x 5 cells around, varies by 5 levels or more.

    Without the highest and lowest tenth of the frames, which are of one size. Against the cells around, so
    that exposure and flicker move nothing.
    """
    contrast = [
        25 * frame.cells.astype(np.int32)
        - cv2.boxFilter(frame.cells, cv2.CV_32S, (5, 5), normalize=False, borderType=cv2.BORDER_REPLICATE)
        for frame in frames
    ]
    ranked = np.sort(np.stack(contrast), axis=0)
    low, high = ranked[len(ranked) // 10], ranked[len(ranked) - 1 - len(ranked) // 10]
    return np.asarray(high - low >= 25 * _CHANGE)


def overlay_share(frames: Sequence[Strokes], moving: Cells) -> float | None:
    """Return the share of the picture in cells of strokes that last while all around them moves, 0 to 1.

    `frames` are of one size. None of fewer than four, and where the picture stands still: more than 30 % of
    its strokes last and less than 90 % of its cells move, or less than 70 % of the cells with lasting strokes
    have movement around. After Dekel, Rubinstein, Liu and Freeman, "On the Effectiveness of Visible
    Watermarks" (CVPR 2017), who find a watermark as the median of the gradients of many pictures; here as
    signed edges that at least four fifths of the frames share.
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
    many = np.count_nonzero(lasting) > _MOST_LASTING * int(counts.sum(dtype=np.int64)) / len(frames)
    if many and moving.mean() < _ALL_MOVES:
        return None
    cells = _cell_means(lasting[0] | lasting[1], frames[0]) >= _CELL_STROKES
    laid_over = sum(int(part.sum()) for part in _parts(cells) if _moves_around(part, cells, moving))
    return None if laid_over < _CLEAR * np.count_nonzero(cells) else laid_over / cells.size


def has_text(pairs: Sequence[tuple[Strokes, Strokes]], index: int) -> Verdict:
    """Return whether a line of text stands at the bottom or the top of a pair of frames, half a second apart.

    A line of text is where windows of three cells by half a cell are dense with rising and falling edges
    alike that stay, over a fifth of the width, with little above and below, in the lowest 36 or the uppermost
    25 % of the height. Density of horizontal gradients as the mark of text: Wolf and Jolion, "Extraction and
    recognition of artificial text in multimedia documents" (Pattern Analysis and Applications 6, 2003). It
    must stay while most other strokes move on; or, where these stand still, be gone from another pair. None
    where neither can be seen: a fence before a fixed camera looks the same.
    """
    before, after = pairs[index]
    height = before.shape[0]
    stay = before.bits & after.bits
    for strip in (slice(int((1 - _BOTTOM) * height), height), slice(0, int(_TOP * height))):
        rows = _text_rows(stay[:, strip], before.shape)
        if rows is None:
            continue
        band = slice(strip.start + rows.start, strip.start + rows.stop)
        text = stay[:, band]
        kept = _count(stay) - _count(text)
        usual = (_count(before.bits) + _count(after.bits)) / 2 - (
            _count(before.bits[:, band]) + _count(after.bits[:, band])
        ) / 2
        if kept <= _STILL * usual:
            return True
        others = [one.bits[:, band] & text for n, (one, _) in enumerate(pairs) if n != index]
        return True if any(_count(other) < 0.5 * _count(text) for other in others) else None
    return False


def _text_rows(stay: npt.NDArray[np.uint8], shape: tuple[int, int]) -> slice | None:
    """Return the rows of the line of text in a strip, the widest if there are several."""
    width, side = shape[1], _cell_px(shape)
    window = (round(_WINDOW[0] * side) | 1, round(_WINDOW[1] * side) | 1)
    if not stay.size or _count(stay) < _DENSITY * _TEXT_WIDTH * width * side:
        return None
    masks = np.unpackbits(stay, axis=-1, count=width)
    least = _DENSITY * window[0] * window[1]
    rising, falling = (
        cv2.boxFilter(mask, cv2.CV_16U, window, normalize=False, borderType=cv2.BORDER_CONSTANT) > least
        for mask in masks
    )
    dense = rising & falling
    wide = np.count_nonzero(dense, axis=1)
    if wide.size == 0 or wide.max() < _TEXT_WIDTH * width:
        return None
    middle = int(wide.argmax())
    low, high = middle, middle + 1
    while low > 0 and wide[low - 1] >= wide[middle] / 3:
        low -= 1
    while high < len(wide) and wide[high] >= wide[middle] / 3:
        high += 1
    columns = dense[low:high].any(axis=0)
    strokes = masks.max(axis=0)[:, columns].mean(axis=1)
    # Windows reach half their height beyond the text, which a gap as high surrounds.
    inside, gap = strokes[low:high].mean(), window[1]
    around = [part for part in (strokes[max(0, low - gap) : low], strokes[high : high + gap]) if part.size]
    if high - low > _TEXT_HEIGHT * shape[0] or any(part.mean() > _AROUND_TEXT * inside for part in around):
        return None
    return slice(low, high)


def _count(bits: npt.NDArray[np.uint8]) -> int:
    return int(np.bitwise_count(bits).sum())


def _cell_px(shape: tuple[int, ...]) -> int:
    return max(2, round(max(shape) / _CELLS))


def _cell_means(mask_HW: Cells, like: Strokes) -> npt.NDArray[np.float64]:
    side = _cell_px(like.shape)
    rows, columns = like.cells.shape
    whole = mask_HW[: rows * side, : columns * side]
    means: npt.NDArray[np.float64] = whole.reshape(rows, -1, columns, whole.shape[1] // columns).mean(
        axis=(1, 3)
    )
    return means


def _parts(cells: Cells) -> list[Cells]:
    """Return the connected parts of a mask of cells."""
    count, labels = cv2.connectedComponents(cells.astype(np.uint8), connectivity=8)
    return [np.asarray(labels == label) for label in range(1, count)]


def _moves_around(part: Cells, taken: Cells, moving: Cells) -> bool:
    """Return whether most of the cells that surround a part, two deep, move."""
    grown = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    around = moving[grown & ~taken]
    return bool(around.size and around.mean() >= _AROUND)
