"""A talking head on a fixed set: it blinks, nods, looks about and speaks, as in an interview or a lecture.

The head is shaded once as a rounded body with a nose, cheeks and eye sockets; a frame moves the lids, the
pupils, the brows and the mouth on a copy of it. Cost: about 4 ms a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, sprite
from curate.footage.light import Light, lit
from curate.footage.tabletop import HUES
from curate.footage.textures import (
    Color,
    Floats,
    Image,
    fabric,
    foliage,
    fractal,
    plaster,
    relief,
    rgb,
    to_image,
    wood,
)

__all__ = ["HAIRS", "SKINS", "Head", "head_of", "room", "speech", "talker", "with_features"]

SKINS: tuple[Color, ...] = ((0.9, 0.7, 0.59), (0.56, 0.39, 0.29), (0.8, 0.58, 0.44), (0.38, 0.26, 0.2))
HAIRS: tuple[Color, ...] = ((0.2, 0.13, 0.08), (0.08, 0.07, 0.07), (0.55, 0.4, 0.2), (0.5, 0.48, 0.46))


@dataclass(frozen=True, slots=True)
class Head:
    """The resting head, premultiplied RGBA, and what moves on it."""

    rgba: Image
    unit_px: float
    skin: Color
    hair: Color


def _shelve(wall: Floats, board: Floats, rng: np.random.Generator, span: tuple[int, int], unit: int) -> None:
    """Put shelves of books on a wall (H, W, 3) between the columns of `span`, in place."""
    left, right = span
    case = slice(max(0, left - 8), right + 8)
    step, thick = int(0.3 * unit), max(2, unit // 34)
    wall[:, case] = board[:, case] * 0.45
    for top in range(int(0.03 * unit), wall.shape[0], step):
        floor = min(wall.shape[0], top + step - thick)
        x = left
        while x < right - 4:
            width, height = int(rng.uniform(0.02, 0.055) * unit) + 2, int(step * rng.uniform(0.6, 0.85))
            width = min(width, wall.shape[1] - x)
            tone = rgb(HUES[int(rng.integers(6))]) * rng.uniform(0.45, 0.9)
            head = max(0, floor - height)
            back = np.sin(np.linspace(0.5, 2.6, width))[None, :, None]
            wall[head:floor, x : x + width] = (tone * back).astype(np.float32)
            band = head + (floor - head) // 4
            wall[band : band + max(1, unit // 90), x : x + width] += 0.2
            x += width + 1
        wall[floor : floor + thick, case] = board[floor : floor + thick, case]


def room(size: Size, seed: int, light: Light) -> Sprite:
    """Return the room behind: a wall, shelves of books, a plant, a lamp's glow, all a little out of focus."""
    unit = size[1]
    rng = np.random.default_rng(seed)
    shape = (int(1.3 * unit), int(1.3 * size[0]))
    wall = plaster(shape, seed, color=((0.55, 0.6, 0.62), (0.7, 0.62, 0.52), (0.42, 0.48, 0.44))[seed % 3])
    board = wood(shape, seed + 1, tint=(0.5, 0.34, 0.22))
    left, right = (0.05, 0.42) if seed % 2 else (0.6, 0.97)
    _shelve(wall, board, rng, (int(left * shape[1]), int(right * shape[1])), unit)
    leaf = foliage(
        shape, seed + 2, ((0, (0.04, 0.1, 0.04)), (0.6, (0.18, 0.36, 0.14)), (1, (0.5, 0.62, 0.3)))
    )
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / unit
    middle = (0.8 if seed % 2 else 0.2) * shape[1] / unit
    lump = fractal(shape, seed + 3, cell=unit / 8, octaves=5, gain=0.7)
    plant = np.clip((0.95 - np.hypot((x - middle) / 0.28, (y - 0.95) / 0.34) + 1.4 * (lump - 0.5)) * 9, 0, 1)[
        ..., None
    ]
    wall = wall * (1 - plant) + leaf * plant
    glow = np.exp(-(((x - middle) / 0.7) ** 2 + ((y - 0.2) / 0.7) ** 2))[..., None] * rgb((0.4, 0.33, 0.2))
    soft = cv2.GaussianBlur(lit((wall * 0.8 + glow).astype(np.float32), light), (0, 0), unit / 170)
    return Sprite(to_image(soft), unit)


def head_of(unit: int, seed: int) -> Head:
    """Return the head, shaded, with ears, nose, neck and hair; eyes and mouth are drawn every frame."""
    height, width = int(0.78 * unit), int(0.62 * unit)
    skin, hair = SKINS[seed % 4], HAIRS[(seed // 2) % 4]
    y, x = np.mgrid[-1.12 : 1.0 : height * 1j, -0.84 : 0.84 : width * 1j].astype(np.float32)
    jaw = 0.56 - 0.16 * np.clip(y - 0.05, 0, 1) ** 1.5
    face = np.hypot(x / jaw, (y + 0.08) / 0.78)
    neck = (np.abs(x) < 0.3) & (y > 0.3)
    ears = np.hypot((np.abs(x) - 0.56) / 0.07, (y + 0.05) / 0.15)
    scale = height / 2.12
    cover = np.clip((1 - face) * 0.5 * scale, 0, 1)
    bulk = np.sqrt(np.clip(1 - face**2, 0, 1))
    bump = (
        bulk * 0.55
        + 0.13 * np.exp(-((x / 0.075) ** 2) - ((y - 0.1) / 0.11) ** 2)  # nose
        + 0.06 * np.exp(-((x / 0.05) ** 2) - ((y + 0.08) / 0.2) ** 2)  # its bridge
        - 0.1 * np.exp(-(((np.abs(x) - 0.22) / 0.13) ** 2) - ((y + 0.13) / 0.08) ** 2)  # sockets
        + 0.05 * np.exp(-(((np.abs(x) - 0.28) / 0.14) ** 2) - ((y - 0.14) / 0.13) ** 2)  # cheeks
        + 0.05 * np.exp(-((x / 0.16) ** 2) - ((y - 0.56) / 0.09) ** 2)  # chin
    ).astype(np.float32)
    gy, gx = np.gradient(cv2.GaussianBlur(bump, (0, 0), 1.5) * scale)
    facing = (0.48 * -gx + 0.5 * -gy + 0.72) / np.sqrt(1 + gx**2 + gy**2)
    pores = 0.96 + 0.08 * fractal((height, width), seed, cell=18, octaves=5)
    tone = np.clip(0.3 + 0.85 * np.clip(facing, 0, 1.2), 0.15, 1.2) * pores
    blush = 0.1 * np.exp(-(((np.abs(x) - 0.3) / 0.12) ** 2) - ((y - 0.16) / 0.12) ** 2)
    color = tone[..., None] * (rgb(skin) * (1 - blush[..., None]) + blush[..., None] * rgb((0.95, 0.4, 0.36)))
    under = (
        np.clip(0.8 - 0.3 * x, 0.3, 1)[..., None]
        * rgb(skin)
        * (0.72 + 0.3 * np.clip(y - 0.55, 0, 1))[..., None]
    )
    ear = np.clip((1 - ears) * 8, 0, 1)
    picture = np.where((cover > 0.5)[..., None], color, under)
    picture = np.where(((ear > 0) & (cover < 0.5) & ~neck)[..., None], rgb(skin) * 0.72, picture)
    alpha = np.maximum(np.maximum(cover, ear), neck.astype(np.float32))
    strands = fractal((height, width), seed + 1, cell=26, octaves=5, gain=0.75, stretch=0.18)
    cap = np.hypot(x / (jaw + 0.075), (y + 0.14) / 0.9)
    line = -0.5 - 0.1 * np.cos(3 * x + seed) + 0.5 * np.clip(np.abs(x) - 0.36, 0, 1) ** 0.8 * 4
    style = 0.25 if seed % 2 else 1.6  # short, or falling beside the face
    covered = np.clip((1 - cap) * 14 + 4 * (strands - 0.5), 0, 1) * np.clip(
        (np.minimum(line, style) - y) * 12, 0, 1
    )
    locks = (0.5 + 1.1 * strands) * (0.7 + 0.6 * np.exp(-(((x + 0.2) / 0.3) ** 2) - ((y + 0.75) / 0.2) ** 2))
    picture = picture * (1 - covered[..., None]) + locks[..., None] * rgb(hair) * covered[..., None]
    return Head(sprite(picture.astype(np.float32), np.maximum(alpha, covered), unit).rgba, unit, skin, hair)


def with_features(
    head: Head, *, blink: float, gaze: tuple[float, float], brow: float, mouth: float, smile: float
) -> Sprite:
    """Return the head with its eyes, brows and mouth as told; all in 0..1 or small fractions of the head."""
    picture = head.rgba.copy()
    height, width = picture.shape[:2]
    one = height / 2.12
    bits = 4

    def at(x: float, y: float) -> tuple[int, int]:
        return round((width / 2 + x * one) * (1 << bits)), round((1.12 + y) * one * (1 << bits))

    def axes(a: float, b: float) -> tuple[int, int]:
        return max(1, round(a * one * (1 << bits))), max(1, round(b * one * (1 << bits)))

    def oval(x: float, y: float, a: float, b: float, tone: Color, span: tuple[int, int] = (0, 360)) -> None:
        paint = (*(255 * v for v in tone), 255)
        cv2.ellipse(picture, at(x, y), axes(a, b), 0, *span, paint, -1, cv2.LINE_AA, shift=bits)

    skin, dim = head.skin, tuple(0.7 * v for v in head.skin)
    for side in (-1, 1):
        x = 0.22 * side
        oval(x, -0.13, 0.125, 0.066, dim)  # type: ignore[arg-type]
        oval(x, -0.125, 0.11, 0.052 * (1 - blink) + 0.004, (0.9, 0.89, 0.87))
        if blink < 0.7:
            look = (x + 0.045 * gaze[0], -0.125 + 0.02 * gaze[1])
            oval(*look, 0.047, min(0.047, 0.052 * (1 - blink)), (0.25, 0.33, 0.3))
            oval(*look, 0.022, min(0.022, 0.05 * (1 - blink)), (0.02, 0.02, 0.02))
            oval(look[0] - 0.015, look[1] - 0.016, 0.009, 0.009, (1, 1, 1))
        lid = np.array(
            [
                at(x + 0.125 * u, -0.13 - 0.058 * (1 - blink) * (1 - u * u) + 0.01)
                for u in np.linspace(-1, 1, 9)
            ]
        )
        cv2.polylines(
            picture,
            [lid.astype(np.int32)],
            False,
            (45, 28, 22, 255),
            max(1, int(one / 55)),
            cv2.LINE_AA,
            bits,
        )
        arch = np.array(
            [
                at(x + 0.15 * u, -0.27 - 0.03 * (1 - u * u) - 0.04 * brow - 0.012 * u * side)
                for u in np.linspace(-1, 1, 9)
            ]
        )
        shade = tuple(255 * 0.8 * v for v in head.hair)
        cv2.polylines(
            picture, [arch.astype(np.int32)], False, (*shade, 255), max(1, int(one / 24)), cv2.LINE_AA, bits
        )
        oval(0.05 * side, 0.185, 0.024, 0.013, tuple(0.4 * v for v in skin))  # type: ignore[arg-type]
    open_, wide = 0.012 + 0.075 * mouth, 0.16 + 0.04 * smile - 0.035 * mouth
    lips = (min(1.0, 0.62 * skin[0] + 0.12), 0.5 * skin[1], 0.5 * skin[2])
    oval(0, 0.37, wide + 0.015, open_ + 0.026, lips)
    oval(0, 0.37, wide - 0.015, open_, (0.17, 0.05, 0.05))
    if mouth > 0.2:
        oval(0, 0.37 - 0.5 * open_, wide - 0.05, 0.35 * open_, (0.9, 0.88, 0.84))
        oval(0, 0.37 + 0.6 * open_, wide - 0.07, 0.35 * open_, (0.62, 0.26, 0.26))
    return Sprite(picture, head.unit_px)


def speech(time_s: float, seed: int) -> float:
    """Return how far the mouth is open (0..1): syllables at 4 to 6 a second, with pauses."""
    talks = 0.5 + 0.5 * math.tanh(4 * (math.sin(0.9 * time_s + seed) + 0.55))
    return talks * abs(math.sin(13.0 * time_s + seed) * 0.6 + math.sin(21.7 * time_s) * 0.4)


def _torso(unit: int, seed: int) -> Sprite:
    """Return shoulders in a shirt and jacket, with a collar and folds."""
    height, width = int(0.62 * unit), int(1.3 * unit)
    y, x = np.mgrid[0 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    line = 0.1 + 0.34 * np.clip(np.abs(x) - 0.22, 0, 1) ** 1.4 + 2.2 * np.clip(np.abs(x) - 0.72, 0, 1) ** 1.2
    alpha = np.clip((y - line) * height, 0, 1)
    jacket = (
        fabric((height, width), seed, color=HUES[(seed + 1) % 6], second=HUES[(seed + 1) % 6], stripe_px=30)
        * 0.55
    )
    folds = relief(fractal((height, width), seed + 1, cell=unit / 4, octaves=3, stretch=0.5), strength=1.0)
    fall = np.clip(1.05 - 0.5 * np.abs(x + 0.25), 0.3, 1)
    color = jacket * (folds * fall)[..., None]
    shirt = (np.abs(x) < 0.2 - 0.2 * np.clip(y - 0.1, 0, 1)) & (y > 0.06)
    color = np.where(shirt[..., None], rgb((0.9, 0.9, 0.92)) * (0.9 - 0.2 * np.abs(x[..., None]) * 4), color)
    collar = np.clip(1 - np.abs(np.abs(x) - (0.2 - 0.2 * np.clip(y - 0.1, 0, 1))) * 45, 0, 1)[..., None]
    color = color * (1 - 0.6 * collar)
    alpha = np.maximum(alpha, shirt.astype(np.float32))
    return sprite(color.astype(np.float32), alpha.astype(np.float32), unit)


def talker(size: Size, seed: int, light: Light) -> Scene:
    """Somebody who talks to the camera from a fixed seat; nothing else moves."""
    unit = size[1]
    behind = room(size, seed, light)
    head, torso = head_of(int(unit * 0.86), seed), _torso(unit, seed)
    key = rgb(light.key)
    head = Head(_tint(head.rgba, key), head.unit_px, head.skin, head.hair)
    torso = Sprite(_tint(torso.rgba, key), torso.unit_px)

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, behind, place(behind, view, size, depth=2.5))
        drift = math.sin(0.7 * time_s + seed) + 0.5 * math.sin(1.9 * time_s + 2 * seed)
        nod = 0.6 * math.sin(1.3 * time_s) + 0.4 * math.sin(3.1 * time_s + seed)
        draw(frame, torso, place(torso, view, size, at=(0.026 * drift, 0.42 + 0.005 * nod)))
        blink = max(0.0, 1.0 - abs(((time_s + 0.37 * seed) % 3.1) - 1.5) / 0.09)
        face = with_features(
            head,
            blink=min(1.0, blink),
            gaze=(0.7 * math.tanh(3 * math.sin(0.8 * time_s + seed)), 0.4 * math.sin(1.1 * time_s)),
            brow=max(0.0, math.sin(1.7 * time_s + seed)) ** 3,
            mouth=speech(time_s, seed),
            smile=0.5 + 0.5 * math.sin(0.5 * time_s),
        )
        at = (0.05 * drift, -0.04 + 0.016 * nod)
        draw(
            frame,
            face,
            place(face, view, size, at=at, angle=0.09 * math.sin(0.9 * time_s + seed), depth=0.97),
        )
        return frame

    return render


def _tint(rgba: Image, key: Floats) -> Image:
    tinted = rgba.astype(np.float32)
    tinted[..., :3] *= key
    return np.clip(tinted, 0, 255).astype(np.uint8)
