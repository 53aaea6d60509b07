"""What programs show in their windows: pages that scroll, text that is typed, films, maps; and their bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2

from curate.footage.canvas import Sprite, View, fill, place
from curate.footage.textures import Image
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import phrase, put
from filters.labels.synthesis.takes import Random, ease
from filters.labels.synthesis.widgets import (
    Theme,
    article,
    box,
    code,
    icon,
    mail,
    paint,
    sheet,
)

__all__ = ["Content", "content", "toolbar"]

Content = Callable[[Image, tuple[int, int, int, int], int, float], None]
"""draws what a window holds into (x0, y0, x1, y1) of a screen at a frame and a time"""


def _scrolling(page: Image, rng: Random) -> Content:
    """Return what shows a long page that is scrolled by a wheel, or dragged, or not at all."""
    step, every = rng.uniform(0.1, 0.4), rng.uniform(0.5, 1.8)
    steady = rng.random() < 0.3
    moves = rng.random() < 0.85

    def show(screen: Image, span: tuple[int, int, int, int], _index: int, time_s: float) -> None:
        x0, y0, x1, y1 = span
        count = time_s / every if steady else math.floor(time_s / every) + min(1.0, (time_s % every) / 0.25)
        spare = max(1, page.shape[0] - (y1 - y0))
        top = int(count * step * (y1 - y0)) % spare if moves else 0
        part = page[top : top + y1 - y0, : x1 - x0]
        screen[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part

    return show


def _typing(page: Image, theme: Theme, rng: Random) -> Content:
    """Return what writes a page line by line, a caret behind the last letter."""
    line = 1.5 * theme.body_px
    start, pace = rng.uniform(0.1, 0.5), rng.uniform(0.6, 2.5)

    def show(screen: Image, span: tuple[int, int, int, int], _index: int, time_s: float) -> None:
        x0, y0, x1, y1 = span
        written = start * (y1 - y0) / line + pace * time_s
        whole, part = int(written), written % 1
        box(screen, x0, y0, x1, y1, theme.paper)
        rows = min(int(whole * line), y1 - y0, page.shape[0])
        screen[y0 : y0 + rows, x0 : x0 + min(x1 - x0, page.shape[1])] = page[:rows, : x1 - x0]
        low = min(rows + int(line), y1 - y0, page.shape[0])
        wide = int(part * min(x1 - x0, page.shape[1]) * 0.6)
        screen[y0 + rows : y0 + low, x0 : x0 + wide] = page[rows:low, :wide]
        if time_s % 1.0 < 0.5 and low > rows:
            cv2.line(screen, (x0 + wide + 1, y0 + rows), (x0 + wide + 1, y0 + low), paint(theme.ink), 1)

    return show


def _playing(frames: Sequence[Image], theme: Theme, rng: Random) -> Content:
    """Return what plays a film in a player, with its bar of controls."""
    controls = rng.random() < 0.7

    def show(screen: Image, span: tuple[int, int, int, int], index: int, time_s: float) -> None:
        x0, y0, x1, y1 = span
        box(screen, x0, y0, x1, y1, (0.02, 0.02, 0.02))
        frame = frames[index]
        scale = min((x1 - x0) / frame.shape[1], (y1 - y0) / frame.shape[0])
        small = cv2.resize(
            frame,
            (max(2, int(frame.shape[1] * scale)), max(2, int(frame.shape[0] * scale))),
            interpolation=cv2.INTER_AREA,
        )
        left, top = (x0 + x1 - small.shape[1]) // 2, (y0 + y1 - small.shape[0]) // 2
        screen[top : top + small.shape[0], left : left + small.shape[1]] = small
        if controls:
            y = y1 - int(1.2 * theme.body_px)
            cv2.line(screen, (x0 + 4, y), (x1 - 4, y), (120, 120, 120), 2)
            at = int(x0 + 4 + (x1 - x0 - 8) * (0.1 + 0.02 * time_s))
            cv2.line(screen, (x0 + 4, y), (at, y), paint(theme.accent), 2)
            cv2.circle(screen, (at, y), 3, paint(theme.accent), -1, cv2.LINE_AA)

    return show


def _mapped(picture: Image, rng: Random) -> Content:
    """Return what drags and zooms a map or a large picture."""
    thing = Sprite(picture, picture.shape[0])
    way, zoom = rng.uniform(-0.3, 0.3, 2), rng.uniform(0.9, 1.3)

    def show(screen: Image, span: tuple[int, int, int, int], _index: int, time_s: float) -> None:
        x0, y0, x1, y1 = span
        hop = ease(time_s % 1.4 / 0.5) + math.floor(time_s / 1.4)
        view = View(way[0] * hop, way[1] * hop, 0, 1.4 * zoom ** math.floor(time_s / 2.1))
        size = (x1 - x0, y1 - y0)
        screen[y0:y1, x0:x1] = fill(size, thing, place(thing, view, size))

    return show


def content(rng: Random, theme: Theme, base: Base, width: int, height: int) -> tuple[Content, bool]:
    """Return what a program shows in a window of that size at most, and whether it is writing."""
    photo = base.two.frames[0]
    kind = int(rng.choice(6, p=[0.3, 0.15, 0.2, 0.1, 0.15, 0.1]))
    if kind == 0:
        return _scrolling(article(rng, theme, width, 3 * height, photo), rng), True
    if kind == 1:
        return _scrolling(sheet(rng, theme, width, 2 * height), rng), True
    if kind == 2:
        page = code(rng, theme, width, 2 * height)
        return (_typing(page, theme, rng) if rng.random() < 0.5 else _scrolling(page, rng)), True
    if kind == 3:
        return _scrolling(mail(rng, theme, width, 2 * height), rng), True
    if kind == 4:
        return _playing(base.two.frames, theme, rng), False
    return _mapped(base.two.frames[-1], rng), False


def toolbar(
    screen: Image, rng: Random, theme: Theme, span: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Draw menus, tabs, an address and buttons at a window's top, perhaps a side bar; return what is left."""
    x0, y0, x1, y1 = span
    tall = round(1.9 * theme.body_px)
    rows = int(rng.integers(1, 3))
    for _ in range(min(rows, max(0, (y1 - y0) // tall - 1))):
        box(screen, x0, y0, x1, y0 + tall, theme.panel)
        x = x0 + 0.4 * tall
        if rng.random() < 0.5:
            while x < x1 - 4 * theme.body_px and x < x0 + 30 * theme.body_px:
                x += (
                    put(
                        screen,
                        phrase(rng, 1),
                        (x, y0 + 0.2 * tall),
                        theme.body_px * 0.9,
                        theme.ink,
                        theme.face,
                    )
                    + theme.body_px
                )
        else:
            for _ in range(int(rng.integers(3, 12))):
                if x < x1 - tall:
                    icon(screen, rng, x, y0 + 0.2 * tall, 0.6 * tall, round_px=2)
                x += tall
            box(
                screen,
                min(x, x1 - 6),
                y0 + 0.18 * tall,
                x1 - 5,
                y0 + 0.82 * tall,
                theme.paper,
                round_px=theme.round_px,
            )
        y0 += tall
    if rng.random() < 0.4:
        wide = int((x1 - x0) * rng.uniform(0.12, 0.25))
        box(screen, x0, y0, x0 + wide, y1, theme.panel)
        for n in range(int((y1 - y0) / (1.8 * theme.body_px))):
            put(
                screen,
                phrase(rng, 2)[: max(3, int(wide / (0.6 * theme.body_px)) - 1)],
                (x0 + 5, y0 + (0.4 + 1.8 * n) * theme.body_px),
                theme.body_px * 0.9,
                theme.ink,
                theme.face,
            )
        x0 += wide
    return x0, y0, x1, y1
