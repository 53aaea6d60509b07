"""Built places: a street from the side, a road driven along, a crossroads from above, a city at night."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, shadow, sprite
from curate.footage.landscapes import GROUNDS, hills, sky, sky_clouds
from curate.footage.light import Light, lit
from curate.footage.props import PAINTS, car, facade, walker
from curate.footage.textures import (
    Floats,
    Image,
    asphalt,
    foliage,
    fractal,
    plaster,
    ramp,
    relief,
    rgb,
    tile,
    to_image,
)

__all__ = ["aerial", "city", "drive", "street"]


def street(size: Size, seed: int, light: Light) -> Scene:
    """A row of houses behind a road: cars pass both ways, people walk on the pavement."""
    unit = size[1]
    rng = np.random.default_rng(seed)
    night = light.key[0] < 0.5
    width = int(4 * size[0])
    row = np.zeros((int(1.2 * unit), width, 3), np.float32)
    solid = np.zeros(row.shape[:2], np.float32)
    x = 0
    while x < width:
        w, h = int(rng.uniform(0.35, 0.65) * unit), int(rng.uniform(0.72, 1.1) * unit)
        w = min(w, width - x)
        if w > 20:
            row[-h:, x : x + w] = facade((h, w), int(rng.integers(1 << 30)), glow=0.55 if night else 0.06)
            solid[-h:, x : x + w] = 1.0
        x += w
    dim = 0.5 if night else 1.0
    houses = sprite(row * (rgb(light.key) if not night else rgb((0.5, 0.46, 0.5))), solid, unit)
    ground = asphalt((int(0.9 * unit), width), seed + 1)
    kerb = int(0.11 * unit)
    ground[:kerb] = plaster((kerb, width), seed + 2, color=(0.62, 0.6, 0.57))
    ground[kerb : kerb + 3] = 0.75
    ground[kerb + 3 : kerb + 8] *= 0.6
    for dash in range(0, width, int(0.4 * unit)):
        ground[int(0.29 * unit) : int(0.303 * unit), dash : dash + int(0.18 * unit)] = (0.82, 0.8, 0.74)
    road = sprite(lit(ground, light) * (1.4 if night else 1.0), np.ones(ground.shape[:2], np.float32), unit)
    cars = [car(int(unit * 1.1), int(rng.integers(100))) for _ in range(6)]
    people = [[walker(unit, seed * 7 + n, 2 * math.pi * k / 12) for k in range(12)] for n in range(4)]
    under = shadow(int(0.4 * unit), int(0.06 * unit), unit, strength=0.65)
    above, cloud = sky(size, seed, light), sky_clouds(size, seed + 1, light)
    start, speed = rng.uniform(0, 4, 6), rng.uniform(0.35, 0.75, 6)

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, above, place(above, view, size, depth=20.0))
        draw(frame, cloud, place(cloud, view, size, at=(0.02 * time_s, -0.3), depth=12.0), wide=True)
        draw(frame, houses, place(houses, view, size, at=(0, -0.42), depth=1.25), wide=True)
        draw(frame, road, place(road, view, size, at=(0, 0.62)), wide=True)
        for n, gait in enumerate(people):
            way = 1 if n % 2 else -1
            pace = 0.075 + 0.01 * n
            at = ((start[n] * 1.7 + way * pace * time_s + 2) % 4 - 2, 0.13 + 0.012 * n)
            pose = gait[int(time_s * 11 + n * 5) % 12]
            draw(frame, under, place(under, view, size, at=(at[0], at[1] + 0.145), scale=0.35))
            draw(frame, pose, place(pose, view, size, at=at, stretch=(way, 1)))
        for n, body in enumerate(cars):
            way = 1 if n >= 3 else -1
            at = ((start[n] + way * speed[n] * time_s + 2) % 4 - 2, 0.29 if way < 0 else 0.4)
            draw(frame, under, place(under, view, size, at=(at[0], at[1] + 0.078)))
            draw(
                frame, body, place(body, view, size, at=at, stretch=(way, 1), scale=1.1 if way > 0 else 0.95)
            )
        if dim < 1:
            cv2.multiply(frame, (0.8, 0.8, 0.95, 1), dst=frame)
        return frame

    return render


def drive(size: Size, seed: int, light: Light) -> Scene:
    """A road seen from a moving car: the ground streams by, trees at its sides come near."""
    width, height = size
    horizon = 0.0
    far_away = hills(size, seed, light)
    rows = np.arange(height, dtype=np.float32)[:, None] / height - 0.5 - horizon
    far = 0.16 / np.maximum(rows, 0.004)
    across = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / height * far
    verge = ramp(tile(512, seed + 1, cell=32, octaves=5, gain=0.7), GROUNDS[seed % 3])
    lane = asphalt((512, 512), seed + 2) + 0.05
    line = int(height * (0.5 + horizon)) + 1
    on_road = np.clip((0.17 - np.abs(across)) / (0.0012 + 0.004 * far), 0, 1)[..., None]
    mist = np.clip(far / 7 - 0.05, 0, 0.92)[..., None]
    haze = rgb(light.haze)
    leaf = ((0, (0.04, 0.08, 0.03)), (0.5, (0.2, 0.3, 0.1)), (1, (0.5, 0.55, 0.24)))
    trees = []
    for n in range(3):
        side = int(0.9 * height)
        paint = foliage((side, side), seed + 3 + n, leaf)
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        lump = fractal((side, side), seed + 6 + n, cell=side / 5, octaves=6, gain=0.65)
        crown = np.clip((1 - np.hypot(x / 0.8, (y + 0.25) / 0.72) + 0.9 * (lump - 0.5)) * 14, 0, 1)
        stem = np.clip((0.05 - np.abs(x)) * side / 2, 0, 1) * (y > 0)
        paint = paint * (1 - stem[..., None] * (1 - crown[..., None])) + 0.16 * stem[..., None] * (
            1 - crown[..., None]
        )
        trees.append(sprite(lit(paint.astype(np.float32), light), np.maximum(crown, stem), side))
    map_x = (across * 330).astype(np.float32)

    def render(time_s: float, view: View) -> Image:
        go = 1.1 * time_s
        frame = far_away(0.0, View(view.x + 0.05 * math.sin(0.4 * time_s), view.y, 0, view.zoom))
        map_y = (far + go) * 150
        grass = cv2.remap(verge, map_x[line:], map_y[line:] + 0 * map_x[line:], 1, borderMode=3)
        tar = cv2.remap(lane, map_x[line:] * 1.5, map_y[line:] * 1.2 + 0 * map_x[line:], 1, borderMode=3)
        dash = (np.abs(across[line:]) < 0.006) & ((far[line:] + go) % 1.2 < 0.5)
        edge = np.abs(np.abs(across[line:]) - 0.155) < 0.005
        tar[dash | edge] = (0.85, 0.84, 0.8)
        ground = grass * (1 - on_road[line:]) + tar * on_road[line:]
        ground = ground * rgb(light.key) * (1 - mist[line:]) + haze * mist[line:]
        frame[line:] = np.clip(ground * 255, 0, 255).astype(np.uint8)
        for n in range(11, -1, -1):
            along = (n * 0.62 - go) % 7.44 + 0.16
            tree = trees[n % 3]
            size_of = 0.16 / along
            side = (-1 if n % 2 else 1) * (0.38 + 0.1 * (n % 3))
            at = (side * size_of * 6.25 * 0.32, horizon + size_of * (1 - 1.05 * 0.62))
            if along < 6.4:
                draw(frame, tree, place(tree, View(), size, at=(at[0] * 1.6, at[1]), scale=1.3 * size_of))
        return frame

    return render


def _fields(shape: tuple[int, int], seed: int) -> Floats:
    """Return ploughed fields (H, W, 3) between hedges: the cells of scattered points, their borders bent."""
    rng = np.random.default_rng(seed)
    height, width = shape
    free = np.ones(shape, np.uint8)
    free[rng.integers(0, height, 34), rng.integers(0, width, 34)] = 0
    _, cells = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    bend = 0.12 * height * (fractal(shape, seed, cell=height / 5, octaves=3) - 0.5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    nearest = cv2.remap(
        cells.astype(np.uint8), x + bend, y - bend, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
    )
    rough = fractal(shape, seed + 1, cell=30, octaves=5, gain=0.7)
    painted = np.zeros((*shape, 3), np.float32)
    for cell in np.unique(nearest):
        mask = nearest == cell
        turn = rng.uniform(0, math.pi)
        furrow = 0.06 * np.sin((x[mask] * math.cos(turn) + y[mask] * math.sin(turn)) * 1.3)
        tone = 0.55 * rough[mask] + rng.uniform(0.1, 0.35) + furrow
        painted[mask] = ramp(np.clip(tone, 0, 1, dtype=np.float32), GROUNDS[int(rng.integers(3))])
    hedge = cv2.morphologyEx(nearest, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    painted[hedge] = rgb((0.1, 0.17, 0.07)) * (0.6 + 0.8 * rough[hedge, None])
    painted *= relief(cv2.GaussianBlur(rough, (0, 0), 1.0), strength=0.8)[..., None]
    return painted


def aerial(size: Size, seed: int, light: Light) -> Scene:
    """Fields and a crossroads from above; cars crawl along both roads, a cloud's shadow passes."""
    unit = size[1]
    side_y, side_x = int(2.2 * unit), int(2.2 * size[0])
    shape = (side_y, side_x)
    fields = _fields(shape, seed)
    roads = np.zeros(shape, np.float32)
    for a, b in (((0, 0.52), (1, 0.46)), ((0.47, 0), (0.53, 1))):
        ends = [(int(p[0] * side_x), int(p[1] * side_y)) for p in (a, b)]
        cv2.line(roads, ends[0], ends[1], 1.0, int(0.07 * unit), cv2.LINE_AA)
    tar = asphalt(shape, seed + 2)
    fields = fields * (1 - roads[..., None]) + tar * roads[..., None]
    base = Sprite(to_image(lit(fields.astype(np.float32), light, haze=0.08)), unit)
    roofs = []
    for n in range(8):
        top = np.zeros((int(0.022 * unit) + 4, int(0.045 * unit) + 4, 4), np.float32)
        paint = PAINTS[n % len(PAINTS)]
        cv2.rectangle(top, (2, 2), (top.shape[1] - 3, top.shape[0] - 3), (*paint, 1.0), -1, cv2.LINE_AA)
        cv2.rectangle(
            top, (top.shape[1] // 3, 3), (top.shape[1] * 2 // 3, top.shape[0] - 4), (0.15, 0.18, 0.2, 1), -1
        )
        roofs.append(Sprite(to_image(top), unit))
    cast, cast_cloud = shadow(int(0.06 * unit), int(0.04 * unit), unit), sky_clouds(size, seed + 3, light)

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, base, place(base, view, size))
        aspect = size[0] / size[1]
        for n, roof in enumerate(roofs):
            way = 1 if n % 2 else -1
            along = (n * 0.61 + way * 0.11 * (1 + 0.3 * (n % 3)) * time_s) % 2.2 - 1.1
            if n < 5:
                at = (along * aspect, -0.022 - 0.066 * along + 0.016 * way)
                angle = -0.0335 if way > 0 else math.pi - 0.0335
            else:
                at = (0.06 * along - 0.016 * way, along)
                angle = math.pi / 2 * way
            draw(frame, cast, place(cast, view, size, at=(at[0] + 0.006, at[1] + 0.008)))
            draw(frame, roof, place(roof, view, size, at=at, angle=angle))
        draw(frame, cast_cloud, place(cast_cloud, view, size, at=(0.06 * time_s, -0.7), depth=0.7), wide=True)
        return frame

    return render


def city(size: Size, seed: int, light: Light) -> Scene:
    """A skyline at night: lit windows, out-of-focus lamps in front, headlights streaming past."""
    unit = size[1]
    rng = np.random.default_rng(seed)
    above = sky(size, seed, light)
    layers = []
    for depth in range(3):
        shape = (unit, int(2.6 * size[0]))
        color, solid = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
        x = 0
        while x < shape[1]:
            w = int(rng.uniform(0.08, 0.2) * unit * (1 + 0.4 * depth))
            h = int(rng.uniform(0.25, 0.8) * unit)
            tone = rgb((0.05, 0.06, 0.1)) * (2.4 - 0.7 * depth)
            color[-h:, x : x + w] = tone
            step = 4 + depth
            for wy in range(unit - h + 4, unit - 4, step + 2):
                for wx in range(x + 3, min(x + w - 3, shape[1] - 3), step):
                    if rng.random() < 0.4:
                        warm = rng.uniform(0.2, 0.9) * (0.5 + 0.25 * depth)
                        color[wy : wy + step - 1, wx : wx + step - 2] = rgb((1, 0.8, 0.5)) * warm
            solid[-h:, x : x + w] = 1
            x += w
        layers.append(sprite(color, solid, unit))
    disk = np.zeros((64, 64), np.float32)
    cv2.circle(disk, (32, 32), 26, 1.0, -1, cv2.LINE_AA)
    rim = cv2.GaussianBlur(disk, (0, 0), 1.2) * 0.55 + 0.3 * (disk - cv2.erode(disk, np.ones((5, 5))))
    hues = ((1, 0.75, 0.4), (1, 0.3, 0.2), (0.5, 0.8, 1), (0.95, 0.9, 0.7), (0.4, 1, 0.6))
    lamps = [sprite(np.ones((64, 64, 3), np.float32) * rgb(hue), rim * 0.8, unit) for hue in hues]
    spots = rng.uniform(-1, 1, (26, 4))

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, above, place(above, view, size, depth=30.0))
        for n, layer in enumerate(layers):
            draw(frame, layer, place(layer, view, size, at=(0, 0.06 * n), depth=6 - 2 * n), wide=True)
        cv2.multiply(frame[int(0.72 * unit) :], (0.35, 0.35, 0.42, 1), dst=frame[int(0.72 * unit) :])
        for n, spot in enumerate(spots):
            way = 1 if n % 2 else -1
            moving = n < 16
            x = spot[0] * 1.6 + (way * (0.16 + 0.1 * abs(spot[2])) * time_s if moving else 0)
            at = ((x + 1.6) % 3.2 - 1.6, 0.34 + 0.09 * spot[1] if moving else 0.1 * spot[1])
            lamp = lamps[(3 if way > 0 else 1) if moving else n % 5]
            pulse = 1 + 0.04 * math.sin(7 * time_s + n)
            scale = (0.5 + 0.4 * abs(spot[3])) * pulse
            draw(frame, lamp, place(lamp, view, size, at=at, scale=scale, depth=0.9))
        return frame

    return render
