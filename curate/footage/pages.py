"""Text that is read: lines of it, printed pages, slides, subtitles.

Text is set in OpenCV's stroke fonts, drawn three times as large and shrunk, so that it needs no font file
and looks the same everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, fill, place
from curate.footage.faces import talker
from curate.footage.light import Light, lit
from curate.footage.textures import Color, Floats, Image, paper, rgb, to_image

__all__ = ["WORDS", "caption_bar", "page", "paragraph", "slides", "write"]


TEXT: Final = """
the light of morning fell across a quiet valley where two rivers meet and old roads begin
every frame keeps a little of the time that made it and motion is the difference between them
we measured the water level each day and wrote it down in a table with the wind and the rain
a good picture asks one question and leaves the answer to whoever stands before it
"""
WORDS: Final = TEXT.split()
UP: Final = 3
PAD: Final = 2 * UP


@lru_cache(maxsize=1024)
def _ink(text: str, height_px: float, bold: bool, serif: bool) -> tuple[Floats, float, float]:
    """Return the coverage (h, w) of one line, its width and how far below the top its baseline lies (px)."""
    face = cv2.FONT_HERSHEY_COMPLEX if serif else cv2.FONT_HERSHEY_SIMPLEX
    scale, thick = height_px * UP / 30.0, max(1, round(height_px * UP / (9 if bold else 16)))
    (width, tall), below = cv2.getTextSize(text, face, scale, thick)
    mask = np.zeros((tall + below + 2 * PAD, width + 2 * PAD), np.uint8)
    cv2.putText(mask, text, (PAD, PAD + tall), face, scale, 255, thick, cv2.LINE_AA)
    small = (max(1, mask.shape[1] // UP), max(1, mask.shape[0] // UP))
    ink: Floats = cv2.resize(mask, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return ink, width / UP, (tall + PAD) / UP


def write(
    image: Image,
    text: str,
    at: tuple[float, float],
    height_px: float,
    color: Color,
    *,
    bold: bool = False,
    serif: bool = False,
) -> float:
    """Write one line with its baseline at `at` (px), in place; return its width in px."""
    ink, width_px, rise_px = _ink(text, height_px, bold, serif)
    x, y = round(at[0] - PAD / UP), round(at[1] - rise_px)
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(image.shape[1], x + ink.shape[1]), min(image.shape[0], y + ink.shape[0])
    if text and x1 > x0 and y1 > y0:
        part = image[y0:y1, x0:x1].astype(np.float32)
        cover = ink[y0 - y : y1 - y, x0 - x : x1 - x, None]
        image[y0:y1, x0:x1] = part * (1 - cover) + rgb(color) * 255 * cover
    return width_px


def paragraph(rng: np.random.Generator, letters: int) -> list[str]:
    """Return lines of at most `letters` letters that mean nothing much."""
    lines, line = [], ""
    for word in rng.permutation(WORDS * 2)[: int(rng.integers(26, 44))]:
        if len(line) + len(word) > letters:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return [*lines, f"{line}."]


def page(size: Size, seed: int, light: Light) -> Scene:
    """A printed page that scrolls slowly by, as before a document camera."""
    width, height = size
    rng = np.random.default_rng(seed)
    tall = int(3.2 * height)
    sheet = to_image(lit(paper((tall, width), seed), light))
    body = max(8.0, height / 26)
    write(
        sheet,
        "On the keeping of time",
        (0.14 * width, 0.14 * height),
        body * 1.9,
        (0.1, 0.09, 0.1),
        bold=True,
        serif=True,
    )
    y = 0.26 * height
    while y < tall - body * 3:
        for n, line in enumerate(paragraph(rng, int(0.76 * width / (body * 0.63)))):
            write(
                sheet,
                line.capitalize() if n == 0 else line,
                (0.12 * width, y),
                body,
                (0.12, 0.11, 0.13),
                serif=True,
            )
            y += body * 1.75
        y += body * 1.4
    base = Sprite(sheet, height)

    def render(time_s: float, view: View) -> Image:
        at = (0.0, 1.1 - 0.11 * time_s)
        return fill(size, base, place(base, view, size, at=at))

    return render


def slides(size: Size, seed: int, light: Light) -> Scene:
    """A lecture's slides, a new one every 3 s, the lecturer small in a corner."""
    width, height = size
    rng = np.random.default_rng(seed)
    deck = []
    accent = ((0.1, 0.3, 0.6), (0.6, 0.2, 0.12), (0.1, 0.42, 0.32))[seed % 3]
    body = height / 20
    for number in range(4):
        slide = np.full((height, width, 3), 250, np.uint8)
        slide[: int(0.16 * height)] = rgb(accent) * 255
        write(
            slide,
            f"{number + 1}. {' '.join(rng.permutation(WORDS)[:3]).title()}",
            (0.05 * width, 0.11 * height),
            body * 1.3,
            (1, 1, 1),
            bold=True,
        )
        for line in range(4):
            y = (0.29 + 0.12 * line) * height
            cv2.circle(
                slide,
                (int(0.06 * width), int(y - body * 0.35)),
                int(body / 5),
                tuple(255 * v for v in accent),
                -1,
                cv2.LINE_AA,
            )
            write(
                slide, " ".join(rng.permutation(WORDS)[:4]), (0.09 * width, y), body * 0.8, (0.15, 0.15, 0.18)
            )
        for bar in range(5):
            top = int(height * (0.72 - 0.4 * rng.random()))
            left = int(width * (0.6 + 0.065 * bar))
            cv2.rectangle(
                slide,
                (left, top),
                (left + int(0.045 * width), int(0.76 * height)),
                tuple(255 * v for v in accent),
                -1,
            )
        cv2.line(
            slide,
            (int(0.58 * width), int(0.76 * height)),
            (int(0.94 * width), int(0.76 * height)),
            (60, 60, 60),
            1,
        )
        write(slide, f"page {number + 1} of 4", (0.04 * width, 0.96 * height), body * 0.55, (0.5, 0.5, 0.5))
        deck.append(slide)
    inset = (width // 4 // 2 * 2, height // 4 // 2 * 2)
    person = talker(inset, seed, light)

    def render(time_s: float, view: View) -> Image:
        frame = deck[int(time_s / 3.0) % 4].copy()
        frame[height - inset[1] - 6 : height - 6, width - inset[0] - 6 : width - 6] = person(time_s, View())
        if view != View():
            base = Sprite(frame, height)
            return fill(size, base, place(base, view, size))
        return frame

    return render


def caption_bar(frame_HW3: Image, text: str) -> None:
    """Burn a subtitle into the lower part of a frame, in place."""
    height, width = frame_HW3.shape[:2]
    body = height / 17
    mask = np.zeros((1, 1, 3), np.uint8)
    long = write(mask, text, (9.0, 9.0), body, (1, 1, 1), bold=True)
    for dx, dy in ((-1, -1), (1, 1), (1, -1), (-1, 1)):
        write(frame_HW3, text, ((width - long) / 2 + dx, 0.92 * height + dy), body, (0, 0, 0), bold=True)
    write(frame_HW3, text, ((width - long) / 2, 0.92 * height), body, (0.98, 0.97, 0.9), bold=True)
