"""Films that are mostly writing: pages, credits, titles, slides, lyrics."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Sprite, View, fill, place
from curate.footage.textures import Color, Image, fractal, paper, to_image
from filters.labels.synthesis.backdrops import slide
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.holding import wobble
from filters.labels.synthesis.lettering import any_face, bright, card, paste, phrase, put, sentences
from filters.labels.synthesis.takes import Made, Random, answers, color_of, ease, floats, mapped

__all__ = [
    "banner",
    "credits_roll",
    "ground",
    "lyrics",
    "printed_page",
    "quote",
    "slides",
    "title",
    "wall_of_text",
]


def ground(rng: Random, width: int, height: int) -> tuple[Image, Color]:
    """Return a plain background, a gradient or a texture, and a colour that can be read on it."""
    dark = rng.random() < 0.5
    one = rng.uniform(0.0, 0.3, 3) if dark else rng.uniform(0.72, 1.0, 3)
    kind = rng.random()
    if kind < 0.35:
        one = np.full(3, 0.0 if dark else 1.0)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 6.3)
    fall = (x * math.cos(angle) + y * math.sin(angle))[..., None] * (rng.uniform(0, 0.3) if kind > 0.5 else 0)
    rough = 0.25 * (fractal((height, width), int(rng.integers(1 << 30)), cell=height / 3) - 0.5)[..., None]
    picture = floats(one) + (fall if dark else -fall) + rough * (kind > 0.8)
    color = color_of(rng.uniform(0.8, 1.0, 3) if dark else rng.uniform(0.0, 0.25, 3))
    if rng.random() < 0.2:
        color = color_of(floats(bright(rng)) * (1.0 if dark else 0.5))
    return to_image(np.clip(picture, 0, 1).astype(np.float32)), color


def _page(rng: Random, width: int, height: int, color: Color, image: Image) -> None:
    """Set running text on an image, in one or two columns, in place."""
    face = any_face(rng)
    body = max(6.0, min(width, height) * rng.uniform(0.035, 0.065))
    columns = 2 if width > 1.5 * body * 40 or rng.random() < 0.25 else 1
    margin = rng.uniform(0.04, 0.12) * width
    wide = (width - (columns + 1) * margin) / columns
    letters = max(6, int(wide / (body * 0.56)))
    leading = body * rng.uniform(1.25, 1.7)
    if rng.random() < 0.6:
        put(image, phrase(rng, 3), (margin, 0.04 * width), body * 1.8, color, face)
    for column in range(columns):
        top = 0.1 * width
        for line in sentences(rng, letters, max(1, int((height - top) / leading))):
            if line:
                put(image, line, (margin + column * (wide + margin), top), body, color, face)
            top += leading


def printed_page(base: Base, rng: Random) -> Made:
    """A page that scrolls by, or that a hand-held camera looks at askew."""
    width, height = base.one.size
    tall = int(2.2 * height)
    if rng.random() < 0.5:
        tone = rng.uniform(0.75, 1.0) * rng.uniform(0.92, 1.0, 3)
        sheet = to_image(paper((tall, width), int(rng.integers(1 << 30)), color=tuple(tone)))
        color: Color = (0.1, 0.1, 0.11)
    else:
        sheet, color = ground(rng, width, tall)
    _page(rng, width, tall, color, sheet)
    thing = Sprite(sheet, height)
    held = rng.random() < 0.4
    way = wobble(rng, len(base.one.frames), float(base.one.fps), 0.2, 1.5) * (0.015 if held else 0.0)
    pace = rng.choice([0.0, rng.uniform(0.05, 0.35)]) if not held else rng.uniform(0, 0.05)
    zoom, roll = (rng.uniform(1.0, 1.7), rng.normal(0, 0.05)) if held else (1.0, 0.0)
    lean = rng.uniform(-0.16, 0.16) if held else 0.0
    made = []
    for index, time_s in base.one.times():
        view = View(way[index, 0], -0.5 + pace * time_s + way[index, 1], 0, zoom, roll + way[index, 2])
        frame = fill((width, height), thing, place(thing, view, (width, height)))
        if abs(lean) > 0.02:
            corners = floats([[0, 0], [width, 0], [width, height], [0, height]])
            to = corners + floats([[lean * width, 0.0], [-lean * width, 0.0], [0.0, 0.0], [0.0, 0.0]])
            frame = cv2.warpPerspective(
                frame,
                cv2.getPerspectiveTransform(to, corners),
                (width, height),
                borderMode=cv2.BORDER_REPLICATE,
            )
        made.append(frame)
    return Made(
        base.one.of(made),
        "text_page",
        answers(
            text="yes",
            static="unsure" if pace == 0 and not held else "no",
            screenshot="no" if held else "unsure",
        ),
    )


def credits_roll(base: Base, rng: Random) -> Made:
    """Names that roll up, centred or in two columns."""
    width, height = base.one.size
    picture, color = ground(rng, width, height)
    face = any_face(rng)
    body = max(7.0, min(width / 16, height * rng.uniform(0.05, 0.085)))
    over = np.zeros((int(3 * height), width, 4), np.uint8)
    y = 0.1 * height
    twin = rng.random() < 0.5
    while y < over.shape[0] - 2 * body:
        if twin:
            for text, x, anchor in ((phrase(rng, 2), 0.47, 1.0), (phrase(rng, 2).title(), 0.53, 0.0)):
                line = card([text], body, face, color, pad=0)
                paste_rgba(over, line, (x * width - anchor * line.shape[1], y))
        else:
            line = card([phrase(rng, int(rng.integers(2, 4)))], body, face, color, pad=0)
            paste_rgba(over, line, ((width - line.shape[1]) / 2, y))
        y += body * float(rng.choice([1.4, 1.4, 2.6]))
    pace = rng.uniform(0.12, 0.4) * height
    live = rng.random() < 0.2
    made = []
    for index, time_s in base.one.times():
        frame = (base.one.frames[index] // 4).copy() if live else picture.copy()
        paste(frame, over, (0, 0.35 * height - pace * time_s))
        made.append(frame)
    return Made(base.one.of(made), "text_credits", answers(text="yes", editing="unsure"))


def paste_rgba(under: Image, over: Image, at: tuple[float, float]) -> None:
    """Put one line on a transparent sheet, in place; lines do not overlap."""
    x, y = max(0, round(at[0])), max(0, round(at[1]))
    part = under[y : y + over.shape[0], x : x + over.shape[1]]
    np.maximum(part, over[: part.shape[0], : part.shape[1]], out=part)


def title(base: Base, rng: Random) -> Made:
    """A title that fades, grows, types itself or slides in over a plain background."""
    width, height = base.one.size
    picture, color = ground(rng, width, height)
    face, lines = (
        any_face(rng),
        [phrase(rng, int(rng.integers(1, 4))) for _ in range(int(rng.integers(1, 4)))],
    )
    body = min(height * rng.uniform(0.12, 0.2), 1.6 * width / max(len(line) for line in lines))
    words = card(lines, body, face, color, outline=bright(rng) if rng.random() < 0.2 else None)
    under = card([phrase(rng, 5)], max(6.0, min(0.06 * height, 0.045 * width)), face, color)
    kind, start = str(rng.choice(["fade", "grow", "slide", "still"])), rng.uniform(0, 0.4)
    rule = rng.random() < 0.4
    made = []
    for _, time_s in base.one.times():
        frame = picture.copy()
        come = 1.0 if kind == "still" else ease((time_s - start) / 0.8)
        x, y = (width - words.shape[1]) / 2, 0.42 * height - words.shape[0] / 2
        if kind == "slide":
            x -= (1 - come) * width
        shown = words
        if kind == "grow":
            scale = 0.9 + 0.05 * time_s
            shown = cv2.resize(words, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            x, y = (width - shown.shape[1]) / 2, 0.42 * height - shown.shape[0] / 2
        paste(frame, shown, (x, y), come)
        if rule:
            half = 0.3 * width * come
            cv2.line(
                frame,
                (int(width / 2 - half), int(0.7 * height)),
                (int(width / 2 + half), int(0.7 * height)),
                tuple(255 * v for v in color),
                2,
            )
        paste(
            frame,
            under,
            ((width - under.shape[1]) / 2, 0.74 * height),
            ease((time_s - start - 0.5) / 0.6) if kind != "still" else 1.0,
        )
        made.append(frame)
    return Made(
        base.one.of(made),
        f"text_title_{kind}",
        answers(text="yes", static="unsure" if kind != "slide" else "no", editing="unsure"),
    )


def slides(base: Base, rng: Random) -> Made:
    """Slides of text one after another."""
    width, height = base.one.size
    deck = [slide(rng, width, height) for _ in range(4)]
    pause, kind = rng.uniform(1.2, 3.0), str(rng.choice(["cut", "slide", "fade"]))
    made = []
    for _, time_s in base.one.times():
        number = int(time_s / pause) % 4
        left = pause - time_s % pause
        page, after = deck[number], deck[(number + 1) % 4]
        if left < 0.35 and kind == "fade":
            made.append(cv2.addWeighted(page, left / 0.35, after, 1 - left / 0.35, 0))
        elif left < 0.35 and kind == "slide":
            x = int(width * ease(left / 0.35))
            made.append(
                np.ascontiguousarray(np.concatenate([page[:, width - x :], after[:, : width - x]], axis=1))
            )
        else:
            made.append(page)
    return Made(
        base.one.of(made),
        f"text_slides_{kind}",
        answers(text="yes", static="unsure", editing="unsure", lecture="unsure"),
    )


def lyrics(base: Base, rng: Random) -> Made:
    """Words of a song, big, over a film that is dim or blurred."""
    width, height = base.one.size
    face, pause = any_face(rng), rng.uniform(0.8, 1.8)
    body = min(height * rng.uniform(0.12, 0.17), width * 0.12)
    verses = []
    for _ in range(math.ceil(base.one.duration_s / pause) + 1):
        lines = [phrase(rng, 2) for _ in range(int(rng.integers(3, 5)))]
        verse = card(lines, body, face, (1, 1, 1) if rng.random() < 0.7 else bright(rng), outline=(0, 0, 0))
        fit = min(1.0, 0.96 * width / verse.shape[1], 0.95 * height / verse.shape[0])
        verses.append(cv2.resize(verse, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA))
    dim, sigma = rng.uniform(0.25, 0.6), rng.choice([0.0, 3.0, 6.0])
    made = []
    for index, time_s in base.one.times():
        frame = cv2.convertScaleAbs(base.one.frames[index], alpha=dim)
        if sigma:
            frame = cv2.GaussianBlur(frame, (0, 0), float(sigma))
        verse = verses[int(time_s / pause)]
        paste(
            frame,
            verse,
            ((width - verse.shape[1]) / 2, (height - verse.shape[0]) / 2),
            ease((time_s % pause) / 0.25),
        )
        made.append(frame)
    return Made(base.one.of(made), "text_lyrics", answers(text="yes", editing="unsure"))


def quote(base: Base, rng: Random) -> Made:
    """A few lines on a card before a living or still picture."""
    width, height = base.one.size
    face = any_face(rng)
    body = min(height, width) * rng.uniform(0.07, 0.1)
    letters = max(8, int(0.8 * width / (0.58 * body)))
    lines = [line for line in sentences(rng, letters, 12) if line][: int(rng.integers(4, 8))]
    shade, dark = rng.uniform(0.55, 0.95), rng.random() < 0.6
    words = card(
        lines,
        body,
        face,
        (1, 1, 1) if dark else (0.08, 0.08, 0.1),
        plate=(0, 0, 0, shade) if dark else (1, 1, 1, shade),
        pad=1.0,
    )
    fit = min(1.0, 0.98 * width / words.shape[1], 0.98 * height / words.shape[0])
    words = cv2.resize(words, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
    still = rng.random() < 0.4
    made = []
    for index, _ in base.one.times():
        frame = base.one.frames[0 if still else index].copy()
        paste(frame, words, ((width - words.shape[1]) / 2, (height - words.shape[0]) / 2))
        made.append(frame)
    return Made(
        base.one.of(made),
        "text_quote",
        answers(text="yes", static="yes" if still else "no", editing="unsure"),
    )


def banner(base: Base, rng: Random) -> Made:
    """A living film under big lines that stay: a title above, words below, as short videos have."""
    width, height = base.one.size
    face = any_face(rng)
    body = min(0.15 * height, width * rng.uniform(0.09, 0.13))
    blocks = []
    for row in (0.03, float(rng.choice([0.4, 0.62, 0.72]))):
        outline = (0.0, 0.0, 0.0) if rng.random() < 0.6 else None
        plate = None if outline else (*ground(rng, 2, 2)[1], 0.85)
        color = bright(rng) if rng.random() < 0.4 else (1.0, 1.0, 1.0)
        block = card(
            [phrase(rng, 2) for _ in range(2)], body, face, color, outline=outline, plate=plate, pad=0.2
        )
        fit = min(1.0, 0.98 * width / block.shape[1])
        blocks.append((cv2.resize(block, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA), row))

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        for block, row in blocks:
            paste(frame, block, ((width - block.shape[1]) / 2, row * height))
        return frame

    return Made(mapped(base.one, change), "text_banner", answers(text="yes", editing="unsure"))


def wall_of_text(base: Base, rng: Random) -> Made:
    """Lines that write themselves one after another, as a letter or an explanation does."""
    width, height = base.one.size
    picture, color = ground(rng, width, height)
    face, body = any_face(rng), min(width, height) * rng.uniform(0.06, 0.09)
    letters = max(8, int(0.86 * width / (0.58 * body)))
    lines = sentences(rng, letters, max(3, int(0.85 * height / (1.45 * body))))
    pace = len(lines) / max(0.8, base.one.duration_s * rng.uniform(0.4, 0.9))
    made, done, page = [], 0, picture.copy()
    for _, time_s in base.one.times():
        upto = min(len(lines), int(time_s * pace) + 2)
        if upto > done:
            page = page.copy()
            for n in range(done, upto):
                put(page, lines[n], (0.07 * width, (0.06 * height) + n * 1.45 * body), body, color, face)
            done = upto
        made.append(page)
    return Made(base.one.of(made), "text_writes", answers(text="yes", static="unsure", screenshot="unsure"))
