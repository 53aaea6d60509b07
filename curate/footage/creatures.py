"""Living things: a shoal of fish, birds at dusk, a meadow in the wind, and weather over any other scene."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, draw, fill, place, sprite
from curate.footage.landscapes import hills, sky, sky_clouds
from curate.footage.light import Light, lit
from curate.footage.textures import Color, Image, foliage, fractal, ramp, rgb, tile, to_image

__all__ = ["birds", "meadow", "reef", "with_rain", "with_snow"]


def _fish(unit: int, color: Color, second: Color, bend: float, seed: int) -> Sprite:
    """Return a fish with its tail bent by `bend` (-1..1), striped and lit from above."""
    up = 2
    length, height = int(0.2 * unit) * up, int(0.12 * unit) * up
    y, x = np.mgrid[-1 : 1 : height * 1j, 0 : 1 : length * 1j].astype(np.float32)
    y = y - 0.5 * bend * np.clip(0.55 - x, 0, 1) ** 2 * 4
    half = 0.62 * np.clip(np.sin(np.pi * np.clip((x - 0.2) / 0.8, 0, 1) ** 0.75), 0, 1) + 0.03
    tail = (x < 0.27) & (np.abs(y) < 0.55 * (0.29 - x) / 0.29 + 0.06) & (x > 0.02)
    fin = (x > 0.4) & (x < 0.68) & (y < 0) & (np.abs(y) < half + 0.22 * np.sin((x - 0.4) * 11))
    alpha = ((np.abs(y) < half) & (x > 0.2) | tail | fin).astype(np.float32)
    bars = np.clip(np.sin(x * 26 + seed) * 3, 0, 1)[..., None]
    scales = 0.9 + 0.2 * fractal((height, length), seed, cell=6, octaves=2)
    paint = (rgb(color) * (1 - bars) + rgb(second) * bars) * scales[..., None]
    paint = paint * np.clip(1.0 - 0.55 * y / (half + 0.2), 0.35, 1.5)[..., None]
    eye = (int(0.87 * length), int(0.42 * height))
    cv2.circle(paint, eye, height // 11, (0.95, 0.95, 0.9), -1, cv2.LINE_AA)
    cv2.circle(paint, eye, height // 18, (0.02, 0.02, 0.02), -1, cv2.LINE_AA)
    joined = np.dstack([np.clip(paint, 0, 1) * alpha[..., None], alpha]).astype(np.float32)
    small = cv2.resize(joined, (length // up, height // up), interpolation=cv2.INTER_AREA)
    return Sprite(to_image(small), unit)


def reef(size: Size, seed: int, light: Light) -> Scene:
    """Under water: fish swim to and fro over corals, weeds bend, caustics play on the sand."""
    width, height = size
    unit = height
    rng = np.random.default_rng(seed)
    shape = (int(1.5 * unit), int(1.6 * width))
    y = np.linspace(-0.75, 0.75, shape[0], dtype=np.float32)[:, None, None]
    murk = fractal(shape, seed, cell=unit / 2, octaves=5)[..., None]
    fall = np.clip(0.55 - 0.65 * y, 0.08, 1)
    water = rgb((0.1, 0.5, 0.66)) * fall * (0.8 + 0.4 * murk) + rgb((0.2, 0.2, 0.16)) * fall**3
    back = Sprite(to_image((water * (0.5 + 0.5 * rgb(light.key))).astype(np.float32)), unit)
    sand_shape = (int(0.5 * unit), int(2.4 * width))
    grain = fractal(sand_shape, seed + 1, cell=30, octaves=6, gain=0.7, stretch=2.5)
    edge = np.arange(sand_shape[0])[:, None] - 30 * fractal((4, sand_shape[1]), seed + 2, cell=90)[0][None, :]
    paint = ramp(grain, ((0, (0.25, 0.38, 0.36)), (1, (0.72, 0.78, 0.62))))
    sand = sprite(paint, np.clip(edge / 4, 0, 1).astype(np.float32), unit)
    corals = []
    for n, hue in enumerate(((0.75, 0.3, 0.32), (0.55, 0.32, 0.6), (0.7, 0.55, 0.2), (0.2, 0.45, 0.3))):
        side = int(unit * rng.uniform(0.3, 0.5))
        yy, xx = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        lump = fractal((side, side), seed + 20 + n, cell=side / 6, octaves=5, gain=0.7)
        cover = np.clip((0.8 - np.hypot(xx, (yy - 0.45) / 0.9) + 1.1 * (lump - 0.5)) * 16, 0, 1)
        dark = tuple(0.25 * v for v in hue)
        paint = foliage((side, side), seed + 30 + n, ((0, dark), (0.6, hue), (1, (0.95, 0.85, 0.75))))  # type: ignore[arg-type]
        corals.append(sprite(paint, cover.astype(np.float32), unit))
    kinds = (
        ((0.95, 0.55, 0.1), (0.95, 0.92, 0.85)),
        ((0.2, 0.35, 0.8), (0.95, 0.85, 0.2)),
        ((0.75, 0.8, 0.82), (0.3, 0.4, 0.5)),
    )
    swims = [
        [_fish(unit, *kind, math.sin(2 * math.pi * k / 10), seed + n) for k in range(10)]
        for n, kind in enumerate(kinds)
    ]
    shoal = rng.uniform(0, 1, (14, 5))
    caustic = tile(256, seed + 5, cell=32, octaves=2)
    map_y, map_x = np.mgrid[0:height:2, 0:width:2].astype(np.float32)
    depth_light = np.linspace(0.25, 1.0, map_y.shape[0], dtype=np.float32)[:, None] ** 3

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, back, place(back, view, size, depth=8.0))
        draw(frame, sand, place(sand, view, size, at=(0, 0.55), depth=1.3), wide=True)
        for n, coral in enumerate(corals * 2):
            at = ((n * 0.47 + 0.2) % 2.6 - 1.3, 0.3 + 0.03 * (n % 3))
            draw(frame, coral, place(coral, view, size, at=at, depth=1.2, scale=0.7 + 0.1 * (n % 4)))
        for n in np.argsort(shoal[:, 2]):
            a, b, c, d, e = (float(v) for v in shoal[n])
            way = 1 if d > 0.35 else -1
            at = (
                ((a * 3 + way * (0.1 + 0.16 * e) * time_s) % 3) - 1.5,
                -0.36 + 0.62 * b + 0.03 * math.sin(1.7 * time_s + 9 * a),
            )
            swim = swims[int(3 * e)]
            pose = swim[int((time_s * (1.5 + e) + a) * 10) % 10]
            scale = 0.45 + 0.75 * c
            tilt = 0.06 * math.cos(1.7 * time_s + 9 * a)
            draw(
                frame,
                pose,
                place(
                    pose, view, size, at=at, scale=scale, angle=tilt, stretch=(way, 1), depth=1.6 - 0.7 * c
                ),
            )
        u, v = map_x * 1.1 + 60 * view.x, map_y * 1.4
        one = cv2.remap(caustic, u + 22 * time_s, v + 9 * time_s, 1, borderMode=3)
        two = cv2.remap(caustic, u - 17 * time_s, v + 14 * time_s, 1, borderMode=3)
        web = np.clip(1 - 9 * np.abs(one + two - 1), 0, 1) * depth_light * 46
        glow = cv2.resize(web.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.add(frame, cv2.cvtColor(glow, cv2.COLOR_GRAY2RGB), dst=frame)
        return frame

    return render


def _bird(unit: int, lift: float, color: Color) -> Sprite:
    """Return a bird seen from the side and below, wings at `lift` (-1 down, 1 up)."""
    up = 3
    side = int(0.16 * unit) * up
    picture = np.zeros((side, side, 4), np.float32)
    middle = side / 2
    for way in (-1, 1):
        shoulder = np.array([middle + way * 0.03 * side, middle])
        elbow = shoulder + side * np.array([way * 0.2, -0.16 * lift - 0.04])
        tip = elbow + side * np.array([way * 0.25, -0.1 * lift + 0.09 * abs(lift)])
        back = shoulder + side * np.array([way * 0.06, 0.07])
        tone = 1.0 if way > 0 else 0.75
        paint = (*(tone * v for v in color), 1.0)
        cv2.fillPoly(picture, [np.array([shoulder, elbow, tip, back], np.int32)], paint, cv2.LINE_AA)
    cv2.ellipse(
        picture,
        (int(middle), int(middle + 0.02 * side)),
        (int(0.07 * side), int(0.045 * side)),
        0,
        0,
        360,
        (*color, 1.0),
        -1,
        cv2.LINE_AA,
    )
    small = (side // up, side // up)
    return Sprite(to_image(cv2.resize(picture, small, interpolation=cv2.INTER_AREA)), unit)


def birds(size: Size, seed: int, light: Light) -> Scene:
    """A flock that crosses the sky over far hills, every bird beating its wings in its own time."""
    unit = size[1]
    land = hills(size, seed, light)
    rng = np.random.default_rng(seed)
    tone = 0.12 + 0.25 * light.key[0] * (seed % 2)
    beats = [_bird(unit, math.sin(2 * math.pi * k / 14), (tone, tone, 1.1 * tone)) for k in range(14)]
    flock = rng.normal(0, 1, (18, 3))

    def render(time_s: float, view: View) -> Image:
        frame = land(time_s, view)
        lead = (-1.0 + 0.28 * time_s, -0.12 + 0.06 * math.sin(0.8 * time_s))
        for n, (a, b, c) in enumerate(flock):
            at = (
                (lead[0] + 0.34 * a + 0.02 * math.sin(time_s + 5 * b) + 1.5) % 3.0 - 1.5,
                lead[1] + 0.11 * b + 0.02 * math.sin(1.9 * time_s + 7 * a),
            )
            pose = beats[int((time_s * (1.9 + 0.2 * c) + n * 0.37) * 14) % 14]
            draw(
                frame,
                pose,
                place(pose, view, size, at=at, scale=0.8 + 0.22 * c, angle=-0.1 * math.cos(0.8 * time_s)),
            )
        return frame

    return render


def meadow(size: Size, seed: int, light: Light) -> Scene:
    """Grass and flowers close by, bending in gusts before a blurred background."""
    width, height = size
    unit = height
    rng = np.random.default_rng(seed)
    above, cloud = sky(size, seed, light), sky_clouds(size, seed + 1, light)
    shape = (int(0.8 * unit), int(2.2 * width))
    far = foliage(shape, seed + 2, ((0, (0.12, 0.2, 0.08)), (0.6, (0.36, 0.48, 0.2)), (1, (0.7, 0.75, 0.4))))
    top = np.arange(shape[0])[:, None] - 0.12 * unit * fractal((4, shape[1]), seed + 3, cell=90)[0][None, :]
    soft = cv2.GaussianBlur(
        np.dstack([lit(far, light, haze=0.25), np.clip(top / 9, 0, 1)]), (0, 0), unit / 60
    )
    behind = sprite(soft[..., :3], soft[..., 3], unit)
    beds = []
    for row in range(4):
        bed = np.zeros((int(0.7 * unit), int(1.8 * width), 4), np.float32)
        for _ in range(420 - 60 * row):
            x, tall = rng.uniform(0, bed.shape[1]), bed.shape[0] * rng.uniform(0.3, 0.85)
            lean = rng.normal(0, 0.16) * tall
            tone = rng.uniform(0.35, 1.0) * (0.65 + 0.12 * row)
            hue = (0.34 * tone, 0.5 * tone + 0.05, 0.14 * tone, 1.0)
            steps = np.linspace(0, 1, 7)
            blade = np.stack([x + lean * steps**2, bed.shape[0] - tall * steps], axis=1)
            cv2.polylines(bed, [blade.astype(np.int32)], False, hue, 1 + (row > 1), cv2.LINE_AA)
            if rng.random() < 0.1:
                petal = ((0.95, 0.9, 0.85), (0.9, 0.75, 0.15), (0.8, 0.25, 0.3), (0.5, 0.4, 0.8))[
                    (seed + row) % 4
                ]
                for leaf in range(6):
                    at = blade[-1] + 4.5 * np.array([math.cos(leaf * 1.05), 0.8 * math.sin(leaf * 1.05)])
                    cv2.circle(
                        bed,
                        tuple(map(int, at)),
                        3,
                        (*(v * rng.uniform(0.75, 1) for v in petal), 1),
                        -1,
                        cv2.LINE_AA,
                    )
                cv2.circle(bed, tuple(map(int, blade[-1])), 2, (0.75, 0.55, 0.1, 1), -1, cv2.LINE_AA)
        bed[..., :3] *= rgb(light.key)
        if row in (0, 3):
            bed = cv2.GaussianBlur(bed, (0, 0), 1.6 if row == 0 else 2.4)
        beds.append(Sprite(to_image(bed), unit))
    gust = tile(256, seed + 4, cell=64, octaves=2)
    map_y, map_x = np.mgrid[0 : beds[0].rgba.shape[0], 0 : beds[0].rgba.shape[1]].astype(np.float32)
    free = 1 - map_y[:, :1] / map_y.max()
    columns = map_x[0] / unit

    def render(time_s: float, view: View) -> Image:
        frame = fill(size, above, place(above, view, size, depth=30.0))
        draw(frame, cloud, place(cloud, view, size, at=(0.02 * time_s, -0.3), depth=14.0), wide=True)
        draw(frame, behind, place(behind, view, size, at=(0, 0.35), depth=5.0), wide=True)
        for row, bed in enumerate(beds):
            wind = gust[40 + 9 * row, (columns * 60 - 90 * time_s).astype(int) % 256] - 0.45
            bend = unit * (0.2 * wind[None, :] + 0.02 * np.sin(6 * time_s + 9 * columns)[None, :]) * free**2
            moved = cv2.remap(bed.rgba, (map_x - bend).astype(np.float32), map_y, 1, borderMode=0)
            thing = Sprite(moved, bed.unit_px)
            at = (0.0, 0.24 + 0.1 * row)
            draw(frame, thing, place(thing, view, size, at=at, depth=(3, 2, 1.3, 0.85)[row]), wide=True)
        return frame

    return render


def with_rain(scene: Scene, size: Size, seed: int) -> Scene:
    """Return `scene` in the rain: streaks at three distances, grey air."""
    width, height = size
    sheets = []
    for near in range(3):
        rng = np.random.default_rng(seed + near)
        sheet = np.zeros((2 * height, width), np.uint8)
        for _ in range(160 - 40 * near):
            x, y, long = rng.uniform(0, width), rng.uniform(0, 2 * height), height * (0.04 + 0.05 * near)
            ends = (int(x), int(y)), (int(x - 0.12 * long), int(y + long))
            cv2.line(sheet, *ends, int(50 + 30 * near), 1, cv2.LINE_AA)
        sheets.append(np.concatenate([sheet, sheet]))

    def render(time_s: float, view: View) -> Image:
        frame = cv2.addWeighted(
            scene(time_s, view), 0.72, np.full((height, width, 3), 150, np.uint8), 0.18, 0
        )
        for near, sheet in enumerate(sheets):
            top = 2 * height - int((time_s * height * (1.6 + 0.7 * near)) % (2 * height))
            cv2.add(frame, cv2.cvtColor(sheet[top : top + height], cv2.COLOR_GRAY2RGB), dst=frame)
        made: Image = frame
        return made

    return render


def with_snow(scene: Scene, size: Size, seed: int) -> Scene:
    """Return `scene` in falling snow: flakes drift down at many distances."""
    width, height = size
    flakes = np.random.default_rng(seed).uniform(0, 1, (220, 4))

    def render(time_s: float, view: View) -> Image:
        frame = cv2.addWeighted(
            scene(time_s, view), 0.85, np.full((height, width, 3), 190, np.uint8), 0.12, 0
        )
        for a, b, c, d in flakes:
            near = 0.3 + 0.7 * c
            x = (a + 0.03 * math.sin(1.3 * time_s + 9 * d) - (0.06 * time_s + view.x) * near) % 1.0
            y = (b + time_s * (0.1 + 0.28 * near)) % 1.0
            tone = 170 + 80 * near
            center = (int(x * width * 8), int(y * height * 8))
            cv2.circle(
                frame,
                center,
                int(8 * height / 270 * (0.5 + 1.7 * near * d)),
                (tone, tone, tone),
                -1,
                cv2.LINE_AA,
                shift=3,
            )
        made: Image = frame
        return made

    return render
