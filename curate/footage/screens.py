"""What is no camera footage: printed pages, slides, and recordings of a computer's screen.

Text is set in OpenCV's stroke fonts, drawn three times as large and shrunk, so that it needs no font file
and looks the same everywhere.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Scene, Size, Sprite, View, fill, place
from curate.footage.faces import talker
from curate.footage.light import Light, lit
from curate.footage.textures import Color, Image, paper, to_image

__all__ = ["caption_bar", "desktop", "page", "slides", "write"]

WORDS = ["the", "light", "of", "morning", "fell", "across", "a", "quiet", "valley", "where", "two", "rivers", "meet", "and", "old", "roads", "begin", "every", "frame", "keeps", "a", "little", "of", "the", "time", "that", "made", "it", "and", "motion", "is", "the", "difference", "between", "them", "we", "measured", "the", "water", "level", "each", "day", "and", "wrote", "it", "down", "in", "a", "table", "with", "the", "wind", "and", "the", "rain", "a", "good", "picture", "asks", "one", "question", "and", "leaves", "the", "answer", "to", "whoever", "stands", "before", "it"]
CODE = (
    "def shots(frames):", "    last = None", "    for index, frame in enumerate(frames):",
    "        if last is None:", "            last = frame", "            continue",
    "        change = distance(frame, last)", "        if change > limit:", "            yield index",
    "        last = frame", "", "class Reader:", "    def __init__(self, path):",
    "        self.path = path", "        self.rows = []", "    def read(self):",
    "        with open(self.path) as file:", "            for line in file:",
    "                self.rows.append(line.split())", "        return len(self.rows)", "",
)  # fmt: skip


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
    up = 3
    face = cv2.FONT_HERSHEY_COMPLEX if serif else cv2.FONT_HERSHEY_SIMPLEX
    scale = height_px * up / 30.0
    thick = max(1, round(height_px * up / (9 if bold else 16)))
    (width, tall), below = cv2.getTextSize(text, face, scale, thick)
    if not text or width == 0:
        return 0.0
    pad = 2 * up
    mask = np.zeros((tall + below + 2 * pad, width + 2 * pad), np.uint8)
    cv2.putText(mask, text, (pad, pad + tall), face, scale, 255, thick, cv2.LINE_AA)
    small = (max(1, mask.shape[1] // up), max(1, mask.shape[0] // up))
    ink = cv2.resize(mask, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    x, y = round(at[0] - pad / up), round(at[1] - (tall + pad) / up)
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(image.shape[1], x + small[0]), min(image.shape[0], y + small[1])
    if x1 > x0 and y1 > y0:
        part = image[y0:y1, x0:x1].astype(np.float32)
        cover = ink[y0 - y : y1 - y, x0 - x : x1 - x, None]
        image[y0:y1, x0:x1] = part * (1 - cover) + np.float32(color) * 255 * cover
    return width / up


def _paragraph(rng: np.random.Generator, letters: int) -> list[str]:
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
        for n, line in enumerate(_paragraph(rng, int(0.76 * width / (body * 0.63)))):
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
        slide[: int(0.16 * height)] = np.float32(accent) * 255
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
        keyword = word.strip(":") in {
            "def",
            "for",
            "if",
            "in",
            "is",
            "class",
            "with",
            "return",
            "yield",
            "as",
            "continue",
        }
        color = (0.8, 0.47, 0.75) if keyword else ((0.55, 0.77, 0.95) if "(" in word else (0.85, 0.86, 0.84))
        x += write(image, word, (x, at[1]), body, color) + body * 0.5


def desktop(size: Size, seed: int, light: Light) -> Scene:
    """A screen recording: a wandering cursor, code being typed, a page that scrolls, windows popping up."""
    width, height = size
    rng = np.random.default_rng(seed)
    body = height / 27
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    wall = np.stack([0.1 + 0.25 * y, 0.2 + 0.3 * x, 0.4 + 0.25 * (1 - y)], axis=2) * np.float32(light.key)
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
    document = np.full((4 * height, right_w - 10, 3), 255, np.uint8)
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
        for line in _paragraph(rng, int(right_w / (body * 0.55))):
            line_y += body * 1.3
            write(document, line, (10, line_y), body * 0.72, (0.2, 0.2, 0.2))
        line_y += body * 2.2
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
            box_w, box_h = int(0.36 * width), int(0.26 * height)
            box = _window(box_w, box_h, "Save changes?", dark=False)
            write(
                box, "Keep the edits in shots.py", (box_w * 0.08, box_h * 0.5), body * 0.75, (0.2, 0.2, 0.2)
            )
            cv2.rectangle(
                box,
                (int(0.55 * box_w), int(0.65 * box_h)),
                (int(0.92 * box_w), int(0.88 * box_h)),
                (40, 110, 220),
                -1,
            )
            write(box, "Keep", (box_w * 0.65, box_h * 0.81), body * 0.75, (1, 1, 1))
            shade = frame[
                int(0.34 * height) : int(0.34 * height) + box_h, int(0.34 * width) : int(0.34 * width) + box_w
            ]
            shade //= 2
            frame[
                int(0.33 * height) : int(0.33 * height) + box_h, int(0.33 * width) : int(0.33 * width) + box_w
            ] = box
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


def caption_bar(frame_HW3: Image, text: str) -> None:
    """Burn a subtitle into the lower part of a frame, in place."""
    height, width = frame_HW3.shape[:2]
    body = height / 17
    mask = np.zeros((1, 1, 3), np.uint8)
    long = write(mask, text, (9.0, 9.0), body, (1, 1, 1), bold=True)
    for dx, dy in ((-1, -1), (1, 1), (1, -1), (-1, 1)):
        write(frame_HW3, text, ((width - long) / 2 + dx, 0.92 * height + dy), body, (0, 0, 0), bold=True)
    write(frame_HW3, text, ((width - long) / 2, 0.92 * height), body, (0.98, 0.97, 0.9), bold=True)
