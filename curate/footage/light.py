"""Times of day and weathers: the few colours that a whole scene is lit with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from curate.footage.textures import Color, Floats, rgb

__all__ = ["LIGHTS", "Light", "lit"]


@dataclass(frozen=True, slots=True)
class Light:
    """Colours in 0..1, display-referred."""

    zenith: Color
    horizon: Color
    haze: Color
    sun: Color
    key: Color
    """what a white surface looks like in it"""
    sun_at: tuple[float, float] = (0.3, -0.25)
    cloud: float = 0.5
    """share of the sky under clouds"""


LIGHTS: Final[Mapping[str, Light]] = {
    "noon": Light(
        (0.2, 0.42, 0.74), (0.66, 0.79, 0.9), (0.64, 0.74, 0.84), (1, 0.98, 0.9), (1.0, 0.98, 0.92)
    ),
    "dawn": Light(
        (0.36, 0.45, 0.66), (0.98, 0.78, 0.58), (0.86, 0.74, 0.68), (1, 0.86, 0.6), (0.95, 0.8, 0.68),
        (-0.35, 0.0), 0.35,
    ),
    "dusk": Light(
        (0.16, 0.16, 0.36), (0.95, 0.48, 0.26), (0.55, 0.36, 0.4), (1, 0.62, 0.3), (0.66, 0.5, 0.48),
        (0.25, 0.02), 0.6,
    ),
    "overcast": Light(
        (0.55, 0.59, 0.64), (0.78, 0.8, 0.82), (0.72, 0.75, 0.78), (0.85, 0.86, 0.87), (0.78, 0.8, 0.83),
        (0.1, -0.4), 0.95,
    ),
    "night": Light(
        (0.03, 0.05, 0.12), (0.12, 0.15, 0.26), (0.1, 0.13, 0.22), (0.7, 0.76, 0.86), (0.3, 0.34, 0.46),
        (0.4, -0.3), 0.4,
    ),
    "winter": Light(
        (0.48, 0.6, 0.78), (0.88, 0.9, 0.95), (0.82, 0.86, 0.92), (1, 0.97, 0.9), (0.95, 0.97, 1.0),
        (-0.2, -0.2), 0.7,
    ),
}  # fmt: skip


def lit(color_HW3: Floats, light: Light, *, haze: float = 0.0) -> Floats:
    """Return a surface under `light`, `haze` (0..1) of the air between it and the camera."""
    shaded = color_HW3 * rgb(light.key)
    return (shaded * (1 - haze) + rgb(light.haze) * haze).astype(np.float32)
