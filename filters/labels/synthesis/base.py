"""Clean base films: two takes of one rendered world, from which all variants of a source are made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from curate.footage.camera import Camera
from curate.footage.canvas import Size, View
from curate.footage.faults import Look, finisher
from curate.footage.film import Film, Shot, frames
from curate.footage.light import LIGHTS
from curate.footage.textures import Floats, Image
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.recordings import Recording
from filters.labels.synthesis.takes import Random, Take, mapped
from filters.labels.synthesis.things import things

__all__ = [
    "LIVE",
    "SIZES",
    "Base",
    "Format",
    "draw_format",
    "grade",
    "live",
    "photo",
    "recorded",
    "render_base",
]

SIZES: Final[tuple[Size, ...]] = (
    (176, 144), (256, 144), (320, 180), (320, 240), (426, 240), (426, 240), (480, 270), (480, 270),
    (512, 288), (640, 360),
    (480, 360), (400, 168), (640, 360), (426, 240), (480, 270), (180, 320), (240, 426), (270, 480),
    (320, 320),
)  # fmt: skip
LIVE: Final = (
    "aerial", "balls", "birds", "city", "clockwork", "cloth", "drive", "fire", "forest", "hands", "hills",
    "lake", "meadow", "reef", "sea", "street", "street", "things", "things", "things", "things", "things",
)  # fmt: skip
"""scenes in which something lives; streets have people and cars, which footage is full of"""
Weather: TypeAlias = Literal["", "rain", "snow"]
OWN: Final = "things"
"""the scene that is rendered here (`synthesis.things`)"""
_RATES: Final = (16, 20, 24, 25, 25, 30, 30)


@dataclass(frozen=True, slots=True)
class Format:
    """What all takes of a source share."""

    size: Size
    fps: Fraction
    frames: int


@dataclass(frozen=True, slots=True)
class Base:
    """Two clean takes of different scenes: what variants are made of, and what they are joined with."""

    one: Take
    two: Take


def draw_format(rng: Random) -> Format:
    """Return a frame size, a rate and a length of 3.2 to 5 s."""
    fps = int(rng.choice(_RATES))
    size = SIZES[int(rng.integers(len(SIZES)))]
    seconds = 3.2 + 1.8 * float(rng.beta(1, 2))
    return Format(size, Fraction(fps), math.ceil(seconds * fps))


def _look(rng: Random) -> Look:
    return Look(
        gain=rng.uniform(0.9, 1.3),
        gamma=rng.uniform(0.75, 1.2),
        warmth=rng.normal(0, 0.07),
        saturation=rng.uniform(0.55, 1.25) if rng.random() < 0.95 else 0.0,
        soft_px=rng.uniform(0.25, 0.75),
        vignette=rng.uniform(0, 0.35),
        grain=0,
    )


def _camera(rng: Random) -> Camera:
    start = View(
        rng.uniform(-0.25, 0.25), rng.uniform(-0.06, 0.06), 0.0, rng.uniform(1.0, 1.7), rng.normal(0, 0.012)
    )
    way = 1.0 if rng.random() < 0.5 else -1.0
    kind = rng.random()
    if kind < 0.3:
        return Camera("static", 0.0, start=start)
    if kind < 0.5:
        return Camera("pan", way * rng.uniform(0.01, 0.09), start=start)
    if kind < 0.56:
        return Camera("tilt", way * rng.uniform(0.008, 0.03), start=start)
    if kind < 0.7:
        return Camera("zoom", way * rng.uniform(0.02, 0.09), start=start)
    if kind < 0.78:
        return Camera("dolly", rng.uniform(0.02, 0.08), start=start)
    return Camera("handheld", rng.uniform(0.004, 0.018), start=start)


def grade(rng: Random) -> Floats:
    """Return a random matrix (3, 4) that mixes colours mildly, as cameras and colourists do."""
    turn = rng.normal(0, 0.1 if rng.random() < 0.8 else 0.35)
    # Rodrigues' rotation about the grey axis, mixed with the identity.
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    hue = math.cos(turn) * np.eye(3) + math.sin(turn) * cross + (1 - math.cos(turn)) * np.outer(axis, axis)
    mix = hue @ np.diag(rng.uniform(0.9, 1.1, 3))
    made: Floats = np.column_stack([mix, rng.normal(0, 4, 3)]).astype(np.float32)
    return made


def live(
    rng: Random,
    form: Format,
    *,
    scenes: tuple[str, ...] = LIVE,
    camera: Camera | None = None,
    lights: tuple[str, ...] = tuple(LIGHTS),
) -> Take:
    """Return a clean take of a living scene, drawn from `rng`."""
    scene = str(rng.choice(scenes))
    move = _camera(rng) if camera is None else camera
    falls = 0.0 if scene in ("fire", "reef") else rng.random()
    weather: Weather = "rain" if falls > 0.93 else "snow" if falls > 0.86 else ""
    shot = Shot(
        scene,
        form.frames,
        seed=int(rng.integers(1, 100_000)),
        light=str(rng.choice(lights)),
        weather=weather,
        camera=move,
        look=_look(rng),
        start_s=rng.uniform(0, 20),
        speed=rng.uniform(0.7, 1.6),
    )
    matrix, flip = grade(rng), rng.random() < 0.5
    made = []
    for frame in _things(shot, form) if scene == OWN else frames(Film((shot,), size=form.size, fps=form.fps)):
        colored: Image = cv2.transform(frame, matrix)
        made.append(cv2.flip(colored, 1) if flip else colored)
    views = [move.view(float(index / form.fps), form.size) for index in range(form.frames)]
    if flip:
        views = [View(-view.x, view.y, view.z, view.zoom, -view.roll) for view in views]
    return Take(made, form.fps, views)


def _things(shot: Shot, form: Format) -> Iterator[Image]:
    """Yield the frames of a shot of the scene that is no film's."""
    scene, finish = (
        things(form.size, shot.seed, LIGHTS[shot.light]),
        finisher(shot.look, form.size, shot.seed),
    )
    for index in range(form.frames):
        time_s = float(index / form.fps)
        view = shot.camera.view(time_s, form.size)
        yield finish(scene(shot.start_s + shot.speed * time_s, view), index)


def photo(rng: Random, form: Format) -> Image:
    """Return one picture of a scene, at the size of `form`."""
    picture: Image = live(rng, Format(form.size, form.fps, 1)).frames[0]
    return picture


def render_base(rng: Random, form: Format) -> Base:
    """Return the two takes of a source; people walk through three in ten."""
    takes = [live(rng, form), live(rng, form)]
    return Base(*(peopled(take, rng) if rng.random() < 0.3 else take for take in takes))


def peopled(take: Take, rng: Random) -> Take:
    """Return a take with people in it who walk, wave and turn, far or near."""
    width, height = take.size
    some = []
    for _ in range(int(rng.integers(1, 4))):
        scale = rng.uniform(0.08, 0.4)
        some.append(
            (scale, person(rng, int(height * scale), printed=rng.random() < 0.2), rng.uniform(-1, 1, 4))
        )
    some.sort(key=lambda one: one[0])

    def change(frame: Image, index: int, time_s: float) -> Image:
        view = take.views[index] if take.views else View()
        for scale, who, (a, b, c, d) in some:
            pace = 0.45 * c / (0.4 + scale)
            x = ((1.2 * a + pace * time_s + 1.5) % 3.0 - 1.5) * 0.5 * width / height
            step = 5.5 * abs(pace) / 0.5 * time_s
            pose = Pose(
                (x, 0.28 - 0.9 * scale + 0.08 * b),
                scale,
                talks=0.5 * (d > 0.5),
                sway=1 + abs(d),
                arms=abs(d),
                legs=step + 9 * d,
                turn=0.2 * d * math.sin(2 * time_s),
            )
            draw_person(frame, who, pose, time_s, View(0.6 * view.x, view.y, 0, 1.0, view.roll))
        return frame

    return mapped(take, change)


def recorded(take: Take, rng: Random, *, grain: float | None = None) -> Take:
    """Return the take as one camera and one codec before ours left it: softness, tone and grain at random.

    Every variant goes through here, whatever it shows, so that neither noise nor sharpness tells the label.
    """
    camera = _Camera(rng, grain)
    return replace(take, frames=Recording(take.frames, camera, alike=not camera.level))


class _Camera:
    """What one camera does to every frame."""

    def __init__(self, rng: Random, grain: float | None) -> None:
        self._sigma = rng.uniform(0.35, 0.75) if rng.random() < 0.22 else 0.0
        self.level = (rng.gamma(2.0, 0.9) if rng.random() < 0.6 else 0.0) if grain is None else grain
        tone = (np.arange(256) / 255) ** rng.uniform(0.82, 1.14) * rng.uniform(0.95, 1.05)
        curve = rng.uniform(0.0, 0.7)  # of a curve in the shape of an S: contrast, as cameras add it
        tone = (1 - curve) * tone + curve * tone**2 * (3 - 2 * np.minimum(tone, 1))
        self._lut = np.clip(tone * 255 + rng.uniform(-4, 6), 0, 255).astype(np.uint8)
        self._quality = int(rng.integers(35, 85)) if rng.random() < 0.15 else 0
        self._soft, self._seed = rng.uniform(0.4, 0.9), int(rng.integers(1 << 30))
        self._tiles: list[npt.NDArray[np.int16]] = []

    def __call__(self, frame: Image, index: int) -> Image:
        """Return what it makes of a frame."""
        image: Image = cv2.LUT(frame, self._lut)
        if self._sigma:
            image = cv2.GaussianBlur(image, (0, 0), self._sigma)
        if self._quality:
            coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])[1]
            image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        if self.level:
            height, width = frame.shape[:2]
            tile = self._tile(height, width, index % 3)
            noise = np.roll(tile, ((index * 37) % height, (index * 53) % width), axis=(0, 1))
            image = cv2.add(image, noise, dtype=cv2.CV_8U)
        return image

    def _tile(self, height: int, width: int, number: int) -> npt.NDArray[np.int16]:
        while len(self._tiles) <= number:
            own = np.random.default_rng([self._seed, len(self._tiles)])
            gray = own.standard_normal((height, width, 1), np.float32)
            noise = np.repeat(gray, 3, axis=2) + 0.4 * own.standard_normal((height, width, 3), np.float32)
            noise = cv2.GaussianBlur(noise, (0, 0), self._soft)
            self._tiles.append((noise * (self.level / noise.std())).round().astype(np.int16))
        return self._tiles[number]
