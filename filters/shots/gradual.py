"""Does one shot turn into another over these frames? Candidates and features of gradual transitions.

In a dissolve, fade or wipe every pixel goes from its old value to its new one without turning back, so the
net change across the window is nearly as long as the path of small changes that led there: *straightness*,
net over path, is near 1. Motion in a shot makes pixels go to and fro. Windows of several lengths are tried at
every frame; where net change times straightness has a peak, the frames are looked at closely: are the middle
ones mixtures of both ends, is their contrast lower, can optical flow or a change of light explain the change?

Cost: a few microseconds a frame; some milliseconds a candidate, which are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from filters.shots.hard import detail, log, ncc, warp
from filters.shots.planes import TinyFrame, luma_distance, tiny_distance

__all__ = ["FEATURES", "HALVES_S", "Ramp", "half_frames", "ramp", "straightness", "transition_features"]

Floats = npt.NDArray[np.float32]

HALVES_S = (0.12, 0.25, 0.5, 0.9)
"""half lengths of the windows, seconds"""
_LEAST_NET = 5.0
"""gray levels of net change below which nothing is a transition"""
_PEAK_SHARE = 0.5
"""a window whose largest step is more than this share of its path holds a cut, not a transition"""

FEATURES = (
    "net", "straight", "peak", "peak_second", "half_frames", "length_s", "length_frames",
    "active_left", "active_right", "drift_left", "drift_right", "lasting",
    "mix_error", "mix_error_most", "turns", "share_middle",
    "ncc", "gain_left", "edges_kept", "warped", "warped_ratio", "warped_ncc", "inner_warped_ratio", "inner_warped_ncc",
    "contrast_dip", "detail_dip", "blank_end", "blank_inside", "level_change", "brighter",
    "histogram", "spread", "cells_changed", "pixel_steps", "step_order",
)  # fmt: skip


def half_frames(fps: float, most: int) -> tuple[int, ...]:
    """Return the half lengths of the windows in frames, rising, without repeats, at most `most`."""
    return tuple(sorted({min(most, max(3, round(s * fps))) for s in HALVES_S}))


def straightness(net: float, path: float, peak: float) -> float:
    """Return net change times straightness, in gray levels; 0 where the window holds no gradual change."""
    if net < _LEAST_NET or peak > _PEAK_SHARE * path:
        return 0.0
    straight = net / (path + 0.5)
    return net * straight if straight > 0.5 else 0.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """How the frames of a window go from its first state to its last."""

    share_T: Floats
    """0 at the window's first frame, 1 at its last: the least-squares share of the new state"""
    error_T: Floats
    """what the mixture leaves, over the distance of the states"""
    end_frame: int
    """first frame of the transition, counted in the window"""
    start_frame: int
    """first frame of the new state, counted in the window"""


def _vector(frame: TinyFrame) -> Floats:
    return np.concatenate([frame.tiny_hw.ravel(), frame.chroma_2hw.ravel()]).astype(np.float32)


def ramp(frames: Sequence[TinyFrame], first: int, last: int) -> Ramp:
    """Describe `frames` as mixtures of `frames[first]` and `frames[last]`; find where the mixing starts and ends."""
    x = np.stack([_vector(f) for f in frames])
    a, v = x[first], x[last] - x[first]
    length = float(v @ v) + 1e-3
    share = (x - a) @ v / length
    error = np.sqrt(np.mean((x - a - share[:, None] * v) ** 2, 1) / (length / len(v)))
    middle = first + int(np.argmin(np.abs(share[first : last + 1] - 0.5)))
    low, high = middle, middle
    while low > 0 and share[low] > 0.1:
        low -= 1
    while high < len(frames) - 1 and share[high] < 0.9:
        high += 1
    # From the 10 % and 90 % points to the ends of an even ramp.
    more = int(np.ceil((high - low) * 0.125))
    return Ramp(share, error, max(0, low + 1 - more), min(len(frames), high + more))


def transition_features(
    frames: Sequence[TinyFrame], first: int, last: int, fps: float, found: Ramp
) -> Floats:
    """Return the features of the change from `frames[first]` to `frames[last]`, in the order of `FEATURES`.

    `frames` reaches beyond both, as far as there are frames, by about the length of the window.
    """
    return np.array(
        _shape(frames, first, last, fps, found) + _mixture(frames, first, last, found)
        + _ends(frames, first, last) + _pixels(frames, first, last),
        np.float32,
    )  # fmt: skip


def _shape(frames: Sequence[TinyFrame], first: int, last: int, fps: float, found: Ramp) -> list[float]:
    gaps = [tiny_distance(a, b) for a, b in zip(frames, frames[1:], strict=False)]
    inside = gaps[first:last]
    path, steps = sum(inside), sorted(inside)
    net = tiny_distance(frames[first], frames[last])
    a, b = found.end_frame, found.start_frame
    mean = sum(gaps[max(0, a - 1) : b]) / max(1, b - max(0, a - 1))
    left, right = gaps[max(0, a - 9) : max(0, a - 1)], gaps[b : b + 8]
    active = [log(sum(s) / len(s) if s else 0.0) - log(mean) for s in (left, right)]
    before, after = frames[max(0, a - 1)], frames[min(len(frames) - 1, b)]
    drift = [
        log(tiny_distance(frames[0], before)) - log(net),
        log(tiny_distance(after, frames[-1])) - log(net),
    ]
    return [
        log(net), net / (path + 0.5), steps[-1] / (path + 0.5), steps[-2] / (path + 0.5),
        float(last - first) / 2, (b - a) / fps, float(b - a), *active, *drift,
        log(tiny_distance(frames[0], frames[-1])) - log(net),
    ]  # fmt: skip


def _mixture(frames: Sequence[TinyFrame], first: int, last: int, found: Ramp) -> list[float]:
    share, error = found.share_T[first : last + 1], found.error_T[first : last + 1]
    steps = np.diff(share)
    turns = float(np.abs(steps).sum()) - 1
    return [float(error.mean()), float(error.max()), turns, float(share[len(share) // 2])]


def _ends(frames: Sequence[TinyFrame], first: int, last: int) -> list[float]:
    a, b = frames[first], frames[last]
    x, y = a.small_hw.astype(np.float32), b.small_hw.astype(np.float32)
    std_x, std_y = float(x.std()), float(y.std())
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    distance = luma_distance(a, b)
    whole = warp(a, b)
    quarter = max(1, (last - first) // 4)
    c, d = frames[first + quarter], frames[last - quarter]
    inner = warp(c, d)
    inside = [float(f.small_hw.std()) for f in frames[first : last + 1]]
    middle = frames[(first + last) // 2]
    sharp = [
        float(cv2.Laplacian(f.mid_HW, cv2.CV_16S, ksize=3).astype(np.float32).std()) for f in (a, middle, b)
    ]
    histograms = [
        cv2.calcHist([f.small_hw], [0], None, [32], [0, 256])[:, 0] / f.small_hw.size for f in (a, b)
    ]
    return [
        (covariance + 1) / (std_x * std_y + 1),
        1 - covariance**2 / (std_x**2 * std_y**2 + 1),
        ncc(detail(a.mid_HW), detail(b.mid_HW)),
        log(whole.mean), log(whole.mean) - log(distance), whole.ncc,
        log(inner.mean) - log(luma_distance(c, d)), inner.ncc,
        log(min(inside)) - log((std_x + std_y) / 2),
        log(sharp[1]) - log((sharp[0] + sharp[2]) / 2),
        log(min(std_x, std_y)), log(min(inside)), abs(float(x.mean() - y.mean())), max(float(x.mean()), float(y.mean())),
        float(np.abs(histograms[0] - histograms[1]).sum()),
    ]  # fmt: skip


def _pixels(frames: Sequence[TinyFrame], first: int, last: int) -> list[float]:
    """Tell a wipe, where each pixel changes at a time of its own, from a mixture."""
    stack = np.stack([f.tiny_hw for f in frames[first : last + 1]]).astype(np.float32)
    change = np.abs(stack[-1] - stack[0])
    cells = cv2.resize(change, (8, 6), interpolation=cv2.INTER_AREA)
    steps = np.abs(np.diff(stack, axis=0))
    # Of pixels that change: the share of their largest step, and how far apart in time these are.
    moved = change > max(8.0, float(np.median(change)))
    if not moved.any():
        return [0.0, 0.0, 0.0, 0.0]
    concentration = float(np.mean(steps.max(0)[moved] / (steps.sum(0)[moved] + 1)))
    order = float(np.std(steps.argmax(0)[moved]) / len(steps))
    return [float(np.mean(cells > 0.5 * change.mean())), float(np.mean(cells > 10)), concentration, order]
