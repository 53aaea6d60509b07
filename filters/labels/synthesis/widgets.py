"""What screens are made of: themes, bars, windows, icons, pages, cursors."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from curate.footage.textures import Color, Image, to_image
from filters.labels.synthesis.lettering import bright, phrase, put, sentences
from filters.labels.synthesis.takes import Random, color_of, floats, px, tones

__all__ = [
    "Theme",
    "article",
    "box",
    "code",
    "cursor",
    "draw_theme",
    "icon",
    "mail",
    "pointer_path",
    "sheet",
    "wallpaper",
    "window",
]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours 0 to 1 and a typeface."""

    paper: Color
    panel: Color
    ink: Color
    dim: Color
    accent: Color
    face: str
    body_px: float
    round_px: int


def draw_theme(rng: Random, height: int) -> Theme:
    """Return a light or dark theme; `height` is that of the screen in px."""
    dark = rng.random() < 0.4
    tone = rng.uniform(0.08, 0.2) if dark else rng.uniform(0.9, 1.0)
    panel = tone + (rng.uniform(0.03, 0.1) if dark else -rng.uniform(0.03, 0.14))
    tint = rng.uniform(0.93, 1.07, 3)
    return Theme(
        paper=tuple(np.clip(tone * tint, 0, 1)),
        panel=tuple(np.clip(panel * tint, 0, 1)),
        ink=(0.9, 0.9, 0.9) if dark else (0.12, 0.12, 0.14),
        dim=(0.55, 0.55, 0.58) if dark else (0.45, 0.46, 0.5),
        accent=bright(rng),
        face=str(
            rng.choice(["DejaVuSans", "DejaVuSans", "cmss10", "STIXGeneral", "DejaVuSansMono", "squares"])
        ),
        body_px=max(6.0, height * rng.uniform(0.026, 0.042)),
        round_px=int(rng.integers(0, max(2, height // 40))),
    )


def paint(color: Color) -> tuple[float, float, float]:
    """Return a colour in 8-bit steps."""
    return (255 * color[0], 255 * color[1], 255 * color[2])


def box(image: Image, x0: float, y0: float, x1: float, y1: float, color: Color, *, round_px: int = 0) -> None:
    """Fill a rectangle, its corners round, in place."""
    a, b, c, d = round(x0), round(y0), round(x1), round(y1)
    r = min(round_px, (c - a) // 2, (d - b) // 2)
    tone = paint(color)
    if r <= 0:
        cv2.rectangle(image, (a, b), (c, d), tone, -1)
        return
    cv2.rectangle(image, (a + r, b), (c - r, d), tone, -1)
    cv2.rectangle(image, (a, b + r), (c, d - r), tone, -1)
    for x in (a + r, c - r):
        for y in (b + r, d - r):
            cv2.circle(image, (x, y), r, tone, -1, cv2.LINE_AA)


def icon(image: Image, rng: Random, x: float, y: float, side: float, *, round_px: int | None = None) -> None:
    """Draw an application's icon: a coloured tile with a mark, in place."""
    color = bright(rng)
    box(image, x, y, x + side, y + side, color, round_px=int(side * 0.24) if round_px is None else round_px)
    mark = (1.0, 1.0, 1.0) if rng.random() < 0.7 else (0.1, 0.1, 0.12)
    middle = (round(x + side / 2), round(y + side / 2))
    kind = int(rng.integers(4))
    if kind == 0:
        cv2.circle(
            image, middle, max(1, round(side * 0.26)), paint(mark), max(1, round(side / 12)), cv2.LINE_AA
        )
    elif kind == 1:
        put(
            image,
            phrase(rng, 1)[:1].upper(),
            (middle[0], y + 0.1 * side),
            side * 0.66,
            mark,
            "DejaVuSans-Bold",
            anchor=0.5,
        )
    elif kind == 2:
        box(image, x + 0.25 * side, y + 0.3 * side, x + 0.75 * side, y + 0.7 * side, mark, round_px=2)
    else:
        outline = px(
            [
                (x + 0.34 * side, y + 0.26 * side),
                (x + 0.34 * side, y + 0.74 * side),
                (x + 0.76 * side, y + 0.5 * side),
            ]
        )
        cv2.fillPoly(image, [outline], paint(mark), cv2.LINE_AA)


def wallpaper(rng: Random, width: int, height: int, photo: Image | None) -> Image:
    """Return a desktop's or a phone's background."""
    if photo is not None and rng.random() < 0.5:
        scale = max(width / photo.shape[1], height / photo.shape[0])
        grown = cv2.resize(photo, None, fx=scale * 1.01, fy=scale * 1.01, interpolation=cv2.INTER_AREA)
        left, top = (grown.shape[1] - width) // 2, (grown.shape[0] - height) // 2
        return np.ascontiguousarray(grown[top : top + height, left : left + width])
    one, two = (
        floats(bright(rng)) * rng.uniform(0.1, 0.9),
        floats(bright(rng)) * rng.uniform(0.1, 0.9),
    )
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    part = np.clip(0.6 * y + 0.5 * x * rng.uniform(-1, 1), 0, 1)[..., None]
    return to_image((one * (1 - part) + two * part).astype(np.float32))


def window(
    image: Image, theme: Theme, title: str, span: tuple[int, int, int, int], *, style: int
) -> tuple[int, int, int, int]:
    """Draw a window with its title bar into `span` (x0, y0, x1, y1), in place; return what it holds."""
    x0, y0, x1, y1 = span
    bar = round(theme.body_px * 2)
    if style != 2:
        shade = image[max(0, y0) : y1 + 5, max(0, x0) : x1 + 5]
        shade -= shade // 4
    box(image, x0, y0, x1, y1, theme.paper, round_px=theme.round_px)
    box(image, x0, y0, x1, y0 + bar, theme.accent if style == 1 else theme.panel, round_px=theme.round_px)
    middle = y0 + bar // 2
    if style == 0:
        for n, color in enumerate(((236, 95, 87), (245, 190, 79), (98, 197, 84))):
            cv2.circle(
                image,
                (x0 + round((0.9 + 1.2 * n) * bar / 2), middle),
                max(2, bar // 5),
                color,
                -1,
                cv2.LINE_AA,
            )
    else:
        for n in range(3):
            a = x1 - round((n + 0.75) * bar * 0.9)
            cv2.rectangle(
                image,
                (a - bar // 6, middle - bar // 6),
                (a + bar // 6, middle + bar // 6),
                paint(theme.dim),
                1 if n else -1,
            )
    ink = (1.0, 1.0, 1.0) if style == 1 else theme.ink
    put(
        image,
        title,
        (x0 + 0.4 * (x1 - x0) if style == 0 else x0 + bar * 0.5, y0 + 0.3 * bar),
        theme.body_px * 0.95,
        ink,
        theme.face,
    )
    cv2.rectangle(image, (x0, y0), (x1, y1), paint(theme.dim), 1)
    return x0 + 1, y0 + bar + 1, x1 - 1, y1 - 1


def article(rng: Random, theme: Theme, width: int, height: int, photo: Image | None) -> Image:
    """Return a long page of the web: heads, paragraphs, pictures, buttons."""
    made = to_image(np.broadcast_to(floats(theme.paper), (height, width, 3)).copy())
    body, margin = theme.body_px, max(4, int(width * rng.uniform(0.03, 0.14)))
    y = body
    while y < height - 3 * body:
        what = rng.random()
        if what < 0.25:
            put(made, phrase(rng, 4), (margin, y), body * 1.7, theme.ink, theme.face)
            y += 2.6 * body
        elif what < 0.45:
            tall = int(width * rng.uniform(0.15, 0.4))
            picture = np.full((tall, width - 2 * margin, 3), 0, np.uint8)
            picture[:] = tones(bright(rng))
            if photo is not None and rng.random() < 0.8:
                picture = cv2.resize(photo, (picture.shape[1], tall), interpolation=cv2.INTER_AREA)
            part = made[int(y) : int(y) + tall, margin : width - margin]
            part[:] = picture[: part.shape[0]]
            y += tall + body
        elif what < 0.55:
            box(made, margin, y, margin + 8 * body, y + 1.9 * body, theme.accent, round_px=theme.round_px)
            put(made, phrase(rng, 1), (margin + 1.2 * body, y + 0.35 * body), body, (1, 1, 1), theme.face)
            y += 3 * body
        else:
            for line in sentences(
                rng, max(6, int((width - 2 * margin) / (0.55 * body))), int(rng.integers(3, 9))
            ):
                if line:
                    put(made, line, (margin, y), body, theme.ink, theme.face)
                y += 1.45 * body
    return made


def sheet(rng: Random, theme: Theme, width: int, height: int) -> Image:
    """Return a table of figures."""
    made = to_image(np.broadcast_to(floats(theme.paper), (height, width, 3)).copy())
    row, column = max(8, int(1.7 * theme.body_px)), max(24, int(width / rng.integers(5, 11)))
    box(made, 0, 0, width, row, theme.panel)
    for n, y in enumerate(range(0, height, row)):
        cv2.line(made, (0, y), (width, y), paint(theme.panel), 1)
        for m, x in enumerate(range(0, width, column)):
            if rng.random() < 0.75:
                text = (
                    phrase(rng, 1) if m == 0 or n == 0 else f"{rng.uniform(0, 9000):.{int(rng.integers(3))}f}"
                )
                put(
                    made,
                    text[: max(2, int(column / (0.6 * theme.body_px)))],
                    (x + 3, y + 0.2 * row),
                    theme.body_px * 0.9,
                    theme.ink,
                    theme.face,
                )
    for x in range(0, width, column):
        cv2.line(made, (x, 0), (x, height), paint(theme.panel), 1)
    return made


def code(rng: Random, theme: Theme, width: int, height: int) -> Image:
    """Return a program's text with coloured words, or a terminal's."""
    made = to_image(np.broadcast_to(floats(theme.paper), (height, width, 3)).copy())
    body = theme.body_px
    hues = [bright(rng) for _ in range(3)] + [theme.ink, theme.ink]
    indent = 0
    for n in range(int(height / (1.5 * body))):
        if rng.random() < 0.12:
            continue
        indent = max(0, min(5, indent + int(rng.integers(-1, 2))))
        put(made, f"{n + 1:3d}", (2, n * 1.5 * body), body * 0.9, theme.dim, "DejaVuSansMono")
        x = body * (2.6 + 1.6 * indent)
        for _ in range(int(rng.integers(1, 6))):
            word = phrase(rng, 1, plain=True).lower() + str(
                rng.choice(["", "()", ":", " =", ".", ",", "_x", "[0]"])
            )
            color = hues[int(rng.integers(5))]
            x += (
                put(
                    made,
                    word,
                    (x, n * 1.5 * body),
                    body * 0.95,
                    color_of(0.8 * floats(color)),
                    "DejaVuSansMono",
                )
                + body * 0.4
            )
    return made


def mail(rng: Random, theme: Theme, width: int, height: int) -> Image:
    """Return a list: mails, files, messages."""
    made = to_image(np.broadcast_to(floats(theme.paper), (height, width, 3)).copy())
    row = int(theme.body_px * rng.uniform(2.2, 4.2))
    for n, y in enumerate(range(0, height, row)):
        if n == 2:
            box(made, 0, y, width, y + row, theme.accent)
        icon(made, rng, 0.4 * row, y + 0.2 * row, 0.6 * row)
        put(made, phrase(rng, 2), (1.4 * row, y + 0.12 * row), theme.body_px, theme.ink, theme.face)
        put(
            made,
            phrase(rng, 5),
            (1.4 * row, y + 0.12 * row + 1.3 * theme.body_px),
            theme.body_px * 0.8,
            theme.dim,
            theme.face,
        )
        cv2.line(made, (0, y), (width, y), paint(theme.panel), 1)
    return made


_ARROW = np.array([(0, 0), (0, 16), (4, 12.4), (7, 18.5), (9.4, 17.4), (6.6, 11.5), (11.5, 11.2)])


def cursor(image: Image, x: float, y: float, scale: float, *, dark: bool, click: float = 0.0) -> None:
    """Draw a mouse pointer with its tip at (x, y), in place; `click` 0 to 1 shows a ring that grows."""
    if click > 0:
        cv2.circle(
            image,
            (round(x), round(y)),
            max(1, round(14 * click * scale)),
            (230, 190, 40),
            max(1, round(2 * scale)),
            cv2.LINE_AA,
        )
    tip = [((_ARROW * scale + (x, y)) * 16).astype(np.int32)]
    cv2.fillPoly(image, tip, (15, 15, 15) if dark else (250, 250, 250), cv2.LINE_AA, 4)
    cv2.polylines(image, tip, True, (245, 245, 245) if dark else (10, 10, 10), 1, cv2.LINE_AA, 4)


def pointer_path(rng: Random, frames: int, fps: float) -> np.ndarray:
    """Return where a hand moves the pointer: (frames, 3) of x, y in 0 to 1 and the click in 0 to 1."""
    made = np.zeros((frames, 3))
    at, index = rng.uniform(0.1, 0.9, 2), 0
    while index < frames:
        to = np.clip(at + rng.normal(0, 0.25, 2), 0.03, 0.95)
        moves, rests = max(2, int(rng.uniform(0.2, 0.8) * fps)), int(rng.uniform(0.0, 1.3) * fps)
        clicks = rng.random() < 0.5
        for n in range(moves + rests):
            if index >= frames:
                break
            part = min(1.0, n / moves)
            part = part * part * (3 - 2 * part)
            since = n - moves
            made[index] = (
                *(at + (to - at) * part),
                since / (0.3 * fps) if clicks and 0 < since < 0.3 * fps else 0.0,
            )
            index += 1
        at = to
    return made
