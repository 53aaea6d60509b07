"""Tells moved stills from moving scenes: what a single move of the camera leaves over.

Two frames half a second apart are laid over each other by the similarity that fits them best, found by flow
and refined on the pixels (Gauss-Newton, Lucas and Kanade 1981; Baker and Matthews 2004). Over a photograph
nothing is left but interpolation and noise, everywhere and always; in a scene there is something somewhere:
leaves, people, parallax. What is left in a block is divided by the block's own detail, which makes it a
displacement in pixels and independent of contrast.

What it cannot tell: a real, dead scene that a camera turns over on a tripod is, to the pixel, a moved still.
A photograph cut into layers that slide (parallax) is a moving scene to it.

Cost: 0.7 ms a pair, up to eight pairs a clip; a scene is mostly known by its first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane
from filters.camera import Similarity

__all__ = ["Move", "StillPair", "align", "leftover", "start_between", "still_score"]

Move: TypeAlias = tuple[float, float, Similarity | None]
"""when a pair of frames begins, in seconds, how long it takes, and what the camera did meanwhile"""

_STEP_PX = 3
"""pixels that the refinement looks at: every third each way"""
_BLURS_PX = (9, 3)
"""coarse, then fine; two rounds each"""
_NOISE = 6.0
"""levels of 255: a difference at which a pixel counts a quarter in the refinement"""
_BLOCK_PX = 8
_BLOCKS_MIN = 20
_WORST = 3
_DETAIL_MIN = 8
_PAIRS_MAX = 8
_FROZEN = 3
"""levels of 255: no pixel changes by more"""
_EYE = np.eye(4)
_SCENE = 1.14
"""three times the doubt: a score of 0.1"""
_DOUBT = 0.38
"""95 % of rendered moved stills leave less over; of 26 clean real shots none does"""


@dataclass(frozen=True, slots=True)
class StillPair:
    """Two frames about half a second apart."""

    first_s: float
    second_s: float
    first_HW: Plane
    second_HW: Plane


def align(first_HW: Plane, second_HW: Plane, start: Similarity) -> Similarity:
    """Return the similarity that takes the first frame to the second, refined from a `start` a pixel off.

    Differences of brightness between the frames are let pass; pixels that differ much count little.
    """
    move = np.array([start.x, start.y, start.zoom, start.roll])
    for blur_px in _BLURS_PX:
        first = cv2.blur(first_HW, (blur_px, blur_px))
        second = cv2.blur(second_HW, (blur_px, blur_px))
        move = _refined(first, second, move)
    return Similarity(*move.tolist())


def _refined(first_HW: Plane, second_HW: Plane, move: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return `move` (x, y, zoom, roll) after two rounds of Gauss-Newton."""
    height, width = first_HW.shape
    diagonal = float(np.hypot(height, width))
    rows, cols = slice(2, height - 2, _STEP_PX), slice(2, width - 2, _STEP_PX)
    left, right = slice(1, width - 3, _STEP_PX), slice(3, width - 1, _STEP_PX)
    above, below = slice(1, height - 3, _STEP_PX), slice(3, height - 1, _STEP_PX)
    first = first_HW.astype(np.float32)
    gx = (first[rows, right] - first[rows, left]) * (0.5 * diagonal)
    gy = (first[below, cols] - first[above, cols]) * (0.5 * diagonal)
    x, y = _places(height, width)
    base = first[rows, cols].ravel()
    jacobian_4N = np.stack([gx, gy, gx * x + gy * y, gy * x - gx * y]).reshape(4, -1)
    for _ in range(2):
        warped, inside = _warped(second_HW, Similarity(*move.tolist()), _STEP_PX, 2)
        there = inside.ravel() > 0
        if not there.any():
            break
        error = warped.ravel() - base
        error -= _middle(error[there])
        weighted_4N = jacobian_4N * (there / (1.0 + (error * (1 / _NOISE)) ** 2) ** 2)
        # Not matmul: BLAS would share so little among threads that wait for one another.
        hessian = np.einsum("in,jn->ij", weighted_4N, jacobian_4N)
        slope = np.einsum("in,n->i", weighted_4N, error)
        # A blank picture has no slope; a little of the trace keeps the move where it is.
        hessian = hessian.astype(np.float64) + _EYE * (1e-6 * float(hessian.trace()) + 1e-9)
        # OpenCV's solver: of 4 x 4 numbers, all but a tenth of NumPy's time is the call.
        move = move - cv2.solve(hessian, slope.astype(np.float64))[1].ravel()
    return move


@lru_cache(maxsize=64)
def _places(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return x and y of the pixels that the refinement looks at, in diagonals from the middle."""
    y, x = np.mgrid[2 : height - 2 : _STEP_PX, 2 : width - 2 : _STEP_PX]
    places = np.stack([x - (width - 1) / 2, y - (height - 1) / 2]) / float(np.hypot(height, width))
    small: npt.NDArray[np.float32] = places.astype(np.float32)
    return small


def _warped(second_HW: Plane, camera: Similarity, step: int = 1, offset: int = 0) -> tuple[Plane, Plane]:
    """Return the second frame laid over the first, and 255 where it covers it.

    Of the first frame's pixels, every `step`-th each way from `offset` on, as far as `offset` from its end.
    """
    height, width = second_HW.shape
    matrix = camera.matrix(width, height)
    matrix[:, 2] += offset * (matrix[:, 0] + matrix[:, 1])
    matrix[:, :2] *= step
    size = len(range(offset, width - offset, step)), len(range(offset, height - offset, step))
    full, how = _inside(height, width), cv2.WARP_INVERSE_MAP
    warped: Any = cv2.warpAffine(second_HW, matrix, size, flags=cv2.INTER_LINEAR | how)
    inside: Any = cv2.warpAffine(full, matrix, size, flags=cv2.INTER_NEAREST | how)
    return warped, inside


@lru_cache(maxsize=64)
def _inside(height: int, width: int) -> Plane:
    """Return 255, but 0 in two pixels along each edge, which warping mixes with what lies beyond."""
    full = np.zeros((height, width), np.uint8)
    full[2:-2, 2:-2] = 255
    return full


def _middle(values: npt.NDArray[np.float32]) -> np.float32:
    """Return the median, the upper of two; a tenth of the overhead of NumPy's."""
    half = len(values) // 2
    middle: np.float32 = np.partition(values, half)[half]
    return middle


def leftover(first_HW: Plane, second_HW: Plane, camera: Similarity) -> float | None:
    """Return what the camera's move leaves over where it leaves most, as a share of the detail there; 0 up.

    The mean of the three worst blocks of 8 px, so that one block of compression does not decide. A block's
    difference counts against its own detail and 8 levels of 255. None where the frames overlap in fewer than
    20 blocks.
    """
    height, width = (side // _BLOCK_PX * _BLOCK_PX for side in first_HW.shape)
    first, second = (cv2.GaussianBlur(plane, (3, 3), 0) for plane in (first_HW, second_HW))
    warped, inside = _warped(second, camera)
    blocks = (width // _BLOCK_PX, height // _BLOCK_PX)
    seen = cv2.resize(inside[:height, :width], blocks, interpolation=cv2.INTER_AREA) == 255
    if np.count_nonzero(seen) < _BLOCKS_MIN:
        return None
    change = warped.astype(np.float32) - first
    change -= _middle(change[::4, ::4][inside[::4, ::4] > 0])
    one = cv2.absdiff(first[1:, 1:], first[:-1, :-1])
    two = cv2.absdiff(first[:-1, 1:], first[1:, :-1])
    detail = np.zeros_like(change)
    detail[:-1, :-1] = cv2.max(one, two)
    # Means of 64 whole numbers: exact, in whatever order they are added.
    change_N, detail_N = (
        cv2.resize(plane[:height, :width], blocks, interpolation=cv2.INTER_AREA)[seen].astype(np.float64)
        for plane in (np.abs(change), detail)
    )
    share = np.sort(change_N / (detail_N + _DETAIL_MIN))
    return float(share[-_WORST:].mean())


def start_between(pair: StillPair, moves: Sequence[Move]) -> Similarity:
    """Return the camera's move between the frames of a pair, guessed from moves measured meanwhile."""
    spans = [
        (pair.second_s - pair.first_s) / dt_s
        for time_s, dt_s, camera in moves
        if camera is not None and pair.first_s <= time_s < pair.second_s
    ]
    cameras = [c for time_s, _, c in moves if c is not None and pair.first_s <= time_s < pair.second_s]
    if not cameras:
        return Similarity(0.0, 0.0, 0.0, 0.0)
    rates = np.array([[c.x, c.y, c.zoom, c.roll] for c in cameras]) * np.array(spans)[:, None]
    return Similarity(*rates.mean(axis=0).tolist())


def still_score(pairs: Sequence[StillPair], moves: Sequence[Move]) -> float | None:
    """Return how surely a clip is a moved still, 0 (a moving scene) to 1, from up to eight of its pairs.

    1 where in half of the pairs nothing changes at all: slides, even with a cut between them. Else by the
    pair that leaves most over: 1 / (1 + (x/0.38)²), so 0.5 is the threshold. The first pair that says
    "a scene" (a score below 0.1) ends it. None of no pairs that can be compared.
    """
    chosen = pairs[:: -(-len(pairs) // _PAIRS_MAX) or 1]
    changing = [pair for pair in chosen if cv2.norm(pair.first_HW, pair.second_HW, cv2.NORM_INF) > _FROZEN]
    if chosen and 2 * len(changing) <= len(chosen):
        return 1.0
    worst: float | None = None
    for pair in changing:
        camera = align(pair.first_HW, pair.second_HW, start_between(pair, moves))
        left = leftover(pair.first_HW, pair.second_HW, camera)
        if left is not None:
            worst = left if worst is None else max(worst, left)
            if left > _SCENE:
                break
    return None if worst is None else 1.0 / (1.0 + (worst / _DOUBT) ** 2)
