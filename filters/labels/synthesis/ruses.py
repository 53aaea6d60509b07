"""Clean film that looks edited: what the camera, the light and the place do by themselves."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.camera import Camera
from curate.footage.canvas import View, diagonal
from curate.footage.textures import Image, fractal
from filters.labels.synthesis.base import Base, Format, live
from filters.labels.synthesis.takes import Made, Random, answers, floats, mapped, muted

__all__ = ["focus_pull", "lightning", "panes", "reflection", "stage_lights", "whip_pan"]


def whip_pan(base: Base, rng: Random) -> Made:
    """A camera that is swung to another part of the same place, once or there and back, with its blur."""
    take = base.one
    size, fps = take.size, float(take.fps)
    way = 1.0 if rng.random() < 0.5 else -1.0
    rate, lasts = rng.uniform(0.2, 0.55), rng.uniform(0.2, 0.8)
    start = View(-way * rate * 0.5 * diagonal(size), rng.uniform(-0.05, 0.05), 0.0, rng.uniform(1.1, 1.5))
    first = rng.uniform(0.15, 0.6) * take.duration_s
    back = first + rng.uniform(0.8, 1.5) if rng.random() < 0.35 else 99.0

    def warped(time_s: float) -> float:
        """Return the time at which a camera that whips in 0.35 s from the first second is as far."""
        there, home = ((time_s - at) / lasts for at in (first, back))
        return 1.0 + 0.35 * (min(1.0, max(0.0, there)) - min(1.0, max(0.0, home)))

    class Whip(Camera):
        def view(self, time_s: float, size: tuple[int, int]) -> View:
            return Camera.view(self, warped(time_s), size)

    move = Whip("whip", way * rate, at_s=1.0, start=start)
    swung = live(rng, Format(size, take.fps, len(take.frames)), camera=move)
    shutter = rng.uniform(0.3, 0.9)

    def change(frame: Image, index: int, _time_s: float) -> Image:
        x = [move.view(max(0, n) / fps, size) for n in (index - 1, index)]
        reach = round(abs(x[1].x - x[0].x) * x[1].zoom * size[1] * shutter)
        made: Image = cv2.blur(frame, (reach, 1)) if reach > 2 else frame
        return made

    return Made(mapped(swung, change), "whip_pan", answers())


def focus_pull(base: Base, rng: Random) -> Made:
    """The focus goes from one thing to another: all is soft for a moment, and another part is sharp."""
    take = base.one
    width, height = take.size
    middle, lasts = rng.uniform(0.25, 0.75) * take.duration_s, rng.uniform(0.15, 0.6)
    sigma = rng.uniform(2.0, 4.5) * height / 270
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    near = np.clip((x - rng.uniform(0.3, 0.7)) / rng.uniform(0.05, 0.4) + 0.5, 0, 1)
    near = np.broadcast_to(near if rng.random() < 0.5 else 1 - near, (height, width))[..., None]

    def change(frame: Image, _index: int, time_s: float) -> Image:
        part = 0.5 + 0.5 * math.tanh((time_s - middle) / lasts)
        soft = cv2.GaussianBlur(frame, (0, 0), sigma)
        # The middle of the pull is sharp nowhere.
        share = np.clip((1 - part) * near + part * (1 - near) + 1.5 * part * (1 - part), 0, 1)
        made: Image = (frame * (1 - share) + soft * share).astype(np.uint8)
        return made

    return Made(mapped(take, change), "focus_pull", answers())


def lightning(base: Base, rng: Random) -> Made:
    """Lightning, a welder or photographers: bright moments without a beat, of the light itself."""
    fps = float(base.one.fps)
    count = int(rng.integers(2, 9))
    starts = rng.uniform(0, base.one.duration_s, count)
    size, fades = rng.uniform(0.4, 2.5, count), rng.uniform(0.6, 4, count) / fps
    tint, dim = 1 + rng.normal(0, 0.06, 3), rng.uniform(0.35, 1.0)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        since = time_s - starts
        gain = dim + float((size * np.exp(-np.maximum(since, 0) / fades) * (since >= 0)).sum())
        made: Image = cv2.transform(frame, np.diag(floats(gain * tint)))
        return made

    return Made(mapped(base.one, change), "lightning", answers())


def stage_lights(base: Base, rng: Random) -> Made:
    """Coloured lamps that wander, go on and off on a beat, over a dim scene: a concert, a fairground."""
    width, height = base.one.size
    x, y = np.meshgrid(np.linspace(0, width / height, 48, dtype=np.float32), np.linspace(0, 1, 27))
    count = int(rng.integers(2, 5))
    tints, places = rng.uniform(0.1, 2.2, (count, 3)), rng.uniform(0, 1, (count, 2)) * (width / height, 1)
    speeds, beat = rng.uniform(0.5, 3, (count, 2)), rng.uniform(0.25, 1.0)
    phases, radius = rng.uniform(0, 6, count), rng.uniform(0.2, 0.6, count)
    hard, dim = rng.uniform(1, 12), rng.uniform(0.2, 0.6)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        light = np.full((*x.shape, 3), dim, np.float32)
        for lamp in range(count):
            u, v = places[lamp] + 0.35 * np.sin(speeds[lamp] * time_s + phases[lamp])
            on = 0.5 + 0.5 * math.tanh(
                hard * math.sin(2 * math.pi * time_s / beat / (1 + lamp) + phases[lamp])
            )
            spot = np.exp(-((x - u) ** 2 + (y - v) ** 2) / radius[lamp] ** 2)
            light += on * spot[..., None].astype(np.float32) * floats(tints[lamp])
        lit = frame * cv2.resize(light, (width, height))
        made: Image = np.clip(lit, 0, 255).astype(np.uint8)
        return made

    return Made(mapped(base.one, change), "stage_lights", answers())


def reflection(base: Base, rng: Random) -> Made:
    """A shore and its image in water or a polished floor: darker, rippled, shorter than what it mirrors."""
    width, height = base.one.size
    edge = int(rng.uniform(0.45, 0.72) * height)
    below = height - edge
    y, x = np.mgrid[0:below, 0:width].astype(np.float32)
    depth, tint = rng.uniform(0.35, 0.85), floats(rng.uniform(0.75, 1.05, 3))
    size, long, pace = rng.uniform(0.002, 0.02), rng.uniform(12, 60), rng.uniform(1, 5)
    rough = fractal((below, width), int(rng.integers(1 << 30)), cell=max(2.0, height / 10)).astype(np.float32)
    stretch = rng.uniform(1.0, 1.5)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        ripple = np.sin(long * (y / below) + pace * time_s + 9 * rough) * (0.2 + y / below)
        source_y = np.clip(edge - 1 - stretch * y + 2 * size * height * ripple, 0, height - 1)
        water = cv2.remap(
            frame, x + size * height * ripple, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        frame[edge:] = cv2.transform(water, np.diag(depth * tint))
        return frame

    return Made(mapped(base.one, change), "reflection", answers())


def panes(base: Base, rng: Random) -> Made:
    """A view through the bars of a window, a fence or a shop front, which part it into straight fields."""
    width, height = base.one.size
    bars = np.zeros((height, width), np.uint8)
    thick = rng.uniform(0.01, 0.05) * height
    for across, most in ((True, 4), (False, 3)):
        side = width if across else height
        for at in rng.uniform(0.15, 0.85, int(rng.integers(0 if across else 1, most))) * side:
            low, high = int(at - thick), int(at + thick) + 1
            if across:
                bars[:, max(0, low) : high] = 255
            else:
                bars[max(0, low) : high] = 255
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 1.5), 1.05)
    bars = cv2.GaussianBlur(cv2.warpAffine(bars, turn, (width, height)), (0, 0), rng.uniform(0.6, 5))
    mask = cv2.cvtColor(bars, cv2.COLOR_GRAY2RGB)
    grain = 0.6 + 0.8 * fractal((height, width), int(rng.integers(1 << 30)), cell=height / 4)[..., None]
    frame_of = np.clip(np.multiply(muted(rng, 0.05, 0.7), 255) * grain, 0, 255).astype(np.uint8)
    wood = cv2.multiply(frame_of, mask, scale=1 / 255)
    rest = cv2.bitwise_not(mask)
    glare = floats(rng.uniform(0, 25, 3))

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        seen = cv2.transform(frame, np.column_stack([np.eye(3), glare]))
        made: Image = cv2.add(wood, cv2.multiply(seen, rest, scale=1 / 255))
        return made

    return Made(mapped(base.one, change), "panes", answers())
