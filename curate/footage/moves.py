"""Shots whose camera is known to the pixel: photographs, and scenes in which things move, moved as a whole.

The camera turns and zooms and does not travel, so what it does to a frame of a moving scene is what it would
do to a photograph: rendered in layers, near things would shift against far ones, and no one move were true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import exp
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curate.footage.camera import Camera
from curate.footage.canvas import Size, Sprite, View, fill, place
from curate.footage.film import build_scene

__all__ = [
    "LIVELY",
    "LIVELY_FPS",
    "PHOTOGRAPHED",
    "PHOTO_FPS",
    "MovedShot",
    "lively_shots",
    "photograph_shots",
]

PHOTOGRAPHED: Final = ("aerial", "city", "forest", "hills", "lake", "meadow", "street", "sea")
LIVELY: Final = (
    "balls",
    "birds",
    "city",
    "fire",
    "forest",
    "hands",
    "meadow",
    "reef",
    "street",
    "talker",
    "clockwork",
)
PHOTO_FPS: Final = Fraction(25)
LIVELY_FPS: Final = Fraction(25, 2)

_MOVES = (
    Camera("static"),
    Camera("pan", 0.05),
    Camera("pan", -0.015),
    Camera("tilt", 0.03),
    Camera("zoom", 0.1),
    Camera("zoom", -0.06, start=View(zoom=1.2)),
    Camera("roll", 0.12),
    Camera("handheld", 0.02),
)
_SCENE: Size = (640, 360)
_SHOWN: Size = (320, 180)
_PHOTO_FRAMES, _LIVELY_FRAMES = 63, 38
# How many heights of the frame the picture has that the camera moves over.
_PHOTO_HEIGHTS, _LIVELY_HEIGHTS = 1.7, 1.35


@dataclass(frozen=True, slots=True)
class MovedShot:
    """A shot and what its camera does."""

    kind: str
    luma_THW: npt.NDArray[np.uint8]


def photograph_shots(scene: str, seed: int) -> Iterator[MovedShot]:
    """Yield two and a half seconds of a photograph of a scene under nine moves, the last a pan and a zoom."""
    photo = Sprite(build_scene(scene, _SCENE, seed, "noon", "")(0.0, View()), _SCENE[1] / _PHOTO_HEIGHTS)
    times_s = [float(n / PHOTO_FPS) for n in range(_PHOTO_FRAMES)]
    for move in _MOVES:
        yield _moved(move.kind, [photo] * len(times_s), [move.view(t, _SHOWN) for t in times_s])
    pan = Camera("pan", 0.03)
    views = [View(x=pan.view(t, _SHOWN).x, zoom=exp(0.11 * t)) for t in times_s]
    yield _moved("mixed", [photo] * len(times_s), views)


def lively_shots(scene: str, seed: int) -> Iterator[MovedShot]:
    """Yield three seconds of a scene in which things move, under eight moves; turns are about the middle."""
    times_s = [float(n / LIVELY_FPS) for n in range(_LIVELY_FRAMES)]
    render = build_scene(scene, _SCENE, seed, "noon", "")
    pictures = [Sprite(render(t, View()), _SCENE[1] / _LIVELY_HEIGHTS) for t in times_s]
    for move in _MOVES:
        camera = move
        if move.kind in ("pan", "tilt", "roll"):
            middle = move.view(1.5, _SHOWN)
            camera = replace(move, start=View(x=-middle.x, y=-middle.y, roll=-middle.roll))
        yield _moved(move.kind, pictures, [camera.view(t, _SHOWN) for t in times_s])


def _moved(kind: str, pictures: Sequence[Sprite], views: Sequence[View]) -> MovedShot:
    frames = [
        fill(_SHOWN, picture, place(picture, view, _SHOWN))
        for picture, view in zip(pictures, views, strict=True)
    ]
    return MovedShot(kind, np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]))
