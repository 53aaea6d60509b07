"""How the camera moves during a shot, and how fast that is, in frame diagonals a second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from curate.footage.canvas import Size, View, diagonal

__all__ = ["STILL", "Camera", "CameraKind", "mean_speed"]

CameraKind: TypeAlias = Literal["static", "pan", "tilt", "zoom", "dolly", "roll", "handheld", "shake", "whip"]


REST: Final = View()


@dataclass(frozen=True, slots=True)
class Camera:
    """A move and its rate.

    `rate` is, for pan and tilt, frame diagonals a second in the plane at depth 1 (negative: to the left, up);
    for zoom the growth of the picture a second (0.1: 10 %); for dolly the way in units of depth a second; for
    roll radians a second; for handheld and shake the swing in frame heights; for whip the diagonals
    travelled in the whip, which starts at `at_s` and takes 0.35 s.
    """

    kind: CameraKind = "static"
    rate: float = 0.0
    at_s: float = 1.0
    start: View = REST

    def view(self, time_s: float, size: Size) -> View:
        """Return where the camera is at `time_s` of its shot."""
        base, rate, unit = self.start, self.rate, diagonal(size)
        x, y, z, zoom, roll = base.x, base.y, base.z, base.zoom, base.roll
        match self.kind:
            case "static":
                pass
            case "pan":
                x += rate * unit * time_s
            case "tilt":
                y += rate * unit * time_s
            case "zoom":
                zoom *= math.exp(math.log1p(rate) * time_s)
            case "dolly":
                z += rate * time_s
            case "roll":
                roll += rate * time_s
            case "whip":
                part = min(1.0, max(0.0, (time_s - self.at_s) / 0.35))
                x += rate * unit * part * part * (3 - 2 * part)
            case "handheld" | "shake":
                quick = 1.0 if self.kind == "handheld" else 3.6
                x += rate * _wobble(time_s * quick, 0.0)
                y += 0.8 * rate * _wobble(time_s * quick, 2.0)
                roll += 0.25 * rate * _wobble(time_s * quick, 4.0)
        return View(x, y, z, zoom, roll)


STILL: Final = Camera()


def _wobble(time_s: float, phase: float) -> float:
    """Return a sum of incommensurate swings, about -1..1, strongest near 0.5 Hz."""
    return (
        0.55 * math.sin(3.1 * time_s + phase)
        + 0.3 * math.sin(7.3 * time_s + 1.7 * phase)
        + 0.15 * math.sin(13.9 * time_s + 2.9 * phase)
        - 0.55 * math.sin(phase)
    )


def mean_speed(camera: Camera, size: Size, duration_s: float, *, step_s: float = 0.05) -> float:
    """Return the mean speed of the picture (depth 1) over the frame and the shot, in diagonals a second."""
    unit, aspect = diagonal(size), size[0] / size[1]
    middles = (np.arange(9) + 0.5) / 9 - 0.5
    x, y = np.meshgrid(middles * aspect, middles)
    points = x + 1j * y
    travelled, steps = 0.0, max(1, int(duration_s / step_s))
    for step in range(steps):
        one, two = (camera.view((step + k) * step_s, size) for k in (0, 1))
        # Where the world point now under each pixel goes within one step.
        spin = np.exp(1j * one.roll)
        world = points / (one.zoom / max(1 - one.z, 0.05) * spin) + complex(one.x, one.y)
        moved = (world - complex(two.x, two.y)) * (two.zoom / max(1 - two.z, 0.05)) * np.exp(1j * two.roll)
        travelled += float(np.abs(moved - points).mean())
    return travelled / (steps * step_s) / unit
