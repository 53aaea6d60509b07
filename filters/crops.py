"""Which part of one picture another shows: windows laid into mean pictures of 32 x 32 blocks.

First at half the size through windows a twenty-fifth of a side apart, then at full size about the best ones.
Interpolated in whole 32nds, so every product is a whole number that float32 holds, and the result doesn't
depend on the order of sums.

Cost: 0.3 to 2 ms a pair of pictures, 0.05 of two that are alike as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.portrait import SIDE

__all__ = ["SAME", "WHOLE", "Crop", "Fit", "best_crop", "crop_matrix", "line_matrix"]

Levels = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_THIRTY_SECONDS: Final = 32
_CUTS: Final = (0.0, 0.04, 0.08, 0.12, 0.16)
_MOST_CUT: Final = 0.17
"""of a side's length, both ends together"""
_STEPS: Final = (0.02, 0.01)
_HOPE: Final = 0.7
"""correlation at half the size below which nothing is looked at more closely"""
_NO_BETTER: Final = 0.95
"""share of what the whole leaves unexplained, at half the size, above which no window is looked for"""
SAME: Final = 0.992
"""correlation of the whole pictures above which no window is looked for: two shots of one set, mostly"""
_STARTS: Final = 3
"""windows of the first search that are looked at more closely"""


class Crop(NamedTuple):
    """What is cut off each side, in shares of the picture."""

    left: float
    right: float
    top: float
    bottom: float


WHOLE: Final = Crop(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a window of one picture fits another, and how well the whole does."""

    crop: Crop
    like: float
    """correlation through the window"""
    whole: float
    """correlation without"""


@cache
def crop_matrix(crop: Crop, mirrored: bool, blocks: int) -> npt.NDArray[np.float32]:
    """Return the matrix (blocks², blocks²) from a picture to 1024 times the crop of it, interpolated."""
    rows, columns = line_matrix(crop.top, crop.bottom, blocks), line_matrix(crop.left, crop.right, blocks)
    return np.kron(rows, columns[::-1] if mirrored else columns)


@cache
def line_matrix(start: float, end: float, blocks: int) -> npt.NDArray[np.float32]:
    """Return (blocks, blocks) 32nds of each block of a line in each of those of its part."""
    at = (start + (np.arange(blocks) + 0.5) / blocks * (1 - start - end)) * blocks - 0.5
    near = np.clip(np.floor(at).astype(int), 0, blocks - 2)
    part = np.rint(_THIRTY_SECONDS * np.clip(at - near, 0, 1))
    line = np.zeros((blocks, blocks), np.float32)
    line[np.arange(blocks), near] = _THIRTY_SECONDS - part
    line[np.arange(blocks), near + 1] = part
    return line


def best_crop(
    seen_1024: npt.NDArray[np.uint8],
    other_1024: npt.NDArray[np.uint8],
    likely: Callable[[Crop], bool] = lambda _: True,
) -> Fit:
    """Return the window of the other picture that fits the one seen best.

    It is not looked for closely, and the whole returned, where the best of the first search isn't `likely`.
    """
    seen, other = (x.reshape(SIDE, SIDE).astype(np.float32) for x in (seen_1024, other_1024))
    (whole,) = _likeness(seen, other, (WHOLE,)).tolist()
    if whole >= SAME:
        return Fit(WHOLE, whole, whole)
    coarse = _searched(_halved(seen), _halved(other))
    if coarse.max() < _HOPE or 1 - coarse.max() > _NO_BETTER * (1 - coarse[0]):
        return Fit(WHOLE, whole, whole)
    starts = np.argsort(-coarse, kind="stable")[:_STARTS]
    if not likely(_windows()[starts[0]]):
        return Fit(WHOLE, whole, whole)
    tried = {_windows()[at] for at in starts} | {WHOLE}
    found = _tried(seen, other, tried)
    for step in _STEPS:
        best = max(found, key=lambda crop: (found[crop], crop))
        near = {_moved(best, by) for by in product((-step, 0.0, step), repeat=4)} - found.keys()
        found |= _tried(seen, other, {crop for crop in near if crop is not None})
    best = max(found, key=lambda crop: (found[crop], crop))
    return Fit(best, found[best], found[WHOLE])


def _tried(seen: Levels, other: Levels, crops: set[Crop]) -> dict[Crop, float]:
    ordered = tuple(sorted(crops))
    return dict(zip(ordered, _likeness(seen, other, ordered).tolist(), strict=True))


def _moved(crop: Crop, by: tuple[float, ...]) -> Crop | None:
    """Return the crop with its sides moved; None where it isn't one that is looked for."""
    sides = [round(side + step, 4) for side, step in zip(crop, by, strict=True)]
    left, right, top, bottom = sides
    if min(sides) < 0 or left + right > _MOST_CUT + 0.01 or top + bottom > _MOST_CUT + 0.01:
        return None
    return Crop(left, right, top, bottom)


@cache
def _sides() -> tuple[tuple[float, float], ...]:
    """Return what the first search cuts off the two ends of a side; first nothing."""
    return tuple((a, b) for a in _CUTS for b in _CUTS if a + b < _MOST_CUT)


@cache
def _windows() -> tuple[Crop, ...]:
    """Return the windows of the first search; first the whole."""
    return tuple(Crop(left, right, top, bottom) for left, right in _sides() for top, bottom in _sides())


@cache
def _side_matrices(blocks: int) -> Levels:
    """Return (sides, blocks, blocks) the matrices of the first search's cuts."""
    return np.stack([line_matrix(*ends, blocks) for ends in _sides()])


def _searched(seen: Levels, other: Levels) -> Floats:
    """Return the correlation of a picture with each window of another that the first search looks through."""
    sides = _side_matrices(len(seen))
    return _correlated(seen, np.matmul(np.matmul(sides, other), sides.transpose(0, 2, 1)[:, None]))


def _halved(picture: Levels) -> Levels:
    """Return four times the means of 2 x 2 blocks."""
    return picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]


def _likeness(seen: Levels, other: Levels, crops: tuple[Crop, ...]) -> Floats:
    """Return the correlation of a picture with each crop of another; 0 where one is plain."""
    blocks = len(seen)
    # Rows once a pair of cuts, columns once a window.
    by_rows = {
        ends: line_matrix(*ends, blocks) @ other for ends in {(crop.top, crop.bottom) for crop in crops}
    }
    views = np.stack([by_rows[crop.top, crop.bottom] for crop in crops])
    columns = np.stack([line_matrix(crop.left, crop.right, blocks).T for crop in crops])
    return _correlated(seen, np.matmul(views, columns))


def _correlated(seen: Levels, shown: Levels) -> Floats:
    """Return the correlation of a picture with each of others; 0 where one is plain."""
    rest = shown.reshape(-1, seen.size).astype(np.float64)
    rest -= rest.mean(1, keepdims=True)
    one = seen.ravel().astype(np.float64)
    one -= one.mean()
    own = np.sqrt((one * one).sum() * np.einsum("kn,kn->k", rest, rest))
    like: Floats = (rest @ one) / np.maximum(1e-6, own)
    return np.rint(like * 1e6) / 1e6
