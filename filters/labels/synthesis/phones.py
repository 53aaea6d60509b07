"""Recordings of a phone's screen, upright or between bars in a wide frame."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from curate.footage.textures import Image
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import bright, phrase, put, sentences
from filters.labels.synthesis.takes import Made, Random, answers, ease, floats, tones
from filters.labels.synthesis.widgets import Theme, article, box, draw_theme, icon, mail, wallpaper

__all__ = ["phone", "phone_screen"]

Screen = Callable[[int, float], Image]


def _status(frame: Image, theme: Theme, clock: str) -> None:
    height, width = frame.shape[:2]
    put(frame, clock, (0.06 * width, 0.008 * height), 0.022 * height, theme.ink, "DejaVuSans-Bold")
    for n in range(3):
        x = width * (0.84 + 0.045 * n)
        box(frame, x, 0.014 * height, x + 0.03 * width, 0.026 * height, theme.ink, round_px=1)


def _chat(rng: Random, theme: Theme, width: int, height: int) -> Screen:
    """Messages in bubbles that come one by one, over a keyboard."""
    page = np.zeros((3 * height, width, 3), np.uint8)
    page[:] = tones(theme.paper)
    body, y, ends = 0.026 * height, 0.02 * height, []
    while y < 2.6 * height:
        mine = rng.random() < 0.5
        lines = [
            line for line in sentences(rng, int(0.6 * width / (0.56 * body)), int(rng.integers(1, 4))) if line
        ] or ["ok"]
        wide, tall = 0.68 * width, (len(lines) * 1.35 + 0.8) * body
        x = 0.96 * width - wide if mine else 0.04 * width
        box(page, x, y, x + wide, y + tall, theme.accent if mine else theme.panel, round_px=int(0.6 * body))
        for n, line in enumerate(lines):
            put(
                page,
                line,
                (x + 0.6 * body, y + (0.4 + 1.35 * n) * body),
                body,
                (1, 1, 1) if mine else theme.ink,
                theme.face,
            )
        y += tall + 0.5 * body
        ends.append(y)
    keys = rng.random() < 0.6
    low = 0.62 if keys else 0.93
    board = _keyboard(theme, width, int(0.36 * height)) if keys else None
    every, first = rng.uniform(0.6, 1.4), int(rng.integers(4, 8))

    def render(_index: int, time_s: float) -> Image:
        frame = np.zeros((height, width, 3), np.uint8)
        number = first + int(time_s / every)
        before, now = ends[min(number - 1, len(ends) - 1)], ends[min(number, len(ends) - 1)]
        bottom = before + (now - before) * ease((time_s % every) / 0.2)
        top = max(0, int(bottom - (low - 0.1) * height))
        frame[int(0.1 * height) : int(low * height)] = page[top : top + int(low * height) - int(0.1 * height)]
        box(frame, 0, 0, width, 0.1 * height, theme.panel)
        box(frame, 0, low * height, width, height, theme.panel)
        if board is not None:
            frame[-board.shape[0] :] = board
            if time_s % 0.3 < 0.12:
                key = int(time_s / 0.3 * 7) % 27
                cx, cy = (key % 9 + 0.5) * width / 9, height - board.shape[0] * (0.85 - 0.25 * (key // 9))
                box(frame, cx - width / 24, cy - 10, cx + width / 24, cy + 4, theme.accent, round_px=3)
        return frame

    return render


def _keyboard(theme: Theme, width: int, height: int) -> Image:
    made = np.zeros((height, width, 3), np.uint8)
    made[:] = tones(theme.panel)
    for row, letters in enumerate(("qwertyuiop", "asdfghjkl", "zxcvbnm")):
        for n, letter in enumerate(letters):
            x = width * (n + 0.5 * row) / 10 + 2
            y = (0.06 + 0.24 * row) * height
            box(made, x, y, x + width / 10 - 4, y + 0.19 * height, theme.paper, round_px=3)
            put(
                made,
                letter,
                (x + width / 22, y + 0.02 * height),
                0.11 * height,
                theme.ink,
                "DejaVuSans",
                anchor=0.5,
            )
    box(made, 0.25 * width, 0.79 * height, 0.75 * width, 0.96 * height, theme.paper, round_px=3)
    return made


def _feed(rng: Random, theme: Theme, width: int, height: int, photos: list[Image]) -> Screen:
    """Posts with pictures, flicked upwards."""
    page = article(rng, theme, width, int(3.5 * height), photos[0])
    y = 0.0
    while y < 3 * height:
        photo = photos[int(rng.integers(len(photos)))]
        tall = int(width * rng.uniform(0.5, 1.0))
        part = page[int(y) : int(y) + tall]
        grown = cv2.resize(photo, (width, tall), interpolation=cv2.INTER_AREA)
        part[:] = grown[: part.shape[0]]
        cv2.circle(
            page,
            (int(0.08 * width), int(y + tall + 0.06 * width)),
            int(0.04 * width),
            tuple(255 * v for v in bright(rng)),
            -1,
            cv2.LINE_AA,
        )
        y += tall + rng.uniform(0.15, 0.4) * width
    every = rng.uniform(0.7, 1.6)

    def render(_index: int, time_s: float) -> Image:
        flick = math.floor(time_s / every) + ease((time_s % every) / 0.45)
        top = int(0.38 * height * flick) % (2 * height)
        frame = page[top : top + height].copy()
        box(frame, 0, 0, width, 0.1 * height, theme.paper)
        put(frame, "Home", (0.06 * width, 0.045 * height), 0.034 * height, theme.ink, "DejaVuSans-Bold")
        box(frame, 0, 0.93 * height, width, height, theme.paper)
        for n in range(5):
            box(
                frame,
                (0.07 + 0.2 * n) * width,
                0.95 * height,
                (0.13 + 0.2 * n) * width,
                0.98 * height,
                theme.accent if n == 0 else theme.dim,
                round_px=3,
            )
        return frame

    return render


def _home(rng: Random, theme: Theme, width: int, height: int, photo: Image) -> Screen:
    """Pages of icons, swiped; then a program opens."""
    wall = wallpaper(rng, width, height, photo)
    pages = []
    for _ in range(2):
        page = wall.copy()
        for n in range(int(rng.integers(10, 25))):
            x, y, side = (0.07 + 0.235 * (n % 4)) * width, (0.1 + 0.13 * (n // 4)) * height, 0.15 * width
            icon(page, rng, x, y, side)
            put(
                page,
                phrase(rng, 1)[:8],
                (x + side / 2, y + 1.05 * side),
                0.018 * height,
                (1, 1, 1),
                "DejaVuSans",
                anchor=0.5,
            )
        pages.append(page)
    app = mail(rng, theme, width, height)
    swipe, opens = rng.uniform(0.5, 1.5), rng.uniform(1.8, 3.0)

    def render(_index: int, time_s: float) -> Image:
        part = ease((time_s - swipe) / 0.35)
        x = int(part * width)
        frame = np.ascontiguousarray(np.concatenate([pages[0][:, x:], pages[1][:, :x]], axis=1))
        grow = ease((time_s - opens) / 0.3)
        if grow > 0.05:
            w, h = max(2, int(width * grow)), max(2, int(height * grow))
            frame[(height - h) // 2 : (height - h) // 2 + h, (width - w) // 2 : (width - w) // 2 + w] = (
                cv2.resize(app, (w, h), interpolation=cv2.INTER_AREA)
            )
        return frame

    return render


def _short_video(rng: Random, _theme: Theme, width: int, height: int, base: Base) -> Screen:
    """A film in an application for short ones, its buttons at the side."""
    icons = np.zeros((height, width, 3), np.uint8)
    for n in range(4):
        cv2.circle(
            icons,
            (int(0.9 * width), int((0.5 + 0.1 * n) * height)),
            int(0.05 * width),
            (245, 245, 245) if n else tuple(255 * v for v in bright(rng)),
            -1,
            cv2.LINE_AA,
        )
    name, words = "@" + phrase(rng, 1).lower(), phrase(rng, 4)

    def render(index: int, _time_s: float) -> Image:
        frame = base.two.frames[index]
        scale = max(width / frame.shape[1], height / frame.shape[0]) * 1.01
        grown = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        left, top = (grown.shape[1] - width) // 2, (grown.shape[0] - height) // 2
        made: Image = cv2.max(np.ascontiguousarray(grown[top : top + height, left : left + width]), icons)
        put(made, name, (0.05 * width, 0.84 * height), 0.028 * height, (1, 1, 1), "DejaVuSans-Bold")
        put(made, words, (0.05 * width, 0.88 * height), 0.024 * height, (1, 1, 1), "DejaVuSans")
        box(made, 0, 0.94 * height, width, height, (0.02, 0.02, 0.02))
        return made

    return render


def _page(rng: Random, theme: Theme, width: int, height: int, photo: Image) -> Screen:
    """A page of the web that glides by."""
    page = article(rng, theme, width, 3 * height, photo)
    pace = rng.uniform(0.1, 0.5)

    def render(_index: int, time_s: float) -> Image:
        top = int(pace * time_s * height) % (2 * height)
        return page[top : top + height].copy()

    return render


def phone_screen(rng: Random, width: int, height: int, base: Base) -> tuple[Screen, bool]:
    """Return what a phone shows, and whether that is writing."""
    theme = draw_theme(rng, height)
    photos = [base.two.frames[0], base.one.frames[0], base.two.frames[-1]]
    kind = int(rng.choice(5, p=[0.28, 0.25, 0.22, 0.15, 0.1]))
    if kind == 0:
        show = _chat(rng, theme, width, height)
    elif kind == 1:
        show = _feed(rng, theme, width, height, photos)
    elif kind == 2:
        show = _home(rng, theme, width, height, photos[0])
    elif kind == 3:
        show = _page(rng, theme, width, height, photos[0])
    else:
        show = _short_video(rng, theme, width, height, base)
    clock = f"{rng.integers(1, 13)}:{rng.integers(60):02d}"
    tapped, touch = rng.random() < 0.3, rng.uniform(0.2, 0.8, 2)

    def render(index: int, time_s: float) -> Image:
        frame = show(index, time_s)
        _status(frame, theme, clock)
        if tapped and time_s % 1.1 < 0.25:
            over = frame.copy()
            cv2.circle(
                over,
                (int(touch[0] * width), int(touch[1] * height)),
                int(0.05 * width),
                (255, 255, 255),
                -1,
                cv2.LINE_AA,
            )
            frame = cv2.addWeighted(frame, 0.6, over, 0.4, 0)
        return frame

    return render, kind in (0, 3)


def phone(base: Base, rng: Random) -> Made:
    """A phone's screen, filling an upright frame or between bars in a wide one."""
    width, height = base.one.size
    upright = height > 1.3 * width
    w, h = (width, height) if upright else (int(0.5 * height) // 2 * 2, height)
    rim = not upright and rng.random() < 0.4
    if rim:
        h = int(0.92 * height) // 2 * 2
        w = int(0.48 * h) // 2 * 2
    show, wordy = phone_screen(rng, w, h, base)
    bars = str(rng.choice(["black", "blurred", "color"]))
    tone = tones(floats(bright(rng)) * rng.uniform(0.2, 1))
    x, y = (width - w) // 2, (height - h) // 2
    made = []
    for index, time_s in base.one.times():
        screen = show(index, time_s)
        if upright:
            made.append(screen)
            continue
        frame = np.zeros((height, width, 3), np.uint8)
        if bars == "color":
            frame[:] = tone
        elif bars == "blurred":
            tiny = cv2.resize(screen, (24, 14), interpolation=cv2.INTER_AREA)
            frame = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_CUBIC)
        if rim:
            edge = max(3, h // 60)
            box(frame, x - edge, y - edge, x + w + edge, y + h + edge, (0.05, 0.05, 0.06), round_px=3 * edge)
        frame[y : y + h, x : x + w] = screen
        made.append(frame)
    return Made(
        base.one.of(made),
        "screen_phone",
        answers(
            screenshot="yes",
            text="unsure" if wordy else "no",
            static="unsure",
            editing="no" if bars == "black" or upright else "yes",
        ),
    )
