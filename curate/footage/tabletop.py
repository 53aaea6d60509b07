"""Things close by: balls on a table, a clockwork, cloth in the wind, hands kneading dough, a fire."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, shadow, sprite
from curate.footage.light import Light, lit
from curate.footage.textures import (
    Color,
    Floats,
    Image,
    brushed_metal,
    fabric,
    fractal,
    relief,
    rgb,
    stone,
    tile,
    to_image,
    wood,
)

__all__ = ["HUES", "balls", "clockwork", "hands", "lamplight"]

HUES: tuple[Color, ...] = (
    (0.75, 0.16, 0.12),
    (0.16, 0.36, 0.62),
    (0.86, 0.66, 0.2),
    (0.24, 0.5, 0.24),
    (0.82, 0.8, 0.76),
    (0.5, 0.22, 0.46),
)


def lamplight(shape: tuple[int, int], x: float, y: float, radius: float) -> Floats:
    """Return the fall-off (H, W, 1) of a lamp that shines at (x, y) in 0..1."""
    rows, cols = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    far = np.hypot((cols - x) * shape[1] / shape[0], rows - y) / radius
    made: Floats = (0.35 + 0.85 * np.exp(-(far**2)))[..., None].astype(np.float32)
    return made


def _sphere(side: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return of a unit sphere's picture: normals x, y, z (side, side) and coverage."""
    y, x = np.mgrid[-1.06 : 1.06 : side * 1j, -1.06 : 1.06 : side * 1j].astype(np.float32)
    rr = x * x + y * y
    z = np.sqrt(np.clip(1 - rr, 0, 1))
    return x, y, z, np.clip((1 - np.sqrt(rr)) * side / 2.12 + 0.5, 0, 1)


def balls(size: Size, seed: int, light: Light) -> Scene:
    """Painted wooden balls that roll about on a table, shaded, with highlights and soft shadows."""
    unit = size[1]
    rng = np.random.default_rng(seed)
    shape = (int(1.8 * unit), int(1.8 * size[0]))
    top = (wood if seed % 2 else stone)(shape, seed) * lamplight(shape, 0.4, 0.35, 0.75)
    table = Sprite(to_image(lit(top.astype(np.float32), light)), unit)
    count = 5
    radius = rng.uniform(0.07, 0.14, count)
    sides = [int(2.12 * r * unit) | 1 for r in radius]
    skins = [tile(256, seed + n, cell=64, octaves=3) for n in range(count)]
    geometry = [_sphere(side) for side in sides]
    casts = [shadow(int(s * 1.3), int(s * 0.9), unit, strength=0.62) for s in sides]
    aspect = size[0] / unit
    speed, phase = rng.uniform(0.15, 0.5, (count, 2)), rng.uniform(0, 20, (count, 2))
    toward = rgb((-0.42, -0.62, 0.66))

    def bounce(value: float, limit: float) -> float:
        return abs((value % (4 * limit)) - 2 * limit) - limit

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, table, place(table, view, size))
        where = [
            (
                bounce(phase[n, 0] + speed[n, 0] * time_s, aspect / 2 - 0.1),
                bounce(phase[n, 1] + speed[n, 1] * time_s * 0.8, 0.38),
            )
            for n in range(count)
        ]
        for n in sorted(range(count), key=lambda n: where[n][1]):
            x, y, z, cover = geometry[n]
            at = where[n]
            draw(
                frame,
                casts[n],
                place(casts[n], view, size, at=(at[0] + 0.5 * radius[n], at[1] + 0.55 * radius[n])),
            )
            turn = speed[n] * time_s / radius[n]
            u = (np.arcsin(np.clip(x, -1, 1)) - turn[0]) * 50
            v = (np.arcsin(np.clip(y, -1, 1)) - turn[1]) * 50
            skin = cv2.remap(skins[n], u.astype(np.float32), v.astype(np.float32), 1, borderMode=3)
            band = np.clip((skin - 0.5) * 9, 0, 1)[..., None]
            paint = rgb(HUES[n % 6]) * (1 - band) + rgb(HUES[(n + 2 + seed) % 6]) * band
            facing = np.clip(x * toward[0] + y * toward[1] + z * toward[2], 0, 1)
            shine = 0.75 * np.clip(facing * 1.02, 0, 1)[..., None] ** 40
            color = paint * rgb(light.key) * (0.22 + 0.95 * facing[..., None]) + shine
            picture = sprite(np.clip(color, 0, 1), cover, unit)
            draw(frame, picture, place(picture, view, size, at=at))
        return frame

    return render


def _gear(teeth: int, radius_px: int, seed: int, color: Color, unit_px: float) -> Sprite:
    """Return a spoked gear of brushed metal with bevelled rims."""
    side = 2 * int(radius_px * 1.15) + 1
    y, x = np.mgrid[-1.15 : 1.15 : side * 1j, -1.15 : 1.15 : side * 1j].astype(np.float32)
    r, a = np.hypot(x, y), np.arctan2(y, x)
    edge = 1.0 + 0.11 * np.tanh(3.5 * np.sin(a * teeth))
    hole = (r > 0.3) & (r < 0.72) & (np.abs(np.sin(a * 2.5)) > 0.35)
    solid = ((r < edge) & ~hole & (r > 0.07)).astype(np.float32)
    soft = cv2.GaussianBlur(solid, (0, 0), 2.5)
    tone = brushed_metal((side, side), seed, color=color) * relief(soft, strength=0.9)[..., None]
    sheen = 0.75 + 0.35 * np.cos(2 * a + 0.6)
    return sprite((tone * sheen[..., None]).astype(np.float32), cv2.GaussianBlur(solid, (0, 0), 0.7), unit_px)


def clockwork(size: Size, seed: int, light: Light) -> Scene:
    """Brass gears turning in mesh before a pendulum; the light slides over them as they turn."""
    unit = size[1]
    shape = (int(1.4 * unit), int(1.4 * size[0]))
    wall = brushed_metal(shape, seed, color=(0.25, 0.23, 0.22)) * lamplight(shape, 0.35, 0.3, 0.6)
    back = Sprite(to_image(lit(wall, light)), unit)
    tones: tuple[Color, ...] = ((0.86, 0.64, 0.26), (0.75, 0.45, 0.3), (0.7, 0.7, 0.72))
    gears: list[tuple[Sprite, tuple[float, float], float, float]] = []
    at, radius, turn, start = (-0.55, 0.12), 0.27, 0.55, 0.0
    for n, teeth in enumerate((22, 14, 26, 10, 18)):
        new = 0.27 * teeth / 22
        if n:
            angle = (-0.7, 0.6, -0.5, 0.9)[(n + seed) % 4]
            reach = (radius + new) * 1.02
            at = (at[0] + reach * math.cos(angle), at[1] + reach * math.sin(angle))
            turn *= -radius / new
            start = math.pi / teeth * n
        radius = new
        picture = _gear(teeth, int(radius * unit), seed + n, tones[(n + seed) % 3], unit)
        gears.append((picture, at, turn, start))
    casts = [shadow(g[0].rgba.shape[1], g[0].rgba.shape[0], unit, strength=0.55) for g in gears]
    rod = np.zeros((int(1.0 * unit), int(0.3 * unit), 4), np.float32)
    middle = rod.shape[1] // 2
    cv2.line(
        rod, (middle, 0), (middle, int(0.86 * unit)), (0.72, 0.7, 0.66, 1), max(3, unit // 60), cv2.LINE_AA
    )
    bob = _gear(1, int(0.12 * unit), seed + 9, (0.9, 0.7, 0.3), unit).rgba
    top = int(0.86 * unit) - bob.shape[0] // 2
    hung = to_image(rod)
    left = middle - bob.shape[1] // 2
    hung[top : top + bob.shape[0], left : left + bob.shape[1]] = bob[: rod.shape[0] - top]
    pendulum = Sprite(hung, unit)

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, back, place(back, view, size, depth=1.2))
        for (picture, at, turn, start), cast in zip(gears, casts, strict=True):
            draw(frame, cast, place(cast, view, size, at=(at[0] + 0.03, at[1] + 0.04)))
            draw(frame, picture, place(picture, view, size, at=at, angle=start + turn * time_s))
        swing = 0.42 * math.sin(2.6 * time_s + seed)
        pivot, reach = (0.42, -0.62), 0.5
        at = (pivot[0] - reach * math.sin(swing), pivot[1] + reach * math.cos(swing))
        draw(frame, pendulum, place(pendulum, view, size, at=at, angle=swing, depth=0.95))
        return frame

    return render


def _arm(unit: int, seed: int, skin: Color) -> Sprite:
    """Return a forearm with a hand, fingers up, sleeve at the bottom."""
    up = 2
    height, width = int(0.9 * unit) * up, int(0.3 * unit) * up
    mask = np.zeros((height, width), np.float32)
    mid = width / 2
    outline = [
        (0.33, 1),
        (0.36, 0.45),
        (0.3, 0.34),
        (0.3, 0.2),
        (0.7, 0.2),
        (0.7, 0.34),
        (0.62, 0.45),
        (0.68, 1),
    ]
    cv2.fillPoly(mask, [np.array([[x * width, y * height] for x, y in outline], np.int32)], 1.0)
    for n, (x, tip) in enumerate(((0.35, 0.09), (0.45, 0.05), (0.56, 0.06), (0.66, 0.1))):
        cv2.line(
            mask,
            (int(x * width), int(0.22 * height)),
            (int((x + 0.02 * (n - 1.5)) * width), int(tip * height)),
            1.0,
            int(0.09 * width),
            cv2.LINE_AA,
        )
    cv2.line(
        mask,
        (int(0.3 * width), int(0.3 * height)),
        (int(0.13 * width), int(0.19 * height)),
        1.0,
        int(0.1 * width),
        cv2.LINE_AA,
    )
    inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    round_ = np.sqrt(np.clip(inside / (0.13 * width), 0, 1))
    tone = (0.62 + 0.45 * round_) * (0.94 + 0.12 * fractal(mask.shape, seed, cell=30, octaves=5))
    tone *= 1.0 - 0.12 * (np.arange(width)[None, :] - mid) / mid
    color = tone[..., None] * rgb(skin)
    sleeve = np.arange(height) > 0.66 * height
    cloth_color = fabric(
        mask.shape, seed + 1, color=HUES[seed % 6], second=HUES[(seed + 1) % 6], stripe_px=16
    )
    wide = (np.abs(np.arange(width) - mid) < 0.27 * width)[None, :] & sleeve[:, None]
    color = np.where(wide[..., None], cloth_color * (0.6 + 0.5 * round_[..., None]), color)
    mask = np.maximum(mask, wide.astype(np.float32))
    joined = np.dstack([color * mask[..., None], mask]).astype(np.float32)
    return Sprite(
        to_image(cv2.resize(joined, (width // up, height // up), interpolation=cv2.INTER_AREA)), unit
    )


def hands(size: Size, seed: int, light: Light) -> Scene:
    """Two hands that knead dough on a floured board, seen from above by a fixed camera."""
    unit = size[1]
    shape = (int(1.5 * unit), int(1.5 * size[0]))
    flour = np.clip(fractal(shape, seed + 3, cell=unit / 3, octaves=7, gain=0.7) * 2.6 - 1.3, 0, 0.8)[
        ..., None
    ]
    top = wood(shape, seed, tint=(0.6, 0.45, 0.32)) * (1 - flour) + 0.92 * flour
    board = Sprite(to_image(lit((top * lamplight(shape, 0.6, 0.3, 0.8)).astype(np.float32), light)), unit)
    skin = ((0.88, 0.68, 0.56), (0.55, 0.38, 0.28))[seed % 2]
    arms = (_arm(unit, seed, skin), _arm(unit, seed + 2, skin))
    side = int(0.62 * unit)
    x, y, z, _ = _sphere(side)
    lump = fractal((side, side), seed + 5, cell=side / 4, octaves=4)
    cover = np.clip((0.92 - np.hypot(x, y) + 0.22 * (lump - 0.5)) * 40, 0, 1)
    tone = np.clip(0.35 + 0.6 * (z * 0.6 - x * 0.3 - y * 0.4 + 0.35), 0, 1.1) * relief(lump, strength=0.5)
    dough = sprite((tone[..., None] * rgb((0.96, 0.88, 0.72))).astype(np.float32), cover, unit)
    cast = shadow(int(0.74 * unit), int(0.66 * unit), unit, strength=0.5)
    arm_cast = shadow(int(0.32 * unit), int(0.9 * unit), unit, strength=0.35)

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, board, place(board, view, size))
        beat = 2.4 * time_s + seed
        press = math.sin(beat)
        turn = 0.35 * time_s + 0.1 * math.sin(beat)
        at = (0.03 * math.sin(0.5 * beat), -0.05 + 0.02 * press)
        draw(frame, cast, place(cast, view, size, at=(at[0] + 0.03, at[1] + 0.04)))
        draw(
            frame,
            dough,
            place(dough, view, size, at=at, angle=turn, stretch=(1 + 0.08 * press, 1 - 0.08 * press)),
        )
        for n, arm in enumerate(arms):
            way = 1 if n else -1
            reach = 0.36 + 0.09 * math.sin(beat + 0.6 * way) + 0.04 * math.sin(0.37 * beat + n)
            where = (way * (0.25 + 0.06 * math.sin(0.61 * beat + n)) + at[0], reach)
            angle = -way * (0.34 + 0.12 * math.sin(0.8 * beat + 2 * n))
            draw(
                frame,
                arm_cast,
                place(arm_cast, view, size, at=(where[0] + 0.05, where[1] + 0.05), angle=angle),
            )
            draw(frame, arm, place(arm, view, size, at=where, angle=angle, stretch=(1.25 * way, 1.25)))
        return frame

    return render
