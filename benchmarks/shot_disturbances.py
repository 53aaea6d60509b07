"""What happens in a shot and is no cut: flashes, lamps, captions, occluders, whip pans, repeated frames."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from shot_planes import Planes, Random, crop, map_planes, masked, relit

__all__ = ["disturb"]


def _flash(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    at = int(rng.integers(len(frames)))
    length = int(rng.choice([1, 1, 2, 3, 4, max(1, round(0.3 * fps))]))
    strength = rng.uniform(30, 255) * rng.choice([1, 1, -1])
    decay = rng.uniform(0.3, 1.0)
    # Local light (a lamp, a firework) or all over.
    y = frames[0][0]
    mask = np.ones(y.shape, np.float32)
    if rng.random() < 0.5:
        gy, gx = np.mgrid[: y.shape[0], : y.shape[1]].astype(np.float32)
        cy, cx, r = rng.uniform(0, y.shape[0]), rng.uniform(0, y.shape[1]), rng.uniform(0.1, 0.6) * y.shape[1]
        mask = np.exp(-((gy - cy) ** 2 + (gx - cx) ** 2) / (2 * r * r)).astype(np.float32)
    for i in range(at, min(len(frames), at + length)):
        light = strength * decay ** (i - at)
        y, u, v = frames[i]
        frames[i] = (np.clip(y + light * mask, 0, 255).astype(np.uint8), u, v)
    return frames


def _strobe(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    period = int(rng.integers(2, 8))
    gain = rng.uniform(0.3, 0.8)
    return [relit(f, gain if i % period < period // 2 else 1.0, 0) for i, f in enumerate(frames)]


def _lamp(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    """Switch a light on or off, or step the exposure, within a few frames, for good."""
    at, length = int(rng.integers(len(frames))), int(rng.choice([1, 1, 2, 3, 8, 20, 60]))
    gain, offset = (
        rng.choice([rng.uniform(0.2, 0.8), rng.uniform(1.2, 1.9), rng.uniform(1.5, 4)]),
        rng.uniform(-25, 25),
    )
    y = frames[0][0]
    gy, gx = np.mgrid[: y.shape[0], : y.shape[1]].astype(np.float32) / y.shape[1]
    tilt = rng.uniform(-0.8, 0.8, 2) * (rng.random() < 0.6)
    field_HW = np.exp(tilt[0] * (gy - 0.3) + tilt[1] * (gx - 0.5)).astype(np.float32)
    for i in range(at, len(frames)):
        share = min(1.0, (i - at + 1) / length)
        y, u, v = frames[i]
        lit = y * (1 + share * (gain * field_HW - 1)) + share * offset
        frames[i] = (np.clip(lit, 0, 255).astype(np.uint8), u, v)
    return frames


def _caption(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Show text or a box from one frame on, for a while."""
    height, width = frames[0][0].shape
    mask = np.zeros((height, width), np.float32)
    top, left = rng.uniform(0, 0.8), rng.uniform(0, 0.4)
    if rng.random() < 0.6:
        for line in range(int(rng.integers(1, 4))):
            text = "".join(chr(c) for c in rng.integers(65, 91, int(rng.integers(5, 22))))
            scale = rng.uniform(0.4, 1.2)
            at = (int(left * width), int((top + 0.12 * (line + 1)) * height))
            cv2.putText(
                mask, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA
            )
    else:
        size = rng.uniform(0.08, 0.3)
        mask[
            int(top * height) : int((top + size) * height), int(left * width) : int((left + 2 * size) * width)
        ] = 1
    start = int(rng.integers(len(frames)))
    end = start + int(rng.uniform(0.3, 4) * fps)
    value = float(rng.choice([255, 240, 0, 20, 180]))
    ramp = int(rng.choice([1, 1, 1, 4, 10]))
    for i in range(start, min(end, len(frames))):
        y, u, v = frames[i]
        m = mask * min(1.0, (i - start + 1) / ramp)
        small = cv2.resize(m, u.shape[::-1], interpolation=cv2.INTER_AREA)
        frames[i] = (
            (y * (1 - m) + value * m).astype(np.uint8),
            *((c * (1 - small) + 128 * small).astype(np.uint8) for c in (u, v)),
        )
    return frames


def _occluder(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Pass something large and soft before the lens."""
    height, width = frames[0][0].shape
    gy, gx = np.mgrid[:height, :width].astype(np.float32) / width
    angle, size, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.2), rng.uniform(0.01, 0.1)
    speed = rng.uniform(0.5, 6) / fps  # picture widths a frame
    start = int(rng.integers(len(frames)))
    tone, stop = rng.uniform(0, 255), rng.random() < 0.3
    colour = rng.uniform(80, 176, 2)
    texture = cv2.GaussianBlur(rng.normal(0, 400, (height, width)).astype(np.float32), (0, 0), 8)
    for k, i in enumerate(range(start, len(frames))):
        along = gx * np.cos(angle) + gy * np.sin(angle)
        centre = -size - 0.8 + speed * k
        if stop:
            centre = min(centre, 0.2)
        if centre > 2.4:
            break
        m = (1 / (1 + np.exp((np.abs(along - centre) - size / 2) / soft))).astype(np.float32)
        u, v = (np.full(c.shape, value, np.uint8) for c, value in zip(frames[i][1:], colour, strict=True))
        frames[i] = masked(frames[i], (np.clip(tone + texture, 0, 255).astype(np.uint8), u, v), m)
    return frames


def _whip(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Swing the camera: move a crop fast over the mirrored picture, blurred by its motion."""
    length = min(len(frames), max(4, int(rng.uniform(0.2, 1.5) * fps)))
    start = int(rng.integers(len(frames) - length + 1))
    distance = rng.uniform(0.3, 3.0) * rng.choice([-1, 1])
    size = rng.uniform(0.4, 0.8)
    ease = (1 - np.cos(np.linspace(0, np.pi, length))) / 2
    vertical = rng.random() < 0.2
    out = []
    for i, planes in enumerate(frames):
        k = min(max(i - start, 0), length - 1)
        place = float(ease[k] * distance)
        moved = crop(planes, place if vertical else 0.1, 0.1 if vertical else place, size)
        speed = abs(float(ease[min(k + 1, length - 1)] - ease[k]) * distance) / size
        blur = [max(1, int(speed * p.shape[0 if vertical else 1] * 0.7)) for p in moved]
        kernels = [(1, b) if vertical else (b, 1) for b in blur]
        y, u, v = (cv2.blur(p, kernel) for p, kernel in zip(moved, kernels, strict=True))
        out.append((y, u, v))
    return out


def _zoom(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    a, b = rng.uniform(0.3, 1.0, 2)
    n = max(1, len(frames) - 1)
    return [crop(f, (1 - s) / 2, (1 - s) / 2, s) for i, f in enumerate(frames) for s in [a + (b - a) * i / n]]


def _shake(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    path = np.cumsum(rng.normal(0, rng.uniform(0.003, 0.02), (len(frames), 2)), 0)
    path += rng.normal(0, rng.uniform(0.002, 0.015), path.shape)
    path = np.clip(path, -0.15, 0.15)
    return [crop(f, 0.15 + dy, 0.15 + dx, 0.7) for f, (dy, dx) in zip(frames, path.tolist(), strict=True)]


def _freeze(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    start, length = int(rng.integers(len(frames))), int(rng.uniform(0.1, 1.5) * fps)
    return [frames[start] if start <= i < start + length else f for i, f in enumerate(frames)]


def _pan(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    """Pan or tilt evenly over the picture, as far as it goes."""
    size = rng.uniform(0.3, 0.7)
    start, end = rng.uniform(0, 1 - size, (2, 2)) if rng.random() < 0.5 else ((0, 0), (1 - size, 1 - size))
    axis = int(rng.integers(3))
    n = max(1, len(frames) - 1)
    out = []
    for i, planes in enumerate(frames):
        place = [a + (b - a) * i / n for a, b in zip(start, end, strict=True)]
        if axis < 2:
            place[axis] = start[axis]
        out.append(crop(planes, place[0], place[1], size))
    return out


def _glow(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Let a bright cloud grow: smoke, an explosion, fireworks."""
    height, width = frames[0][0].shape
    gy, gx = np.mgrid[:height, :width].astype(np.float32) / width
    texture = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), width / 16)
    texture *= rng.uniform(0.02, 0.15) / (texture.std() + 1e-6)
    cy, cx = rng.uniform(0, height / width), rng.uniform(0, 1)
    start, length = int(rng.integers(len(frames))), rng.uniform(0.15, 2.5) * fps
    reach, light = rng.uniform(0.2, 1.2), rng.uniform(80, 255) * rng.choice([1, 1, 1, -1])
    fall = rng.uniform(0.5, 3) * length if rng.random() < 0.5 else np.inf
    distance = np.sqrt((gy - cy) ** 2 + (gx - cx) ** 2) + texture
    soft = rng.uniform(0.01, 0.15)
    tints, scene = rng.uniform(-60, 60, 2), rng.choice([0, rng.uniform(0, 3)])
    for i in range(start, len(frames)):
        age = (i - start + 1) / length
        strength = float(np.exp(-max(0.0, i - start - length) / fall))
        cloud = strength / (1 + np.exp(np.clip((distance - reach * min(1.0, age) ** 0.5) / soft, -50, 50)))
        glowing, u, v = relit(frames[i], 1 + scene * strength * min(1.0, age), 0)
        small = cv2.resize(cloud, u.shape[::-1], interpolation=cv2.INTER_AREA)
        u, v = (
            np.clip(c + tint * small, 0, 255).astype(np.uint8) for c, tint in zip((u, v), tints, strict=True)
        )
        frames[i] = (np.clip(glowing + light * cloud, 0, 255).astype(np.uint8), u, v)
    return frames


def _focus(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Go out of focus, or come into it."""
    start, length = int(rng.integers(len(frames))), rng.uniform(0.2, 2) * fps
    most, into = rng.uniform(1, 8), rng.random() < 0.5
    out = []
    for i, planes in enumerate(frames):
        share = min(1.0, max(0.0, (i - start) / length))
        sigma = most * ((1 - share) if into else share) * planes[0].shape[1] / 320
        out.append(
            map_planes(planes, partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma))
            if sigma > 0.3
            else planes
        )
    return out


def _window(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Record a screen: a still frame around a picture that zooms and scrolls in steps."""
    height, width = frames[0][0].shape
    left, top = rng.uniform(0, 0.3), rng.uniform(0.03, 0.15)
    mask = np.zeros((height, width), np.float32)
    mask[int(top * height) :, int(left * width) :] = 1
    panel = np.full((height, width), rng.uniform(0, 255), np.float32)
    for row in range(4, height, 8):
        panel[row : row + 3, 3 : int(rng.uniform(0.1, 0.9) * width)] = rng.uniform(0, 255)
    size, place = rng.uniform(0.3, 1), rng.uniform(0, 0.3, 2)
    shown = frames[0]
    out = []
    still = rng.random() < 0.6
    for i, planes in enumerate(frames):
        if rng.random() < 2.5 / fps:
            size = float(np.clip(size * rng.choice([0.8, 0.9, 1.1, 1.25]), 0.2, 1.2))
            place = place + rng.uniform(-0.1, 0.1, 2)
            shown = planes if i == 0 or not still else shown
        inner = crop(shown if still else planes, place[0], place[1], size)
        around = (panel.astype(np.uint8), np.full_like(planes[1], 128), np.full_like(planes[2], 128))
        out.append(masked(around, inner, mask))
    return out


def _stutter(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    """Hold frames for irregular times, as an overloaded recorder does: long holds end in a jump."""
    longest = int(rng.integers(2, 9))
    if rng.random() < 0.5:
        frames = (_pan if rng.random() < 0.5 else _shake)(rng, frames, _fps)
    out: list[Planes] = []
    while len(out) < len(frames):
        out += [frames[len(out)]] * int(rng.integers(1, longest))
    return out[: len(frames)]


_DISTURBANCES = (
    _flash, _flash, _lamp, _lamp, _caption, _caption, _occluder, _occluder, _whip, _zoom, _shake, _freeze,
    _strobe, _stutter, _stutter, _pan, _pan, _glow, _glow, _glow, _focus, _window,
)  # fmt: skip


def disturb(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    """Return frames to which up to two of these things happen."""
    for _ in range(int(rng.choice([0, 0, 1, 1, 2]))):
        frames = _DISTURBANCES[rng.integers(len(_DISTURBANCES))](rng, list(frames), fps)
    return frames
