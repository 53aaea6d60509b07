"""Editing in time: one take gives way to another, or runs fast, slow and backwards."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np

from curate.footage.textures import Floats, Image
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.noticed import followed
from filters.labels.synthesis.takes import Made, Random, Take, answers, ease, floats

__all__ = ["LIVELY", "MIXES", "dissolve", "liveliness", "montage", "speed_ramp", "transition", "zoomed"]

LIVELY: Final = 7.0
"""of `liveliness`: below it one does not notice in which direction and how fast time runs"""
_UNLIKE: Final = 10.0
"""8-bit steps between thumbnails: shots of a montage that are more alike than that might be one"""
Mix = Callable[[Image, Image, float], Image]


def dissolve(old: Image, new: Image, part: float) -> Image:
    """Return both pictures laid over each other, `part` (0 to 1) of the new."""
    made: Image = cv2.addWeighted(old, 1 - part, new, part, 0)
    return made


def _through(value: int) -> Mix:
    def mix(old: Image, new: Image, part: float) -> Image:
        plain = np.full_like(old, value)
        return dissolve(old, plain, 2 * part) if part < 0.5 else dissolve(plain, new, 2 * part - 1)

    return mix


def _along(height: int, width: int, way: str) -> Floats:
    """Return when (0 to 1) a wipe reaches each pixel."""
    y: Floats = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x: Floats = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    return floats(np.broadcast_to(_reached(y, x, width / height, way), (height, width)))


def _reached(y: Floats, x: Floats, aspect: float, way: str) -> Any:
    match way:
        case "left":
            return 1 - x
        case "right":
            return x
        case "down":
            return y
        case "diagonal":
            return (x + y) / 2
        case "iris":
            return np.hypot((x - 0.5) * aspect, y - 0.5) / math.hypot(0.5 * aspect, 0.5)
        case "blinds":
            return (y * 7) % 1.0
        case "clock":
            return (np.arctan2(x - 0.5, 0.5 - y) / (2 * math.pi)) % 1.0
    raise ValueError(f"no wipe {way}")


def _wipe(way: str, soft: float) -> Mix:
    def mix(old: Image, new: Image, part: float) -> Image:
        along = _along(old.shape[0], old.shape[1], way)
        edge = np.clip((part * (1 + soft) - along) / soft, 0, 1)
        mask = cv2.cvtColor((edge * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        made: Image = cv2.add(
            cv2.multiply(new, mask, scale=1 / 255), cv2.multiply(old, cv2.bitwise_not(mask), scale=1 / 255)
        )
        return made

    return mix


def _slide(dx: int, dy: int, *, push: bool) -> Mix:
    def mix(old: Image, new: Image, part: float) -> Image:
        height, width = old.shape[:2]
        move = ease(part)
        x, y = round(dx * (1 - move) * width), round(dy * (1 - move) * height)
        into = floats([[1, 0, x], [0, 1, y]])
        out = floats([[1, 0, x - dx * width], [0, 1, y - dy * height]])
        under = cv2.warpAffine(old, out, (width, height)) if push else old.copy()
        made: Image = cv2.warpAffine(new, into, (width, height), dst=under, borderMode=cv2.BORDER_TRANSPARENT)
        return made

    return mix


def zoomed(image: Image, zoom: float, turn: float = 0.0) -> Image:
    """Return a picture grown about its middle and turned by `turn` radians."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(turn), zoom)
    made: Image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return made


def _zoom(turn: float) -> Mix:
    def mix(old: Image, new: Image, part: float) -> Image:
        one = zoomed(old, 1 + 1.6 * ease(part), turn * part)
        two = zoomed(new, 2.2 - 1.2 * ease(part), turn * (part - 1))
        made = dissolve(one, two, ease(2 * part - 0.5))
        reach = round(14 * (0.5 - abs(part - 0.5))) | 1
        return cv2.GaussianBlur(made, (reach, reach), 0) if reach > 1 else made

    return mix


def _whip(old: Image, new: Image, part: float) -> Image:
    joined = _slide(1, 0, push=True)(old, new, part)
    reach = 1 + round(old.shape[1] * 0.12 * math.sin(math.pi * part))
    made: Image = cv2.blur(joined, (reach, 1))
    return made


def _pixels(old: Image, new: Image, part: float) -> Image:
    height, width = old.shape[:2]
    step = 1 + int(height / 7 * (0.5 - abs(part - 0.5)) * 2)
    source = old if part < 0.5 else new
    small = cv2.resize(source, (max(2, width // step), max(2, height // step)), interpolation=cv2.INTER_AREA)
    made: Image = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return made


MIXES: Final[dict[str, Mix]] = {
    "dissolve": dissolve,
    "black": _through(0),
    "white": _through(255),
    **{f"wipe_{way}": _wipe(way, 0.03) for way in ("left", "right", "down", "diagonal", "iris", "blinds")},
    "clock": _wipe("clock", 0.02),
    "soft_wipe": _wipe("right", 0.35),
    "slide": _slide(1, 0, push=False),
    "push": _slide(-1, 0, push=True),
    "rise": _slide(0, 1, push=True),
    "zoom": _zoom(0.0),
    "spin": _zoom(1.2),
    "whip": _whip,
    "pixels": _pixels,
}


def transition(base: Base, rng: Random) -> Made:
    """One take gives way to the other, once, or there and back."""
    one, two = base.one.frames, base.two.frames
    name = str(rng.choice(list(MIXES)))
    mix = MIXES[name]
    fps = float(base.one.fps)
    lasts = max(4, round(rng.uniform(0.35, 1.3) * fps))
    total = len(one)
    starts = [int(total * rng.uniform(0.25, 0.65))]
    if rng.random() < 0.3:
        starts = [int(total * 0.22), int(total * 0.66)]
    made = []
    for index in range(total):
        passed = [start for start in starts if index >= start + lasts]
        old, new = (one, two) if len(passed) % 2 == 0 else (two, one)
        now = [start for start in starts if start <= index < start + lasts]
        made.append(mix(old[index], new[index], (index - now[0] + 1) / (lasts + 1)) if now else old[index])
    return Made(base.one.of(made), f"editing_{name}", answers(editing="yes"))


def montage(base: Base, rng: Random) -> Made:
    """Bits of takes one after another, cut hard: their motion does not connect."""
    count = int(rng.integers(3, 7))
    total = len(base.one.frames)
    cuts = {round(total * v) for v in rng.uniform(0.06, 0.94, count)}
    made, number = [], 0
    zooms = rng.uniform(1.0, 1.6, count + 1)
    jump = int(rng.integers(total))
    for index in range(total):
        number += index in cuts
        source = (base.one, base.two)[number % 2].frames
        frame = source[(index + number * jump) % total]
        made.append(zoomed(frame, float(zooms[number])) if zooms[number] > 1.15 else frame)
    shots = [made[n] for n in sorted({0, *cuts}) if n < total]
    apart = max(float(cv2.absdiff(_thumb(a), _thumb(b)).mean()) for a, b in itertools.pairwise(shots))
    said = answers(editing="yes" if apart >= _UNLIKE else "unsure")
    return Made(base.one.of(made), "editing_montage", said)


def _thumb(frame: Image) -> Image:
    small: Image = cv2.resize(frame, (16, 9), interpolation=cv2.INTER_AREA)
    return small


def liveliness(take: Take) -> float:
    """Return how much a take changes in a third of a second, mean over its picture in 8-bit steps."""
    apart = max(1, round(float(take.fps) / 3))
    starts = range(0, max(1, len(take.frames) - apart), 2 * apart)
    return float(np.mean([cv2.absdiff(take.frames[n], take.frames[n + apart]).mean() for n in starts]))


def speed_ramp(base: Base, rng: Random) -> Made:
    """Time runs fast and slow, backwards, or to and fro.

    Where little moves, or nothing that the eye can follow, nobody would see it: a transition.
    """
    take = max(base.one, base.two, key=liveliness)
    if liveliness(take) < LIVELY or not followed(take):
        return transition(base, rng)
    total = len(take.frames)
    s = np.linspace(0, 1, total)
    kind = str(rng.choice(["ramp", "boomerang", "reverse_loop", "stop"]))
    match kind:
        case "ramp":
            pace = 0.25 + 4.5 * (np.sin(np.pi * (2 * s + rng.uniform(0, 2))) > 0.2)
            pace = cv2.GaussianBlur(pace.astype(np.float32)[None], (0, 0), total / 25)[0]
        case "boomerang":
            pace = np.where((s * rng.integers(3, 6)) % 1 < 0.5, 2.0, -2.0)
        case "reverse_loop":
            pace = np.full(total, 1.0)
        case _:
            pace = np.where((s > 0.35) & (s < 0.62), 0.0, 1.6)
    at = np.cumsum(pace)
    at = np.abs((at - at.min()) % (2 * (total - 1)) - (total - 1))
    if kind == "reverse_loop":
        at = (np.arange(total) * 3) % max(8, total // 3)
    frames = take.frames
    made = []
    for value in at:
        low = min(int(value), total - 2)
        part = float(value - low)
        blended = kind == "ramp" and 0.1 < part < 0.9
        made.append(
            dissolve(frames[low], frames[low + 1], part) if blended else frames[min(total - 1, round(value))]
        )
    return Made(
        take.of(made),
        f"editing_speed_{kind}",
        answers(editing="yes", static="unsure" if kind == "stop" else "no"),
    )
