"""Clips for stages that look at samples: pictures in, a clip with their JPEGs out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from curate.footage.canvas import Scene, View
from curate.footage.film import SCENES
from curate.footage.light import LIGHTS
from curate.records import Clip, Outcome, Row, Sample, Stage
from filters.sampled import Picture


def clip(*pictures: Picture | bytes, name: str = "clip") -> Clip:
    """A clip whose samples, a second apart, are `pictures` (BGR or gray), or bytes as they are."""
    samples = tuple(
        Sample(float(second), picture if isinstance(picture, bytes) else jpeg(picture))
        for second, picture in enumerate(pictures)
    )
    return Clip({"clip_id": name, "frames": 24}, lambda: samples, lambda: b"")


def jpeg(picture: Picture) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()  # type: ignore[no-any-return]


def row(stage: Stage, *pictures: Picture | bytes) -> Row:
    """The columns that `stage` gives a clip of these pictures."""
    (outcome,) = stage.process([clip(*pictures)])
    assert isinstance(outcome, dict), outcome
    assert set(outcome) == set(stage.provides.names)
    return outcome


def rows(stage: Stage, clips: Sequence[Clip]) -> dict[str, Outcome]:
    """The outcomes of clips by their ids."""
    return {one.clip_id: outcome for one, outcome in zip(clips, stage.process(clips), strict=True)}


def plain(width: int = 640, height: int = 360, level: int = 90) -> Picture:
    """A picture of one gray."""
    return np.full((height, width, 3), level, np.uint8)


@cache
def _scene(name: str, size: tuple[int, int], seed: int) -> Scene:
    return SCENES[name](size, seed, LIGHTS["noon"])


def scene(name: str, time_s: float = 1.0, size: tuple[int, int] = (640, 360), seed: int = 1) -> Picture:
    """A frame of one of the rendered scenes, BGR; the caller's own."""
    return np.ascontiguousarray(_scene(name, size, seed)(time_s, View())[..., ::-1])
