"""Make edited footage with known boundaries out of single shots, on the small planes that detectors see.

Real edits that a person has marked are few; single shots are many. Joining them by every kind of cut and
transition, and disturbing them by what is not a cut (flashes, lamps, captions, occluders, whip pans, repeated
frames), gives thousands of boundaries in seconds, because nothing is encoded or decoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane, SmallFrame

__all__ = ["Edited", "Shot", "edit"]

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


@dataclass(slots=True)
class Edited:
    """Frames and truth: `hard` first frames of new shots, `gradual` [first mixed, first clean) ranges.

    `unsure` are frames where an edit was made that may not be visible: no detection there is right or wrong.
    """

    fps: float
    frames: list[Planes] = field(default_factory=list)
    hard: list[int] = field(default_factory=list)
    gradual: list[tuple[int, int, str]] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)

    def small_frames(self) -> list[SmallFrame]:
        """Return what a detector is shown."""
        return [SmallFrame(i, i / self.fps, *planes) for i, planes in enumerate(self.frames)]


def _fit(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Scale and crop the middle so that the plane covers `shape`."""
    height, width = shape
    if plane.shape == shape:
        return plane
    scale = max(height / plane.shape[0], width / plane.shape[1])
    size = (max(width, round(plane.shape[1] * scale)), max(height, round(plane.shape[0] * scale)))
    big = cv2.resize(plane, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (big.shape[0] - height) // 2, (big.shape[1] - width) // 2
    return np.ascontiguousarray(big[top : top + height, left : left + width])


def _map(planes: Planes, change: Callable[[Plane], Plane]) -> Planes:
    return change(planes[0]), change(planes[1]), change(planes[2])


def _lit(planes: Planes, gain: float, offset: float) -> Planes:
    y, u, v = planes
    y = cv2.convertScaleAbs(np.maximum(y.astype(np.float32) * gain + offset, 0))
    colour = float(np.clip(gain, 0, 1.2))
    return (
        y,
        *(np.clip((c.astype(np.float32) - 128) * colour + 128, 0, 255).astype(np.uint8) for c in (u, v)),
    )


def _mix(a: Planes, b: Planes, share: float) -> Planes:
    y, u, v = (cv2.addWeighted(p, 1 - share, q, share, 0) for p, q in zip(a, b, strict=True))
    return y, u, v


def _masked(a: Planes, b: Planes, mask: npt.NDArray[np.float32]) -> Planes:
    out = []
    for p, q in zip(a, b, strict=True):
        m = cv2.resize(mask, p.shape[::-1], interpolation=cv2.INTER_LINEAR)
        out.append(np.rint(p * (1 - m) + q * m).astype(np.uint8))
    y, u, v = out
    return y, u, v


def _crop(planes: Planes, top: float, left: float, size: float) -> Planes:
    """Return the part of the picture that starts at (top, left) and is `size` of it long, enlarged."""

    def cut(plane: Plane) -> Plane:
        height, width = plane.shape
        move = np.array([[size, 0, left * width], [0, size, top * height]], np.float32)
        return cv2.warpAffine(plane, move, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REFLECT)  # fmt: skip

    return _map(planes, cut)


# --- pieces of shots -------------------------------------------------------------------------------------


def _take(shot: Shot, like: Planes, start: int, length: int, step: float) -> list[Planes]:
    chosen = np.minimum((start + np.arange(length) * step).astype(int), len(shot) - 1)
    planes = (shot.luma_THW, shot.u_Thw, shot.v_Thw)
    out = []
    for i in chosen:
        y, u, v = (_fit(np.asarray(p[i]), x.shape) for p, x in zip(planes, like, strict=True))
        out.append((y, u, v))
    return out


def _look(rng: Random, frames: list[Planes]) -> list[Planes]:
    """Give a piece a look of its own: mirrored, regraded, cropped, noisy, coarsely compressed."""
    if rng.random() < 0.3:
        frames = [_map(f, lambda p: np.ascontiguousarray(p[:, ::-1])) for f in frames]
    if rng.random() < 0.4:
        gain, offset = rng.uniform(0.5, 1.3), rng.uniform(-30, 30)
        frames = [_lit(f, gain, offset) for f in frames]
    if rng.random() < 0.3:
        size = rng.uniform(0.4, 0.95)
        top, left = rng.uniform(0, 1 - size, 2)
        frames = [_crop(f, top, left, size) for f in frames]
    if rng.random() < 0.15:
        frames = [(f[0], np.full_like(f[1], 128), np.full_like(f[2], 128)) for f in frames]
    return frames


def _wear(rng: Random, frames: list[Planes]) -> list[Planes]:
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
            return _map(
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


# --- what is not a cut -----------------------------------------------------------------------------------


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
    return [_lit(f, gain if i % period < period // 2 else 1.0, 0) for i, f in enumerate(frames)]


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
        frames[i] = _masked(frames[i], (np.clip(tone + texture, 0, 255).astype(np.uint8), u, v), m)
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
        moved = _crop(planes, place if vertical else 0.1, 0.1 if vertical else place, size)
        speed = abs(float(ease[min(k + 1, length - 1)] - ease[k]) * distance) / size
        blur = [max(1, int(speed * p.shape[0 if vertical else 1] * 0.7)) for p in moved]
        kernels = [(1, b) if vertical else (b, 1) for b in blur]
        y, u, v = (cv2.blur(p, kernel) for p, kernel in zip(moved, kernels, strict=True))
        out.append((y, u, v))
    return out


def _zoom(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    a, b = rng.uniform(0.3, 1.0, 2)
    n = max(1, len(frames) - 1)
    return [
        _crop(f, (1 - s) / 2, (1 - s) / 2, s) for i, f in enumerate(frames) for s in [a + (b - a) * i / n]
    ]


def _shake(rng: Random, frames: list[Planes], _fps: float) -> list[Planes]:
    path = np.cumsum(rng.normal(0, rng.uniform(0.003, 0.02), (len(frames), 2)), 0)
    path += rng.normal(0, rng.uniform(0.002, 0.015), path.shape)
    path = np.clip(path, -0.15, 0.15)
    return [_crop(f, 0.15 + dy, 0.15 + dx, 0.7) for f, (dy, dx) in zip(frames, path.tolist(), strict=True)]


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
        out.append(_crop(planes, place[0], place[1], size))
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
        lit, u, v = _lit(frames[i], 1 + scene * strength * min(1.0, age), 0)
        small = cv2.resize(cloud, u.shape[::-1], interpolation=cv2.INTER_AREA)
        u, v = (
            np.clip(c + tint * small, 0, 255).astype(np.uint8) for c, tint in zip((u, v), tints, strict=True)
        )
        frames[i] = (np.clip(lit + light * cloud, 0, 255).astype(np.uint8), u, v)
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
            _map(planes, partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma)) if sigma > 0.3 else planes
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
        inner = _crop(shown if still else planes, place[0], place[1], size)
        around = (panel.astype(np.uint8), np.full_like(planes[1], 128), np.full_like(planes[2], 128))
        out.append(_masked(around, inner, mask))
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


def _disturb(rng: Random, frames: list[Planes], fps: float) -> list[Planes]:
    for _ in range(int(rng.choice([0, 0, 1, 1, 2]))):
        frames = _DISTURBANCES[rng.integers(len(_DISTURBANCES))](rng, list(frames), fps)
    return frames


# --- transitions -----------------------------------------------------------------------------------------


def _wipe_mask(shape: tuple[int, ...], share: float, kind: int, angle: float) -> npt.NDArray[np.float32]:
    height, width = shape
    gy, gx = np.mgrid[:height, :width].astype(np.float32)
    gy, gx = gy / height - 0.5, gx / width - 0.5
    if kind == 0:
        along = gx * np.cos(angle) + gy * np.sin(angle)
        reach = 0.5 * (abs(np.cos(angle)) + abs(np.sin(angle)))
        value = (along + reach) / (2 * reach)
    elif kind == 1:
        value = np.sqrt(gx**2 + gy**2) / np.sqrt(0.5)
    else:
        value = np.abs(gx) * 2
    return np.clip((share - value) / 0.02 + 0.5, 0, 1).astype(np.float32)


def _transition(rng: Random, a: list[Planes], b: list[Planes], kind: str) -> list[Planes]:
    """Mix the running frames of both shots; every returned frame is mixed."""
    n = len(a)
    shares = (np.arange(n) + 1) / (n + 1)
    if rng.random() < 0.4:
        shares = (1 - np.cos(shares * np.pi)) / 2
    if kind == "dissolve":
        return [_mix(x, y, s) for x, y, s in zip(a, b, shares.tolist(), strict=True)]
    wipe, angle = int(rng.integers(3)), rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        angle = round(angle / (np.pi / 2)) * np.pi / 2
    masks = [_wipe_mask(a[0][0].shape, s, wipe, angle) for s in shares.tolist()]
    return [_masked(x, y, m) for x, y, m in zip(a, b, masks, strict=True)]


def _blend_cut(rng: Random, old: list[Planes], new: list[Planes]) -> None:
    """Mix the frame beside a cut, or both, as conversions of frame rates by blending do."""
    share = rng.uniform(0.2, 0.8)
    a, b = old[-1], new[0]
    if rng.random() < 0.6:
        new[0] = _mix(a, b, share)
    else:
        old[-1], new[0] = _mix(a, b, 0.6 * share), _mix(a, b, 0.4 + 0.6 * share)


def _swish(rng: Random, old: list[Planes], new: list[Planes]) -> None:
    """Hide a cut in a fast zoom or slide: the old shot speeds up into it, the new one slows down from it."""
    n = min(int(rng.integers(2, 9)), len(old), len(new))
    reach, zoom, left = rng.uniform(0.1, 0.6), rng.random() < 0.5, rng.uniform(-1, 1) > 0
    for k in range(n):
        amount = reach * ((n - k) / n) ** 2
        for frames, i, sign in ((old, -1 - k, 1), (new, k, -1)):
            if zoom:
                size = 1 - amount if sign > 0 else 1 - 0.7 * amount
                frame = _crop(frames[i], (1 - size) / 2, (1 - size) / 2, size)
            else:
                frame = _crop(frames[i], 0, sign * amount * (1 if left else -1), 1)
            blur = max(1, int(amount / n * frames[i][0].shape[1]))
            frames[i] = _map(frame, partial(cv2.blur, ksize=(blur, blur if zoom else 1)))


def _difference(a: Planes, b: Planes) -> float:
    return float(sum(cv2.absdiff(x, y).mean() for x, y in zip(a, b, strict=True)))


_JOINS = ("hard", "jump", "punch", "dissolve", "fade", "wipe")
_STYLES = ((0.4, 0.4, 0.1, 0.04, 0.03, 0.03), (0.1, 0.1, 0.02, 0.45, 0.2, 0.13), (0.1, 0.85, 0.05, 0, 0, 0))
"""mostly cuts; mostly transitions; one shot with gaps"""


class _Editor:
    """Grows an edit piece by piece."""

    def __init__(self, rng: Random, shots: Sequence[Shot]) -> None:
        self._rng = rng
        self._shots = shots
        self._shot = shots[int(rng.integers(len(shots)))]
        self._like: Planes = (self._shot.luma_THW[0], self._shot.u_Thw[0], self._shot.v_Thw[0])
        self._at, self._step = 0, 1.0
        self._montage = rng.random() < 0.15
        self._weights = np.array(_STYLES[int(rng.choice(3, p=(0.4, 0.4, 0.2)))])
        self._tail: list[Planes] = []
        self.out = Edited(self._shot.fps)

    def next_join(self) -> str:
        """Choose how the next piece follows; a transition keeps the end of the last piece for itself."""
        rng, out = self._rng, self.out
        join = _JOINS[int(rng.choice(len(_JOINS), p=self._weights))]
        if join in _JOINS[3:]:
            # The outgoing shot runs on under the transition, or stands still where it has no more frames.
            n = int(rng.choice([rng.uniform(5, 16), rng.uniform(6, 61)]))
            last = max([0, *out.hard, *(end for _, end, _ in out.gradual), *out.unsure])
            keep = max(min(last + 12, len(out.frames)), len(out.frames) - n)
            self._tail = (out.frames[keep:] + [out.frames[-1]] * n)[:n]
            del out.frames[keep:]
        return join

    def piece(self, join: str) -> list[Planes]:
        """Take the next piece of footage."""
        rng, shot = self._rng, self._shot
        last = max(1, len(shot) - 8)
        if join in {"jump", "punch"}:
            skip = int(rng.uniform(0.3, 5) * shot.fps)
            self._at = self._at + skip if self._at + skip < last else int(rng.integers(last))
        elif join != "start":
            self._shot = shot = self._shots[int(rng.integers(len(self._shots)))]
            self._at = int(rng.integers(max(1, len(shot) - 8)))
            self._step = float(rng.choice([1, 1, 1, 1, 2, 0.5, 0.8, rng.uniform(3, 12)]))
        seconds = rng.choice([rng.uniform(0.3, 1.0), rng.uniform(1, 4), rng.uniform(1, 4)])
        length = max(
            8,
            int(
                (rng.uniform(0.15, 0.6) if self._montage and join not in _JOINS[3:] else seconds)
                * self.out.fps
            ),
        )
        frames = _take(shot, self._like, self._at, length, self._step)
        self._at = min(len(shot) - 1, self._at + int(length * self._step))
        if join not in {"jump", "start"}:
            frames = _look(rng, frames)
        if join == "punch":
            size = rng.uniform(0.6, 0.9)
            frames = [_crop(f, (1 - size) / 2, (1 - size) / 2, size) for f in frames]
        return _disturb(rng, frames, self.out.fps) if join != "jump" or rng.random() < 0.3 else frames

    def cut_to(self, frames: list[Planes], join: str) -> None:
        """Append after a cut; where the cut changes little, the truth stays open."""
        rng, out = self._rng, self.out
        if join == "hard" and rng.random() < 0.15:
            _swish(rng, out.frames, frames)
        usual = [_difference(x, y) for x, y in pairwise(out.frames[-4:])]
        usual += [_difference(x, y) for x, y in pairwise(frames[:4])]
        seen = _difference(out.frames[-1], frames[0]) > max(2.0, 1.5 * max(usual, default=0.0))
        (out.hard if seen else out.unsure).append(len(out.frames))
        if rng.random() < 0.15:
            _blend_cut(rng, out.frames, frames)
        out.frames += frames

    def mix_to(self, frames: list[Planes], join: str) -> None:
        """Append after a dissolve or wipe."""
        n = min(len(self._tail), len(frames) - 4)
        at = len(self.out.frames)
        self.out.gradual.append((at, at + n, join))
        self.out.frames += _transition(self._rng, self._tail[:n], frames[:n], join) + frames[n:]

    def fade_to(self, frames: list[Planes]) -> None:
        """Append after a fade out, a fade in, or both, with a blank between."""
        rng, out = self._rng, self.out
        n = min(len(self._tail), len(frames) - 4)
        value = float(rng.choice([0, 0, 0, 12, 255]))
        blank: Planes = (np.full_like(frames[0][0], value), *(np.full_like(c, 128) for c in frames[0][1:]))
        form = int(rng.choice(4, p=(0.5, 0.2, 0.2, 0.1)))  # dip, out and in, in alone, out alone
        hold = int(rng.integers(0, 5)) if form == 0 else int(rng.uniform(0.1, 1.5) * out.fps) + 3
        leave = [] if form == 2 else [_mix(f, blank, (i + 1) / (n + 1)) for i, f in enumerate(self._tail[:n])]
        enter = [] if form == 3 else [_mix(blank, f, (i + 1) / (n + 1)) for i, f in enumerate(frames[:n])]
        a = len(out.frames)
        b, c = a + len(leave), a + len(leave) + hold
        d = c + len(enter)
        if form == 0 or (form == 1 and hold < 0.5 * out.fps):
            out.gradual.append((a, d, "fade"))
        else:
            out.gradual += [(x, y, "fade") for x, y in ((a, b), (c, d)) if y > x]
        if form == 2:
            out.hard.append(a)
        elif form == 3:
            out.hard.append(c)
        out.frames += leave + [blank] * hold + enter + frames[len(enter) :]


def edit(rng: Random, shots: Sequence[Shot], pieces: int) -> Edited:
    """Return footage of so many pieces joined by random transitions, disturbed and worn."""
    editor = _Editor(rng, shots)
    editor.out.frames += editor.piece("start")
    for _ in range(pieces - 1):
        join = editor.next_join()
        frames = editor.piece(join)
        if join == "fade":
            editor.fade_to(frames)
        elif join in {"dissolve", "wipe"}:
            editor.mix_to(frames, join)
        else:
            editor.cut_to(frames, join)
    out = editor.out
    out.frames = _wear(rng, out.frames)
    if rng.random() < 0.25:
        _repeat(rng, out)
    return out


def _repeat(rng: Random, edited: Edited) -> None:
    """Show frames more than once, as conversions of frame rates do; moves the truth along."""
    kind = int(rng.integers(3))
    times = [
        2 if kind == 0 else (2 if i % 5 == 4 else 1) if kind == 1 else (2 + i % 2)
        for i in range(len(edited.frames))
    ]
    place = np.concatenate([[0], np.cumsum(times)]).astype(int).tolist()
    edited.frames = [f for f, n in zip(edited.frames, times, strict=True) for _ in range(n)]
    edited.fps *= sum(times) / len(times)
    edited.hard = [place[i] for i in edited.hard]
    edited.unsure = [place[i] for i in edited.unsure]
    edited.gradual = [(place[a], place[b], kind) for a, b, kind in edited.gradual]
