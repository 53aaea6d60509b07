"""Somebody talks and little else moves."""

from __future__ import annotations

import cv2
import numpy as np

from curate.footage.canvas import View, draw, place, sprite
from curate.footage.textures import Image, wood
from filters.labels.synthesis.backdrops import backdrop, hold, microphone, slide, still_backdrop
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import paste
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.takes import Made, Random, answers, color_of, drawn, floats, muted

__all__ = ["board_talk", "interview", "lectern", "talking_head", "webcam_slides"]


def talking_head(base: Base, rng: Random) -> Made:
    """Head and shoulders, or down to the hips with gestures, before almost any background."""
    height = base.one.size[1]
    scale = rng.uniform(0.32, 0.95)
    who = person(rng, int(height * scale))
    behind, views = backdrop(rng, base), hold(rng, base)
    narrow = min(1.0, base.one.size[0] / height)
    pose = Pose(
        at=(rng.uniform(-0.3, 0.3) * narrow, 0.36 * scale + rng.uniform(-0.28, 0.05) * (1.2 - scale)),
        scale=min(scale, 0.95 * narrow + 0.15),
        sway=rng.uniform(0.4, 1.5),
        arms=float(rng.choice([0.0, rng.uniform(0.3, 1.0)])),
    )
    mic = microphone(rng, height) if rng.random() < 0.25 else None
    spot = rng.uniform(0.3, 0.7) * base.one.size[0]

    def change(index: int, time_s: float) -> Image:
        made = behind(index, time_s, views[index])
        draw_person(made, who, pose, time_s, views[index])
        if mic is not None:
            paste(made, mic, (spot, 0.62 * height))
        return made

    return Made(drawn(base.one, change), "lecture_head", answers(lecture="yes"))


def interview(base: Base, rng: Random) -> Made:
    """Two people who talk by turns, at a table or side by side."""
    height = base.one.size[1]
    narrow = min(1.0, base.one.size[0] / height / 1.5)
    scale = rng.uniform(0.34, 0.5) * narrow
    pair = [person(rng, int(height * scale)) for _ in range(2)]
    behind, views = backdrop(rng, base, living=0.1), hold(rng, base)
    planks = wood(
        (height, int(1.5 * base.one.size[0])),
        int(rng.integers(1 << 30)),
        tint=muted(rng, 0.2, 0.8),
    )
    table = sprite(planks, np.ones(planks.shape[:2], np.float32), height)
    board = table if rng.random() < 0.5 else None
    spread = rng.uniform(0.36, 0.5) * narrow

    def change(index: int, time_s: float) -> Image:
        made = behind(index, time_s, views[index])
        speaker = int(time_s / 2.2) % 2
        for number, who in enumerate(pair):
            pose = Pose(
                at=(spread * (2 * number - 1), 0.05 + 0.02 * number),
                scale=scale,
                talks=float(number == speaker),
                sway=0.9,
                arms=0.6 * (number == speaker),
                turn=0.06 * (1 - 2 * number),
            )
            draw_person(made, who, pose, time_s, views[index])
        if board is not None:
            draw(made, board, place(board, views[index], base.one.size, at=(0, 0.86)), wide=True)
        return made

    return Made(drawn(base.one, change), "lecture_interview", answers(lecture="yes"))


def lectern(base: Base, rng: Random) -> Made:
    """Somebody on a stage or behind a desk, small or half length."""
    width, height = base.one.size
    scale = rng.uniform(0.16, 0.34)
    who = person(rng, int(height * scale))
    behind, views = backdrop(rng, base, living=0.05), hold(rng, base)
    spot = (rng.uniform(-0.35, 0.35) * width / height, rng.uniform(-0.1, 0.1))
    desk = rng.random() < 0.6
    tone = color_of(255 * floats(muted(rng, 0.08, 0.6)))

    def change(index: int, time_s: float) -> Image:
        made = behind(index, time_s, views[index])
        legs = None if desk else 0.0
        pose = Pose(at=spot, scale=scale, sway=1.2, arms=0.8, legs=legs)
        draw_person(made, who, pose, time_s, views[index])
        if desk:
            x, y = (
                width / 2 + (spot[0] - views[index].x) * height,
                height / 2 + (spot[1] + 0.75 * scale - views[index].y) * height,
            )
            half = 0.75 * scale * height
            cv2.rectangle(made, (int(x - half), int(y)), (int(x + half), height), tone, -1)
            cv2.rectangle(
                made,
                (int(x - 1.1 * half), int(y)),
                (int(x + 1.1 * half), int(y + 0.08 * half)),
                tuple(min(255.0, 1.3 * v) for v in tone),
                -1,
            )
        return made

    return Made(drawn(base.one, change), "lecture_stage", answers(lecture="yes"))


def board_talk(base: Base, rng: Random) -> Made:
    """Somebody beside a board, a screen or a slide, pointing at it."""
    width, height = base.one.size
    scale = rng.uniform(0.28, 0.5) * min(1.0, width / height)
    who = person(rng, int(height * scale))
    behind, views = backdrop(rng, base, living=0.0), hold(rng, base)
    w, h = int(width * rng.uniform(0.45, 0.62)), int(height * rng.uniform(0.5, 0.72))
    left = rng.random() < 0.5
    pages = [slide(rng, w, h) for _ in range(2)]
    turn_at = rng.uniform(1.0, 6.0)
    x = 0.04 * width if left else 0.96 * width - w
    at = ((0.27 if left else -0.27) * width / height, rng.uniform(-0.05, 0.15))

    def change(index: int, time_s: float) -> Image:
        made = behind(index, time_s, views[index])
        page = pages[int(time_s > turn_at)]
        board = np.dstack([page, np.full(page.shape[:2], 255, np.uint8)])
        paste(made, board, (x - views[index].x * height / 1.6, 0.1 * height - views[index].y * height / 1.6))
        draw_person(made, who, Pose(at=at, scale=scale, arms=0.7), time_s, views[index])
        return made

    return Made(drawn(base.one, change), "lecture_board", answers(lecture="yes", text="unsure"))


def webcam_slides(base: Base, rng: Random) -> Made:
    """A talk's slides full size, the lecturer in a corner."""
    width, height = base.one.size
    share = rng.uniform(0.2, 0.32)
    w, h = int(width * share), int(height * share)
    who = person(rng, int(0.8 * h))
    wall = cv2.resize(still_backdrop(rng, base), (w, h), interpolation=cv2.INTER_AREA)
    pages = [slide(rng, width, height) for _ in range(2)]
    turn_at = rng.uniform(1.0, 6.0)
    x = int(rng.choice([0.02, 0.98 - share]) * width)
    y = int(rng.choice([0.03, 0.97 - share]) * height)

    def change(_index: int, time_s: float) -> Image:
        made = pages[int(time_s > turn_at)].copy()
        small = wall.copy()
        draw_person(small, who, Pose(at=(0.0, 0.25), scale=0.75, sway=0.8), time_s, View())
        made[y : y + h, x : x + w] = small
        return made

    return Made(
        drawn(base.one, change),
        "lecture_webcam",
        answers(lecture="yes", text="unsure", screenshot="unsure", editing="unsure", static="unsure"),
    )
