"""Comparisons of two frames that motion or light may have changed: costly, so made on candidates only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log, sqrt
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane
from filters.shots.planes import TinyFrame

__all__ = [
    "Floats",
    "Warp",
    "apart",
    "contrast",
    "correlation",
    "detail",
    "histogram",
    "in_order",
    "level",
    "level_and_contrast",
    "light",
    "upper_median",
    "warp",
]

Floats = npt.NDArray[np.float32]

_NOISE = 0.3
"""gray levels: below that, distances are noise"""
_PATCH_PX = 7
_LEAST_FLOW_PX = 16
"""DIS wants planes a few patches wide"""


def level(distance: float) -> float:
    """Return the logarithm of a distance in gray levels, flat below the noise: differences are ratios."""
    return log(distance + _NOISE)


def upper_median(values: npt.NDArray[Any]) -> float:
    """Return the middle value, the upper one of two. `np.median` loads numpy.ma: 0.1 s at the first cut."""
    flat = values.ravel()
    return float(np.partition(flat, flat.size // 2)[flat.size // 2])


def in_order(plane: Plane) -> Plane:
    """Return the pixels (N,), darkest first: of bytes, sorted by counting, quantiles cost a lookup."""
    return np.sort(plane, axis=None, kind="stable")


def histogram(plane: Plane) -> Floats:
    """Return the counts of 32 gray ranges."""
    counts: Any = cv2.calcHist([plane], [0], None, [32], [0, 256])
    return cast(Floats, counts)


def apart(a: Floats, b: Floats) -> float:
    """Return the sum of absolute differences."""
    return float(cv2.norm(a, b, cv2.NORM_L1))


def level_and_contrast(plane: Plane) -> tuple[float, float]:
    """Return mean and standard deviation in gray levels."""
    mean, deviation = cv2.meanStdDev(plane)
    return float(mean[0, 0]), float(deviation[0, 0])


def contrast(plane: npt.NDArray[Any]) -> float:
    """Return the standard deviation in gray levels."""
    return float(cv2.meanStdDev(plane)[1][0, 0])


def light(x: Plane, y: Plane) -> tuple[float, float]:
    """Return (correlation, what gain and offset leave): both about 1 and 0 for one scene in two lights."""
    x_N, y_N = (plane.ravel() - np.float32(cv2.mean(plane)[0]) for plane in (x, y))
    covariance, variance_x, variance_y = (
        float(a @ b) / x_N.size for a, b in ((x_N, y_N), (x_N, x_N), (y_N, y_N))
    )
    # Gray levels of noise keep blank frames from correlating by chance.
    return (covariance + 1) / (sqrt(variance_x * variance_y) + 1), 1 - covariance**2 / (
        variance_x * variance_y + 1
    )


def detail(plane: Plane) -> Floats:
    """Return local structure without light: the plane less its blur, over its local contrast."""
    patch = (_PATCH_PX, _PATCH_PX)
    high: Any = plane - cv2.boxFilter(plane, cv2.CV_32F, patch)
    contrast: Any = cv2.blur(np.abs(high), patch)
    contrast += 2
    return cast(Floats, high / contrast)


def correlation(a: Floats, b: Floats) -> float:
    """Return the normalised correlation of two planes of zero mean, -1 to 1."""
    a, b = a.ravel(), b.ravel()
    return float(a @ b) / (float(np.sqrt((a @ a) * (b @ b))) + 1e-3)


@dataclass(frozen=True, slots=True)
class Warp:
    """What is left between two frames once one is moved onto the other."""

    mean: float
    """absolute residual, gray levels"""
    median: float
    cells: float
    """share of cells with much residual"""
    kept: float
    """correlation of detail"""
    length: float
    """mean of the flow's components, px of the small plane"""
    rough: float
    """mean deviation of the flow from its blur, px"""


def warp(a: TinyFrame, b: TinyFrame) -> Warp:
    """Move `b` onto `a` by dense optical flow (DIS, Kroeger et al. 2016, ultrafast)."""
    x, y = a.small_HW, b.small_HW
    if min(x.shape) < _LEAST_FLOW_PX:
        flow = np.zeros((*x.shape, 2), np.float32)
    else:
        flow = np.asarray(_dis().calc(x, y, None), np.float32)
    grid_x, grid_y = _grid(x.shape)
    warped = cv2.remap(
        y, grid_x + flow[..., 0], grid_y + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    residual = cv2.absdiff(x, warped)
    cells = cv2.resize(residual, (16, 9), interpolation=cv2.INTER_AREA)
    return Warp(
        cv2.mean(residual)[0],
        float(in_order(cast(Plane, residual))[residual.size // 2]),
        np.count_nonzero(cells > 12) / cells.size,
        correlation(detail(x), detail(cast(Plane, warped))),
        cv2.norm(flow, cv2.NORM_L1) / flow.size,
        apart(flow, cast(Floats, cv2.blur(flow, (5, 5)))) / flow.size,
    )


@cache
def _dis() -> cv2.DISOpticalFlow:
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow.setFinestScale(0)
    return flow


@cache
def _grid(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    height, width = shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y
