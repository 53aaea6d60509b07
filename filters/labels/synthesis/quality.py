"""Unclear and shaky pictures, and what only looks like it: lenses, hands, sensors, exposure, codecs.

Each fault takes a strength of 1 (an annotator is sure) to 2 (as bad as it gets). What lies between good and
bad is not made at all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import cv2
import numpy as np

from curate.footage.textures import Image
from filters.labels.synthesis.holding import handheld, swung, wobble
from filters.labels.synthesis.takes import Made, Random, Take, answers, mapped, merged

__all__ = ["FAULTS", "degraded", "grain", "shallow_focus"]

Fault: TypeAlias = Callable[[Take, Random, float], Take]


def defocus(take: Take, rng: Random, strength: float) -> Take:
    """A lens out of focus, steady or hunting."""
    sigma = 2.4 * strength**1.5 * take.size[1] / 270 * rng.uniform(1, 1.3)
    hunt, pace = rng.choice([0.0, 0.35]), rng.uniform(1, 3)
    round_ = rng.random() < 0.4

    def change(frame: Image, _index: int, time_s: float) -> Image:
        now = sigma * (1 + hunt * math.sin(pace * time_s))
        if round_:
            side = max(3, round(1.6 * now)) | 1
            disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.float32)
            half = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            spread = cv2.filter2D(half, -1, disk / disk.sum())
            made: Image = cv2.resize(spread, take.size, interpolation=cv2.INTER_LINEAR)
            return made
        blurred: Image = cv2.GaussianBlur(frame, (0, 0), now)
        return blurred

    return mapped(take, change)


def shake(take: Take, rng: Random, strength: float) -> Take:
    """A hand that trembles or jolts, with the blur of it."""
    fps = float(take.fps)
    way = wobble(rng, len(take.frames), fps, 0.7, min(rng.uniform(3.5, 7), fps / 3))
    return swung(
        take,
        way,
        rng.uniform(0.035, 0.075) * strength,
        rng.uniform(0.02, 0.05) * strength,
        rng.uniform(0.4, 1.0),
    )


def sensor_noise(take: Take, rng: Random, strength: float) -> Take:
    """A sensor at its limit: noise in light and colour, often dim."""
    width, height = take.size
    sigma, blotch = rng.uniform(9, 19) * strength, rng.uniform(0.4, 1.6)
    dim, cells = rng.uniform(0.4, 1.0), rng.integers(0, 1 << 30)
    tiles = []
    for number in range(5):
        own = np.random.default_rng([int(cells), number])
        noise = 0.7 * own.standard_normal((height, width, 1), np.float32) + 0.7 * cv2.GaussianBlur(
            own.standard_normal((height, width, 3), np.float32), (0, 0), blotch
        )
        tiles.append((noise * (sigma / noise.std())).astype(np.int16))

    def change(frame: Image, index: int, _time_s: float) -> Image:
        noise = np.roll(tiles[index % 5], ((index * 41) % height, (index * 67) % width), axis=(0, 1))
        made: Image = cv2.add(cv2.convertScaleAbs(frame, alpha=dim), noise, dtype=cv2.CV_8U)
        return made

    return mapped(take, change)


def blocks(take: Take, rng: Random, strength: float) -> Take:
    """Compressed to almost nothing: blocks and rings."""
    quality = max(2, int(rng.uniform(7, 13) / strength))
    width, height = take.size
    shrink = rng.choice([1.0, 1.0, 1.6, 2.2])
    small = (max(16, int(width / shrink)), max(16, int(height / shrink)))

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        tiny = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
        coded = cv2.imencode(".jpg", tiny, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        made: Image = cv2.resize(
            cv2.imdecode(coded, cv2.IMREAD_COLOR), (width, height), interpolation=cv2.INTER_LINEAR
        )
        return made

    return mapped(take, change)


def upscaled(take: Take, rng: Random, strength: float) -> Take:
    """Grown from a tiny resolution."""
    width, height = take.size
    factor = rng.uniform(3.6, 4.8) * strength * height / 270
    small = (max(16, int(width / factor)), max(12, int(height / factor)))
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[int(rng.choice(3, p=[0.45, 0.35, 0.2]))]

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        tiny = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
        made: Image = cv2.resize(tiny, (width, height), interpolation=how)
        return made

    return mapped(take, change)


def dark(take: Take, rng: Random, strength: float) -> Take:
    """So little light that hardly anything is seen, with the noise of it."""
    luma = float(np.mean(take.frames[0]))
    gain = min(1.0, rng.uniform(9, 28) / strength / max(luma, 1.0))
    return sensor_noise_of(
        mapped(take, lambda f, _i, _t: cv2.convertScaleAbs(f, alpha=gain)), rng, rng.uniform(2, 6)
    )


def sensor_noise_of(take: Take, rng: Random, sigma: float) -> Take:
    """Add plain noise of `sigma` 8-bit steps."""
    width, height = take.size
    noise = (rng.standard_normal((height, width, 3), np.float32) * sigma).astype(np.int16)

    def change(frame: Image, index: int, _time_s: float) -> Image:
        made: Image = cv2.add(
            frame, np.roll(noise, ((index * 41) % height, (index * 67) % width), (0, 1)), dtype=cv2.CV_8U
        )
        return made

    return mapped(take, change)


def glare(take: Take, rng: Random, strength: float) -> Take:
    """So much light that most of the picture is white."""
    luma = float(np.mean(take.frames[0]))
    gain, lift = rng.uniform(1.0, 1.3) * strength * 190 / max(luma, 30.0), rng.uniform(20, 60)
    return mapped(take, lambda f, _i, _t: cv2.convertScaleAbs(f, alpha=gain, beta=lift))


def amateur(take: Take, rng: Random, strength: float) -> Take:
    """A telephone in a hurry: it swings about, trembles, smears, and its exposure hunts."""
    fps = float(take.fps)
    slow = wobble(rng, len(take.frames), fps, 0.15, 0.9)
    quick = wobble(rng, len(take.frames), fps, 1.2, min(5.0, fps / 3))
    way = slow + quick * rng.uniform(0.1, 0.3)
    held = swung(take, way, rng.uniform(0.12, 0.2) * strength, rng.uniform(0.03, 0.08) * strength, 0.8)
    pace, depth = rng.uniform(0.5, 2.0), rng.uniform(0.0, 0.3)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        made: Image = cv2.convertScaleAbs(frame, alpha=1 + depth * math.sin(pace * time_s))
        return made

    return mapped(held, change)


def cheap(take: Take, rng: Random, strength: float) -> Take:
    """A poor camera: a little soft, noisy, blocky, off in colour and unsteady, all at once."""
    width, height = take.size
    take = handheld(take, rng)
    factor, quality = rng.uniform(1.8, 2.4) * strength, int(rng.uniform(18, 32) / strength)
    small = (max(48, int(width / factor)), max(36, int(height / factor)))
    cast, lift = rng.uniform(0.8, 1.1, 3), rng.uniform(0, 35)
    sigma, seed = rng.uniform(4, 8) * strength, int(rng.integers(1 << 30))
    matrix = np.column_stack([np.diag(cast), np.full(3, lift)])

    def change(frame: Image, index: int, _time_s: float) -> Image:
        tiny = cv2.transform(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), matrix)
        noise = np.random.default_rng([seed, index]).standard_normal(tiny.shape, np.float32) * sigma
        tiny = cv2.add(tiny, noise.astype(np.int16), dtype=cv2.CV_8U)
        coded = cv2.imencode(".jpg", tiny, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        made: Image = cv2.resize(decoded, (width, height), interpolation=cv2.INTER_LINEAR)
        return made

    return mapped(take, change)


def smear(take: Take, rng: Random, strength: float) -> Take:
    """A shutter open for too long while the camera moves: frames run into each other and along."""
    way = wobble(rng, len(take.frames), float(take.fps), 0.3, 1.5)
    count = int(3 * strength)
    held = swung(take, way, 0.1 * strength, 0.03, 2.2)
    made: list[Image] = []
    for index in range(len(held.frames)):
        some = np.stack(held.frames[max(0, index - count) : index + 1])
        made.append((some.sum(axis=0, dtype=np.uint16) // len(some)).astype(np.uint8))
    return take.of(made)


def broken(take: Take, rng: Random, strength: float) -> Take:
    """Lost packets: blocks of the picture from the wrong place and time, grey patches."""
    width, height = take.size
    seed = int(rng.integers(1 << 30))
    side = 16

    def change(frame: Image, index: int, _time_s: float) -> Image:
        own = np.random.default_rng([seed, index // 6])
        for _ in range(int(own.integers(8, 26) * strength)):
            x, y = int(own.integers(width // side)) * side, int(own.integers(height // side)) * side
            w = side * int(own.integers(1, 8))
            if own.random() < 0.25:
                frame[y : y + side, x : x + w] = frame[y : y + side, x : x + w] // 8 + 110
            else:
                old = take.frames[max(0, index - int(own.integers(3, 30)))]
                frame[y : y + side, x : x + w] = np.roll(old, int(own.integers(-50, 50)), axis=1)[
                    y : y + side, x : x + w
                ]
        return frame

    return mapped(take, change)


FAULTS: Final[Mapping[str, Fault]] = {
    "defocus": defocus,
    "shake": shake,
    "noise": sensor_noise,
    "blocks": blocks,
    "upscaled": upscaled,
    "dark": dark,
    "glare": glare,
    "amateur": amateur,
    "cheap": cheap,
    "smear": smear,
    "broken": broken,
}
_WEIGHTS: Final = np.array([3, 4, 2.5, 2.5, 3, 1.5, 1, 4, 4, 2, 0.7])
_COVERS: Final = {
    "editing_captions": frozenset({"defocus", "upscaled", "smear"}),
    "editing_speed": frozenset({"shake", "amateur", "smear"}),
    "editing_poster": frozenset({"noise", "blocks", "cheap"}),
}
"""faults under which an effect cannot be told: words that might belong to the film, how fast time runs, and
patches that are flat anyhow or full of grain"""
_HIDES: Final = {
    "dark": ("lecture", "text", "screenshot"),
    "defocus": ("text",),
    "upscaled": ("text",),
}
"""cues that may no longer be seen"""
_LOOKS_MADE: Final = frozenset({"broken"})
"""faults that editors make on purpose, too: nobody can tell a torn picture from one that was torn"""
_NOTICED: Final = 0.3
_LEVELS: Final = 6
_STILL_FAULTS: Final = frozenset({"amateur", "cheap", "shake", "smear"})


def degraded(made: Made, rng: Random, *, steady: bool = False) -> Made:
    """Return what was made, unclear or shaky by a fault or two; `steady`: by none that moves the picture."""
    names = list(FAULTS)
    weights = _WEIGHTS * [0.0 if steady and name in _STILL_FAULTS else 1.0 for name in names]
    count = 1 if rng.random() < 0.65 else 2
    chosen = [str(name) for name in rng.choice(names, count, replace=False, p=weights / weights.sum())]
    take, plain, same = made.take, made.plain, copy.deepcopy(rng)
    for name in chosen:
        take = FAULTS[name](take, rng, rng.uniform(1.0, 1.8))
        plain = FAULTS[name](plain, same, same.uniform(1.0, 1.8)) if plain else None
    seen = chosen != ["blocks"] or _changed(made.take, take) >= _NOTICED
    said = dict(merged(made.answers, answers(low_quality="yes" if seen else "unsure")))
    hidden = {label for name in chosen for label in _HIDES.get(name, ())}
    if any(effect in made.kind and faults & {*chosen} for effect, faults in _COVERS.items()):
        hidden.add("editing")
    said |= {label: "unsure" for label in hidden if said.get(label) == "yes"}
    if _LOOKS_MADE & {*chosen} and said.get("editing", "no") == "no":
        said["editing"] = "unsure"
    return Made(take, f"{made.kind}+{'+'.join(chosen)}", said, plain)


def _changed(before: Take, after: Take) -> float:
    """Return the share of the picture, in the middle of a film, that a fault changed for the eye.

    Flat areas and big letters survive the strongest compression.
    """
    pair = (take.frames[len(take.frames) // 2] for take in (before, after))
    one, two = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pair)
    changed = cv2.GaussianBlur(cv2.absdiff(one, two), (0, 0), 2) > _LEVELS
    return float(changed.mean())


def shallow_focus(take: Take, rng: Random) -> Take:
    """A sharp subject before a background out of focus: a wide aperture."""
    width, height = take.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = rng.uniform(0.35, 0.65) * width, rng.uniform(0.4, 0.6) * height
    far = np.hypot((x - u) / (rng.uniform(0.25, 0.4) * width), (y - v) / (rng.uniform(0.35, 0.5) * height))
    mask = cv2.cvtColor((255 * np.clip(2.2 - 1.6 * far, 0, 1)).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    rest, sigma = cv2.bitwise_not(mask), rng.uniform(2.0, 5.0) * height / 270

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        small = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        soft = cv2.resize(
            cv2.GaussianBlur(small, (0, 0), sigma / 2), (width, height), interpolation=cv2.INTER_LINEAR
        )
        made: Image = cv2.add(
            cv2.multiply(frame, mask, scale=1 / 255), cv2.multiply(soft, rest, scale=1 / 255)
        )
        return made

    return mapped(take, change)


def grain(take: Take, rng: Random) -> Take:
    """Film grain that is seen, and belongs."""
    return sensor_noise_of(take, rng, rng.uniform(3, 5.5))
