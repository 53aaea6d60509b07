"""What goes wrong before, in and after the camera, or is laid over the picture, one small class each.

A fault is a pure function of a frame, its index in the shot and its time; chains of them make a file's look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from curate.footage.canvas import Size
from curate.footage.pages import caption_bar, write
from curate.footage.textures import Image

__all__ = [
    "Blur",
    "Crop",
    "Fault",
    "Flash",
    "Flicker",
    "Lamp",
    "Letterbox",
    "Look",
    "Mirror",
    "Noise",
    "Pixelate",
    "Subtitle",
    "Watermark",
    "finisher",
]


class Fault(Protocol):
    """Changes one frame; `index` counts from the shot's first frame."""

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:
        """Return the changed frame; the one given may be overwritten."""


@dataclass(frozen=True, slots=True)
class Look:
    """The camera: exposure, gamma, warmth, saturation, softness, vignette and grain."""

    gain: float = 1.0
    gamma: float = 1.0
    warmth: float = 0.0
    saturation: float = 1.0
    soft_px: float = 0.55
    """sigma of the lens blur at 270 lines"""
    vignette: float = 0.22
    grain: float = 2.2
    """sigma in 8-bit steps"""


@lru_cache(maxsize=8)
def _grain(size: Size, sigma: float, tiles: int = 7) -> tuple[np.ndarray, ...]:
    """Return a few pictures of film grain: correlated over about a pixel, half of it in the colours."""
    made = []
    for number in range(tiles):
        rng = np.random.default_rng(number)
        noise = rng.standard_normal((size[1], size[0], 3)).astype(np.float32)
        noise = 0.8 * noise[..., :1] + 0.45 * noise
        noise = cv2.GaussianBlur(noise, (0, 0), 0.6)
        made.append((noise * (sigma / noise.std())).round().astype(np.int16))
    return tuple(made)


def finisher(look: Look, size: Size, seed: int) -> Callable[[Image, int], Image]:
    """Return what turns a rendered frame and its index into what the camera records of it."""
    width, height = size
    curve = np.clip(look.gain * (np.arange(256) / 255.0) ** look.gamma, 0, 1)
    lut = np.stack([np.clip(curve * (1 + k * look.warmth), 0, 1) for k in (1, 0.1, -1)], axis=1)
    lut_8 = (lut * 255 + 0.5).astype(np.uint8)[None]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = 255 * (1 - look.vignette * np.clip((x * x + y * y) / 2, 0, 1) ** 1.3)
    mask = cv2.cvtColor(fall.astype(np.uint8), cv2.COLOR_GRAY2RGB)
    sigma = look.soft_px * height / 270
    grain = _grain(size, look.grain) if look.grain > 0 else ()

    def finish(frame: Image, index: int) -> Image:
        if sigma > 0.3:
            frame = cv2.GaussianBlur(frame, (0, 0), sigma)
        if look.saturation != 1.0:
            gray = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            frame = cv2.addWeighted(frame, look.saturation, gray, 1 - look.saturation, 0)
        frame = cv2.multiply(cv2.LUT(frame, lut_8), mask, scale=1 / 255)
        if grain:
            step = (index * 7919 + seed * 104729) % 15485863
            noise = np.roll(grain[step % len(grain)], (step * 31) % height, axis=0)
            frame = cv2.add(frame, noise, dtype=cv2.CV_8U)
        return frame

    return finish


@dataclass(frozen=True, slots=True)
class Flash:
    """A photographer's flash: `frames` frames blown out, the first most."""

    at: tuple[int, ...]
    frames: int = 2

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame, blown out if a flash fires."""
        for start in self.at:
            if start <= index < start + self.frames:
                left = 1.0 - (index - start) / self.frames
                made: Image = cv2.convertScaleAbs(frame_HW3, alpha=1 + 2.2 * left, beta=110 * left)
                return made
        return frame_HW3


@dataclass(frozen=True, slots=True)
class Lamp:
    """A lamp that is switched on at frame `at`: dark and blue before, bright and warm after."""

    at: int
    before: float = 0.3

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame in the light of its moment."""
        if index >= self.at:
            return frame_HW3
        made: Image = cv2.multiply(
            frame_HW3, (self.before * 0.85, self.before * 0.95, self.before * 1.15, 1.0)
        )
        return made


@dataclass(frozen=True, slots=True)
class Flicker:
    """Brightness that pulses at `hz` by `depth` (share), as a bad tube or a rolling shutter gives."""

    hz: float
    depth: float

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame, brighter or darker."""
        beat = 1.0 + self.depth * math.sin(2 * math.pi * self.hz * time_s)
        made: Image = cv2.convertScaleAbs(frame_HW3, alpha=beat)
        return made


@dataclass(frozen=True, slots=True)
class Blur:
    """A lens out of focus: sigma in px at 270 lines; it hunts slowly when `hunt` is above 0."""

    sigma_px: float
    hunt: float = 0.0

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame, blurred."""
        sigma = self.sigma_px * frame_HW3.shape[0] / 270 * (1 + self.hunt * math.sin(1.8 * time_s))
        made: Image = cv2.GaussianBlur(frame_HW3, (0, 0), max(sigma, 0.3))
        return made


@dataclass(frozen=True, slots=True)
class Noise:
    """Sensor noise of a dark room: sigma in 8-bit steps."""

    sigma: float

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame with fresh noise."""
        height, width = frame_HW3.shape[:2]
        tiles = _grain((width, height), self.sigma)
        noise = np.roll(tiles[index % len(tiles)], (index * 37 % height, index * 53 % width), axis=(0, 1))
        made: Image = cv2.add(frame_HW3, noise, dtype=cv2.CV_8U)
        return made


@dataclass(frozen=True, slots=True)
class Pixelate:
    """Shrunk by `factor` and grown again: an upscaled, blocky source."""

    factor: int

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame at a fraction of its resolution."""
        height, width = frame_HW3.shape[:2]
        small = cv2.resize(
            frame_HW3, (width // self.factor, height // self.factor), interpolation=cv2.INTER_AREA
        )
        made: Image = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        return made


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Black bars above and below, `share` of the height each."""

    share: float

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame with bars."""
        bar = int(self.share * frame_HW3.shape[0])
        frame_HW3[:bar] = frame_HW3[-bar:] = 0
        return frame_HW3


@dataclass(frozen=True, slots=True)
class Subtitle:
    """Burnt-in subtitles that change every 1.6 s."""

    lines: tuple[str, ...]

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame with the line of its moment."""
        caption_bar(frame_HW3, self.lines[int(time_s / 1.6) % len(self.lines)])
        return frame_HW3


@dataclass(frozen=True, slots=True)
class Watermark:
    """A half-transparent name in a corner."""

    text: str

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame with its watermark."""
        height, width = frame_HW3.shape[:2]
        over = frame_HW3.copy()
        write(over, self.text, (width * 0.62, height * 0.12), height / 16, (1, 1, 1), bold=True)
        made: Image = cv2.addWeighted(frame_HW3, 0.45, over, 0.55, 0)
        return made


@dataclass(frozen=True, slots=True)
class Crop:
    """The middle of the picture, `share` of each side kept, grown back to the frame."""

    share: float

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame, cropped and scaled."""
        height, width = frame_HW3.shape[:2]
        x, y = int(width * (1 - self.share) / 2), int(height * (1 - self.share) / 2)
        made: Image = cv2.resize(
            frame_HW3[y : height - y, x : width - x], (width, height), interpolation=cv2.INTER_LINEAR
        )
        return made


@dataclass(frozen=True, slots=True)
class Mirror:
    """Left and right exchanged."""

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        """Return the frame, mirrored."""
        made: Image = cv2.flip(frame_HW3, 1)
        return made
