"""Cloth in the wind and fire: surfaces that are warped anew in every frame."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, sprite
from curate.footage.landscapes import sky, sky_clouds
from curate.footage.light import Light
from curate.footage.tabletop import HUES, lamplight
from curate.footage.textures import (
    Image,
    fabric,
    ramp,
    rgb,
    stone,
    tile,
    to_image,
    wood,
)

__all__ = ["cloth", "fire"]


def cloth(size: Size, seed: int, light: Light) -> Scene:
    """A striped cloth on a line, waving before the sky: folds run through it and shade it."""
    unit = size[1]
    above, cloud = sky(size, seed, light), sky_clouds(size, seed + 1, light)
    shape = (int(0.85 * unit), int(1.25 * unit))
    weave = fabric(
        shape, seed, color=HUES[seed % 6], second=HUES[(seed + 4) % 6], stripe_px=max(16, unit // 7)
    )
    weave = np.ascontiguousarray(weave * rgb(light.key))
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    along, down = x / unit, y / unit

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, above, place(above, view, size, depth=30.0))
        draw(frame, cloud, place(cloud, view, size, at=(0.05 * time_s, -0.2), depth=14.0), wide=True)
        phase = 9.0 * along + 2.5 * down - 5.0 * time_s
        second = 15.0 * along - 4.0 * down - 7.3 * time_s + 1.0
        free = 0.25 + along
        lift = 0.028 * free * np.sin(phase) + 0.011 * free * np.sin(second)
        slope = free * (0.55 * np.cos(phase) + 0.32 * np.cos(second))
        map_x = (x + 14 * free * np.cos(phase) * unit / 270).astype(np.float32)
        moved = cv2.remap(weave, map_x, (y + lift * unit).astype(np.float32), 1, borderMode=2)
        shade = np.clip(0.86 - 0.42 * slope, 0.2, 1.5)[..., None]
        edge = np.clip(np.minimum(y + lift * unit - 6, shape[0] - 7 - y - lift * unit) + 1, 0, 1)
        ends = np.clip(np.minimum(map_x - 4, shape[1] - 5 - map_x) + 1, 0, 1)
        flag = sprite((moved * shade).astype(np.float32), (edge * ends).astype(np.float32), unit)
        sway = 0.01 * math.sin(1.3 * time_s)
        draw(
            frame, flag, place(flag, view, size, at=(0.02, 0.06 + sway), angle=0.04 * math.sin(0.9 * time_s))
        )
        return frame

    return render


def fire(size: Size, seed: int, light: Light) -> Scene:
    """A camp fire: flames rise and lick, sparks fly, the stones around it flicker in its light."""
    width, height = size
    unit = height
    shape = (int(1.2 * unit), int(1.2 * width))
    wall = stone(shape, seed, color=(0.4, 0.36, 0.34))
    back = Sprite(to_image(wall), unit)
    near = lamplight((height, width), 0.5, 0.85, 0.62)
    warm = rgb((1.0, 0.6, 0.32)) * (near - 0.3)
    cool = rgb(light.key) * 0.18
    smoke = tile(256, seed + 1, cell=64, octaves=4)
    # Flames are soft: half the resolution is enough for them.
    rows = np.linspace(0, 1, (height + 1) // 2, dtype=np.float32)[:, None]
    x = (np.arange((width + 1) // 2, dtype=np.float32)[None, :] * 2 - width / 2) / height
    stops = ((0.0, (0.0, 0.0, 0.0)), (0.25, (0.35, 0.03, 0.0)), (0.5, (0.95, 0.32, 0.04)),
             (0.75, (1.0, 0.75, 0.2)), (1.0, (1.0, 0.97, 0.8)))  # fmt: skip
    log = wood((int(0.12 * unit), int(0.7 * unit)), seed + 2, tint=(0.26, 0.17, 0.12))
    shade = np.sin(np.linspace(0.2, 2.9, log.shape[0], dtype=np.float32))[:, None, None]
    logs = sprite((log * shade).astype(np.float32), np.ones(log.shape[:2], np.float32), unit)
    sparks = np.random.default_rng(seed).uniform(0, 1, (24, 4))

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, back, place(back, view, size, depth=2.0))
        flicker = 0.85 + 0.12 * math.sin(11 * time_s) * math.sin(7.3 * time_s) + 0.07 * math.sin(23 * time_s)
        cv2.multiply(frame, warm * flicker + cool, dst=frame, dtype=cv2.CV_8U)
        for n, angle in enumerate((0.25, -0.3, 0.05)):
            draw(frame, logs, place(logs, view, size, at=(0.06 * (n - 1), 0.37), angle=angle))
        u = (x + view.x) * 190 + 0 * rows
        v = rows * 130 + 150 * time_s
        one = cv2.remap(smoke, u, v + 0 * u, 1, borderMode=3)
        bent = u + 50 * (one - 0.5)
        two = cv2.remap(
            smoke, bent * 1.8, (v * 1.5 + 60 * time_s + 0 * u).astype(np.float32), 1, borderMode=3
        )
        lean = x + view.x + 0.05 * math.sin(2.1 * time_s) * (1 - rows) + 0.2 * (one - 0.5) * (1 - rows)
        body = 1.0 - np.abs(lean) / (0.05 + 0.36 * rows * (1.35 - rows)) - 1.2 * np.clip(0.62 - rows, 0, 1)
        heat = np.clip((body + 1.3 * (0.5 * one + 0.5 * two - 0.5)) * np.clip((0.94 - rows) * 8, 0, 1), 0, 1)
        flame = cv2.resize(
            to_image(ramp(heat.astype(np.float32), stops)), size, interpolation=cv2.INTER_CUBIC
        )
        cv2.add(frame, flame, dst=frame)
        for a, b, c, d in sparks:
            age = (time_s * (0.4 + 0.4 * c) + d) % 1.0
            px = width / 2 + height * ((a - 0.5) * 0.5 + 0.12 * math.sin(6 * age + 9 * b) - view.x)
            py = height * (0.8 - 0.85 * age)
            glow = (255 * (1 - age), 150 * (1 - age), 40 * (1 - age))
            cv2.circle(frame, (int(px * 8), int(py * 8)), int(8 * (0.6 + b)), glow, -1, cv2.LINE_AA, shift=3)
        return frame

    return render
