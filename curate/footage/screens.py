"""A recording of a computer's screen: what no camera has seen."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, fill, place
from curate.footage.light import Light
from curate.footage.pages import WORDS, paragraph, write
from curate.footage.textures import Image, rgb, to_image

__all__ = ["desktop"]

CODE: Final = (
    "def shots(frames):", "    last = None", "    for index, frame in enumerate(frames):",
    "        if last is None:", "            last = frame", "            continue",
    "        change = distance(frame, last)", "        if change > limit:", "            yield index",
    "        last = frame", "", "class Reader:", "    def __init__(self, path):",
    "        self.path = path", "        self.rows = []", "    def read(self):",
    "        with open(self.path) as file:", "            for line in file:",
    "                self.rows.append(line.split())", "        return len(self.rows)", "",
)  # fmt: skip

KEYWORDS: Final = frozenset(
    ("def", "for", "if", "in", "is", "class", "with", "return", "yield", "as", "continue")
)


def _window(width: int, height: int, title: str, dark: bool) -> Image:
    tone = 30 if dark else 248
    picture = np.full((height, width, 3), tone, np.uint8)
    bar = max(12, height // 14)
    picture[:bar] = (54, 57, 63) if dark else (222, 225, 230)
    for n, color in enumerate(((236, 95, 87), (245, 190, 79), (98, 197, 84))):
        cv2.circle(picture, (9 + 12 * n, bar // 2), max(3, bar // 4), color, -1, cv2.LINE_AA)
    write(
        picture, title, (width * 0.4, bar * 0.72), bar * 0.5, (0.7, 0.7, 0.7) if dark else (0.25, 0.25, 0.25)
    )
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), (110, 110, 115), 1)
    return picture


def _code_line(image: Image, text: str, at: tuple[float, float], body: float) -> None:
    x = at[0] + body * 0.62 * (len(text) - len(text.lstrip()))
    for word in text.split():
        keyword = word.strip(":") in KEYWORDS
        color = (0.8, 0.47, 0.75) if keyword else ((0.55, 0.77, 0.95) if "(" in word else (0.85, 0.86, 0.84))
        x += write(image, word, (x, at[1]), body, color) + body * 0.5


def _document(rng: np.random.Generator, size: Size, body: float) -> Image:
    """Return a long page of headings and paragraphs."""
    document = np.full((size[1], size[0], 3), 255, np.uint8)
    line_y = body * 2
    while line_y < document.shape[0] - body * 4:
        write(
            document,
            str(rng.permutation(WORDS)[0]).title(),
            (10, line_y),
            body * 1.1,
            (0.1, 0.2, 0.5),
            bold=True,
        )
        for line in paragraph(rng, int(size[0] / (body * 0.55))):
            line_y += body * 1.3
            write(document, line, (10, line_y), body * 0.72, (0.2, 0.2, 0.2))
        line_y += body * 2.2
    return document


def _pop_up(frame: Image, body: float) -> None:
    """Open a dialog with its shadow in the middle of a screen, in place."""
    height, width = frame.shape[:2]
    box_w, box_h = int(0.36 * width), int(0.26 * height)
    box = _window(box_w, box_h, "Save changes?", dark=False)
    write(box, "Keep the edits in shots.py", (box_w * 0.08, box_h * 0.5), body * 0.75, (0.2, 0.2, 0.2))
    button = (int(0.55 * box_w), int(0.65 * box_h)), (int(0.92 * box_w), int(0.88 * box_h))
    cv2.rectangle(box, *button, (40, 110, 220), -1)
    write(box, "Keep", (box_w * 0.65, box_h * 0.81), body * 0.75, (1, 1, 1))
    shade = frame[int(0.34 * height) :, int(0.34 * width) :][:box_h, :box_w]
    shade //= 2
    frame[int(0.33 * height) :, int(0.33 * width) :][:box_h, :box_w] = box


def desktop(size: Size, seed: int, light: Light) -> Scene:
    """A screen recording: a wandering cursor, code being typed, a page that scrolls, windows popping up."""
    width, height = size
    rng = np.random.default_rng(seed)
    body = height / 27
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    wall = np.stack([0.1 + 0.25 * y, 0.2 + 0.3 * x, 0.4 + 0.25 * (1 - y)], axis=2) * rgb(light.key)
    desk = to_image(wall.astype(np.float32))
    desk[-int(0.06 * height) :] = (32, 34, 40)
    for n in range(6):
        left = int((0.3 + 0.07 * n) * width)
        hue = tuple(int(v) for v in rng.integers(80, 240, 3))
        cv2.rectangle(
            desk, (left, int(0.952 * height)), (left + int(0.035 * width), int(0.99 * height)), hue, -1
        )
    left_w, left_h = int(0.52 * width), int(0.8 * height)
    right_w, right_h = int(0.4 * width), int(0.72 * height)
    document = _document(rng, (right_w - 10, 4 * height), body)
    stops = rng.uniform(0.08, 0.9, (12, 2))
    arrow = (
        np.array([(0, 0), (0, 16), (4, 12.4), (7, 18.5), (9.4, 17.4), (6.6, 11.5), (11.5, 11.2)])
        * height
        / 420
    )
    per_s, offset = 13.0, 5 * seed
    script = "\n".join(CODE[(offset + n) % len(CODE)] for n in range(len(CODE) * 2))

    def render(time_s: float, view: View) -> Image:
        frame = desk.copy()
        editor = _window(left_w, left_h, "shots.py", dark=True)
        typed = script[: 220 + int(per_s * time_s)].split("\n")
        for n, text in enumerate(typed[-13:]):
            write(
                editor,
                f"{len(typed[:-13]) + n + 1:2d}",
                (6, (3 + n) * body * 1.5),
                body * 0.7,
                (0.4, 0.42, 0.45),
            )
            _code_line(editor, text, (body * 2.3, (3 + n) * body * 1.5), body * 0.75)
        frame[
            int(0.07 * height) : int(0.07 * height) + left_h, int(0.03 * width) : int(0.03 * width) + left_w
        ] = editor
        reader = _window(right_w, right_h, "Notes", dark=False)
        bar = max(12, right_h // 14)
        # Wheels scroll in steps with rests between them.
        steps = math.floor(time_s / 1.6) + min(1.0, (time_s % 1.6) / 0.3)
        top = int(steps * 0.22 * height) % (3 * height)
        reader[bar + 2 : -3, 5 : right_w - 5] = document[top : top + right_h - bar - 5]
        frame[
            int(0.12 * height) : int(0.12 * height) + right_h, int(0.58 * width) : int(0.58 * width) + right_w
        ] = reader
        if 2.0 < time_s % 6.0 < 4.0:
            _pop_up(frame, body)
        hop = time_s / 1.3 + 0.1 * seed
        a, b = stops[int(hop) % 12], stops[(int(hop) + 1) % 12]
        part = min(1.0, (hop % 1.0) / 0.5)
        where = (a + (b - a) * part * part * (3 - 2 * part)) * (width, height)
        tip = ((arrow + where) * 16).astype(np.int32)
        cv2.fillPoly(frame, [tip], (250, 250, 250), cv2.LINE_AA, 4)
        cv2.polylines(frame, [tip], True, (10, 10, 10), 1, cv2.LINE_AA, 4)
        if view == View():
            return frame
        base = Sprite(frame, height)
        return fill(size, base, place(base, view, size))

    return render
