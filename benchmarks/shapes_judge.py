"""Says which colour moves which way in a clip of the plain shapes, from its pixels alone.

Plain arithmetic: each pixel is named after the nearest of the set's colours and grounds; the colour that most
pixels have is the shape's; how far its middle goes from the first frames to the last is its way. It knows
nothing of the caption, so it can judge what a model made of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curate.footage.drawing import COLORS, GROUNDS

__all__ = ["Seen", "judge"]

_NAMES: Final = tuple(COLORS)
_LIGHTS: Final = (0.85, 1.0, 1.15)
"""shapes are lit from the top left: their sides are so much brighter and darker"""
_STILL: Final = 0.12
"""shares of the side: less is no way. Clips go 0.34 and more, or 0"""
_ENDS: Final = 3
"""frames at either end that the way is measured between"""
_LEAST: Final = 0.02
"""share of the frame that a shape fills at least; the smallest triangle fills 0.04"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a clip shows; None: no shape to be seen, or none at one of the ends."""

    color: str | None
    direction: str | None


def judge(video_THW3: npt.NDArray[np.uint8]) -> Seen:
    """Return the colour of the moving shape and its way (`left`, `right`, `up`, `down`, `still`)."""
    named_THW = _named(video_THW3)
    counts = np.bincount(named_THW.ravel(), minlength=len(_NAMES) + 1)[: len(_NAMES)]
    color = int(counts.argmax())
    if counts[color] < _LEAST * named_THW.size:
        return Seen(None, None)
    ends = [_middle(part == color) for part in (named_THW[:_ENDS], named_THW[-_ENDS:])]
    if ends[0] is None or ends[1] is None:
        return Seen(_NAMES[color], None)
    dx, dy = ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]
    if max(abs(dx), abs(dy)) < _STILL:
        return Seen(_NAMES[color], "still")
    if abs(dx) > abs(dy):
        return Seen(_NAMES[color], "right" if dx > 0 else "left")
    return Seen(_NAMES[color], "down" if dy > 0 else "up")


def _named(video_THW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the number of each pixel's colour; those of grounds have the number after the last."""
    shades = [np.clip(np.array(color) * light, 0, 1) for color in COLORS.values() for light in _LIGHTS]
    grounds = [np.array(ends[0]) * (1 - part) + np.array(ends[1]) * part
               for ends in GROUNDS.values() for part in (0.0, 0.5, 1.0)]  # fmt: skip
    known_K3 = np.array([*shades, *grounds], np.float32)
    names_K = np.minimum(np.arange(len(known_K3)) // len(_LIGHTS), len(_NAMES))
    pixels = video_THW3.astype(np.float32) / 255
    # |p - k|² without |p|², which is the same for every k
    distance = (known_K3**2).sum(axis=1) - 2 * pixels @ known_K3.T
    nearest: npt.NDArray[np.int64] = names_K[distance.argmin(axis=-1)]
    return nearest


def _middle(mask_THW: npt.NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return the middle (x, y, shares of the sides), or None of next to nothing."""
    _, y, x = np.nonzero(mask_THW)
    if len(x) < _LEAST / 2 * mask_THW.size:
        return None
    return float(x.mean()) / mask_THW.shape[2], float(y.mean()) / mask_THW.shape[1]
