"""Planes of small frames: scaled, lit, mixed, cropped; and pieces of shots, graded and worn as footage is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane

__all__ = [
    "Planes",
    "Random",
    "Shot",
    "crop",
    "fit",
    "look",
    "map_planes",
    "masked",
    "mix",
    "relit",
    "take",
    "wear",
]

Planes = tuple[Plane, Plane, Plane]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Shot:
    """A single shot: planes of its frames, and its frame rate."""

    source: str
    luma_THW: Plane
    u_Thw: Plane
    v_Thw: Plane
    fps: float

    def __len__(self) -> int:
        return len(self.luma_THW)


def fit(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Scale and crop the middle so that the plane covers `shape`."""
    height, width = shape
    if plane.shape == shape:
        return plane
    scale = max(height / plane.shape[0], width / plane.shape[1])
    size = (max(width, round(plane.shape[1] * scale)), max(height, round(plane.shape[0] * scale)))
    big = cv2.resize(plane, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (big.shape[0] - height) // 2, (big.shape[1] - width) // 2
    return np.ascontiguousarray(big[top : top + height, left : left + width])


def map_planes(planes: Planes, change: Callable[[Plane], Plane]) -> Planes:
    """Return the planes, each changed."""
    return change(planes[0]), change(planes[1]), change(planes[2])


def relit(planes: Planes, gain: float, offset: float) -> Planes:
    """Return brighter or darker planes: luma times `gain`, plus `offset`."""
    y, u, v = planes
    y = cv2.convertScaleAbs(np.maximum(y.astype(np.float32) * gain + offset, 0))
    colour = float(np.clip(gain, 0, 1.2))
    return (
        y,
        *(np.clip((c.astype(np.float32) - 128) * colour + 128, 0, 255).astype(np.uint8) for c in (u, v)),
    )


def mix(a: Planes, b: Planes, share: float) -> Planes:
    """Return planes between two, `share` of the way."""
    y, u, v = (cv2.addWeighted(p, 1 - share, q, share, 0) for p, q in zip(a, b, strict=True))
    return y, u, v


def masked(a: Planes, b: Planes, mask: npt.NDArray[np.float32]) -> Planes:
    """Return `b` where the mask is 1, `a` where it is 0."""
    out = []
    for p, q in zip(a, b, strict=True):
        m = cv2.resize(mask, p.shape[::-1], interpolation=cv2.INTER_LINEAR)
        out.append(np.rint(p * (1 - m) + q * m).astype(np.uint8))
    y, u, v = out
    return y, u, v


def crop(planes: Planes, top: float, left: float, size: float) -> Planes:
    """Return the part of the picture that starts at (top, left) and is `size` of it long, enlarged."""

    def cut(plane: Plane) -> Plane:
        height, width = plane.shape
        move = np.array([[size, 0, left * width], [0, size, top * height]], np.float32)
        return cv2.warpAffine(plane, move, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REFLECT)  # fmt: skip

    return map_planes(planes, cut)


def take(shot: Shot, like: Planes, start: int, length: int, step: float) -> list[Planes]:
    """Return frames of a shot from `start` on, every `step`, in the size of `like`."""
    chosen = np.minimum((start + np.arange(length) * step).astype(int), len(shot) - 1)
    planes = (shot.luma_THW, shot.u_Thw, shot.v_Thw)
    out = []
    for i in chosen:
        y, u, v = (fit(np.asarray(p[i]), x.shape) for p, x in zip(planes, like, strict=True))
        out.append((y, u, v))
    return out


def look(rng: Random, frames: list[Planes]) -> list[Planes]:
    """Give a piece a look of its own: mirrored, regraded, cropped, noisy, coarsely compressed."""
    if rng.random() < 0.3:
        frames = [map_planes(f, lambda p: np.ascontiguousarray(p[:, ::-1])) for f in frames]
    if rng.random() < 0.4:
        gain, offset = rng.uniform(0.5, 1.3), rng.uniform(-30, 30)
        frames = [relit(f, gain, offset) for f in frames]
    if rng.random() < 0.3:
        size = rng.uniform(0.4, 0.95)
        top, left = rng.uniform(0, 1 - size, 2)
        frames = [crop(f, top, left, size) for f in frames]
    if rng.random() < 0.15:
        frames = [(f[0], np.full_like(f[1], 128), np.full_like(f[2], 128)) for f in frames]
    return frames


def wear(rng: Random, frames: list[Planes]) -> list[Planes]:
    """Wear a whole edit: pale or no colour, noise, JPEG blocks, letterbox."""
    if rng.random() < 0.35:
        colour = float(rng.choice([0, 0, rng.uniform(0.1, 0.9)]))
        frames = [
            (y, *(cv2.convertScaleAbs(c, alpha=colour, beta=128 * (1 - colour)) for c in (u, v)))
            for y, u, v in frames
        ]
    if rng.random() < 0.25:
        sigma = rng.uniform(1, 6)
        frames = [
            (np.clip(y + rng.normal(0, sigma, y.shape), 0, 255).astype(np.uint8), u, v) for y, u, v in frames
        ]
    if rng.random() < 0.25:
        quality = int(rng.integers(8, 40))
        group = int(rng.integers(1, 4))

        def coarse(i: int, planes: Planes) -> Planes:
            q = quality + (15 if i % (4 * group) == 0 else 0)
            return map_planes(
                planes, lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [1, q])[1], cv2.IMREAD_GRAYSCALE)
            )

        frames = [coarse(i, f) for i, f in enumerate(frames)]
    if rng.random() < 0.15:
        share = rng.uniform(0.05, 0.2)
        axis = int(rng.integers(2))

        def bars(plane: Plane, value: int) -> Plane:
            plane = plane.copy()
            n = int(plane.shape[axis] * share)
            view = plane if axis == 0 else plane.T
            view[:n] = value
            view[len(view) - n :] = value
            return plane

        frames = [(bars(y, 0), bars(u, 128), bars(v, 128)) for y, u, v in frames]
    return frames
