"""Parts optical flow into what the camera does and what is left: objects.

A similarity (shift, zoom, roll) is fitted to some 144 vectors of each flow field by iteratively reweighted
least squares (Holland and Welsch 1977) with the Geman-McClure weight at a falling scale (graduated
non-convexity, Blake and Zisserman 1987): up to two fifths of the picture may move by itself. Vectors count by
the texture under them, for flow over blank areas is made up. Four parameters and not six of an affine: these
are what cameras do, and shear would fit objects.

All pairs of a clip are fitted at once; sums run along the last axis alone and no BLAS is used, so a pair's
fit is the same to the bit in whatever company.

Cost: 0.07 ms a pair, of which `sample_flow` 0.04.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import hypot
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane

__all__ = [
    "CameraKind",
    "FlowSamples",
    "Similarity",
    "amounts",
    "classify_camera",
    "fit_camera",
    "sample_flow",
    "shake",
    "speed",
    "support_of",
    "velocities",
]

CameraKind: TypeAlias = Literal["static", "pan", "tilt", "zoom", "roll", "handheld", "mixed"]
Floats: TypeAlias = npt.NDArray[np.float32]

Velocities: TypeAlias = npt.NDArray[np.float64]

_STEP_PX = 10
"""the flow is sampled once in so many pixels of its grid, each way"""
_TEXTURE_MIN = 2.0
"""levels of 255 between diagonal neighbours, mean over a sample's block: less is taken for blank"""
_TEXTURE_SPAN = 8.0
"""levels above that which make a full weight"""
_SAMPLES_MIN = 12
# In diagonals (of 184 px): how near to the last fit a vector must lie to be believed, from all to a good
# fit's own noise; and for a fit that begins with a camera at rest.
_FROM_ALL = (np.inf, 0.04, 0.02, 0.01, 0.005, 0.0025, 0.0012)
_FROM_REST = (0.0015, 0.0012, 0.0012)
_NEAR = 0.0015
_NEAR_SHARE = 0.1
"""diagonals, and a share of the fit's own motion: vectors so close to a fit speak for it"""
_TRUST = (0.1, 0.25)
"""share of the weight near a fit from which it is believed: not at all, wholly"""
_NAMED, _NAMED_UNSTEADY = (0.15, 0.3), (0.25, 0.45)
"""support of the path, or of the flow's fit, from which a move is given a name; and an unsteady one: a fit
that few follow is unsteady itself"""
_REACH = 0.27
"""mean distance of a picture's points from its middle, in diagonals: 0.264 at 16:9, 0.271 at 4:3"""

_STATIC = 0.004
"""diagonals a second: a camera on a tripod in wind, or the noise of the flow"""
_SHAKEN = 0.45
"""of the camera's RMS velocity: more of it in shake, and it is held by hand"""
_DOMINANT = 0.7
"""share of the energy that one kind of move must have"""


@dataclass(frozen=True, slots=True)
class FlowSamples:
    """A flow field reduced to its samples, in frame diagonals; the middle of the picture is (0, 0)."""

    shift_2N: Floats
    """(2, N): x to the right, y down"""
    texture_N: Floats
    """0 to 1: the weight of each; 0 where the picture is blank"""
    at_2N: Floats
    """(2, N): where each lies"""


@dataclass(frozen=True, slots=True)
class Similarity:
    """What the camera did to the picture between two frames, to first order."""

    x: float
    """shift of the picture's middle in diagonals, to the right"""
    y: float
    """down"""
    zoom: float
    """growth: 0.01 is 1 % larger"""
    roll: float
    """radians, from x to y"""
    support: float = 1.0
    """share of the picture's texture that moves so"""

    def matrix(self, width: int, height: int) -> npt.NDArray[np.float64]:
        """Return the (2, 3) affine from pixels of the first frame to those of the second."""
        diagonal = float(np.hypot(width, height))
        a, b = 1 + self.zoom, self.roll
        cx, cy = (width - 1) / 2, (height - 1) / 2
        x, y = self.x * diagonal + cx - a * cx + b * cy, self.y * diagonal + cy - b * cx - a * cy
        return np.array([[a, -b, x], [b, a, y]])


@lru_cache(maxsize=64)
def _grid(height: int, width: int) -> Floats:
    """Return where the samples of a flow field of this size lie, (2, N), in diagonals from its middle."""
    offset = _STEP_PX // 2
    y, x = np.mgrid[offset:height:_STEP_PX, offset:width:_STEP_PX]
    at = np.stack([x.ravel() - (width - 1) / 2, y.ravel() - (height - 1) / 2])
    return (at / float(np.hypot(height, width))).astype(np.float32)


def sample_flow(flow_HW2: npt.NDArray[np.float32], first_HW: Plane) -> FlowSamples:
    """Return every tenth vector each way of a flow field in pixels, with the texture of the first frame."""
    height, width = flow_HW2.shape[:2]
    offset = _STEP_PX // 2
    picked = flow_HW2[offset::_STEP_PX, offset::_STEP_PX]
    rows, cols = picked.shape[:2]
    one = cv2.absdiff(first_HW[1:, 1:], first_HW[:-1, :-1])
    two = cv2.absdiff(first_HW[:-1, 1:], first_HW[1:, :-1])
    detail: Any = cv2.max(one, two)
    # Blocks of whole pixels, which are summed six times as fast: the last ones are made up to their size.
    tall, wide = rows * _STEP_PX, cols * _STEP_PX
    below, right = max(0, tall - height + 1), max(0, wide - width + 1)
    detail = cv2.copyMakeBorder(detail, 0, below, 0, right, cv2.BORDER_REPLICATE)[:tall, :wide]
    detail = cv2.resize(detail, (cols, rows), interpolation=cv2.INTER_AREA)
    texture = (detail.ravel().astype(np.float32) - _TEXTURE_MIN) * (1 / _TEXTURE_SPAN)
    np.minimum(np.maximum(texture, 0.0, out=texture), 1.0, out=texture)
    shift_2N = picked.reshape(-1, 2).T * (1 / hypot(height, width))
    return FlowSamples(shift_2N, texture, _grid(height, width))


def fit_camera(pairs: Sequence[FlowSamples]) -> list[Similarity | None]:
    """Return the camera's motion in each pair; None where too little of the picture has texture.

    The pairs have samples at the same places. Where a fit that starts at rest explains more of the picture
    than one that starts from all of it (something large moves before a fixed camera), it is taken;
    where neither explains a quarter (water, fire, leaves), less and less of the motion is the camera's.
    """
    if not pairs:
        return []
    flow_2PN = np.stack([pair.shift_2N for pair in pairs], axis=1)
    weight_PN = np.stack([pair.texture_N for pair in pairs])
    at_2N = pairs[0].at_2N
    seen_P = np.count_nonzero(weight_PN, axis=1) >= _SAMPLES_MIN
    weight_PN[~seen_P] = 1.0
    fits = [_reweighted(flow_2PN, weight_PN, at_2N, scales) for scales in (_FROM_ALL, _FROM_REST)]
    (one_4P, support_P), (two_4P, support_of_two_P) = fits
    # Both often end in the same place; then it does not matter which.
    best_4P = np.where(support_of_two_P > support_P, two_4P, one_4P)
    most_P = np.maximum(support_P, support_of_two_P)
    low, high = _TRUST
    # A slope and not a threshold: at a threshold, the same scene mirrored might fall on the other side.
    best_4P = best_4P * np.clip((most_P - low) / (high - low), 0.0, 1.0)
    found_P5 = np.vstack([best_4P, most_P]).T.tolist()
    return [Similarity(*found) if seen else None for found, seen in zip(found_P5, seen_P, strict=True)]


def _reweighted(
    flow_2PN: Floats, weight_PN: Floats, at_2N: Floats, scales: Sequence[float]
) -> tuple[Floats, Floats]:
    """Return (4, P) shift x, y, zoom, roll, and the share (P,) of the weight that lies close to it.

    Starts from no motion; each round believes what lies within its scale of the last round's fit.
    """
    (u, v), (x, y) = flow_2PN, at_2N
    own_4PN = np.stack([u, v, x * u + y * v, x * v - y * u])
    place_31N = np.stack([x, y, x * x + y * y])[:, None]
    fit_4P = np.zeros((4, len(weight_PN)), np.float32)
    for scale in scales:
        w = weight_PN / (1.0 + _miss(flow_2PN, at_2N, fit_4P) * (1 / scale**2)) ** 2
        n = w.sum(axis=1)
        sx, sy, sxx = (place_31N * w).sum(axis=2)
        su, sv, dot, cross = (own_4PN * w).sum(axis=2)
        spread = np.maximum(n * sxx - sx * sx - sy * sy, 1e-12)
        zoom = (n * dot - sx * su - sy * sv) / spread
        roll = (n * cross - sx * sv + sy * su) / spread
        shift_x, shift_y = (su - zoom * sx + roll * sy) / n, (sv - roll * sx - zoom * sy) / n
        fit_4P = np.stack([shift_x, shift_y, zoom, roll])
    near_P = _NEAR + _NEAR_SHARE * speed(fit_4P)
    near_PN = weight_PN / (1.0 + _miss(flow_2PN, at_2N, fit_4P) / (near_P * near_P)[:, None]) ** 2
    return fit_4P, near_PN.sum(axis=1) / weight_PN.sum(axis=1)


def speed(fit_4P: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return about how far moves (x, y, zoom, roll) take the picture's points, in diagonals (P,)."""
    x, y, zoom, roll = fit_4P
    far: npt.NDArray[Any] = np.sqrt(x * x + y * y + _REACH**2 * (zoom * zoom + roll * roll))
    return far


def _miss(flow_2PN: Floats, at_2N: Floats, fit_4P: Floats) -> Floats:
    """Return the squared distance (P, N) of each vector from the fit's."""
    (u_PN, v_PN), (x_N, y_N) = flow_2PN, at_2N
    x, y, zoom, roll = fit_4P[:, :, None]
    left_u, left_v = u_PN - (x + zoom * x_N - roll * y_N), v_PN - (y + roll * x_N + zoom * y_N)
    miss: Floats = left_u * left_u + left_v * left_v
    return miss


def amounts(pairs: Sequence[FlowSamples], cameras: Sequence[Similarity]) -> tuple[list[float], list[float]]:
    """Return for each pair the mean length, over the picture, of the camera's motion and of what is left.

    In diagonals. What is left counts where there is texture: a blank area's own motion can't be seen.
    """
    if not pairs:
        return [], []
    flow_2PN = np.stack([pair.shift_2N for pair in pairs], axis=1)
    fit_4P = np.array([[c.x, c.y, c.zoom, c.roll] for c in cameras], np.float32).T
    left_PN = np.sqrt(_miss(flow_2PN, pairs[0].at_2N, fit_4P))
    moved_PN = np.sqrt(_miss(np.zeros_like(flow_2PN), pairs[0].at_2N, fit_4P))
    textured_PN = np.minimum(np.stack([pair.texture_N for pair in pairs]) * 4.0, 1.0)
    return moved_PN.mean(axis=1).tolist(), (left_PN * textured_PN).mean(axis=1).tolist()


def velocities(cameras: Sequence[Similarity], dt_s: Sequence[float]) -> Velocities:
    """Return (P, 4) velocities in diagonals a second: x, y, zoom and roll.

    Zoom and roll count by how far they move the picture's points on average.
    """
    moves = [[c.x, c.y, c.zoom * _REACH, c.roll * _REACH] for c in cameras]
    velocity_P4: Velocities = np.array(moves).reshape(-1, 4) / np.array(dt_s).reshape(-1, 1)
    return velocity_P4


def shake(velocity_P4: Velocities) -> float | None:
    """Return the RMS of the unsteady part of the camera's velocity, in diagonals a second.

    The unsteady part is the second difference of velocities a quarter of a second apart, over √6, so that
    white noise keeps its RMS, and an even or evenly accelerated move has none. Largest tenth left out (a whip
    pan is no shake). None of fewer than three pairs.
    """
    if len(velocity_P4) < 3:
        return None
    jolt = velocity_P4[2:] - 2 * velocity_P4[1:-1] + velocity_P4[:-2]
    energy = np.sort((jolt * jolt).sum(axis=1)) / 6
    kept = energy[: len(energy) - int(len(energy) * 0.1)]
    return float(np.sqrt(kept.mean()))


def support_of(cameras: Sequence[Similarity]) -> float:
    """Return the share of the picture's texture that moves as the camera does in a usual pair; 0 of none."""
    support = sorted(camera.support for camera in cameras)
    return support[len(support) // 2] if support else 0.0


def classify_camera(
    velocity_P4: Velocities, path_support: float = 1.0, flow_support: float = 0.0
) -> CameraKind | None:
    """Return what the camera does in a clip, by its velocities (`velocities`); None of no steps.

    None, too, where little of the picture supports them: neither enough of what lies a quarter of a second
    apart (`support_of` a path of `filters.camera_path`), nor of the flow. Where everything moves by itself
    (cloth, water, hands), any name would be a guess.

    static: hardly moves. handheld: the unsteady part of its motion is a large part of it. pan, tilt, zoom,
    roll: one of them has most of the energy (a dolly reads as a zoom); else mixed.
    """
    if not len(velocity_P4) or not _named(_NAMED, path_support, flow_support):
        return None
    energy_P = (velocity_P4 * velocity_P4).sum(axis=1)
    kept = np.argsort(energy_P, kind="stable")[: len(energy_P) - int(len(energy_P) * 0.1)]
    if np.sqrt(energy_P[kept]).mean() < _STATIC:
        return "static"
    unsteady = shake(velocity_P4)
    rms = float(np.sqrt(energy_P[kept].mean()))
    if unsteady is not None and unsteady > _SHAKEN * rms:
        return "handheld" if _named(_NAMED_UNSTEADY, path_support, flow_support) else None
    shares = (velocity_P4[kept] ** 2).mean(axis=0) / rms**2
    kinds: tuple[CameraKind, ...] = ("pan", "tilt", "zoom", "roll")
    best = int(shares.argmax())
    return kinds[best] if shares[best] >= _DOMINANT else "mixed"


def _named(least: tuple[float, float], path_support: float, flow_support: float) -> bool:
    path, flow = least
    return path_support >= path or flow_support >= flow
