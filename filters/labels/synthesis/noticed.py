"""What the eye notices: motion, in which way it runs, what it leaves behind, and what an edit changes.

A difference is one of lightness (CIE L*) as a screen in a lit room shows it, whose glass adds a hundredth of
white to everything: of what is nearly black there is less to be seen than its numbers say.

What nobody would notice makes no answer. Effects that need motion are put into films that have it. Nobody
can be sure of a film in which next to nothing moves, or that can hardly be told from itself without the edit.
"""

from __future__ import annotations

import itertools
from typing import Final

import cv2
import numpy as np

from curate.footage.textures import Image
from filters.labels.synthesis.takes import Made, Take

__all__ = ["doubted", "followed", "moving_share", "seen_s"]

_STEP_S: Final = 1 / 3
_HEIGHT: Final = 135
_GLARE: Final = 0.01
"""of white, on every pixel (a usual viewing flare)"""
_LEVELS: Final = 6
"""of 255; a smaller change of lightness of a blurred picture is not seen"""
_SPOT: Final = 0.02
"""of the picture: what changes within it is a spot"""
_LIVING: Final = 0.3
"""of the time: where less of it has motion, somebody would call the film static"""
_MARK: Final = 0.005
"""of the picture: an edit that changes less of it is not noticed"""
_NOTICED_S: Final = 0.5
_PAIRS: Final = 8
_APART_S: Final = 1 / 8
_LEFT_OVER: Final = 0.75
"""of the change: where following what moves explains less than the rest, it flickers, glitters or falls"""
_MOVES: Final = 0.05
"""of the picture"""


def moving_share(take: Take) -> float:
    """Return in which share (0 to 1) of a take's thirds of a second more is seen to change than a spot.

    Grain is blurred away first.
    """
    apart = max(1, round(float(take.fps) * _STEP_S))
    seen = [_blurred(take.frames[n]) for n in range(0, len(take.frames), apart)]
    changed = [float((cv2.absdiff(a, b) > _LEVELS).mean()) for a, b in itertools.pairwise(seen)]
    return float(np.mean([share > _SPOT for share in changed])) if changed else 0.0


def followed(take: Take) -> bool:
    """Return whether the eye can follow what moves, and so would see time run otherwise than it does.

    Flames, glitter and snow change without going anywhere: moved along the optical flow of Farneback, a
    picture is hardly more like the next one.
    """
    apart = max(1, round(float(take.fps) * _APART_S))
    if len(take.frames) <= apart:
        return False
    changed, left, moves = [], [], []
    for index in np.linspace(0, len(take.frames) - 1 - apart, _PAIRS).astype(int):
        one, two = (_blurred(take.frames[n], 90) for n in (index, index + apart))
        flow = cv2.calcOpticalFlowFarneback(one, two, None, 0.5, 3, 11, 3, 5, 1.1, 0)
        y, x = np.mgrid[0 : one.shape[0], 0 : one.shape[1]].astype(np.float32)
        back = cv2.remap(
            two, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        changed.append(float(cv2.absdiff(one, two).mean()))
        left.append(float(cv2.absdiff(one, back).mean()))
        moves.append(float((np.hypot(flow[..., 0], flow[..., 1]) > 1).mean()))
    return sum(left) < _LEFT_OVER * sum(changed) and float(np.mean(moves)) >= _MOVES


def seen_s(edited: Take, plain: Take) -> float:
    """Return for how many seconds an edited film differs, to the eye, from the same film without the edit."""
    pairs = list(zip(edited.frames, plain.frames, strict=True))[::2]
    differ = [float((cv2.absdiff(_blurred(a), _blurred(b)) > _LEVELS).mean()) > _MARK for a, b in pairs]
    return 2 * sum(differ) / float(edited.fps)


def _lightness() -> Image:
    """Return the lightness that is seen of each level of gray, 0 to 255."""
    gray = np.arange(256) / 255
    linear = np.where(gray <= 0.04045, gray / 12.92, ((gray + 0.055) / 1.055) ** 2.4)
    root = np.cbrt((linear + _GLARE) / (1 + _GLARE))
    seen: Image = np.rint(255 * (1.16 * root - 0.16)).astype(np.uint8)
    return seen


_SEEN: Final = _lightness()


def _blurred(frame: Image, height: int = _HEIGHT) -> Image:
    tall, wide = frame.shape[:2]
    size = (max(1, round(wide * height / tall)), height)
    small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    made: Image = cv2.GaussianBlur(cv2.LUT(small, _SEEN), (0, 0), 1)
    return made


def doubted(made: Made) -> Made:
    """Return a film with `unsure` where nobody can be sure.

    Of a `no` for `static` where it mostly stands still to the eye, of a `yes` for `editing` where the edit is
    hardly to be seen.
    """
    said = dict(made.answers)
    if said.get("static", "no") == "no" and moving_share(made.take) < _LIVING:
        said["static"] = "unsure"
    if said.get("editing") == "yes" and made.plain and seen_s(made.take, made.plain) < _NOTICED_S:
        said["editing"] = "unsure"
    return Made(made.take, made.kind, said)
