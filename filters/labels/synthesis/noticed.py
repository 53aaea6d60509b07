"""What nobody would notice makes no answer: films in which next to nothing is seen to move."""

from __future__ import annotations

import itertools
from typing import Final

import cv2
import numpy as np

from curate.footage.textures import Image
from filters.labels.synthesis.takes import Made, Take

__all__ = ["doubted", "moving_share"]

_STEP_S: Final = 1 / 3
_HEIGHT: Final = 135
_LEVELS: Final = 6
"""of 255; a smaller change of a blurred picture is not seen"""
_SPOT: Final = 0.02
"""of the picture: what changes within it is a spot"""
_LIVING: Final = 0.3
"""of the time: where less of it has motion, somebody would call the film static"""


def moving_share(take: Take) -> float:
    """Return in which share (0 to 1) of a take's thirds of a second more is seen to change than a spot.

    Grain is blurred away first.
    """
    apart = max(1, round(float(take.fps) * _STEP_S))
    seen = [_blurred(take.frames[n]) for n in range(0, len(take.frames), apart)]
    changed = [float((cv2.absdiff(a, b) > _LEVELS).mean()) for a, b in itertools.pairwise(seen)]
    return float(np.mean([share > _SPOT for share in changed])) if changed else 0.0


def _blurred(frame: Image) -> Image:
    height, width = frame.shape[:2]
    size = (max(1, round(width * _HEIGHT / height)), _HEIGHT)
    small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    made: Image = cv2.GaussianBlur(small, (0, 0), 1)
    return made


def doubted(made: Made) -> Made:
    """Return a film with `unsure` for a `no` of `static`, where it mostly stands still to the eye."""
    if made.answers.get("static", "no") != "no" or moving_share(made.take) >= _LIVING:
        return made
    return Made(made.take, made.kind, {**made.answers, "static": "unsure"})
