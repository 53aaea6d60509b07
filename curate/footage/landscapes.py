"""Outdoors, far away: skies, ridges in haze, a lake, the open sea, a forest.

Every builder takes (size, seed, light) and returns a scene; ridges and trunks are layers at several depths,
so a moving camera sees parallax.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, sprite
from curate.footage.light import Light, lit
from curate.footage.textures import (
    Color,
    Floats,
    Image,
    bark,
    foliage,
    fractal,
    profile,
    ramp,
    relief,
    rgb,
    tile,
    to_image,
)

__all__ = ["forest", "hills", "lake", "sea", "sky", "sky_clouds"]

GROUNDS: tuple[tuple[tuple[float, Color], ...], ...] = (
    ((0.0, (0.1, 0.16, 0.06)), (0.5, (0.24, 0.34, 0.12)), (1.0, (0.52, 0.54, 0.26))),
    ((0.0, (0.22, 0.1, 0.05)), (0.45, (0.56, 0.27, 0.1)), (1.0, (0.84, 0.6, 0.24))),
    ((0.0, (0.36, 0.24, 0.15)), (0.5, (0.68, 0.48, 0.3)), (1.0, (0.88, 0.72, 0.5))),
    ((0.0, (0.22, 0.27, 0.32)), (0.4, (0.66, 0.7, 0.76)), (1.0, (0.97, 0.98, 1.0))),
)


def sky(size: Size, seed: int, light: Light) -> Sprite:
    """Return an opaque sky, 2.4 frames wide and 1.6 high, glowing around the sun."""
    height = size[1]
    rows, cols = int(1.6 * height), int(2.4 * size[0])
    y, x = np.mgrid[-0.8 : 0.8 : rows * 1j, -0.5 : 0.5 : cols * 1j].astype(np.float32)
    x *= cols / height
    fall = np.clip((y + 0.6) / 0.75, 0, 1)[..., None] ** 1.4
    color = rgb(light.zenith) * (1 - fall) + rgb(light.horizon) * fall
    far = np.hypot(x - light.sun_at[0], y - light.sun_at[1])
    glow = (0.55 * np.exp(-((far / 0.3) ** 1.0)) + 1.2 * np.exp(-((far / 0.035) ** 4)))[..., None]
    glow *= 1.0 - 0.8 * light.cloud
    color = color * (1 - np.clip(glow, 0, 1)) + rgb(light.sun) * np.clip(glow, 0, 1)
    color += (fractal((rows, cols), seed, cell=height, octaves=3) - 0.5)[..., None] * 0.05
    return Sprite(to_image(color.astype(np.float32)), height)


def sky_clouds(size: Size, seed: int, light: Light) -> Sprite:
    """Return clouds for the upper part of the sky: lit from above, thinning towards their edges."""
    height = size[1]
    shape = (int(1.0 * height), int(2 * size[0]))
    thick = fractal(shape, seed, cell=height / 2.2, octaves=7, gain=0.56, stretch=2.3)
    cover = np.clip((thick - (0.78 - 0.5 * light.cloud)) * 4.2, 0, 1)
    fade = np.clip(np.linspace(0, 5, shape[0]), 0, 1) * np.clip(np.linspace(4, 0, shape[0]), 0, 1)
    alpha = cover * fade[:, None].astype(np.float32) * 0.94
    shade = np.clip(relief(cv2.GaussianBlur(thick, (0, 0), 2.0), strength=7.0, angle=-1.8), 0.5, 1.25)
    bright = np.clip(rgb(light.sun) * 0.55 + rgb(light.key) * 0.45, 0, 1)
    color = bright * (shade * (1.1 - 0.45 * np.clip(thick - 0.45, 0, 1) * 2))[..., None]
    return sprite(color.astype(np.float32), alpha.astype(np.float32), height)


def ridge(size: Size, seed: int, light: Light, *, step: int, steps: int, ground: int) -> Sprite:
    """Return ridge `step` of `steps` (0 the farthest): its crest 40 % down from the sprite's top."""
    height = size[1]
    near = step / max(steps - 1, 1)
    shape = (int(1.3 * height), int(1.8 * size[0]))
    crest = profile(shape[1], seed, cell=height * (0.5 + 0.5 * near), gain=0.45 + 0.08 * near)
    line = height * (0.16 + (0.34 - 0.2 * near) * (0.5 - crest))
    if near > 0.3:  # trees along the crest
        teeth = np.abs(profile(shape[1], seed + 1, cell=6 + 10 * near, octaves=3) - 0.5)
        line -= height * 0.07 * near * teeth
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    alpha = np.clip(rows - line[None, :].astype(np.float32), 0, 1)
    rough = fractal(shape, seed + 2, cell=height / 5, octaves=7, gain=0.7, stretch=1.8)
    color = ramp(np.clip(rough * 1.3 - 0.15, 0, 1), GROUNDS[ground])
    color *= relief(rough, strength=0.9 + 0.8 * near)[..., None]
    depth_fall = np.clip((rows - line[None, :]) / (0.5 * height), 0, 1)[..., None]
    haze = 0.86 * (1 - near) ** 0.9
    hazed = lit(color, light, haze=haze)
    # Mist gathers in the valley before the next ridge.
    mist = depth_fall * (0.5 * (1 - near))
    veiled = hazed * (1 - mist) + rgb(light.haze) * mist
    return sprite(veiled.astype(np.float32), alpha.astype(np.float32), height)


def hills(size: Size, seed: int, light: Light) -> Scene:
    """Ridge behind ridge in haze, clouds drifting; only the clouds move by themselves."""
    steps = 5
    ground = (seed // 3) % 3 if light.key[2] < 0.99 else 3
    above, cloud = sky(size, seed, light), sky_clouds(size, seed + 1, light)
    layers = [
        ridge(size, seed * 31 + 7 * step, light, step=step, steps=steps, ground=ground)
        for step in range(steps)
    ]

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, above, place(above, view, size, depth=30.0))
        drift = (0.02 * time_s, -0.25)
        draw(frame, cloud, place(cloud, view, size, at=drift, depth=14.0), wide=True)
        for step, layer in enumerate(layers):
            at = (0.0, 0.5 + 0.1 * step)
            draw(frame, layer, place(layer, view, size, at=at, depth=5.0 / (1 + step)), wide=True)
        return frame

    return render


def _waterline(size: Size, view: View, horizon: float) -> int:
    """Return the first row of the picture that shows water."""
    return max(0, int(size[1] * (0.5 + (horizon - view.y) * view.zoom)))


def _ripples(size: Size, view: View, horizon: float) -> tuple[Floats, Floats, Floats]:
    """Return the perspective maps (x, y of a noise tile) and closeness of a water plane, from its first row.

    They go with the horizon as the camera tilts and zooms.
    """
    width, height = size
    rows = np.arange(_waterline(size, view, horizon), height, dtype=np.float32)[:, None] / height - 0.5
    below = np.maximum(rows / view.zoom + view.y - horizon, 0.006)
    far = 0.1 / below
    x = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / (height * view.zoom) * far
    map_y = np.broadcast_to(1000.0 * far, x.shape).astype(np.float32)
    return (620.0 * x).astype(np.float32), map_y, np.clip(below / 0.5, 0, 1).astype(np.float32)


def lake(size: Size, seed: int, light: Light) -> Scene:
    """Hills over a lake that mirrors them in ripples; the water moves, the shore does not."""
    width, height = size
    ashore = hills(size, seed, light)
    horizon = 0.12
    noise = tile(512, seed + 9, cell=32, octaves=4) - 0.5
    columns = np.arange(width, dtype=np.float32)[None, :]
    rows = np.arange(height, dtype=np.float32)[:, None]
    tint = tuple(np.float32(part) for part in (0.66, 0.76, 0.8))

    def render(time_s: float, view: View) -> Image:
        frame = ashore(time_s, View(view.x, view.y, view.z, view.zoom, 0.0))
        line = _waterline(size, view, horizon)
        if line >= height - 2:
            return frame
        pan, under = view.x * 62.0, slice(line, height)
        x, y, near = _ripples(size, view, horizon)
        first = cv2.remap(noise, x + (pan + 14 * time_s), y - 40 * time_s, 1, borderMode=3)
        second = cv2.remap(noise, x * 1.7 + (pan - 25 * time_s), y * 1.3 - 21 * time_s, 1, borderMode=3)
        wave = (first + second) * np.minimum(1, 6 * near + 0.1)
        mirrored = 2 * line - rows[under] - 1 + wave * (0.2 * height * (0.1 + near))
        picture = cv2.remap(
            frame, columns + wave * (20 * near), np.minimum(mirrored, line - 1), 1, borderMode=2
        )
        glint = cv2.merge([((1.0 + wave * (0.5 + 0.9 * near)) * (1.0 - 0.35 * near)) * part for part in tint])
        frame[under] = cv2.multiply(picture, glint, dtype=cv2.CV_8U)
        return frame

    return render


def sea(size: Size, seed: int, light: Light) -> Scene:
    """Open water to the horizon: swell in perspective, foam on the crests, sun on the water."""
    width, height = size
    above, cloud = sky(size, seed, light), sky_clouds(size, seed + 1, light)
    horizon = -0.12
    swell = tile(512, seed + 3, cell=64, octaves=5, gain=0.62)
    deep = rgb(light.key) * rgb((0.08, 0.25, 0.33))
    shallow = rgb(light.key) * rgb((0.24, 0.52, 0.56)) + 0.12 * rgb(light.horizon)
    sun = np.exp(-(((np.arange(width) / height - width / height / 2 - light.sun_at[0]) / 0.18) ** 2))
    sun = sun[None, :].astype(np.float32)

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, above, place(above, view, size, depth=30.0))
        draw(frame, cloud, place(cloud, view, size, at=(0.03 * time_s, -0.3), depth=14.0), wide=True)
        line = _waterline(size, view, horizon)
        if line >= height - 2:
            return frame
        pan = view.x * 62.0
        x, y, near = _ripples(size, view, horizon)
        mist = (1 - near) ** 6
        one = cv2.remap(swell, x * 0.6 + (pan + 10 * time_s), y * 1.1 - 75 * time_s, 1, borderMode=3)
        two = cv2.remap(swell, x * 1.7 + (pan - 30 * time_s), y * 2.4 - 110 * time_s, 1, borderMode=3)
        wave = cv2.addWeighted(one, 0.62, two, 0.38, 0)
        mix = np.clip((wave - 0.32) * 1.9, 0, 1)
        foam = np.clip((wave - 0.74) * 8, 0, 0.75) * (0.3 + 0.7 * near)
        sparkle = np.clip((wave - 0.5) * 7, 0, 1) * sun * 0.8
        bands = []
        for band in range(3):
            color = (deep[band] + (shallow[band] - deep[band]) * mix) * (1 - mist) + light.haze[band] * mist
            color += foam * (light.key[band] - color) + sparkle * light.sun[band]
            bands.append(color)
        frame[line:] = cv2.convertScaleAbs(cv2.merge(bands), alpha=255)
        return frame

    return render


def _trees(size: Size, seed: int, light: Light, near: float) -> Sprite:
    """Return a row of trunks with a bush line below; `near` 0..1."""
    height = size[1]
    shape = (int(1.5 * height), int(1.8 * size[0]))
    rng = np.random.default_rng(seed)
    alpha = np.zeros(shape, np.float32)
    shade = np.ones(shape, np.float32)
    for _ in range(int(7 - 4 * near)):
        x, thick = rng.uniform(0, shape[1]), height * (0.03 + 0.1 * near) * rng.uniform(0.7, 1.3)
        lean = rng.uniform(-0.06, 0.06)
        rows = np.arange(shape[0], dtype=np.float32)[:, None]
        center = x + lean * (rows - shape[0]) + 3 * np.sin(rows / 40 + x)
        half = thick / 2 * (0.75 + 0.35 * (rows / shape[0]) ** 2)
        at = slice(max(0, int((center - 2 * half).min())), max(0, int((center + 2 * half).max())))
        across = (np.arange(shape[1], dtype=np.float32)[None, at] - center) / half
        inside = np.clip((1 - np.abs(across)) * half, 0, 1)
        round_ = 0.45 + 0.7 * np.sqrt(np.clip(1 - (across + 0.35) ** 2 / 1.9, 0, 1))
        shade[:, at] = np.where(inside > 0, round_, shade[:, at])
        alpha[:, at] = np.maximum(alpha[:, at], inside)
    trunk = bark(shape, seed + 1) * shade[..., None]
    leaves = foliage(
        shape, seed + 2, ((0, (0.03, 0.07, 0.02)), (0.5, (0.18, 0.3, 0.08)), (1, (0.55, 0.62, 0.22)))
    )
    top = fractal(shape, seed + 3, cell=height / 4, octaves=7, gain=0.7)
    y = np.linspace(0, 1.5, shape[0], dtype=np.float32)[:, None]
    bush = np.clip((top - 0.5 + (y - (1.02 + 0.12 * near)) * 2.2) * 12, 0, 1)
    crown = np.clip((top - 0.5 + (0.34 - 0.1 * near - y) * 2.2) * 12, 0, 1)
    green = np.maximum(bush, crown)
    color = trunk * (1 - green[..., None]) + leaves * green[..., None]
    return sprite(lit(color, light, haze=0.72 * (1 - near)), np.maximum(alpha, green), height)


def forest(size: Size, seed: int, light: Light) -> Scene:
    """Trunks and leaves in five depths, light falling through; leaves sway in the wind."""
    width, height = size
    glow = fractal((height, width), seed, cell=height / 3, octaves=6)
    back = ramp(glow, ((0, (0.3, 0.4, 0.25)), (0.6, (0.75, 0.8, 0.55)), (1, (1, 1, 0.88))))
    backdrop = Sprite(to_image(lit(back, light, haze=0.3)), height)
    layers = [_trees(size, seed * 17 + i, light, i / 4) for i in range(5)]
    shaft_x = np.arange(width, dtype=np.float32)[None, :] + 0.6 * np.arange(height, dtype=np.float32)[:, None]
    shafts = profile(int(shaft_x.max()) + 1, seed + 5, cell=height / 5)[shaft_x.astype(int)]
    beams = to_image(np.clip(shafts - 0.52, 0, 1) * np.linspace(0.9, 0.1, height, dtype=np.float32)[:, None])
    warm = cv2.merge([cv2.multiply(beams, float(light.sun[i])) for i in range(3)])

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, backdrop, place(backdrop, view, size, depth=12.0, scale=1.2))
        for i, layer in enumerate(layers):
            if i == 3:
                cv2.add(frame, warm, dst=frame)
            sway = 0.004 * (1 + i) * math.sin(1.9 * time_s + i) + 0.003 * math.sin(5.3 * time_s + 2 * i)
            depth = (6.0, 4.0, 2.6, 1.7, 1.0)[i]
            affine = place(layer, view, size, at=(0.0, 0.04 * i), depth=depth)
            affine[0, 1] -= sway  # leaning at the top, standing at the ground
            affine[0, 2] += sway * layer.rgba.shape[0] / 2
            draw(frame, layer, affine, wide=True)
        return frame

    return render
