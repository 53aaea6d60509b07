"""From a list of shots to frames and to the truth about them.

A film is data: shots, each with a scene, a camera and a look, and what joins them. `frames` renders it one
frame at a time, `truth` says what is in it without rendering; both walk the same `spans`. During a gradual
transition both shots go on: the one before beyond its last pure frame, the one after up to its first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np

from curate.footage import creatures, elements, faces, landscapes, pages, screens, streets, tabletop
from curate.footage.camera import STILL, Camera
from curate.footage.canvas import Scene, Size, Sprite, View, fill, place
from curate.footage.faults import Fault, Look, finisher
from curate.footage.light import LIGHTS, Light
from curate.footage.textures import Image
from curate.footage.transitions import JoinKind, mix

__all__ = ["SCENES", "Film", "Join", "Shot", "Span", "build_scene", "frames", "spans"]

Builder: TypeAlias = Callable[[Size, int, Light], Scene]

SCENES: Final[Mapping[str, Builder]] = {
    "aerial": streets.aerial,
    "balls": tabletop.balls,
    "birds": creatures.birds,
    "city": streets.city,
    "clockwork": tabletop.clockwork,
    "cloth": elements.cloth,
    "desktop": screens.desktop,
    "drive": streets.drive,
    "fire": elements.fire,
    "forest": landscapes.forest,
    "hands": tabletop.hands,
    "hills": landscapes.hills,
    "lake": landscapes.lake,
    "meadow": creatures.meadow,
    "page": pages.page,
    "reef": creatures.reef,
    "sea": landscapes.sea,
    "slides": pages.slides,
    "street": streets.street,
    "talker": faces.talker,
}
STILL_SCALE: Final = 1.5
"""how much larger than the frame a still is that the camera moves over"""


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot: `frames` counts those that no transition touches."""

    scene: str
    frames: int
    seed: int = 1
    light: str = "noon"
    weather: Literal["", "rain", "snow"] = ""
    camera: Camera = STILL
    look: Look = field(default_factory=Look)
    start_s: float = 0.0
    """where on the scene's clock it begins"""
    speed: float = 1.0
    """of the scene's clock: slow or fast motion"""
    faults: tuple[Fault, ...] = ()
    still: bool = False
    """a photograph of the scene that the camera moves over: no parallax, nothing in it moves"""
    hold: tuple[int, int] | None = None
    """frames [a, b) that repeat frame a exactly"""


@dataclass(frozen=True, slots=True)
class Join:
    """What lies between two shots: `frames` of a gradual transition, none for a cut."""

    kind: JoinKind = "cut"
    frames: int = 0


CUT: Final = Join()


@dataclass(frozen=True, slots=True)
class Film:
    """Shots and joins. `opening` and `closing` are fades from and to a plain colour at the ends."""

    shots: tuple[Shot, ...]
    joins: tuple[Join, ...] = ()
    """one between each two shots; all cuts when it is empty"""
    opening: Join = CUT
    closing: Join = CUT
    size: Size = (480, 270)
    fps: Fraction = Fraction(25)
    rhythm: tuple[int, ...] = (1,)
    """how many ticks of 1/fps each frame lasts, over and over: variable frame rate"""
    post: tuple[Fault, ...] = ()
    """over the whole film, after the transitions"""

    def between(self) -> tuple[Join, ...]:
        """Return the joins between the shots."""
        return self.joins or (CUT,) * (len(self.shots) - 1)

    def total(self) -> int:
        """Return how many frames the film has."""
        every = (self.opening, *self.between(), self.closing)
        return sum(shot.frames for shot in self.shots) + sum(join.frames for join in every)

    def ticks(self) -> list[int]:
        """Return when each frame is shown, in ticks of 1/fps, and the end."""
        at = [0]
        for index in range(self.total()):
            at.append(at[-1] + self.rhythm[index % len(self.rhythm)])
        return at


@dataclass(frozen=True, slots=True)
class Span:
    """Where a shot's pure frames lie, and what joins it to its neighbours (None at the film's ends)."""

    shot: Shot
    start_frame: int
    end_frame: int
    before: Join | None
    after: Join | None

    @property
    def visible(self) -> tuple[int, int]:
        """Frames [a, b) in which anything of the shot shows."""
        lead = self.before.frames if self.before else 0
        tail = self.after.frames if self.after else 0
        return self.start_frame - lead, self.end_frame + tail


def spans(film: Film) -> tuple[Span, ...]:
    """Return where each shot lies."""
    if len(film.between()) != len(film.shots) - 1:
        raise ValueError("a film has one join between each two shots")
    ends = [
        film.opening if film.opening.frames else None,
        *film.between(),
        film.closing if film.closing.frames else None,
    ]
    at, found = 0, []
    for shot, (before, after) in zip(film.shots, pairwise(ends), strict=True):
        at += before.frames if before else 0
        found.append(Span(shot, at, at + shot.frames, before, after))
        at += shot.frames
    return tuple(found)


@lru_cache(maxsize=3)
def build_scene(name: str, size: Size, seed: int, light: str, weather: str) -> Scene:
    """Return the scene, built once for the shots that share it."""
    scene = SCENES[name](size, seed, LIGHTS[light])
    if weather == "rain":
        return creatures.with_rain(scene, size, seed)
    return creatures.with_snow(scene, size, seed) if weather == "snow" else scene


def _smear(frame: Image, one: View, two: View, size: Size) -> Image:
    """Return `frame` with the blur of half a frame time's camera motion, along its stronger axis."""
    x, y = (two.x - one.x) * size[1] / 2, (two.y - one.y) * size[1] / 2
    length = round(max(abs(x), abs(y)))
    if length < 2:
        return frame
    smeared: Image = cv2.blur(frame, (length, 1) if abs(x) >= abs(y) else (1, length))
    return smeared


def _recorder(shot: Shot, size: Size, times_s: list[float], first: int) -> Callable[[int], Image]:
    """Return the function from a frame's number in the film to the frame that `shot` gives for it.

    `first` is the film's frame in which the shot begins to show.
    """
    finish = finisher(shot.look, size, shot.seed)
    shown = size if not shot.still else (int(size[0] * STILL_SCALE), int(size[1] * STILL_SCALE))
    scene = build_scene(shot.scene, shown, shot.seed, shot.light, shot.weather)
    photo = Sprite(scene(shot.start_s, View()), shown[1] / STILL_SCALE) if shot.still else None

    def record(number: int) -> Image:
        index = number - first
        if shot.hold and shot.hold[0] <= index < shot.hold[1]:
            index = shot.hold[0]
        time_s = times_s[first + index] - times_s[first]
        view = shot.camera.view(time_s, size)
        if photo:
            frame = fill(size, photo, place(photo, view, size))
        else:
            frame = scene(shot.start_s + shot.speed * time_s, view)
        frame = finish(_smear(frame, view, shot.camera.view(time_s + times_s[1], size), size), index)
        for fault in shot.faults:
            frame = fault(frame, index, time_s)
        return frame

    return record


def frames(film: Film) -> Iterator[Image]:
    """Yield the film's frames, RGB uint8 (H, W, 3)."""
    ticks = film.ticks()
    times_s = [float(tick / film.fps) for tick in ticks]
    plain = np.zeros((film.size[1], film.size[0], 3), np.uint8)
    held: tuple[Shot, int, Image] | None = None
    layout = spans(film)
    recorders: dict[int, Callable[[int], Image]] = {}
    for number in range(film.total()):
        showing = [n for n, span in enumerate(layout) if span.visible[0] <= number < span.visible[1]]
        for gone in set(recorders) - set(showing):
            del recorders[gone]
        pictures = []
        for n in showing:
            span = layout[n]
            if n not in recorders:
                recorders[n] = _recorder(span.shot, film.size, times_s, span.visible[0])
            index = number - span.visible[0]
            hold = span.shot.hold
            if hold and hold[0] < index < hold[1] and held and held[:2] == (span.shot, n):
                pictures.append(held[2].copy())
                continue
            pictures.append(recorders[n](number))
            if hold and index == hold[0]:
                held = (span.shot, n, pictures[-1].copy())
        frame = _joined(layout, showing, pictures, number, plain)
        for fault in film.post:
            frame = fault(frame, number, times_s[number])
        yield frame


def _joined(
    layout: tuple[Span, ...], showing: list[int], pictures: list[Image], number: int, plain: Image
) -> Image:
    """Return the frame that the shots showing make together."""
    if len(pictures) == 2:
        join = layout[showing[0]].after
        begin = layout[showing[0]].end_frame
        assert join is not None
        return mix(join.kind, pictures[0], pictures[1], (number - begin + 1) / (join.frames + 1))
    span = layout[showing[0]]
    if number < span.start_frame and span.before:  # the opening fade: the second half of a dip
        part = 0.5 + 0.5 * (number + 1) / (span.before.frames + 1)
        return mix(span.before.kind, plain, pictures[0], part)
    if number >= span.end_frame and span.after:
        part = 0.5 * (number - span.end_frame + 1) / (span.after.frames + 1)
        return mix(span.after.kind, pictures[0], plain, min(part, 0.499))
    return pictures[0]
