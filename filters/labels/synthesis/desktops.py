"""Recordings of a computer's screen: windows on a desktop, one program full size."""

from __future__ import annotations

import numpy as np

from curate.footage.canvas import Sprite, View, fill, place
from curate.footage.textures import Image
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import card, paste, phrase, put
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.programs import Content, content, toolbar
from filters.labels.synthesis.takes import Made, Random, answers, ease
from filters.labels.synthesis.widgets import (
    Theme,
    box,
    cursor,
    draw_theme,
    icon,
    pointer_path,
    wallpaper,
    window,
)

__all__ = ["application", "desktop"]


def _bar(screen: Image, rng: Random, theme: Theme) -> None:
    """Draw a task bar, a dock or a menu bar, in place."""
    height, width = screen.shape[:2]
    tall = round(2.2 * theme.body_px)
    kind = int(rng.integers(3))
    if kind == 0:
        box(screen, 0, height - tall, width, height, theme.panel)
        for n in range(int(rng.integers(3, 9))):
            icon(screen, rng, (0.3 + 1.15 * n) * tall, height - 0.85 * tall, 0.7 * tall)
        put(
            screen,
            "10:45",
            (width - 3.2 * theme.body_px, height - 0.7 * tall),
            theme.body_px,
            theme.ink,
            theme.face,
        )
    elif kind == 1:
        count = int(rng.integers(5, 10))
        left = (width - count * 1.2 * tall) / 2
        box(
            screen,
            left - 6,
            height - 1.25 * tall,
            left + count * 1.2 * tall,
            height - 3,
            theme.panel,
            round_px=6,
        )
        for n in range(count):
            icon(screen, rng, left + 1.2 * tall * n, height - 1.15 * tall, tall)
        box(screen, 0, 0, width, 0.7 * tall, theme.panel)
    else:
        box(screen, 0, 0, width, 0.8 * tall, (0.1, 0.1, 0.11))
        put(screen, phrase(rng, 1), (6, 0.1 * tall), theme.body_px, (0.9, 0.9, 0.9), theme.face)


def desktop(base: Base, rng: Random) -> Made:
    """Windows on a desktop, one of them at work, a pointer that wanders."""
    width, height = base.one.size
    theme = draw_theme(rng, height)
    screen = wallpaper(rng, width, height, base.two.frames[0])
    for n in range(int(rng.integers(0, 7))):
        side = 2.2 * theme.body_px
        icon(screen, rng, 0.5 * side + 2.2 * side * (n // 4), (0.8 + 1.8 * (n % 4)) * side, side)
    style = int(rng.integers(3))
    spans = []
    for _ in range(int(rng.integers(1, 4))):
        w, h = int(rng.uniform(0.4, 0.75) * width), int(rng.uniform(0.4, 0.75) * height)
        x, y = int(rng.uniform(0.02, 0.95) * (width - w)), int(rng.uniform(0.06, 0.9) * (height - h))
        spans.append((x, y, x + w, y + h))
    _bar(screen, rng, theme)
    inner = (0, 0, 8, 8)
    for span in spans:
        inner = toolbar(screen, rng, theme, window(screen, theme, phrase(rng, 2), span, style=style))
        x0, y0, x1, y1 = inner
        show, wordy = content(rng, theme, base, max(16, x1 - x0), max(16, y1 - y0))
        wordy = wordy and (x1 - x0) * (y1 - y0) > 0.35 * width * height
        show(screen, inner, 0, 0.0)
    popup = card(
        [phrase(rng, 3), phrase(rng, 1)],
        theme.body_px,
        theme.face,
        theme.ink,
        plate=(*theme.panel, 1.0),
        pad=1.5,
    )
    return _recording(
        base, rng, screen, inner, show, popup if rng.random() < 0.4 else None, "screen_desktop", wordy=wordy
    )


def application(base: Base, rng: Random) -> Made:
    """One program that fills the screen."""
    width, height = base.one.size
    theme = draw_theme(rng, height)
    screen = np.zeros((height, width, 3), np.uint8)
    inner = toolbar(
        screen,
        rng,
        theme,
        window(screen, theme, phrase(rng, 3), (0, 0, width - 1, height - 1), style=int(rng.integers(3))),
    )
    show, wordy = content(rng, theme, base, max(16, inner[2] - inner[0]), max(16, inner[3] - inner[1]))
    return _recording(base, rng, screen, inner, show, None, "screen_application", wordy=wordy)


def _recording(
    base: Base,
    rng: Random,
    screen: Image,
    inner: tuple[int, int, int, int],
    show: Content,
    popup: Image | None,
    kind: str,
    *,
    wordy: bool,
) -> Made:
    """Return the recording of a screen on which one window is at work."""
    width, height = base.one.size
    path = pointer_path(rng, len(base.one.frames), float(base.one.fps))
    dark, scale, shown = rng.random() < 0.3, height / 420 * rng.uniform(0.9, 1.8), rng.random() < 0.92
    follow = rng.random() < 0.2
    rings = rng.random() < 0.3
    webcam = person(rng, int(0.2 * height)) if rng.random() < 0.12 else None
    made = []
    for index, time_s in base.one.times():
        frame = screen.copy()
        if inner[2] - inner[0] > 8 and inner[3] - inner[1] > 8:
            show(frame, inner, index, time_s)
        if popup is not None and 1.0 < time_s % 4 < 2.6:
            paste(frame, popup, ((width - popup.shape[1]) / 2, (height - popup.shape[0]) / 2))
        if webcam is not None:
            small = np.full((int(0.25 * height), int(0.25 * height), 3), 90, np.uint8)
            draw_person(small, webcam, Pose((0, 0.25), 0.8), time_s, View())
            frame[-small.shape[0] :, -small.shape[1] :] = small
        if shown:
            x, y, click = path[index]
            cursor(frame, x * width, y * height, scale, dark=dark, click=click if rings else 0.0)
        if follow:
            zoom = 1 + 0.7 * ease((time_s - 0.6) / 0.8)
            thing = Sprite(frame, height)
            at = View((path[index, 0] - 0.5) * width / height * 0.4, (path[index, 1] - 0.5) * 0.4, 0, zoom)
            frame = fill((width, height), thing, place(thing, at, (width, height)))
        made.append(frame)
    return Made(
        base.one.of(made),
        kind,
        answers(
            screenshot="yes",
            text="unsure" if wordy else "no",
            static="unsure",
            lecture="no" if webcam is None else "unsure",
            editing="no" if webcam is None and not follow else "unsure",
        ),
    )
