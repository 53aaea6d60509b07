"""Follows the camera through a clip: frames a quarter of a second apart, laid over each other.

Flow over two frames that follow each other can't tell a camera from what fills the picture: its vectors are
means over patches, and a patch holds both. Here a similarity is fitted to the pixels themselves (Gauss-Newton
on the difference of brightness, robustly, at a falling scale: Odobez and Bouthemy 1995). Each pixel counts by
how far, in pixels along its own gradient, it lies beside the fit; over a quarter of a second wheels, leaves
and fish leave their places, and what agrees is the background, be it a fifth of the picture.

The fit begins at rest or at the flow's, whichever explains more. Then each step is offered the moves of its
neighbours in time, which ends where nobody gains: one step that found the background hands it on.

Cost: 0.1 ms a step, half of it the calls that warp; one pixel in sixteen is looked at. A stretch of 32 steps
takes 1 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane
from filters.camera import Similarity, speed

__all__ = ["follow_camera"]

Floats: TypeAlias = npt.NDArray[np.float32]
Moves: TypeAlias = npt.NDArray[np.float64]
"""(P, 4): x, y, zoom, roll as in `Similarity`"""
Picked: TypeAlias = npt.NDArray[np.intp]

_STRETCH = 32
_STEP_PX, _EDGE_PX = 4, 2
_NOISE = 2.0
"""levels of 255 that are added to a gradient: less is noise"""
_FULL = 2.0
"""levels a pixel: a gradient with a full vote in a fit's support"""
_FALLING_PX = (1.0, 0.3, 0.15)
"""how near to the last fit a pixel must lie to be believed, round by round"""
_START_PX, _NEAR_PX = 0.5, 0.2
"""so near a pixel speaks for a start, and for a fit"""
_NEAR_SHARE = 0.1
"""and a share of the move: parallax, and what a similarity does not describe"""
_APART = 0.0015
"""diagonals: moves that lie closer are the same"""
_ROUNDS = 4
_GAIN = 0.01
"""support that a neighbour's move must add to be tried"""


class _Stretch:
    """Consecutive planes of one size; what is asked of its P steps is asked of `picked` ones."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        height, width = planes[0].shape
        self._planes, self._size = planes, (width, height)
        self.diagonal_px = float(np.hypot(width, height))
        rows, cols = slice(_EDGE_PX, height - _EDGE_PX, _STEP_PX), slice(_EDGE_PX, width - _EDGE_PX, _STEP_PX)
        x_N, y_N = _places(height, width)
        steps = len(planes) - 1
        stack = np.stack(planes)
        first, seen = stack[:-1], stack[:, rows, cols]
        self._shape = seen.shape[1:]
        levels = seen.reshape(len(planes), -1).astype(np.float32)
        self._base_PN = levels[:-1]
        self.at_rest_PN = levels[1:] - levels[:-1]
        """`differences` where nothing moves"""
        gx, gy = (
            np.subtract(after, before, dtype=np.int16).reshape(steps, -1) * np.float32(0.5)
            for after, before in (
                (first[:, rows, _shifted(cols, 1)], first[:, rows, _shifted(cols, -1)]),
                (first[:, _shifted(rows, 1), cols], first[:, _shifted(rows, -1), cols]),
            )
        )
        square = gx * gx + gy * gy
        self._per_level2_PN = 1 / (square + np.float32(_NOISE**2))
        self._vote_PN = np.minimum(square * np.float32(1 / _FULL**2), 1)
        self._votes_P = np.maximum(self._vote_PN.sum(axis=1), 1e-6)
        slope = np.stack([gx, gy, gx * x_N + gy * y_N, gy * x_N - gx * y_N], axis=1)
        self._slope_P4N = slope * np.float32(self.diagonal_px)

    def differences(self, moves_P4: Moves, picked: Picked) -> Floats:
        """Return (P, N) levels by which the second frames, laid over the first, differ from them."""
        matrices = _matrices(moves_P4, *self._size)
        warped = np.empty((len(picked), *self._shape), np.uint8)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for n, step in enumerate(picked.tolist()):
            cv2.warpAffine(
                self._planes[step + 1],
                matrices[n],
                self._shape[::-1],
                warped[n],
                how,
                cv2.BORDER_REPLICATE,
            )
        difference: Floats = warped.reshape(len(picked), -1) - self._base_PN[picked]
        return difference

    def near_px(self, moves_P4: Moves, at_rest_px: float = _NEAR_PX) -> Moves:
        """Return how near to a move a pixel must lie to speak for it (P,)."""
        near: Moves = at_rest_px + _NEAR_SHARE * self.diagonal_px * speed(moves_P4.T)
        return near

    def support(self, difference_PN: Floats, picked: Picked, near_px: float | Moves) -> Moves:
        """Return the share (P,) of the votes that lie near."""
        miss2 = difference_PN * difference_PN * self._per_level2_PN[picked]
        scale = np.float32(1) / np.square(np.asarray(near_px, np.float32).reshape(-1, 1))
        belief = 1 / (1 + miss2 * scale)
        votes = (belief * belief * self._vote_PN[picked]).sum(axis=1)
        share: Moves = votes / self._votes_P[picked].astype(np.float64)
        return share

    def refined(self, moves_P4: Moves, difference_PN: Floats, picked: Picked) -> tuple[Moves, Floats]:
        """Return the moves after a round at each scale, and what they leave. First what the start leaves."""
        slope_P4N, per_level2_PN = self._slope_P4N[picked], self._per_level2_PN[picked]
        for scale_px in _FALLING_PX:
            miss2_PN = difference_PN * difference_PN * per_level2_PN
            belief_PN = 1 / (1 + miss2_PN * np.float32(1 / scale_px**2))
            weighted_P4N = slope_P4N * (belief_PN * belief_PN * per_level2_PN)[:, None]
            # Not matmul: BLAS may add in another order in other company.
            hessian = np.einsum("pin,pjn->pij", weighted_P4N, slope_P4N).astype(np.float64)
            down = np.einsum("pin,pn->pi", weighted_P4N, difference_PN).astype(np.float64)
            # A blank picture has no slope; a little of the trace keeps the move where it is.
            keep_P = 1e-6 * np.trace(hessian, axis1=1, axis2=2) + 1e-9
            hessian += np.eye(4) * keep_P[:, None, None]
            moves_P4 = moves_P4 - np.linalg.solve(hessian, down[:, :, None])[:, :, 0]
            difference_PN = self.differences(moves_P4, picked)
        return moves_P4, difference_PN


def _shifted(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by, span.step)


@lru_cache(maxsize=64)
def _places(height: int, width: int) -> Any:
    """Return x and y of the pixels that are looked at, (2, N), in diagonals from the middle."""
    y, x = np.mgrid[_EDGE_PX : height - _EDGE_PX : _STEP_PX, _EDGE_PX : width - _EDGE_PX : _STEP_PX]
    places = np.stack([x.ravel() - (width - 1) / 2, y.ravel() - (height - 1) / 2])
    return (places / float(np.hypot(height, width))).astype(np.float32)


def _matrices(moves_P4: Moves, width: int, height: int) -> Moves:
    """Return (P, 2, 3): from the grid of pixels looked at to pixels of the second frames."""
    diagonal = float(np.hypot(width, height))
    cx, cy = (width - 1) / 2, (height - 1) / 2
    grown, roll = 1 + moves_P4[:, 2], moves_P4[:, 3]
    # Where the grid's first pixel, (_EDGE_PX, _EDGE_PX), goes.
    x, y = _EDGE_PX - cx, _EDGE_PX - cy
    matrices = np.empty((len(moves_P4), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = _STEP_PX * grown
    matrices[:, 0, 1], matrices[:, 1, 0] = -_STEP_PX * roll, _STEP_PX * roll
    matrices[:, 0, 2] = moves_P4[:, 0] * diagonal + cx + grown * x - roll * y
    matrices[:, 1, 2] = moves_P4[:, 1] * diagonal + cy + grown * y + roll * x
    return matrices


def follow_camera(
    planes: Sequence[Plane], starts: Sequence[Similarity], apart_s: Sequence[float]
) -> list[Similarity]:
    """Return the camera's move from each plane to the next.

    uint8 planes of one size (160 px long: scales are in its pixels), a quarter of a second apart; for each
    two that follow each other a guess and their seconds apart. `support` of a move is the share of the
    picture's texture that it takes to within 0.2 px and a tenth of the move; 0 of a blank picture.
    """
    found: list[Similarity] = []
    for at in range(0, len(starts), _STRETCH):
        part = slice(at, at + _STRETCH)
        guess_P4 = np.array([[start.x, start.y, start.zoom, start.roll] for start in starts[part]])
        stretch = _Stretch(planes[at : at + _STRETCH + 1])
        found += _followed(stretch, guess_P4, np.array(apart_s[part])[:, None])
    return found


def _followed(stretch: _Stretch, guess_P4: Moves, apart_P1: Moves) -> list[Similarity]:
    every = np.arange(len(guess_P4))
    moves_P4 = np.zeros_like(guess_P4)
    difference_PN = stretch.at_rest_PN.copy()
    guessed = every[speed(guess_P4.T) > _APART / 4]
    if len(guessed):
        other_PN = stretch.differences(guess_P4[guessed], guessed)
        rest_P = stretch.support(difference_PN[guessed], guessed, _START_PX)
        near_P = stretch.near_px(guess_P4[guessed], _START_PX)
        better = stretch.support(other_PN, guessed, near_P) > rest_P
        moves_P4[guessed[better]] = guess_P4[guessed[better]]
        difference_PN[guessed[better]] = other_PN[better]
    moves_P4, difference_PN = stretch.refined(moves_P4, difference_PN, every)
    support_P = stretch.support(difference_PN, every, _NEAR_PX)
    for _ in range(_ROUNDS):
        offer_P4, picked = _offered(stretch, moves_P4, support_P, apart_P1)
        if not len(picked):
            break
        offer_P4, other_PN = stretch.refined(offer_P4, stretch.differences(offer_P4, picked), picked)
        other_P = stretch.support(other_PN, picked, _NEAR_PX)
        better = other_P > support_P[picked]
        changed = picked[better]
        moves_P4[changed], support_P[changed] = offer_P4[better], other_P[better]
        difference_PN[changed] = other_PN[better]
    share_P = stretch.support(difference_PN, every, stretch.near_px(moves_P4))
    found_P5 = np.column_stack([moves_P4, share_P]).tolist()
    return [Similarity(*found) for found in found_P5]


def _offered(stretch: _Stretch, moves_P4: Moves, support_P: Moves, apart_P1: Moves) -> tuple[Moves, Picked]:
    """Return the moves of better supported neighbours that already explain more of a step than its own."""
    steps = np.arange(len(moves_P4))
    rate_P4, offer_P4, most_P = moves_P4 / apart_P1, moves_P4.copy(), support_P.copy()
    for side in (-1, 1):
        beside = np.clip(steps + side, 0, len(steps) - 1)
        other_P4 = rate_P4[beside] * apart_P1
        told = (speed((other_P4 - moves_P4).T) > _APART) & (support_P[beside] > support_P)
        asked = steps[told]
        if not len(asked):
            continue
        share = stretch.support(stretch.differences(other_P4[asked], asked), asked, _NEAR_PX)
        better = share > most_P[asked]
        offer_P4[asked[better]], most_P[asked[better]] = other_P4[asked[better]], share[better]
    picked = steps[most_P > support_P + _GAIN]
    return offer_P4[picked], picked
