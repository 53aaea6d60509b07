"""Screens full of something alive: games with their displays, calls."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import View
from curate.footage.textures import Color
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import bright, card, paste, phrase, put
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.takes import Made, Random, answers
from filters.labels.synthesis.widgets import (
    box,
    draw_theme,
    icon,
    paint,
)

__all__ = ["game", "video_call"]


def game(base: Base, rng: Random) -> Made:
    """A game: a scene with bars, a small map, figures, a sight, perhaps the player in a corner."""
    width, height = base.one.size
    theme = draw_theme(rng, height)
    accent: Color = bright(rng)
    level, coins = rng.uniform(0.3, 1.0), int(rng.integers(0, 9000))
    sight, little_map, hotbar = rng.random() < 0.5, rng.random() < 0.7, rng.random() < 0.6
    bars = [bright(rng) for _ in range(int(rng.integers(1, 4)))]
    player = person(rng, int(0.2 * height)) if rng.random() < 0.35 else None
    chart = (
        cv2.resize(base.two.frames[0], (int(0.24 * height), int(0.24 * height)), interpolation=cv2.INTER_AREA)
        // 2
        + 40
    )
    tray = np.zeros((int(0.09 * height), int(0.09 * height) * 6, 3), np.uint8) + 40
    for n in range(6):
        icon(tray, rng, n * tray.shape[0] + 2, 2, tray.shape[0] - 5, round_px=1)
    flat, wide = rng.random() < 0.4, min(0.3 * width, 0.5 * height)
    words = [
        card([phrase(rng, 2)], theme.body_px * 1.3, "DejaVuSans-Bold", (1, 1, 1), outline=(0, 0, 0))
        for _ in range(3)
    ]
    made = []
    for index, time_s in base.one.times():
        frame = base.one.frames[index].copy()
        if flat:  # rendered worlds have fewer tones
            frame = cv2.bilateralFilter(frame, 5, 40, 3) // 24 * 24 + 12
        for n, color in enumerate(bars):
            y = (0.04 + 0.045 * n) * height
            box(frame, 0.03 * width, y, 0.03 * width + wide, y + 0.03 * height, (0.1, 0.1, 0.1), round_px=2)
            full = max(0.05, level - 0.06 * n - 0.1 * (time_s % 3) / 3)
            box(
                frame,
                0.03 * width + 1,
                y + 1,
                0.03 * width + wide * full,
                y + 0.03 * height - 1,
                color,
                round_px=2,
            )
        put(
            frame,
            f"{coins + int(time_s * 7) * 10:05d}",
            (0.97 * width, 0.03 * height),
            theme.body_px * 1.6,
            (1, 1, 0.8),
            "DejaVuSansMono-Bold",
            anchor=1.0,
        )
        if little_map:
            x, y, side = int(0.97 * width) - chart.shape[1], int(0.14 * height), chart.shape[0]
            frame[y : y + side, x : x + side] = chart
            cv2.rectangle(frame, (x, y), (x + side, y + side), paint(accent), 2)
            dot = (
                int(x + side * (0.5 + 0.3 * math.sin(time_s))),
                int(y + side * (0.5 + 0.3 * math.cos(0.7 * time_s))),
            )
            cv2.circle(frame, dot, 3, (250, 60, 40), -1, cv2.LINE_AA)
        if sight:
            middle, reach = (width // 2, height // 2), height // 24
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                one = (middle[0] + dx * reach // 3, middle[1] + dy * reach // 3)
                cv2.line(
                    frame,
                    one,
                    (middle[0] + dx * reach, middle[1] + dy * reach),
                    (255, 255, 255),
                    1,
                    cv2.LINE_AA,
                )
        if hotbar:
            x, y = (width - tray.shape[1]) // 2, height - tray.shape[0] - 4
            if x >= 0:
                frame[y : y + tray.shape[0], x : x + tray.shape[1]] = tray
        if 0.8 < time_s % 2.2 < 1.6:
            word = words[int(time_s / 2.2) % 3]
            paste(frame, word, ((width - word.shape[1]) / 2, 0.28 * height - 12 * (time_s % 2.2)))
        if player is not None:
            small = np.full((int(0.26 * height), int(0.3 * height), 3), 60, np.uint8)
            draw_person(small, player, Pose((0, 0.25), 0.8, talks=0.8), time_s, View())
            frame[-small.shape[0] - 4 : -4, 4 : 4 + small.shape[1]] = small
        made.append(frame)
    return Made(base.one.of(made), "screen_game", answers(screenshot="yes", editing="unsure"))


def video_call(base: Base, rng: Random) -> Made:
    """Faces in a grid of tiles with names and buttons."""
    width, height = base.one.size
    columns = 2 if width >= height else 1
    count = int(rng.integers(2, 5)) if columns == 2 else int(rng.integers(2, 4))
    rows = math.ceil(count / columns)
    w, h = width // columns - 6, int(0.88 * height) // rows - 6
    people = [person(rng, int(0.8 * min(h, w))) for _ in range(count)]
    walls = [tuple(int(v) for v in rng.integers(40, 220, 3)) for _ in range(count)]
    names = [phrase(rng, 1) for _ in range(count)]
    dark = int(rng.integers(20, 60))
    made = []
    for _, time_s in base.one.times():
        frame = np.full((height, width, 3), dark, np.uint8)
        for n, who in enumerate(people):
            x, y = 3 + (n % columns) * (w + 6), 3 + (n // columns) * (h + 6)
            tile = np.full((h, w, 3), walls[n], np.uint8)
            draw_person(
                tile,
                who,
                Pose((0, 0.28), 0.75 * min(1.0, w / h), talks=float(n == int(time_s / 2) % count)),
                time_s,
                View(),
            )
            put(tile, names[n], (4, h - 0.07 * height), 0.045 * height, (1, 1, 1), "DejaVuSans")
            frame[y : y + h, x : x + w] = tile
        for n, color in enumerate(((220, 60, 50), (80, 84, 90), (80, 84, 90), (80, 84, 90))):
            cv2.circle(
                frame,
                (int(width / 2 + (n - 1.5) * 0.09 * height), int(0.945 * height)),
                int(0.032 * height),
                color,
                -1,
                cv2.LINE_AA,
            )
        made.append(frame)
    return Made(
        base.one.of(made), "screen_call", answers(screenshot="yes", lecture="unsure", editing="unsure")
    )
