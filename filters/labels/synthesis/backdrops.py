"""What stands behind and beside somebody who talks, and how the camera is held."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from curate.footage.canvas import Sprite, View, fill, place
from curate.footage.faces import room
from curate.footage.light import LIGHTS
from curate.footage.textures import Image, fractal, plaster, to_image
from filters.labels.synthesis.base import Base, Format, photo
from filters.labels.synthesis.holding import wobble
from filters.labels.synthesis.lettering import any_face, phrase, put
from filters.labels.synthesis.takes import Random, floats, muted, tones

__all__ = ["Backdrop", "backdrop", "hold", "microphone", "slide", "still_backdrop"]

Backdrop = Callable[[int, float, View], Image]
"""a frame's index, its time in s and the camera's view to what stands behind"""


def still_backdrop(rng: Random, base: Base) -> Image:
    """Return a picture 1.3 times the frame: a wall, a room, a blurred photograph, a curtain, a studio."""
    width, height = base.one.size
    w, h = int(1.3 * width), int(1.3 * height)
    seed = int(rng.integers(1 << 30))
    kind = rng.random()
    if kind < 0.25:
        wall = plaster((h, w), seed, color=muted(rng, 0.25, 0.95))
        light = 0.6 + 0.5 * fractal((h, w), seed + 1, cell=h, octaves=2)[..., None]
        return to_image(np.clip(wall * light, 0, 1).astype(np.float32))
    if kind < 0.5:
        place_ = room(
            (width, height), seed % 10_000, LIGHTS[str(rng.choice(["noon", "overcast", "dusk", "winter"]))]
        )
        made: Image = cv2.resize(place_.rgba[..., :3], (w, h), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(made)
    if kind < 0.75:
        picture = cv2.resize(
            photo(rng, Format(base.one.size, base.one.fps, 1)), (w, h), interpolation=cv2.INTER_CUBIC
        )
        soft: Image = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 7) * height / 270)
        return soft
    if kind < 0.88:
        folds = 0.5 + 0.5 * np.sin(
            np.linspace(0, rng.uniform(20, 90), w) + 2 * fractal((h, w), seed, cell=h, octaves=2)
        )
        cloth = floats(rng.uniform(0.03, 0.6, 3)) * (0.35 + 0.65 * folds[..., None])
        return to_image(cloth.astype(np.float32))
    glow = np.exp(-(np.hypot(*np.meshgrid(np.linspace(-1.6, 1.6, w), np.linspace(-1.2, 1.2, h))) ** 2))[
        ..., None
    ]
    return to_image((floats(rng.uniform(0, 0.35, 3)) * (0.25 + glow)).astype(np.float32))


def backdrop(rng: Random, base: Base, *, living: float = 0.2) -> Backdrop:
    """Return what stands behind: mostly still, sometimes a street or a field out of focus that lives."""
    width, height = base.one.size
    if rng.random() < living:
        sigma = rng.uniform(1.5, 5) * height / 270
        frames = base.two.frames
        middle = frames[len(frames) // 3]

        def outside(index: int, _time_s: float, _view: View) -> Image:
            # A camera on a stand: the blurred world lives, but stays where it is.
            part: Image = cv2.addWeighted(middle, 0.75, frames[index], 0.25, 0)
            small = cv2.resize(part, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            soft = cv2.GaussianBlur(small, (0, 0), sigma / 2)
            made: Image = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
            return made

        return outside
    wall = Sprite(still_backdrop(rng, base), height)

    def inside(_index: int, _time_s: float, view: View) -> Image:
        return fill((width, height), wall, place(wall, view, (width, height), depth=1.6))

    return inside


def hold(rng: Random, base: Base) -> list[View]:
    """Return the views of a camera on a stand, or in a calm hand."""
    count, fps = len(base.one.frames), float(base.one.fps)
    if rng.random() < 0.6:
        return [View()] * count
    way = wobble(rng, count, fps, 0.1, 1.0) * rng.uniform(0.002, 0.01)
    push = rng.choice([0.0, 0.01])
    return [View(x, y, 0, 1 + push * n / fps, 0.3 * turn) for n, (x, y, turn) in enumerate(way)]


def microphone(rng: Random, height: int) -> Image:
    """Return a microphone on its stand, premultiplied RGBA."""
    tall, wide = int(0.5 * height), int(0.16 * height)
    made = np.zeros((tall, wide, 4), np.uint8)
    cv2.line(
        made,
        (wide // 2, tall),
        (wide // 2, int(0.3 * tall)),
        (25, 25, 28, 255),
        max(2, wide // 10),
        cv2.LINE_AA,
    )
    tone = int(rng.integers(20, 120))
    cv2.ellipse(
        made,
        (wide // 2, int(0.18 * tall)),
        (int(0.3 * wide), int(0.15 * tall)),
        0,
        0,
        360,
        (tone, tone, tone + 6, 255),
        -1,
        cv2.LINE_AA,
    )
    if rng.random() < 0.4:
        color = tuple(int(v) for v in rng.integers(20, 230, 3))
        cv2.rectangle(
            made,
            (int(0.12 * wide), int(0.36 * tall)),
            (int(0.88 * wide), int(0.58 * tall)),
            (*color, 255),
            -1,
        )
    return made


def slide(rng: Random, width: int, height: int) -> Image:
    """Return a slide of a talk: a title, lines, a chart or a picture's frame."""
    dark = rng.random() < 0.25
    paper = rng.uniform(0.02, 0.25, 3) if dark else rng.uniform(0.86, 1.0, 3)
    ink = (0.95, 0.95, 0.95) if dark else (0.1, 0.1, 0.12)
    accent = muted(rng, 0.05, 0.8)
    made = to_image(np.broadcast_to(floats(paper), (height, width, 3)).copy())
    face = any_face(rng)
    body = height * rng.uniform(0.05, 0.075)
    if rng.random() < 0.5:
        made[: int(0.17 * height)] = tones(accent)
    put(
        made,
        phrase(rng, 3),
        (0.06 * width, 0.05 * height),
        body * 1.4,
        (1, 1, 1) if rng.random() < 0.4 else ink,
        face,
    )
    for line in range(int(rng.integers(2, 7))):
        y = (0.24 + 0.105 * line) * height
        put(
            made,
            "• " + phrase(rng, int(rng.integers(3, 7))),
            (0.07 * width, y),
            body,
            ink,
            "DejaVuSans" if face == "squares" else face,
        )
    if rng.random() < 0.6:
        for bar in range(5):
            top = int(height * (0.8 - 0.4 * rng.random()))
            left = int(width * (0.62 + 0.065 * bar))
            cv2.rectangle(
                made,
                (left, top),
                (left + int(0.045 * width), int(0.84 * height)),
                tuple(255 * v for v in accent),
                -1,
            )
    return made
