"""Screens that stand in a room or lie in a hand, and drawings that move: no recordings of a screen."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Sprite, View, fill, place
from curate.footage.textures import Image, plaster, to_image, wood
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.desktops import application
from filters.labels.synthesis.holding import wobble
from filters.labels.synthesis.lettering import bright
from filters.labels.synthesis.phones import phone_screen
from filters.labels.synthesis.takes import Made, Random, answers, drawn, floats, mapped, muted, px

__all__ = ["cartoon", "monitor", "phone_in_hand"]


def _onto(frame: Image, screen: Image, corners: np.ndarray) -> None:
    """Lay a screen onto the quadrilateral `corners` (4, 2) px of a frame, in place."""
    height, width = screen.shape[:2]
    source = floats([[0, 0], [width, 0], [width, height], [0, height]])
    matrix = cv2.getPerspectiveTransform(source, floats(corners))
    size = (frame.shape[1], frame.shape[0])
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size)
    laid = cv2.warpPerspective(screen, matrix, size)
    keep = cv2.cvtColor(cv2.bitwise_not(mask), cv2.COLOR_GRAY2RGB)
    frame[:] = cv2.add(cv2.multiply(frame, keep, scale=1 / 255), laid)


def monitor(base: Base, rng: Random) -> Made:
    """A monitor, a laptop or a television in a room, looked at askew by a camera that moves."""
    width, height = base.one.size
    seed = int(rng.integers(1 << 30))
    film = rng.random() < 0.35
    screens = base.two.frames if film else application(base, rng).take.frames
    wall = plaster((int(1.5 * height), int(1.6 * width)), seed, color=muted(rng, 0.2, 0.9))
    desk = wood((int(0.6 * height), wall.shape[1]), seed + 1, tint=muted(rng, 0.2, 0.8))
    top = int(wall.shape[0] * rng.uniform(0.66, 0.76))
    wall[top:] = np.resize(desk, (desk.shape[0], wall.shape[1], 3))[: wall.shape[0] - top]
    back = to_image(np.clip(wall * rng.uniform(0.5, 1.0), 0, 1).astype(np.float32))
    for _ in range(int(rng.integers(2, 6))):  # what lies about
        x, wide = int(rng.integers(back.shape[1])), int(rng.uniform(0.05, 0.2) * height)
        tall = int(rng.uniform(0.06, 0.3) * height)
        cv2.rectangle(
            back,
            (x, top + 10 - tall),
            (x + wide, top + 10),
            tuple(int(v) for v in rng.integers(20, 220, 3)),
            -1,
        )
    room = Sprite(back, height)
    w, h = 0.5 * rng.uniform(0.75, 1.05), 0.5 * rng.uniform(0.48, 0.6)
    lean, tilt = rng.uniform(-0.3, 0.3), rng.uniform(-0.08, 0.08)
    corners = np.array(
        [
            [-w, -h * (1 - lean)],
            [w, -h * (1 + lean)],
            [w, h * (1 + lean) + tilt * w],
            [-w, h * (1 - lean) - tilt * w],
        ]
    )
    corners += (rng.uniform(-0.2, 0.2), -0.06)
    way = wobble(rng, len(base.one.frames), float(base.one.fps), 0.1, 1.2) * rng.uniform(0.01, 0.04)
    drift, rim = rng.uniform(-0.06, 0.06), rng.uniform(1.04, 1.12)
    glare = rng.uniform(0.75, 1.1)

    def change(index: int, time_s: float) -> Image:
        view = View(
            way[index, 0] + drift * time_s,
            way[index, 1],
            0,
            1 + 0.3 * abs(drift) * time_s,
            0.3 * way[index, 2],
        )
        made = fill((width, height), room, place(room, view, (width, height)))
        spun = (corners - (view.x, view.y)) * view.zoom * height + (width / 2, height / 2)
        center = spun.mean(axis=0)
        bezel = ((spun - center) * rim + center).astype(np.int32)
        foot = px(
            [
                (center[0] - 0.04 * height, center[1] + 0),
                (center[0] + 0.04 * height, center[1] + 0),
                (center[0] + 0.06 * height, center[1] + 0.45 * height),
                (center[0] - 0.06 * height, center[1] + 0.45 * height),
            ]
        )
        cv2.fillPoly(made, [foot], (40, 40, 44), cv2.LINE_AA)
        cv2.fillPoly(made, [bezel], (18, 18, 20), cv2.LINE_AA)
        _onto(made, cv2.convertScaleAbs(screens[index], alpha=glare), spun)
        return made

    return Made(drawn(base.one, change), "monitor_in_room", answers(static="unsure"))


def phone_in_hand(base: Base, rng: Random) -> Made:
    """A phone held before a living scene, its screen on."""
    width, height = base.one.size
    tall = rng.uniform(0.4, 0.75) * height * min(1.0, 1.3 * width / height)
    w, h = int(0.5 * tall) // 2 * 2 + 2, int(tall) // 2 * 2
    show, _ = phone_screen(rng, max(60, w), max(120, h), base)
    angle, skin = (
        rng.uniform(-0.4, 0.4),
        tuple(int(v) for v in floats([230, 180, 150]) * rng.uniform(0.35, 1.05)),
    )
    spot = np.array([rng.uniform(0.3, 0.7) * width, rng.uniform(0.45, 0.6) * height])
    way = wobble(rng, len(base.one.frames), float(base.one.fps), 0.2, 2.0) * rng.uniform(0.02, 0.06) * height
    soft = rng.uniform(0.5, 3.0) * height / 270

    def change(frame: Image, index: int, time_s: float) -> Image:
        frame = cv2.GaussianBlur(frame, (0, 0), soft)
        turn = angle + 0.05 * way[index, 2] / height * 20
        spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        lean = 0.06 * math.sin(0.8 * time_s)
        corners = np.array(
            [[-w / 2, -h / 2 * (1 - lean)], [w / 2, -h / 2 * (1 + lean)], [w / 2, h / 2], [-w / 2, h / 2]]
        )
        at = spot + way[index, :2]
        spun, rim = corners @ spin.T + at, (corners * 1.07) @ spin.T + at
        wrist = [
            ((np.array(p) * (w, h)) @ spin.T + at)
            for p in ((0.1, 0.4), (0.35, 0.9), (0.2, 2.2), (-0.5, 2.2), (-0.35, 0.6))
        ]
        cv2.fillPoly(frame, [px(wrist)], tuple(int(0.85 * v) for v in skin), cv2.LINE_AA)
        cv2.fillPoly(frame, [px(rim)], (16, 16, 18), cv2.LINE_AA)
        _onto(frame, show(index, time_s), spun)
        for n in range(4):
            one, two = (
                (np.array(p) * (w, h)) @ spin.T + at
                for p in ((0.62, 0.05 + 0.12 * n), (0.44, 0.03 + 0.12 * n))
            )
            cv2.line(frame, px(one).tolist(), px(two).tolist(), skin, max(3, int(0.09 * h)), cv2.LINE_AA)
        one, two = ((np.array(p) * (w, h)) @ spin.T + at for p in ((-0.66, 0.5), (-0.42, 0.05)))
        cv2.line(frame, px(one).tolist(), px(two).tolist(), skin, max(3, int(0.11 * h)), cv2.LINE_AA)
        return frame

    return Made(mapped(base.one, change), "phone_in_hand", answers())


def cartoon(base: Base, rng: Random) -> Made:
    """Flat drawings that move: hills, a sun, figures of simple shapes, outlines."""
    width, height = base.one.size
    sky, land = floats(bright(rng)) * 255, floats(bright(rng)) * 200
    shapes = [
        (int(rng.integers(3)), bright(rng), rng.uniform(-1, 1, 4), rng.uniform(0.05, 0.16))
        for _ in range(int(rng.integers(3, 8)))
    ]
    edge = rng.random() < 0.5
    way = rng.uniform(-0.12, 0.12)
    x = np.arange(width)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        frame[:] = sky.astype(np.uint8)
        for layer in range(3):
            line = height * (
                0.5
                + 0.13 * layer
                + 0.06 * np.sin(x / width * (5 + 3 * layer) + 2 * layer + way * time_s * 8 * (1 + layer))
            )
            outline = px([*np.stack([x, line], axis=1), (width, height), (0, height)])
            cv2.fillPoly(frame, [outline], tuple(float(v) for v in land * (0.5 + 0.25 * layer)), cv2.LINE_AA)
        for kind, color, (a, b, c, d), side in shapes:
            cx = int(width * ((0.5 + 0.5 * a + 0.18 * c * time_s) % 1.2 - 0.1))
            cy = int(height * (0.55 + 0.3 * b - 0.12 * abs(math.sin(3 * time_s * (1 + d * 0.4)))))
            r, tone = int(side * height), tuple(255 * v for v in color)
            if kind == 0:
                cv2.circle(frame, (cx, cy), r, tone, -1, cv2.LINE_AA)
            elif kind == 1:
                cv2.rectangle(frame, (cx - r, cy - r), (cx + r, cy + r), tone, -1)
            else:
                cv2.fillPoly(
                    frame, [px([(cx, cy - r), (cx + r, cy + r), (cx - r, cy + r)])], tone, cv2.LINE_AA
                )
            if edge:
                cv2.circle(frame, (cx, cy), r, (15, 15, 15), max(1, height // 120), cv2.LINE_AA)
            for side_ in (-1, 1):
                cv2.circle(
                    frame,
                    (cx + side_ * r // 3, cy - r // 5),
                    max(1, r // 5),
                    (255, 255, 255),
                    -1,
                    cv2.LINE_AA,
                )
                cv2.circle(
                    frame, (cx + side_ * r // 3, cy - r // 5), max(1, r // 10), (10, 10, 10), -1, cv2.LINE_AA
                )
        return frame

    return Made(mapped(base.one, change), "cartoon", answers(editing="unsure"))
