"""What streets are made of: house fronts, cars and people on foot, drawn once and moved about."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from curate.footage.canvas import Sprite
from curate.footage.textures import (
    Color,
    Floats,
    bricks,
    fractal,
    plaster,
    rgb,
    to_image,
)

__all__ = ["PAINTS", "WALLS", "car", "facade", "walker"]


WALLS: tuple[Color, ...] = (
    (0.62, 0.3, 0.22), (0.8, 0.72, 0.56), (0.55, 0.6, 0.64), (0.76, 0.52, 0.36), (0.85, 0.82, 0.76),
    (0.42, 0.36, 0.34),
)  # fmt: skip


PAINTS: tuple[Color, ...] = (
    (0.66, 0.1, 0.1), (0.12, 0.22, 0.46), (0.85, 0.85, 0.84), (0.12, 0.13, 0.14), (0.72, 0.58, 0.16),
    (0.25, 0.42, 0.34),
)  # fmt: skip


def facade(size_px: tuple[int, int], seed: int, *, glow: float) -> Floats:
    """Return one house front (H, W, 3): wall, rows of windows with frames, curtains and reflections."""
    height, width = size_px
    rng = np.random.default_rng(seed)
    color = WALLS[int(rng.integers(len(WALLS)))]
    make = bricks if rng.random() < 0.5 else plaster
    wall = make((height, width), seed, color=color)
    floors, columns = max(2, height // 44), max(2, width // 34)
    reflection = fractal((height, width), seed + 1, cell=40, octaves=4, stretch=2)
    for floor in range(floors):
        for column in range(columns):
            x, y = int((column + 0.25) * width / columns), int((floor + 0.22) * height / floors)
            w, h = int(0.5 * width / columns), int(0.55 * height / floors)
            on = rng.random() < glow
            pane = rgb((1.0, 0.8, 0.45)) if on else rgb((0.16, 0.2, 0.25))
            glass = pane * (0.7 + 0.6 * reflection[y : y + h, x : x + w, None])
            wall[y : y + h, x : x + w] = glass
            if rng.random() < 0.5:
                wall[y : y + h, x : x + max(2, w // 4)] *= rgb((1.3, 1.2, 1.1))
            cv2.rectangle(wall, (x, y), (x + w, y + h), (0.82, 0.8, 0.76), 1, cv2.LINE_AA)
            cv2.line(wall, (x + w // 2, y), (x + w // 2, y + h), (0.75, 0.73, 0.7), 1)
            wall[y + h + 1 : y + h + 4, max(0, x - 2) : x + w + 2] *= 0.55
    wall[:3] *= 0.5
    wall[:, -2:] *= 0.45
    return wall


def car(unit_px: int, seed: int) -> Sprite:
    """Return a car seen from the side, 0.36 frame heights long, shaded, with wheels and windows."""
    up = 2  # drawn twice as large and shrunk: smooth edges
    length = int(0.36 * unit_px) * up
    height = int(0.15 * unit_px) * up
    color = np.zeros((height, length, 3), np.float32)
    alpha = np.zeros((height, length), np.float32)
    paint = rgb(PAINTS[seed % len(PAINTS)])

    def at(points: list[tuple[float, float]]) -> npt.NDArray[np.int32]:
        return np.array([[x * length, y * height] for x, y in points]).astype(np.int32)

    cabin = [(0.2, 0.42), (0.32, 0.06), (0.64, 0.05), (0.8, 0.42)]
    body = [(0.02, 0.8), (0.02, 0.5), (0.1, 0.42), (0.8, 0.4), (0.97, 0.52), (0.985, 0.8)]
    shade = (1.25 - 0.75 * np.linspace(0, 1, height, dtype=np.float32))[:, None, None]
    for outline in (cabin, body):
        mask = np.zeros((height, length), np.float32)
        cv2.fillPoly(mask, [at(outline)], 1.0)
        alpha = np.maximum(alpha, mask)
        color = np.where(mask[..., None] > 0, paint * shade, color)
    glass = np.zeros((height, length), np.float32)
    cv2.fillPoly(glass, [at([(0.26, 0.4), (0.34, 0.12), (0.47, 0.12), (0.47, 0.4)])], 1.0)
    cv2.fillPoly(glass, [at([(0.5, 0.4), (0.5, 0.12), (0.62, 0.12), (0.73, 0.4)])], 1.0)
    sheen = np.linspace(0.5, 0.12, height, dtype=np.float32)[:, None, None] * rgb((0.8, 0.95, 1.1))
    color = np.where(glass[..., None] > 0, sheen, color)
    color[int(0.55 * height) : int(0.57 * height), int(0.04 * length) : int(0.96 * length)] *= 0.6
    cv2.ellipse(color, (int(0.95 * length), int(0.56 * height)), (length // 40, height // 16), 0, 0, 360,
                (1.0, 0.95, 0.75), -1, cv2.LINE_AA)  # fmt: skip
    for x in (0.2, 0.79):
        center, radius = (int(x * length), int(0.8 * height)), int(0.19 * height)
        for target, value in ((alpha, 1.0), (color, (0.05, 0.05, 0.06))):
            cv2.circle(target, center, radius, value, -1, cv2.LINE_AA)
        cv2.circle(color, center, int(radius * 0.6), (0.6, 0.61, 0.63), -1, cv2.LINE_AA)
        for spoke in range(5):
            end = 0.55 * radius * np.exp(2j * math.pi * spoke / 5)
            tip = (center[0] + round(end.real), center[1] + round(end.imag))
            cv2.line(color, center, tip, (0.2, 0.2, 0.22), up, cv2.LINE_AA)
    small = (length // up, height // up)
    shrunk = cv2.resize(np.dstack([color * alpha[..., None], alpha]), small, interpolation=cv2.INTER_AREA)
    return Sprite(to_image(shrunk), unit_px)


def walker(unit_px: int, seed: int, phase: float) -> Sprite:
    """Return a person in mid-stride seen from the side, at `phase` (radians) of the gait."""
    up = 3
    height, width = int(0.3 * unit_px) * up, int(0.16 * unit_px) * up
    rng = np.random.default_rng(seed)
    coat, trousers = (
        tuple(float(v) for v in rng.uniform(0.12, 0.5) * rng.uniform(0.7, 1.3, 3)) for _ in range(2)
    )
    skin = (0.8, 0.6, 0.48) if rng.random() < 0.6 else (0.45, 0.3, 0.22)
    color = np.zeros((height, width, 4), np.float32)
    hip, neck = np.array([width / 2, 0.55 * height]), np.array([width / 2 + 0.02 * width, 0.2 * height])

    def limb(
        start: npt.NDArray[np.float64], swing: float, bend: float, length: float, paint: Color, thick: float
    ) -> None:
        middle = start + length * height * np.array([math.sin(swing), math.cos(swing)])
        end = middle + length * height * np.array([math.sin(swing - bend), math.cos(swing - bend)])
        for a, b in ((start, middle), (middle, end)):
            cv2.line(
                color, tuple(map(int, a)), tuple(map(int, b)), (*paint, 1.0), int(thick * width), cv2.LINE_AA
            )

    for side in (math.pi, 0.0):
        swing = 0.5 * math.sin(phase + side)
        dim = 0.7 if side else 1.0
        limb(hip, swing, 0.5 * max(0.0, math.cos(phase + side)), 0.21, tuple(c * dim for c in trousers), 0.16)  # type: ignore[arg-type]
        limb(neck + np.array([0, 0.05 * height]), -swing, -0.3, 0.16, tuple(c * dim for c in coat), 0.12)  # type: ignore[arg-type]
    cv2.line(color, tuple(map(int, neck + np.array([0, 0.06 * height]))), tuple(map(int, hip)), (*coat, 1.0),
             int(0.3 * width), cv2.LINE_AA)  # fmt: skip
    cv2.circle(
        color,
        tuple(map(int, neck - np.array([0, 0.1 * height]))),
        int(0.085 * height),
        (*skin, 1.0),
        -1,
        cv2.LINE_AA,
    )
    cv2.ellipse(color, tuple(map(int, neck - np.array([0.01 * width, 0.125 * height]))), (int(0.085 * height),
                int(0.06 * height)), 0, 180, 360, (0.12, 0.09, 0.07, 1.0), -1, cv2.LINE_AA)  # fmt: skip
    shade = np.linspace(1.1, 0.7, width, dtype=np.float32)[None, :, None]
    color[..., :3] *= shade
    small = (width // up, height // up)
    return Sprite(to_image(cv2.resize(color, small, interpolation=cv2.INTER_AREA)), unit_px)
