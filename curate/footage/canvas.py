"""Where things stand before the camera, and how a sprite gets onto a frame.

A scene's space is measured in frame heights: (0, 0) is the middle of the frame at the resting view, x to
the right, y down. A thing at depth d (1 is the plane that camera speeds are stated for, larger is farther)
moves 1/d as fast when the camera moves sideways: that is all the perspective there is, and it is enough for
parallax. Sprites are premultiplied RGBA; drawing one costs a warp and a blend of its bounding box.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from curate.footage.textures import Floats, Image, to_image

__all__ = [
    "Affine",
    "Scene",
    "Size",
    "Sprite",
    "View",
    "blend",
    "diagonal",
    "draw",
    "fill",
    "place",
    "shadow",
    "sprite",
]

Size: TypeAlias = tuple[int, int]
"""width, height in px"""
Affine: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera is: offsets in frame heights, `z` towards the scene, `roll` in radians."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    zoom: float = 1.0
    roll: float = 0.0


Scene: TypeAlias = Callable[[float, View], Image]
"""(seconds, view) to a fresh RGB frame (H, W, 3)"""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A premultiplied RGBA picture and how many of its pixels make one frame height."""

    rgba: Image
    unit_px: float


def diagonal(size: Size) -> float:
    """Return the frame's diagonal in frame heights."""
    return math.hypot(size[0], size[1]) / size[1]


def sprite(color_HW3: Floats, alpha_HW: Floats, unit_px: float) -> Sprite:
    """Return a sprite of a colour and an alpha, both in 0..1."""
    alpha = np.clip(alpha_HW, 0.0, 1.0)[..., None]
    return Sprite(to_image(np.concatenate([np.clip(color_HW3, 0, 1) * alpha, alpha], axis=2)), unit_px)


def shadow(width_px: int, height_px: int, unit_px: float, *, strength: float = 0.5) -> Sprite:
    """Return the soft elliptical shadow of something that stands on the ground."""
    y, x = np.mgrid[-1.0 : 1.0 : height_px * 1j, -1.0 : 1.0 : width_px * 1j]
    alpha = strength * np.clip(1.0 - (x * x + y * y), 0.0, 1.0)
    return sprite(np.zeros((height_px, width_px, 3), np.float32), alpha.astype(np.float32), unit_px)


def place(
    thing: Sprite,
    view: View,
    size: Size,
    *,
    at: tuple[float, float] = (0.0, 0.0),
    depth: float = 1.0,
    scale: float = 1.0,
    angle: float = 0.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Affine:
    """Return the affine (2, 3) from the sprite's px to the frame's px; `at` is where its centre stands."""
    rows, cols = thing.rgba.shape[:2]
    near = depth / max(depth - view.z, 0.05)
    lens = size[1] * view.zoom * near * complex(math.cos(view.roll), math.sin(view.roll))
    middle = lens * complex(at[0] - view.x / depth, at[1] - view.y / depth) + complex(size[0], size[1]) / 2
    own = lens * scale / thing.unit_px * complex(math.cos(angle), math.sin(angle))
    sx, sy = stretch
    a, b, c, d = own.real * sx, -own.imag * sy, own.imag * sx, own.real * sy
    cx, cy = cols / 2, rows / 2
    return np.array([[a, b, middle.real - a * cx - b * cy], [c, d, middle.imag - c * cx - d * cy]])


def blend(frame_HW3: Image, over_HW4: Image) -> None:
    """Lay a premultiplied picture over `frame_HW3`, in place."""
    rest = cv2.bitwise_not(over_HW4[..., 3])
    under = cv2.multiply(frame_HW3, cv2.cvtColor(rest, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    cv2.add(under, cv2.cvtColor(over_HW4, cv2.COLOR_RGBA2RGB), dst=under)
    frame_HW3[:] = under


def draw(frame_HW3: Image, thing: Sprite, affine: Affine, *, wide: bool = False) -> None:
    """Draw a sprite onto a frame, in place; a `wide` one goes on beyond its edges, mirrored."""
    rows, cols = thing.rgba.shape[:2]
    height, width = frame_HW3.shape[:2]
    corners = affine @ np.array([[0, cols, 0, cols], [0, 0, rows, rows], [1, 1, 1, 1]], np.float64)
    x0, x1 = (0, width) if wide else _span(corners[0], width)
    y0, y1 = _span(corners[1], height)
    if wide and y1 >= height - 1:
        y1 = height
    if x0 >= x1 or y0 >= y1:
        return
    moved = affine - np.array([[0, 0, x0], [0, 0, y0]])
    border = cv2.BORDER_REFLECT_101 if wide else cv2.BORDER_CONSTANT
    patch = cv2.warpAffine(thing.rgba, moved, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=border)
    blend(frame_HW3[y0:y1, x0:x1], patch)


def fill(size: Size, backdrop: Sprite, affine: Affine) -> Image:
    """Return a frame filled with an opaque backdrop, mirrored beyond its edges."""
    image: Image = cv2.warpAffine(
        backdrop.rgba, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return image if image.shape[2] == 3 else np.ascontiguousarray(image[..., :3])


def _span(values: npt.NDArray[np.float64], limit: int) -> tuple[int, int]:
    return max(0, math.floor(values.min())), min(limit, math.ceil(values.max()) + 1)
