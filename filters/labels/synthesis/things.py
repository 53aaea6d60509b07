"""A scene unlike any other: lumps of random shape and stuff that move about before a random ground.

Streets and seas are few; this one keeps a classifier from knowing base films by heart.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, shadow, sprite
from curate.footage.light import Light, lit
from curate.footage.textures import (
    Floats,
    Image,
    asphalt,
    bricks,
    brushed_metal,
    fabric,
    foliage,
    fractal,
    plaster,
    ramp,
    relief,
    stone,
    to_image,
    wood,
)
from filters.labels.synthesis.takes import Random, floats, muted

__all__ = ["lump", "things"]


def _stuff(rng: Random, shape: tuple[int, int]) -> Floats:
    """Return a surface (H, W, 3) of one of many kinds and colours."""
    seed = int(rng.integers(1 << 30))
    one, two = muted(rng, 0.1, 0.95), muted(rng, 0.05, 0.9)
    match int(rng.integers(9)):
        case 0:
            return wood(shape, seed, tint=one)
        case 1:
            return stone(shape, seed, color=one)
        case 2:
            return plaster(shape, seed, color=one)
        case 3:
            return bricks(shape, seed, color=one, row_px=int(rng.integers(5, 16)))
        case 4:
            return fabric(shape, seed, color=one, second=two, stripe_px=int(rng.integers(6, 60)))
        case 5:
            return foliage(shape, seed, ((0, two), (1, one)))
        case 6:
            return brushed_metal(shape, seed, color=one)
        case 7:
            return asphalt(shape, seed) * floats(one) * 2
        case _:
            rough = fractal(shape, seed, cell=shape[0] / rng.uniform(1, 8), octaves=int(rng.integers(2, 7)))
            return ramp(rough, ((0, two), (0.5, one), (1, muted(rng, 0.3, 1.0))))


def lump(rng: Random, unit: int, light: Light) -> tuple[Sprite, Sprite]:
    """Return something with a body, shaded as if it were round or flat, and its shadow."""
    side = max(12, int(unit * rng.uniform(0.1, 0.55)))
    turn = np.linspace(0, 2 * math.pi, 90, endpoint=False)
    radius = np.ones_like(turn)
    for wave in range(2, 7):
        radius += rng.normal(0, 0.28 / wave) * np.sin(wave * turn + rng.uniform(0, 6.3))
    if rng.random() < 0.3:  # with corners, as made things have
        radius = 1 / np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn))) * rng.uniform(0.6, 0.75)
    radius *= 0.46 * side / radius.max()
    aspect = rng.uniform(0.5, 1.0)
    outline = np.stack([side / 2 + radius * np.cos(turn), side / 2 + aspect * radius * np.sin(turn)], axis=1)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 255, cv2.LINE_AA)
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5)
    height = np.sqrt(np.clip(inside / max(1.0, float(inside.max())), 0, 1))
    shade = relief(cv2.GaussianBlur(height, (0, 0), 1.2), strength=rng.uniform(0.5, 0.12 * side), angle=-2.2)
    color = lit(_stuff(rng, (side, side)) * np.clip(shade, 0.3, 1.5)[..., None], light)
    body = sprite(color, floats(mask / 255), unit)
    return body, shadow(
        int(1.2 * side), max(4, int(0.9 * aspect * side)), unit, strength=rng.uniform(0.2, 0.6)
    )


def things(size: Size, seed: int, light: Light) -> Scene:
    """Return the scene: things that sway, roll, hop, turn or go by, some near and some far."""
    rng = np.random.default_rng(seed)
    unit = size[1]
    shape = (int(1.5 * unit), int(1.5 * size[0]))
    glow = 0.6 + 0.7 * fractal(shape, seed, cell=unit, octaves=2)[..., None]
    ground = lit(_stuff(rng, shape) * glow, light)
    if rng.random() < 0.5:
        ground = cv2.GaussianBlur(ground, (0, 0), rng.uniform(0.5, 6) * unit / 270)
    back = Sprite(to_image(np.clip(ground, 0, 1)), unit)
    lumps = [lump(rng, unit, light) for _ in range(int(rng.integers(2, 9)))]
    ways = rng.uniform(-1, 1, (len(lumps), 10))
    spread = 0.5 * size[0] / unit

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, back, place(back, view, size, depth=1.5))
        for (body, cast), way in sorted(zip(lumps, ways, strict=True), key=lambda one: -float(one[1][9])):
            a, b, c, d, e, f, g, h, turn, near = (float(v) for v in way)
            depth = 1.1 + 0.25 * near
            x = spread * a + 0.25 * c * math.sin((1.5 + e) * time_s + 9 * g)
            if h > 0.4:  # goes by
                x = (spread * a + 0.6 * c * time_s + 1.4 * spread) % (2.8 * spread) - 1.4 * spread
            y = 0.36 * b + 0.12 * d * math.sin((2.0 + f) * time_s + 9 * h)
            if f > 0.5:  # hops
                y = 0.36 * b - 0.2 * abs(d * math.sin(3 * time_s + 9 * g))
            angle = turn * (2 * time_s if e > 0 else math.sin(2 * time_s))
            swell = 1 + 0.12 * d * math.sin(3.1 * time_s + g)
            draw(frame, cast, place(cast, view, size, at=(x + 0.02, y + 0.03), depth=depth))
            spot = place(body, view, size, at=(x, y), depth=depth, angle=angle, stretch=(swell, 2 - swell))
            draw(frame, body, spot)
        return frame

    return render
