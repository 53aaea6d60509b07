"""People: a head that speaks and blinks on a body with arms, at any size before any background."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from curate.footage.canvas import Sprite, View, draw, place, sprite
from curate.footage.faces import Head, head_of, speech, with_features
from curate.footage.textures import Color, Image, fabric, fractal, relief, rgb
from filters.labels.synthesis.lettering import any_face, card, paste_over, phrase
from filters.labels.synthesis.takes import Random, color_of, floats, muted, px

__all__ = ["Person", "Pose", "draw_person", "person"]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where somebody is and how lively: `at` is the chin, in frame heights from the middle."""

    at: tuple[float, float]
    scale: float
    """1: the head fills three quarters of the height"""
    talks: float = 1.0
    sway: float = 1.0
    """of the head; 1 is calm speech"""
    arms: float = 0.0
    """how far the hands move; 0: hanging"""
    legs: float | None = None
    """phase of the gait in radians; None: the legs are not seen"""
    turn: float = 0.0
    """of the head, radians"""


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody looks like."""

    head: Head
    body: Sprite
    cloth: Color
    trousers: Color
    skin: Color
    seed: int
    wide: float


def person(rng: Random, unit_px: int, *, printed: bool = False) -> Person:
    """Return somebody whose head is drawn for `unit_px` px to its height; `printed`: words on the chest."""
    seed = int(rng.integers(1, 10_000))
    unit = max(24, unit_px)
    head = head_of(unit, seed)
    tint = floats(rng.uniform(0.82, 1.15) * rng.uniform(0.93, 1.07, 3))
    rgba = head.rgba.astype(np.float32)
    rgba[..., :3] = np.minimum(rgba[..., :3] * tint, rgba[..., 3:])
    skin = color_of(np.minimum(1.0, rgb(head.skin) * tint))
    hair = color_of(rgb(head.hair) * rng.uniform(0.6, 1.6))
    picture = rgba.astype(np.uint8)
    _dress(picture, rng, hair)
    cloth = muted(rng, 0.05, 0.85)
    body = _body(rng, unit, cloth, printed=printed)
    trousers = muted(rng, 0.05, 0.4)
    whole = Head(picture, head.unit_px, skin, hair)
    return Person(whole, body, cloth, trousers, skin, seed, rng.uniform(0.9, 1.1))


def _dress(picture: Image, rng: Random, hair: Color) -> None:
    """Give the head a beard, a cap or headphones at random, in place."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1.12 : 1.0 : height * 1j, -0.84 : 0.84 : width * 1j].astype(np.float32)
    alpha = picture[..., 3:].astype(np.float32) / 255
    inside = alpha[..., 0] > 0.5
    if rng.random() < 0.25:
        rough = fractal((height, width), int(rng.integers(1 << 30)), cell=10, octaves=3)
        beard = ((np.abs(x) < 0.5) & (y > 0.2 + 0.12 * np.cos(4 * x)) & (y < 0.74)) & inside
        cover = cv2.GaussianBlur(beard.astype(np.float32), (0, 0), 2) * (0.55 + 0.4 * rough)
        paint = rgb(hair) * 255 * (0.7 + 0.5 * rough[..., None])
        picture[..., :3] = picture[..., :3] * (1 - cover[..., None]) + paint * cover[..., None] * alpha
    way = rng.random()
    if way < 0.14:
        color = tuple(int(v) for v in rng.integers(10, 230, 3))
        cv2.ellipse(
            picture,
            (width // 2, int(0.3 * height)),
            (int(0.38 * width), int(0.26 * height)),
            0,
            180,
            360,
            (*color, 255),
            -1,
            cv2.LINE_AA,
        )
        cv2.ellipse(
            picture,
            (int(0.5 * width), int(0.3 * height)),
            (int(0.44 * width), int(0.05 * height)),
            0,
            0,
            360,
            (*(v // 2 for v in color), 255),
            -1,
            cv2.LINE_AA,
        )
    elif way < 0.24:
        cv2.ellipse(
            picture,
            (width // 2, int(0.46 * height)),
            (int(0.37 * width), int(0.42 * height)),
            0,
            180,
            360,
            (30, 30, 34, 255),
            max(2, height // 22),
            cv2.LINE_AA,
        )
        for side in (0.13, 0.87):
            cv2.ellipse(
                picture,
                (int(side * width), int(0.5 * height)),
                (int(0.07 * width), int(0.11 * height)),
                0,
                0,
                360,
                (22, 22, 26, 255),
                -1,
                cv2.LINE_AA,
            )


def _body(rng: Random, unit: int, cloth: Color, *, printed: bool) -> Sprite:
    """Return shoulders and chest down to the hips, clothed."""
    height, width = int(1.5 * unit), int(1.7 * unit)
    y, x = np.mgrid[0 : 1.5 : height * 1j, -0.85 : 0.85 : width * 1j].astype(np.float32)
    shoulder = 0.08 + 0.3 * np.clip(np.abs(x) - 0.2, 0, 1) ** 1.3 + 3 * np.clip(np.abs(x) - 0.5, 0, 1)
    side = 0.56 - 0.1 * np.clip(y - 0.3, 0, 1)
    alpha = np.clip((y - shoulder) * unit, 0, 1) * np.clip((side - np.abs(x)) * unit, 0, 1)
    seed = int(rng.integers(1 << 30))
    second = cloth if rng.random() < 0.65 else muted(rng, 0, 1)
    weave = fabric((height, width), seed, color=cloth, second=second, stripe_px=int(rng.integers(6, 40)))
    folds = relief(
        fractal((height, width), seed + 1, cell=unit / 4, octaves=3, stretch=0.5),
        strength=rng.uniform(0.2, 0.7),
    )
    fall = np.clip(1.05 - 0.55 * np.abs(x + rng.choice([-0.25, 0.25])), 0.3, 1.1)
    color = weave * (folds * fall)[..., None]
    opening = rng.random()
    if opening < 0.6:
        wide = 0.2 * np.clip(1.2 - y * rng.uniform(1.0, 3.0), 0, 1)
        shirt = (np.abs(x) < wide) & (y > 0.05)
        tone = rgb((0.92, 0.92, 0.94)) if opening < 0.4 else floats(muted(rng, 0.05, 0.9))
        color = np.where(shirt[..., None], tone * (0.95 - 0.6 * np.abs(x[..., None])), color)
        alpha = np.maximum(alpha, shirt.astype(np.float32))
        if rng.random() < 0.5:
            tie = (np.abs(x) < 0.035 + 0.03 * np.clip(y, 0, 1)) & (y > 0.08) & (y < 0.8)
            color = np.where(tie[..., None], floats(rng.uniform(0, 0.7, 3)) * fall[..., None], color)
    made = sprite(np.clip(color, 0, 1).astype(np.float32), alpha.astype(np.float32), unit)
    if printed:
        letters = (0.95, 0.95, 0.95) if sum(cloth) < 1.4 else (0.08, 0.08, 0.1)
        words = card(
            [phrase(rng, 1) for _ in range(int(rng.integers(1, 3)))], unit * 0.13, any_face(rng), letters
        )
        fit = min(1.0, 0.62 * unit / words.shape[1])
        words = cv2.resize(words, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
        paste_over(made.rgba, words, ((width - words.shape[1]) / 2, 0.4 * unit))
    return made


def _limb(frame: Image, corners: list[tuple[float, float]], thick: float, color: Color, dim: float) -> None:
    """Draw a bent limb (px) with a lit inner side, in place."""
    path = [px(floats(corners) * 16)]
    for share, tone in ((1.0, 0.62), (0.7, 0.85), (0.3, 1.0)):
        paint = tuple(255 * min(1.0, v * tone * dim) for v in color)
        cv2.polylines(frame, path, False, paint, max(1, round(thick * share)), cv2.LINE_AA, 4)


def draw_person(frame: Image, who: Person, pose: Pose, time_s: float, view: View) -> None:
    """Draw somebody into a frame, in place."""
    height, width = frame.shape[:2]
    size, s, seed = (width, height), pose.scale, who.seed
    drift = pose.sway * (math.sin(0.7 * time_s + seed) + 0.5 * math.sin(1.9 * time_s + 2 * seed))
    nod = pose.sway * (0.6 * math.sin(1.3 * time_s) + 0.4 * math.sin(3.1 * time_s + seed))
    unit = height * s * view.zoom
    chest = (pose.at[0] + 0.02 * s * drift, pose.at[1])
    origin = place(who.body, view, size, at=chest, scale=s)
    mid = origin @ np.array([who.body.rgba.shape[1] / 2, who.body.rgba.shape[0] / 2, 1])

    def spot(x: float, y: float) -> tuple[float, float]:
        return float(mid[0] + x * unit), float(mid[1] + y * unit)

    if pose.legs is not None:
        for side in (-1, 1):
            swing = 0.42 * math.sin(pose.legs + (0 if side > 0 else math.pi))
            bend = 0.35 * max(0.0, math.cos(pose.legs + (0 if side > 0 else math.pi)))
            hip = (0.16 * side, 1.3)
            knee = (hip[0] + 0.75 * math.sin(swing), hip[1] + 0.75 * math.cos(swing))
            foot = (knee[0] + 0.75 * math.sin(swing - bend), knee[1] + 0.75 * math.cos(swing - bend))
            _limb(
                frame,
                [spot(*hip), spot(*knee), spot(*foot)],
                0.26 * unit,
                who.trousers,
                0.8 if side > 0 else 1.0,
            )
    where = (chest[0], chest[1] + 0.75 * s - 0.02 * s)
    draw(frame, who.body, place(who.body, view, size, at=where, scale=s, stretch=(who.wide, 1)))
    for side in (-1, 1):
        beat = math.sin(2.3 * time_s + seed + 1.3 * side) * 0.6 + 0.4 * math.sin(5.1 * time_s + side)
        lift = pose.arms * (0.55 + 0.45 * math.sin(0.9 * time_s + seed * side))
        shoulder = (0.43 * side * who.wide, 0.24)
        elbow = (0.6 * side - 0.04 * beat * pose.arms, 0.72 - 0.1 * lift)
        hand = (
            side * (0.58 - 0.42 * lift + 0.18 * beat * pose.arms),
            1.2 - 0.75 * lift + 0.12 * beat * pose.arms,
        )
        _limb(frame, [spot(*shoulder), spot(*elbow), spot(*hand)], 0.2 * unit, who.cloth, 0.92)
        x, y = spot(*hand)
        paint = tuple(255 * v for v in who.skin)
        cv2.ellipse(
            frame,
            (int(x), int(y)),
            (max(1, int(0.085 * unit)), max(1, int(0.115 * unit))),
            25 * side * lift,
            0,
            360,
            paint,
            -1,
            cv2.LINE_AA,
        )
        if unit > 60:
            for finger in range(-1, 2):
                tip = spot(hand[0] + 0.06 * finger - 0.03 * side, hand[1] - 0.16)
                cv2.line(
                    frame,
                    (int(x + 0.04 * finger * unit), int(y)),
                    (int(tip[0]), int(tip[1])),
                    tuple(0.92 * v for v in paint),
                    max(1, int(0.045 * unit)),
                    cv2.LINE_AA,
                )
    blink = max(0.0, 1.0 - abs(((time_s + 0.37 * seed) % 3.1) - 1.5) / 0.09)
    face = with_features(
        who.head,
        blink=min(1.0, blink),
        gaze=(0.7 * math.tanh(3 * math.sin(0.8 * time_s + seed)), 0.4 * math.sin(1.1 * time_s)),
        brow=max(0.0, math.sin(1.7 * time_s + seed)) ** 3,
        mouth=pose.talks * speech(time_s, seed),
        smile=0.5 + 0.5 * math.sin(0.5 * time_s),
    )
    if seed % 4 == 0:
        _glasses(face)
    at = (pose.at[0] + 0.045 * s * drift, pose.at[1] - (0.34 - 0.014 * nod) * s)
    angle = pose.turn + 0.07 * pose.sway * math.sin(0.9 * time_s + seed)
    draw(frame, face, place(face, view, size, at=at, scale=s, angle=angle, stretch=(who.wide, 1)))


def _glasses(face: Sprite) -> None:
    height, width = face.rgba.shape[:2]
    one = height / 2.12
    for side in (-1, 1):
        middle = (int(width / 2 + 0.22 * side * one), int((1.12 - 0.12) * one))
        cv2.ellipse(
            face.rgba,
            middle,
            (int(0.17 * one), int(0.13 * one)),
            0,
            0,
            360,
            (25, 22, 22, 255),
            max(1, int(one / 28)),
            cv2.LINE_AA,
        )
    y = int((1.12 - 0.14) * one)
    cv2.line(
        face.rgba,
        (int(width / 2 - 0.06 * one), y),
        (int(width / 2 + 0.06 * one), y),
        (25, 22, 22, 255),
        max(1, int(one / 28)),
    )
