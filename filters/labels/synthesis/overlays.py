"""Editing in the picture: graphics over it, pictures in it, splits and borders."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from curate.footage.canvas import Sprite, View, draw, place
from curate.footage.textures import Image
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import any_face, bright, card, paste, paste_over, phrase
from filters.labels.synthesis.takes import Made, Random, answers, ease, mapped, px, tones

__all__ = ["blurred_border", "captions", "lower_third", "picture_in_picture", "split_screen", "stickers"]

Overlay = Callable[[Image, float], None]


def _mark(rng: Random, side: int) -> Image:
    """Return a sticker, premultiplied RGBA: a face, a heart, a star, an arrow, a bubble, a badge."""
    up = 3
    s = side * up
    made = np.zeros((s, s, 4), np.uint8)
    paint = tuple(int(255 * v) for v in bright(rng))
    edge = (255, 255, 255, 255) if rng.random() < 0.6 else (20, 20, 20, 255)
    middle, thick = (s // 2, s // 2), max(2, s // 22)
    kind = str(rng.choice(["smile", "heart", "star", "arrow", "bubble", "badge", "ring", "tick"]))
    if kind == "smile":
        cv2.circle(made, middle, int(0.45 * s), (255, 205, 50, 255), -1, cv2.LINE_AA)
        for x in (0.36, 0.64):
            cv2.ellipse(
                made, (int(x * s), int(0.42 * s)), (s // 18, s // 10), 0, 0, 360, (70, 40, 10, 255), -1
            )
        cv2.ellipse(
            made, (s // 2, int(0.56 * s)), (int(0.22 * s), int(0.2 * s)), 0, 0, 180, (120, 40, 20, 255), -1
        )
    elif kind in ("heart", "star", "arrow"):
        t = np.linspace(0, 2 * math.pi, 60)
        if kind == "heart":
            across = 16 * np.sin(t) ** 3 / 40
            down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 40
        elif kind == "star":
            t = np.linspace(0, 2 * math.pi, 11)
            radius = np.where(np.arange(11) % 2, 0.2, 0.46)
            across, down = radius * np.sin(t), -radius * np.cos(t)
        else:
            across = np.array([-0.45, 0.1, 0.1, 0.45, 0.1, 0.1, -0.45])
            down = np.array([-0.12, -0.12, -0.32, 0.0, 0.32, 0.12, 0.12])
        outline = px(np.stack([across, down], 1) * s + s / 2)
        cv2.fillPoly(made, [outline], (*paint, 255), cv2.LINE_AA)
        cv2.polylines(made, [outline], True, edge, thick, cv2.LINE_AA)
    elif kind == "bubble":
        cv2.ellipse(
            made, (s // 2, int(0.42 * s)), (int(0.46 * s), int(0.32 * s)), 0, 0, 360, (250, 250, 250, 255), -1
        )
        cv2.fillPoly(
            made,
            [px([(0.3 * s, 0.66 * s), (0.5 * s, 0.7 * s), (0.22 * s, 0.95 * s)])],
            (250, 250, 250, 255),
        )
        for x in (0.3, 0.5, 0.7):
            cv2.circle(made, (int(x * s), int(0.42 * s)), s // 16, (60, 60, 60, 255), -1, cv2.LINE_AA)
    elif kind == "ring":
        cv2.circle(made, middle, int(0.42 * s), (*paint, 255), 2 * thick, cv2.LINE_AA)
    elif kind == "tick":
        cv2.circle(made, middle, int(0.45 * s), (*paint, 255), -1, cv2.LINE_AA)
        tick = px([(0.28 * s, 0.52 * s), (0.44 * s, 0.68 * s), (0.74 * s, 0.34 * s)])
        cv2.polylines(made, [tick], False, (255, 255, 255, 255), 2 * thick, cv2.LINE_AA)
    else:
        cv2.rectangle(made, (int(0.05 * s), int(0.3 * s)), (int(0.95 * s), int(0.7 * s)), (*paint, 255), -1)
    small: Image = cv2.resize(made, (side, side), interpolation=cv2.INTER_AREA)
    if kind == "badge":
        label = card([phrase(rng, 1, plain=True)], side / 4.5, "DejaVuSans-Bold", (1, 1, 1))
        paste_over(small, label, ((side - label.shape[1]) / 2, (side - label.shape[0]) / 2))
    return small


def stickers(base: Base, rng: Random) -> Made:
    """Stickers that pop up, wobble, spin or fly; or a rain of them."""
    width, height = base.one.size
    rain = rng.random() < 0.3
    count = int(rng.integers(9, 22)) if rain else int(rng.integers(2, 6))
    marks = []
    for _ in range(count):
        side = int(height * (rng.uniform(0.06, 0.12) if rain else rng.uniform(0.16, 0.38)))
        marks.append(
            (_mark(rng, max(14, side)), rng.uniform(0.1, 0.9, 2), rng.uniform(0, 6.3), rng.uniform(0, 1.2))
        )

    def change(frame: Image, _index: int, time_s: float) -> Image:
        for mark, (u, v), phase, start in marks:
            thing = Sprite(mark, height)
            if rain:
                at = (u + 0.03 * math.sin(2 * time_s + phase), (v + 0.4 * time_s * (0.5 + u)) % 1.2 - 0.1)
                scale, angle = 1.0, 0.5 * math.sin(time_s + phase)
            else:
                pop = ease((time_s - start) / 0.25)
                scale = max(0.02, pop * (1 + 0.12 * math.sin(6 * time_s + phase)))
                at, angle = (u, v + 0.02 * math.sin(3 * time_s + phase)), 0.25 * math.sin(4 * time_s + phase)
                if time_s < start:
                    continue
            where = ((at[0] - 0.5) * width / height, at[1] - 0.5)
            draw(frame, thing, place(thing, View(), (width, height), at=where, scale=scale, angle=angle))
        return frame

    return Made(mapped(base.one, change), "editing_stickers", answers(editing="yes"), base.one)


def lower_third(base: Base, rng: Random) -> Made:
    """A banner with a name that slides in, a ticker, a logo: as on television."""
    width, height = base.one.size
    body = height * rng.uniform(0.055, 0.085)
    color, second = bright(rng), bright(rng)
    face = any_face(rng)
    title = card([phrase(rng, 2)], body, face, (1, 1, 1), plate=(*color, 0.92))
    under = card([phrase(rng, 4)], body * 0.7, face, (0.08, 0.08, 0.08), plate=(0.95, 0.95, 0.95, 0.92))
    logo = _mark(rng, max(16, int(0.14 * height)))
    ticker = card([phrase(rng, 30)], body * 0.65, face, (1, 1, 1)) if rng.random() < 0.5 else None
    left, start = rng.uniform(0.03, 0.12) * width, rng.uniform(0.0, 0.8)
    bar = tuple(int(255 * v) for v in second)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        come = ease((time_s - start) / 0.5)
        x = left - (1 - come) * (left + title.shape[1])
        low = 0.76 * height
        paste(frame, under, (left, low + title.shape[0]), ease((time_s - start - 0.4) / 0.3))
        paste(frame, title, (x, low))
        paste(frame, logo, (0.82 * width, 0.05 * height))
        if ticker is not None:
            cv2.rectangle(frame, (0, int(0.93 * height)), (width, height), bar, -1)
            paste(frame, ticker, (width * 0.7 - 0.25 * width * time_s, 0.925 * height))
        return frame

    return Made(
        mapped(base.one, change), "editing_lower_third", answers(editing="yes", text="unsure"), base.one
    )


def captions(base: Base, rng: Random) -> Made:
    """Big coloured words that pop up one after another, as short videos have."""
    width, height = base.one.size
    pause = rng.uniform(0.35, 0.9)
    tall = min(height * rng.uniform(0.08, 0.13), width * 0.11)
    face = str(rng.choice(["DejaVuSans-Bold", "DejaVuSans-BoldOblique", "STIXGeneralBol", "squares"]))
    colors = [(1.0, 1.0, 1.0), bright(rng), bright(rng)]
    outline = (0.0, 0.0, 0.0) if rng.random() < 0.7 else None
    plate = None if outline else (*bright(rng), 0.9)
    words = [
        card([phrase(rng, int(rng.integers(1, 3)))], tall, face, colors[n % 3], outline=outline, plate=plate)
        for n in range(math.ceil(base.one.duration_s / pause) + 1)
    ]
    row = rng.uniform(0.45, 0.85)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        word = words[int(time_s / pause)]
        scale = 0.7 + 0.3 * ease((time_s % pause) / 0.12)
        thing = Sprite(word, height)
        fit = min(1.0, 0.94 * width / word.shape[1])
        draw(frame, thing, place(thing, View(), (width, height), at=(0, row - 0.5), scale=scale * fit))
        return frame

    return Made(mapped(base.one, change), "editing_captions", answers(editing="yes", text="unsure"), base.one)


def picture_in_picture(base: Base, rng: Random) -> Made:
    """Another take in a frame of its own, in a corner, framed, round, sliding in."""
    width, height = base.one.size
    share = rng.uniform(0.26, 0.48)
    w, h = int(width * share), int(height * share)
    corner = rng.uniform(0.02, 0.08)
    right, low = rng.random() < 0.5, rng.random() < 0.5
    x, y = (
        (width * (1 - corner) - w if right else corner * width),
        (height * (1 - corner) - h if low else corner * height),
    )
    round_ = rng.random() < 0.25
    mask = np.zeros((h, w), np.uint8)
    if round_:
        cv2.circle(mask, (w // 2, h // 2), min(w, h) // 2 - 1, 255, -1, cv2.LINE_AA)
    else:
        mask[:] = 255
    edge = tuple(int(255 * v) for v in (bright(rng) if rng.random() < 0.4 else (1.0, 1.0, 1.0)))
    thick = int(rng.integers(0, max(2, height // 60)))
    start = rng.uniform(-1.0, 1.0)

    def change(frame: Image, index: int, time_s: float) -> Image:
        small = cv2.resize(base.two.frames[index], (w, h), interpolation=cv2.INTER_AREA)
        over = np.dstack([cv2.bitwise_and(small, small, mask=mask), mask])
        if thick and not round_:
            cv2.rectangle(over, (0, 0), (w - 1, h - 1), (*edge, 255), thick)
        come = ease((time_s - start) / 0.4)
        paste(frame, over, (x + (1 - come) * (width - x if right else -(x + w)), y))
        return frame

    return Made(mapped(base.one, change), "editing_picture_in_picture", answers(editing="yes"), base.one)


def split_screen(base: Base, rng: Random) -> Made:
    """Two to four takes side by side, above one another or in a grid, with or without lines between."""
    width, height = base.one.size
    layout = str(rng.choice(["columns", "rows", "grid", "three"]))
    cells = {
        "columns": [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)],
        "rows": [(0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 0.5)],
        "grid": [(0.5 * (n % 2), 0.5 * (n // 2), 0.5, 0.5) for n in range(4)],
        "three": [(n / 3, 0.0, 1 / 3, 1.0) for n in range(3)],
    }[layout]
    line = int(rng.integers(0, 5))
    tone = tuple(int(v) for v in rng.choice([(255, 255, 255), (0, 0, 0)]))
    shift = int(rng.integers(3, 20))
    sources = (base.one.frames, base.two.frames)

    def change(frame: Image, index: int, _time_s: float) -> Image:
        made = np.empty_like(frame)
        for number, (u, v, du, dv) in enumerate(cells):
            x0, y0, x1, y1 = (
                round(u * width),
                round(v * height),
                round((u + du) * width),
                round((v + dv) * height),
            )
            source = sources[number % 2]
            picture = source[(index + shift * (number // 2)) % len(source)]
            scale = max((x1 - x0) / width, (y1 - y0) / height)
            small = cv2.resize(
                picture, (math.ceil(width * scale), math.ceil(height * scale)), interpolation=cv2.INTER_AREA
            )
            top, left = (small.shape[0] - (y1 - y0)) // 2, (small.shape[1] - (x1 - x0)) // 2
            made[y0:y1, x0:x1] = small[top : top + y1 - y0, left : left + x1 - x0]
            if line:
                cv2.rectangle(made, (x0, y0), (x1, y1), tone, line)
        return made

    return Made(mapped(base.one, change), f"editing_split_{layout}", answers(editing="yes"))


def blurred_border(base: Base, rng: Random) -> Made:
    """The picture small in the middle, before a blurred or plain copy of itself; often with a title."""
    width, height = base.one.size
    share = rng.uniform(0.45, 0.75)
    w, h = (int(width * share), height) if rng.random() < 0.5 else (width, int(height * share))
    plain = bright(rng) if rng.random() < 0.3 else None
    title = (
        card([phrase(rng, 3)], min(0.07 * height, 0.07 * width), any_face(rng), (1, 1, 1), outline=(0, 0, 0))
        if rng.random() < 0.5
        else None
    )
    row = rng.choice([0.03, 0.86])

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        scale = max(w / width, h / height) if crop else min(w / width, h / height)
        inner = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        left, top = max(0, (inner.shape[1] - w) // 2), max(0, (inner.shape[0] - h) // 2)
        inner = inner[top : top + h, left : left + w]
        if plain is None:
            tiny = cv2.resize(
                frame, (max(4, width // 16), max(4, height // 16)), interpolation=cv2.INTER_AREA
            )
            tiny = cv2.GaussianBlur(tiny, (0, 0), 1.0)
            frame = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_CUBIC)
        else:
            frame[:] = tones(plain)
        ox, oy = (width - inner.shape[1]) // 2, (height - inner.shape[0]) // 2
        frame[oy : oy + inner.shape[0], ox : ox + inner.shape[1]] = inner
        if title is not None:
            paste(frame, title, ((width - title.shape[1]) / 2, row * height))
        return frame

    crop = rng.random() < 0.7
    return Made(mapped(base.one, change), "editing_border", answers(editing="yes"), base.one)
