"""One clip of the learning set: a coloured shape that moves one way, and the sentence that says so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from curate.footage.textures import Color, Floats, fractal, ramp, rgb

__all__ = [
    "COLORS",
    "DIRECTIONS",
    "FAST",
    "GROUNDS",
    "SHAPES",
    "TEMPLATES",
    "Truth",
    "background",
    "caption_of",
    "draw_clip",
    "paint",
]


COLORS: Final[dict[str, Color]] = {
    "red": (0.86, 0.1, 0.1),
    "green": (0.1, 0.66, 0.16),
    "blue": (0.12, 0.24, 0.9),
    "yellow": (0.96, 0.88, 0.1),
    "orange": (0.98, 0.52, 0.05),
    "purple": (0.55, 0.12, 0.72),
    "pink": (1.0, 0.5, 0.72),
    "white": (0.97, 0.97, 0.97),
}


SHAPES: Final = ("circle", "square", "triangle")


DIRECTIONS: Final[dict[str, tuple[int, int, str]]] = {
    "right": (1, 0, "from left to right"),
    "left": (-1, 0, "from right to left"),
    "down": (0, 1, "from top to bottom"),
    "up": (0, -1, "from bottom to top"),
    "down-right": (1, 1, "diagonally from the top left to the bottom right"),
    "down-left": (-1, 1, "diagonally from the top right to the bottom left"),
    "up-right": (1, -1, "diagonally from the bottom left to the top right"),
    "up-left": (-1, -1, "diagonally from the bottom right to the top left"),
}


TEMPLATES: Final = (
    "A {what} moves {pace}{way}.",
    "A {what} travels {pace}{way}{past}.",
    "The video shows a {what} moving {pace}{way}{past}.",
    "A {extent} {what} glides {pace}{way} over a {ground} background.",
    "On a {ground} background, a {what} moves {pace}{way}{past}.",
)


GROUNDS: Final[dict[str, tuple[Color, Color]]] = {
    "gray": ((0.3, 0.3, 0.31), (0.52, 0.52, 0.53)),
    "brown": ((0.3, 0.24, 0.19), (0.5, 0.43, 0.36)),
    "slate": ((0.2, 0.26, 0.31), (0.42, 0.48, 0.53)),
    "moss": ((0.25, 0.27, 0.19), (0.46, 0.48, 0.38)),
    "dark": ((0.07, 0.07, 0.09), (0.22, 0.22, 0.25)),
}


FAST: Final = 0.28
"""frame sides a second from which a caption says quickly"""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a clip shows. Places and sizes are shares of the frame's side, x to the right, y down."""

    color: str
    shape: str
    direction: str
    speed: float
    """frame sides a second"""
    size: float
    """diameter of the circle, or side of the square or triangle"""
    start_x: float
    start_y: float
    end_x: float
    end_y: float
    background: str
    second_color: str | None
    second_shape: str | None
    template: int | None


def draw_clip(
    rng: np.random.Generator, size_px: int, frames: int, fps: int
) -> tuple[npt.NDArray[np.uint8], Truth]:
    """Return a clip (T, H, W, 3), RGB uint8, and what it shows, drawn from `rng`."""
    color, other = (str(name) for name in rng.choice(list(COLORS), 2, replace=False))
    shape, direction = str(rng.choice(SHAPES)), str(rng.choice(list(DIRECTIONS)))
    ground = str(rng.choice(list(GROUNDS)))
    size = float(rng.uniform(0.2, 0.34))
    duration_s = (frames - 1) / fps
    reach = min(0.94 - size, float(rng.uniform(0.3, 0.66)))
    dx, dy, _ = DIRECTIONS[direction]
    lane = rng.uniform(0.03 + size / 2, 0.97 - size / 2, 2)
    start = [
        _run_up(sign, reach, size, float(rng.uniform(0, 1)), float(across))
        for sign, across in zip((dx, dy), lane, strict=True)
    ]
    end = [start[0] + dx * reach, start[1] + dy * reach]
    speed = reach * math.hypot(dx, dy) / duration_s
    canvas = background(ground, size_px, int(rng.integers(6)), rng)
    second = str(rng.choice(SHAPES)) if rng.random() < 0.3 else None
    if second:
        paint(canvas[None], second, rgb(COLORS[other]), rng.uniform(0.1, 0.9, (1, 2)), 0.16, 0.3)
    video = np.repeat(canvas[None], frames, axis=0)
    along = np.linspace(0, 1, frames)[:, None]
    centers = np.array(start)[None] * (1 - along) + np.array(end)[None] * along
    paint(video, shape, rgb(COLORS[color]), centers, size, float(rng.uniform(-0.25, 0.25)))
    noise = rng.normal(0, 0.012, (1, size_px, size_px, 1))
    pixels = np.clip((video + np.roll(noise, 3, axis=1)) * 255 + 0.5, 0, 255).astype(np.uint8)
    truth = Truth(
        color=color,
        shape=shape,
        direction=direction,
        speed=round(speed, 5),
        size=round(size, 5),
        start_x=round(start[0], 5),
        start_y=round(start[1], 5),
        end_x=round(end[0], 5),
        end_y=round(end[1], 5),
        background=ground,
        second_color=other if second else None,
        second_shape=second,
        template=int(rng.integers(len(TEMPLATES))),
    )
    return pixels, truth


def caption_of(truth: Truth) -> str:
    """Return the sentence that the clip's template makes of its truth."""
    assert truth.template is not None
    past = (
        f" past a {truth.second_color} {truth.second_shape} that stands still" if truth.second_shape else ""
    )
    return TEMPLATES[truth.template].format(
        what=f"{truth.color} {truth.shape}",
        way=DIRECTIONS[truth.direction][2],
        pace="quickly " if truth.speed >= FAST else "slowly ",
        past=past,
        extent="large" if truth.size > 0.27 else "small",
        ground=truth.background,
    )


def _run_up(sign: int, reach: float, size: float, part: float, across: float) -> float:
    """Return where the middle starts on one axis, so that the whole path lies in the frame."""
    if sign == 0:
        return across
    free = max(0.0, 0.96 - size - reach)
    low = 0.02 + size / 2 + part * free
    return low if sign > 0 else low + reach


@lru_cache(maxsize=64)
def _ground(name: str, size_px: int, number: int) -> Floats:
    """Return a soft texture four times as large as the frame."""
    side = 4 * size_px
    dark, bright = GROUNDS[name]
    return ramp(
        fractal((side, side), 100 * number + 7, cell=size_px / 2, octaves=4), ((0.0, dark), (1.0, bright))
    )


def background(name: str, size_px: int, number: int, rng: np.random.Generator) -> Floats:
    """Return a piece (H, W, 3) of one of the soft textures, in 0..1."""
    texture = _ground(name, size_px, number)
    y, x = (int(v) for v in rng.integers(0, 3 * size_px, 2))
    return texture[y : y + size_px, x : x + size_px].copy()


def paint(
    video_THWC: Floats, shape: str, color: Floats, centers: npt.NDArray[np.float64], size: float, turn: float
) -> None:
    """Paint a shape, lit from the top left and with a soft shadow, at each frame's centre, in place."""
    side = video_THWC.shape[1]
    grid = (np.arange(side, dtype=np.float32) + 0.5) / side
    for number, (cx, cy) in enumerate(centers):
        frame = video_THWC[number]
        x, y = (grid[None, :] - np.float32(cx)), (grid[:, None] - np.float32(cy))
        shade = _inside(shape, x - 0.025, y - 0.03, size, turn, 12.0)[..., None] * 0.35
        frame *= 1 - shade  # in place: a view of the clip
        cover = _inside(shape, x, y, size, turn, float(side))[..., None]
        light = 1.0 - 0.5 * (x + y)[..., None] / size * 0.3
        frame *= 1 - cover
        frame += cover * np.clip(color * light, 0, 1)


def _inside(shape: str, x: Floats, y: Floats, size: float, turn: float, sharp: float) -> Floats:
    """Return how far (0..1) each point lies inside the shape; `sharp` is the edge's steepness."""
    half = size / 2
    cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    if shape == "circle":
        depth = half - np.hypot(x, y)
    elif shape == "square":
        depth = 0.9 * half - np.maximum(np.abs(x * cos + y * sin), np.abs(y * cos - x * sin))
    else:
        u, v = x * cos + y * sin, y * cos - x * sin
        depth = np.minimum(0.6 * half - v, 0.5 * (v + 1.06 * half) - 0.87 * np.abs(u))
    made: Floats = np.clip(depth * sharp + 0.5, 0, 1, dtype=np.float32)
    return made
