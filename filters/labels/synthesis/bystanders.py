"""Faces in moving scenes: people, but no lectures."""

from __future__ import annotations

import math

import cv2

from curate.footage.canvas import View, draw, place
from curate.footage.light import LIGHTS
from curate.footage.textures import Image
from filters.labels.synthesis.backdrops import backdrop, hold
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.takes import Made, Random, answers, drawn, floats, mapped
from filters.labels.synthesis.things import lump

__all__ = ["busy_face", "busy_hands", "crowd", "walking_person"]


def walking_person(base: Base, rng: Random) -> Made:
    """Somebody who walks through a living scene, near or far: a face, but no talk."""
    width, height = base.one.size
    scale = rng.uniform(0.1, 0.42)
    who = person(rng, int(height * scale), printed=rng.random() < 0.3)
    way = 1 if rng.random() < 0.5 else -1
    pace, start = rng.uniform(0.25, 0.6), rng.uniform(-0.9, -0.3)
    step = 6.0 * pace / max(scale, 0.15) * 0.35
    row = rng.uniform(-0.15, 0.15)
    near = rng.choice([0.0, rng.uniform(0.1, 0.5)])

    def change(frame: Image, index: int, time_s: float) -> Image:
        bob = 0.03 * scale * abs(math.sin(step * time_s * 2))
        grow = scale * (1 + near * time_s)
        at = (way * (start + pace * time_s) * width / height, row - bob)
        view = base.one.views[index] if base.one.views else View()
        pose = Pose(at=at, scale=grow, talks=0.2, sway=0.8, arms=0.35, legs=step * time_s)
        draw_person(frame, who, pose, time_s, View(0.3 * view.x, view.y, 0, 1.0, view.roll))
        return frame

    return Made(mapped(base.one, change), "walking_person", answers())


def crowd(base: Base, rng: Random) -> Made:
    """Many people who move about."""
    width, height = base.one.size
    some = []
    for _ in range(int(rng.integers(4, 9))):
        scale = rng.uniform(0.12, 0.28)
        some.append((scale, person(rng, int(height * scale)), rng.uniform(-1, 1, 3)))
    some.sort(key=lambda one: one[0])

    def change(frame: Image, _index: int, time_s: float) -> Image:
        for scale, who, (a, b, c) in some:
            x = ((a + 0.35 * (b + math.copysign(0.3, b)) * time_s + 1.3) % 2.6 - 1.3) * 0.6 * width / height
            y = 0.3 - 1.1 * (0.28 - scale) - 0.02 * abs(math.sin(6 * time_s + 9 * c))
            pose = Pose((x, y - 0.2), scale, talks=0.4, sway=2.5, arms=0.9, legs=5 * time_s + 9 * c)
            draw_person(frame, who, pose, time_s, View())
        return frame

    return Made(mapped(base.one, change), "crowd", answers())


def busy_face(base: Base, rng: Random) -> Made:
    """A face close up that dances, runs or turns while the camera and the world go round it."""
    width, height = base.one.size
    scale = rng.uniform(0.45, 0.9) * min(1.0, width / height + 0.2)
    who = person(rng, int(height * scale))
    hz, reach = rng.uniform(0.5, 1.1), rng.uniform(0.12, 0.3)
    total = len(base.one.frames)

    def change(index: int, time_s: float) -> Image:
        # The world goes by twice as fast behind: the camera goes with the head.
        world = base.two.frames[(2 * index) % total]
        shift = floats(
            [[1.5, 0, -0.25 * width + 0.2 * width * math.sin(2 * hz * time_s)], [0, 1.5, -0.25 * height]]
        )
        made: Image = cv2.warpAffine(world, shift, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        at = (
            reach * math.sin(6.3 * hz * time_s),
            0.3 * scale + 0.4 * reach * abs(math.sin(6.3 * hz * time_s + 1)),
        )
        grow = scale * (1 + 0.25 * math.sin(2.1 * hz * time_s))
        pose = Pose(at, grow, talks=0.3, sway=3.0, arms=1.0, turn=0.4 * math.sin(4 * hz * time_s))
        draw_person(made, who, pose, time_s, View())
        return made

    return Made(drawn(base.one, change), "busy_face", answers())


def busy_hands(base: Base, rng: Random) -> Made:
    """Somebody at work or at play: the hands and what they hold move far and fast, the mouth does not."""
    width, height = base.one.size
    scale = rng.uniform(0.3, 0.65) * min(1.0, width / height + 0.1)
    who = person(rng, int(height * scale))
    behind, views = backdrop(rng, base, living=0.4), hold(rng, base)
    tool, _ = lump(rng, int(height * scale * rng.uniform(1.0, 2.2)), LIGHTS["noon"])
    pace, reach = rng.uniform(1.4, 3.0), rng.uniform(0.15, 0.45)
    spot = (rng.uniform(-0.25, 0.25) * width / height, rng.uniform(-0.15, 0.1))
    own = int(rng.integers(100))

    def change(index: int, time_s: float) -> Image:
        made = behind(index, time_s, views[index])
        fast = pace * time_s
        lean = 0.4 * reach * math.sin(1.7 * fast + own)
        pose = Pose(
            (spot[0] + lean, spot[1]), scale, talks=0.1, sway=1.5, arms=1.2, turn=0.2 * math.sin(1.1 * fast)
        )
        draw_person(made, who, pose, fast, views[index])
        at = (
            spot[0] + lean + reach * scale * math.sin(2.3 * fast + own),
            spot[1] + scale * (0.75 + 0.5 * reach * math.sin(3.1 * fast)),
        )
        draw(made, tool, place(tool, views[index], (width, height), at=at, angle=0.8 * math.sin(2.3 * fast)))
        return made

    return Made(drawn(base.one, change), "busy_hands", answers())
