"""Clips that say one thing each: a shape of a colour goes one way, or stays, and one sentence tells which.

What the sentence says can be seen, and all that it says: so a captioner that has learned them is right word
for word. 8 colours, 3 shapes, 4 ways and rest: 120 sentences. Places, sizes, speeds, tilt and ground vary and
are not told.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from curate.footage.drawing import COLORS, GROUNDS, SHAPES, Truth, background, paint
from curate.footage.textures import rgb

__all__ = ["WAYS", "draw_plain_clip", "plain_caption_of"]

WAYS: Final[dict[str, tuple[int, int, str]]] = {
    "left": (-1, 0, "moves to the left"),
    "right": (1, 0, "moves to the right"),
    "up": (0, -1, "moves up"),
    "down": (0, 1, "moves down"),
    "still": (0, 0, "stays still"),
}
"""step in x and y (down), and how it is told"""
_MARGIN: Final = 0.02


def draw_plain_clip(
    rng: np.random.Generator, size_px: int, frames: int, fps: int
) -> tuple[npt.NDArray[np.uint8], Truth]:
    """Return a clip (T, H, W, 3), RGB uint8, and what it shows, drawn from `rng`."""
    color, shape = str(rng.choice(list(COLORS))), str(rng.choice(SHAPES))
    way, ground = str(rng.choice(list(WAYS))), str(rng.choice(list(GROUNDS)))
    dx, dy, _ = WAYS[way]
    size = float(rng.uniform(0.34, 0.44))
    reach = float(rng.uniform(0.34, 0.5)) * (way != "still")
    low = _MARGIN + size / 2
    # The middle of the path, anywhere such that all of it lies in the frame.
    middle = [float(rng.uniform(low + abs(d) * reach / 2, 1 - low - abs(d) * reach / 2)) for d in (dx, dy)]
    start, end = (
        [m + sign * d * reach / 2 for m, d in zip(middle, (dx, dy), strict=True)] for sign in (-1, 1)
    )
    canvas = background(ground, size_px, int(rng.integers(6)), rng)
    video = np.repeat(canvas[None], frames, axis=0)
    along = np.linspace(0, 1, frames)[:, None]
    centers = np.array(start)[None] * (1 - along) + np.array(end)[None] * along
    paint(video, shape, rgb(COLORS[color]), centers, size, float(rng.uniform(-0.12, 0.12)))
    truth = Truth(
        color=color,
        shape=shape,
        direction=way,
        speed=round(reach * fps / (frames - 1), 5),
        size=round(size, 5),
        start_x=round(start[0], 5),
        start_y=round(start[1], 5),
        end_x=round(end[0], 5),
        end_y=round(end[1], 5),
        background=ground,
        second_color=None,
        second_shape=None,
        template=None,
    )
    return (video * 255 + 0.5).astype(np.uint8), truth


def plain_caption_of(truth: Truth) -> str:
    """Return the one sentence that tells colour, shape and way."""
    article = "An" if truth.color[0] in "aeiou" else "A"
    return f"{article} {truth.color} {truth.shape} {WAYS[truth.direction][2]}."
