"""Lack of motion connectivity: films made of stills, of too few frames, or of nothing that moves."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from curate.footage.canvas import View
from curate.footage.textures import Image, fractal
from filters.labels.synthesis.base import Base, Format, photo
from filters.labels.synthesis.joins import MIXES
from filters.labels.synthesis.lettering import any_face, card, paste, phrase
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.takes import Made, Random, answers, ease, floats

__all__ = ["frozen", "ken_burns", "nearly_still", "parallax", "particles", "slideshow", "stutter", "waiting"]

_JOINS: Final = ("cut", "cut", "dissolve", "slide", "push", "zoom", "black")


def still(base: Base, rng: Random) -> Image:
    """Return one still: a frame of a take, or a photograph of another scene, cut out at random."""
    width, height = base.one.size
    if rng.random() < 0.2:
        return photo(rng, Format(base.one.size, base.one.fps, 1))
    frames = (base.one, base.two)[int(rng.integers(2))].frames
    frame = frames[int(rng.integers(len(frames)))]
    zoom = rng.uniform(1.0, 1.9)
    w, h = int(width / zoom), int(height / zoom)
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    made: Image = cv2.resize(frame[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_CUBIC)
    return made if rng.random() < 0.5 else np.ascontiguousarray(made[:, ::-1])


def moved(image: Image, zoom: float, dx: float, dy: float, turn: float = 0.0) -> Image:
    """Return a still as a virtual camera sees it: `zoom` from 1, offsets in shares of the spare border."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(turn), zoom)
    matrix[:, 2] += (-dx * (zoom - 1) * width / 2, -dy * (zoom - 1) * height / 2)
    made: Image = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return made


def slideshow(base: Base, rng: Random) -> Made:
    """Stills one after another, cut or with a transition, each held."""
    total, fps = len(base.one.frames), float(base.one.fps)
    hold = max(8, round(rng.uniform(0.8, 1.9) * fps))
    name = str(rng.choice(_JOINS))
    lasts = 0 if name == "cut" else min(hold // 2, round(rng.uniform(0.2, 0.7) * fps))
    pictures = [still(base, rng) for _ in range(total // hold + 2)]
    boxed = rng.random() < 0.25
    if boxed:
        pictures = [_boxed(picture, rng) for picture in pictures]
    made = []
    for index in range(total):
        number, into = divmod(index, hold)
        left = hold - into
        if left <= lasts:
            part = (lasts - left + 1) / (lasts + 1)
            made.append(MIXES[name](pictures[number], pictures[number + 1], part))
        else:
            made.append(pictures[number])
    return Made(
        base.one.of(made),
        f"static_slideshow_{name}",
        answers(static="yes", editing="unsure"),
    )


def _boxed(picture: Image, rng: Random) -> Image:
    """Return a picture of another shape within the frame, as photographs in a slideshow are."""
    width = picture.shape[1]
    made = np.full_like(picture, int(rng.choice([0, 0, 255, 40])))
    w = int(width * rng.uniform(0.4, 0.8))
    x = (width - w) // 2
    made[:, x : x + w] = picture[:, x : x + w]
    return made


def ken_burns(base: Base, rng: Random) -> Made:
    """A virtual camera that zooms and pans over one or two stills."""
    total, fps = len(base.one.frames), float(base.one.fps)
    count = 1 if rng.random() < 0.6 else 2
    hold = math.ceil(total / count)
    made: list[Image] = []
    lasts = round(0.5 * fps)
    ways = [
        (
            still(base, rng),
            rng.uniform(1.02, 1.2),
            rng.uniform(1.25, 1.7),
            rng.uniform(-1, 1, 4),
            rng.random() < 0.5,
        )
        for _ in range(count)
    ]

    def seen(number: int, part: float) -> Image:
        picture, near, far, (x0, y0, x1, y1), out = ways[number]
        s = 1 - part if out else part
        return moved(picture, near + (far - near) * s, x0 + (x1 - x0) * s, y0 + (y1 - y0) * s)

    for index in range(total):
        number = index // hold
        part = (index - number * hold) / hold
        frame = seen(number, part)
        left = (number + 1) * hold - index
        if number + 1 < count and left <= lasts:
            frame = cv2.addWeighted(frame, left / lasts, seen(number + 1, 0.0), 1 - left / lasts, 0)
        made.append(frame)
    return Made(base.one.of(made), "static_ken_burns", answers(static="yes", editing="unsure"))


def frozen(base: Base, rng: Random) -> Made:
    """One still for all of it, or a film that stops early."""
    total = len(base.one.frames)
    if rng.random() < 0.6:
        made = [still(base, rng)] * total
    else:
        stop = int(total * rng.uniform(0.08, 0.25))
        made = [*base.one.frames[:stop], *[base.one.frames[stop]] * (total - stop)]
    return Made(base.one.of(made), "static_frozen", answers(static="yes"))


def stutter(base: Base, rng: Random) -> Made:
    """A few frames a second, each repeated: a broken stream, a time-lapse camera."""
    total, fps = len(base.one.frames), float(base.one.fps)
    rate = rng.uniform(0.8, 2.5)
    stops = np.sort(rng.choice(np.arange(1, total), max(2, int(rate * total / fps)), replace=False))
    if rng.random() < 0.6:
        stops = np.arange(0, total, max(2, round(fps / rate)))
    made, at = [], 0
    skip = int(rng.integers(1, 4))
    for index in range(total):
        if index in stops:
            at = (index * skip) % total
        made.append(base.one.frames[at])
    return Made(base.one.of(made), "static_stutter", answers(static="yes", low_quality="unsure"))


def particles(base: Base, rng: Random) -> Made:
    """A still under something that moves: dust, snow, an equaliser, a disc, words."""
    picture = still(base, rng)
    width, height = base.one.size
    kind = str(rng.choice(["dust", "snow", "bars", "light", "words", "disc"]))
    spots = rng.uniform(0, 1, (70, 4))
    tint = rng.uniform(150, 255, 3)
    face = any_face(rng)
    lines = [card([phrase(rng, 4)], 0.06 * height, face, (1, 1, 1), outline=(0, 0, 0)) for _ in range(5)]
    dim = rng.uniform(0.5, 1.0)
    made = []
    for _, time_s in base.one.times():
        frame: Image = cv2.convertScaleAbs(picture, alpha=dim)
        if kind in ("dust", "snow"):
            over = np.zeros_like(frame)
            for a, b, c, d in spots[: 30 if kind == "dust" else 70]:
                fall = -0.05 if kind == "dust" else 0.25
                x = (a + 0.02 * math.sin(time_s * (1 + c) + 9 * d)) % 1 * width
                y = (b + fall * time_s * (0.4 + c)) % 1 * height
                glow = 0.5 + 0.5 * math.sin(3 * time_s * c + 9 * d) if kind == "dust" else 1.0
                paint = tuple(float(v * glow) for v in tint)
                cv2.circle(
                    over,
                    (int(x * 8), int(y * 8)),
                    int(8 * (0.6 + 2.2 * d) * height / 270),
                    paint,
                    -1,
                    cv2.LINE_AA,
                    3,
                )
            frame = cv2.add(frame, cv2.GaussianBlur(over, (0, 0), 0.8))
        elif kind == "bars":
            for n in range(24):
                level = abs(math.sin((2 + 5 * spots[n, 0]) * time_s + 9 * spots[n, 1])) * (
                    0.4 + 0.6 * spots[n, 2]
                )
                x = int((0.1 + 0.8 * n / 24) * width)
                top = int(height * (0.95 - 0.3 * level))
                cv2.rectangle(
                    frame,
                    (x, top),
                    (x + max(2, width // 50), int(0.95 * height)),
                    tuple(map(float, tint)),
                    -1,
                )
        elif kind == "light":
            x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] - math.sin(
                0.8 * time_s + spots[0, 0]
            )
            frame = np.clip(frame + np.exp(-((x / 0.4) ** 2)) * floats(tint) * 0.35, 0, 255).astype(np.uint8)
        elif kind == "words":
            line = lines[int(time_s / 1.1) % 5]
            paste(frame, line, ((width - line.shape[1]) / 2, 0.8 * height), ease((time_s % 1.1) / 0.3))
        else:
            center, radius = (width // 2, height // 2), int(0.28 * min(width, height))
            cv2.circle(frame, center, radius, (15, 15, 18), -1, cv2.LINE_AA)
            cv2.circle(frame, center, radius // 3, tuple(map(float, tint)), -1, cv2.LINE_AA)
            for n in range(3):
                angle = 2.5 * time_s + 2.1 * n
                tip = (int(center[0] + radius * math.cos(angle)), int(center[1] + radius * math.sin(angle)))
                cv2.line(frame, center, tip, (70, 70, 76), 1, cv2.LINE_AA)
        made.append(frame)
    return Made(
        base.one.of(made),
        f"static_{kind}",
        answers(static="yes", editing="unsure"),
    )


def parallax(base: Base, rng: Random) -> Made:
    """A still cut into depths that shift against each other: a photograph made to look like a film."""
    picture = still(base, rng)
    width, height = base.one.size
    depth = fractal((height, width), int(rng.integers(1 << 30)), cell=height / 1.5, octaves=2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = rng.uniform(0.3, 0.7) * width
    bump = np.exp(-(((x - middle) / (0.22 * width)) ** 2) - ((y - 0.6 * height) / (0.4 * height)) ** 2)
    depth = cv2.GaussianBlur((0.5 * depth + bump).astype(np.float32), (0, 0), height / 60)
    reach, zoom = rng.uniform(0.03, 0.07) * width, rng.uniform(0.0, 0.12)
    turn = rng.uniform(0, 6.3)
    made = []
    for _, time_s in base.one.times():
        part = time_s / base.one.duration_s
        shift = reach * math.sin(1.5 * part + turn) * depth
        grow = 1 - (0.06 + zoom * part) * (0.4 + 0.6 * depth)
        map_x = (x - width / 2) * grow + width / 2 + shift
        map_y = (y - height / 2) * grow + height / 2
        frame: Image = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        made.append(frame)
    return Made(base.one.of(made), "static_parallax", answers(static="yes", editing="unsure"))


def nearly_still(base: Base, rng: Random) -> Made:
    """A picture in which only a small spot lives, or nothing does but the sensor's noise and the light."""
    picture = still(base, rng)
    width, height = base.one.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    spot = rng.uniform(0.2, 0.8, 2)
    radius = rng.uniform(0.0, 0.07) * height
    mask = np.clip(1.5 - np.hypot(x - spot[0] * width, y - spot[1] * height) / max(radius, 1e-3) * 1.5, 0, 1)[
        ..., None
    ]
    wave = fractal((height, width), int(rng.integers(1 << 30)), cell=height / 12, octaves=3)
    breath, flicker = rng.uniform(0, 0.004), rng.uniform(0, 0.012)
    made = []
    for _, time_s in base.one.times():
        frame = (
            moved(picture, 1.03, 0.3 * math.sin(0.5 * time_s), breath * 100 * math.sin(0.9 * time_s))
            if breath > 0.002
            else picture
        )
        if radius > 3:
            sway = 3.0 * np.sin(4 * time_s + 12 * wave)
            live = cv2.remap(
                picture, x + sway, y + 0.5 * sway, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
            frame = (frame * (1 - mask) + live * mask).astype(np.uint8)
        made.append(cv2.convertScaleAbs(frame, alpha=1 + flicker * math.sin(5 * time_s)))
    return Made(base.one.of(made), "static_nearly", answers(static="yes"))


def waiting(base: Base, rng: Random) -> Made:
    """A fixed camera before a place where nothing moves, but for a moment in which something goes by."""
    picture = still(base, rng)
    width, height = base.one.size
    total = len(base.one.frames)
    lasts = rng.uniform(0.0, 0.35)
    start = rng.uniform(0, 1 - lasts)
    scale = rng.uniform(0.1, 0.4)
    who, way = person(rng, int(scale * height)), (1 if rng.random() < 0.5 else -1)
    row = rng.uniform(-0.1, 0.2)
    made = []
    for index, time_s in base.one.times():
        part = (index / total - start) / max(lasts, 1e-3)
        if not 0 < part < 1:
            made.append(picture)
            continue
        frame = picture.copy()
        x = way * (part - 0.5) * (width / height + 1.5 * scale)
        draw_person(frame, who, Pose((x, row), scale, talks=0, arms=0.3, legs=6 * time_s), time_s, View())
        made.append(frame)
    return Made(base.one.of(made), "static_waiting", answers(static="yes"))
