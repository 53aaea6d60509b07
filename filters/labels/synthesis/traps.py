"""Clean films that look like one of the six kinds at a glance."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.camera import Camera
from curate.footage.canvas import Sprite, View, draw, place
from curate.footage.faults import Flicker, Lamp
from curate.footage.textures import Image, fractal
from filters.labels.synthesis.base import Base, Format, live
from filters.labels.synthesis.holding import handheld, tracking
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.quality import grain, shallow_focus
from filters.labels.synthesis.takes import Made, Random, answers, mapped, px

__all__ = [
    "camera_watches",
    "car_window",
    "film_grain",
    "followed",
    "letterbox",
    "light_changes",
    "mild_hand",
    "night",
    "passing_object",
    "sharp_subject",
    "slow_pan",
    "small_motion",
]


def passing_object(base: Base, rng: Random) -> Made:
    """Something near and dark that crosses the whole frame: a lorry, a passer-by, a pillar."""
    width, height = base.one.size
    w = int(width * rng.uniform(0.3, 1.2))
    tone = rng.uniform(0.05, 0.6, 3) * 255
    picture = np.zeros((height, w, 4), np.uint8)
    picture[..., :3] = np.clip(
        tone * (0.6 + 0.8 * fractal((height, w), int(rng.integers(1 << 30)), cell=height / 3)[..., None]),
        0,
        255,
    )
    picture[..., 3] = 255
    if rng.random() < 0.5:
        picture[: int(0.25 * height)] = 0
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 8) * height / 270)
    thing = Sprite(picture, height)
    who = person(rng, height) if rng.random() < 0.4 else None
    way, pace, start = (1 if rng.random() < 0.5 else -1), rng.uniform(0.6, 1.8), rng.uniform(0.2, 1.2)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        x = way * (-1.4 + pace * (time_s - start)) * width / height
        if who is not None:
            draw_person(frame, who, Pose((x, 0.2), 1.0, talks=0, arms=0.3), time_s, View())
        else:
            draw(frame, thing, place(thing, View(), (width, height), at=(x, 0.0)))
        return frame

    return Made(mapped(base.one, change), "passing_object", answers())


def car_window(base: Base, rng: Random) -> Made:
    """The world through a car's or a train's window: a dark frame that trembles a little."""
    width, height = base.one.size
    shape = np.zeros((int(1.1 * height), int(1.1 * width)), np.uint8)
    h, w = shape.shape
    edge = px(
        [
            (0.12 * w, 0.16 * h),
            (0.5 * w, 0.1 * h),
            (0.9 * w, 0.14 * h),
            (0.93 * w, 0.72 * h),
            (0.5 * w, 0.78 * h),
            (0.08 * w, 0.7 * h),
        ]
    )
    jitter = rng.normal(0, 0.02, edge.shape) * (w, h)
    cv2.fillPoly(shape, [(edge + jitter).astype(np.int32)], 255, cv2.LINE_AA)
    shape = cv2.GaussianBlur(shape, (0, 0), 0.012 * height)
    inside = np.clip(
        rng.uniform(0.02, 0.2, 3)
        * 255
        * (0.6 + fractal((h, w), int(rng.integers(1 << 30)), cell=height)[..., None]),
        0,
        255,
    )

    def change(frame: Image, _index: int, time_s: float) -> Image:
        x = int(0.05 * width + 0.004 * width * math.sin(17 * time_s))
        y = int(0.05 * height + 0.01 * height * math.sin(9 * time_s))
        glass = cv2.cvtColor(shape[y : y + height, x : x + width], cv2.COLOR_GRAY2RGB)
        cabin = inside[y : y + height, x : x + width].astype(np.uint8)
        made: Image = cv2.add(
            cv2.multiply(frame, glass, scale=1 / 255),
            cv2.multiply(cabin, cv2.bitwise_not(glass), scale=1 / 255),
        )
        return made

    return Made(mapped(base.one, change), "car_window", answers())


def letterbox(base: Base, rng: Random) -> Made:
    """Black bars above and below, or at both sides, and nothing else."""
    width, height = base.one.size
    share, sides = rng.uniform(0.06, 0.17), rng.random() < 0.3

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        bar = int(share * (width if sides else height))
        if sides:
            frame[:, :bar] = frame[:, width - bar :] = 0
        else:
            frame[:bar] = frame[height - bar :] = 0
        return frame

    return Made(mapped(base.one, change), "letterbox", answers())


def light_changes(base: Base, rng: Random) -> Made:
    """A lamp is switched on, a cloud passes, a tube flickers, the camera adapts."""
    total = len(base.one.frames)
    kind = int(rng.integers(3))
    if kind == 0:
        lamp = Lamp(int(total * rng.uniform(0.2, 0.8)), rng.uniform(0.45, 0.7))
        return Made(mapped(base.one, lamp), "light_lamp", answers())
    if kind == 1:
        flicker = Flicker(rng.uniform(2, 7), rng.uniform(0.05, 0.16))
        return Made(mapped(base.one, flicker), "light_flicker", answers())
    pace, depth = rng.uniform(0.6, 2.2), rng.uniform(0.15, 0.35)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        made: Image = cv2.convertScaleAbs(frame, alpha=1 - depth * (0.5 + 0.5 * math.sin(pace * time_s)))
        return made

    return Made(mapped(base.one, change), "light_cloud", answers())


def sharp_subject(base: Base, rng: Random) -> Made:
    """A shallow depth of field round a sharp subject."""
    return Made(shallow_focus(base.one, rng), "shallow_focus", answers())


def followed(base: Base, rng: Random) -> Made:
    """A fast and smooth move, often round a sharp subject."""
    take = tracking(base.one, rng)
    return Made(shallow_focus(take, rng) if rng.random() < 0.5 else take, "followed", answers())


def film_grain(base: Base, rng: Random) -> Made:
    """Grain that is seen and belongs."""
    return Made(grain(base.one, rng), "film_grain", answers())


def mild_hand(base: Base, rng: Random) -> Made:
    """A camera in a calm hand."""
    return Made(handheld(base.one, rng), "mild_hand", answers())


def _form(base: Base) -> Format:
    return Format(base.one.size, base.one.fps, len(base.one.frames))


def night(base: Base, rng: Random) -> Made:
    """A night scene, exposed as it should be."""
    take = live(rng, _form(base), scenes=("city", "city", "street", "fire"), lights=("night",))
    return Made(take, "night", answers())


def slow_pan(base: Base, rng: Random) -> Made:
    """A camera that moves slowly over what lives, or whose near and far shift against each other."""
    way = 1 if rng.random() < 0.5 else -1
    start = View(0, 0, 0, rng.uniform(1, 1.4))
    move = Camera("pan", way * rng.uniform(0.01, 0.04), start=start)
    if rng.random() < 0.3:
        move = Camera("dolly", rng.uniform(0.03, 0.1), start=start)
    take = live(rng, _form(base), camera=move)
    return Made(take, "slow_pan", answers())


def small_motion(base: Base, rng: Random) -> Made:
    """A camera on a stand before something that moves in a part of the picture, all the time."""
    scenes = ("hands", "clockwork", "balls", "fire", "cloth", "meadow", "reef", "street")
    take = live(
        rng, _form(base), scenes=scenes, camera=Camera("static", 0.0, start=View(zoom=rng.uniform(1, 1.3)))
    )
    return Made(take, "fixed_camera", answers())


def camera_watches(base: Base, rng: Random) -> Made:
    """A view from above or from a wall, in which small things move all the time."""
    take = live(
        rng,
        _form(base),
        scenes=("aerial", "street", "street"),
        camera=Camera("static", 0.0, start=View(zoom=1.0)),
    )
    width, height = base.one.size
    some = [(person(rng, int(0.12 * height)), rng.uniform(-1, 1, 3)) for _ in range(int(rng.integers(1, 4)))]

    def change(frame: Image, _index: int, time_s: float) -> Image:
        for who, (a, b, c) in some:
            x = (
                ((a + 0.25 * math.copysign(0.5 + abs(b), b) * time_s + 1.1) % 2.2 - 1.1)
                * 0.5
                * width
                / height
            )
            draw_person(
                frame, who, Pose((x, 0.12 + 0.2 * c), 0.1, talks=0, arms=0.3, legs=6 * time_s), time_s, View()
            )
        return frame

    return Made(mapped(take, change), "camera_watches", answers(static="unsure"))
