"""Writing that belongs to the scene, or is small: not a film dominated by text."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.canvas import Sprite, View, draw, place
from curate.footage.textures import Image, fractal
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.lettering import any_face, bright, card, paste, paste_over, phrase
from filters.labels.synthesis.people import Pose, draw_person, person
from filters.labels.synthesis.takes import Made, Random, answers, floats, mapped, px, tones

__all__ = ["number_plate", "printed_shirt", "shop_front", "small_caption", "street_sign", "watermark"]


def _board(rng: Random, width: int, height: int, lines: int) -> Image:
    """Return a weathered board with writing, premultiplied RGBA."""
    tone = floats(bright(rng) if rng.random() < 0.6 else rng.uniform(0.1, 0.95, 3)) * rng.uniform(0.5, 1.0)
    worn = (
        0.7
        + 0.5 * fractal((height, width), int(rng.integers(1 << 30)), cell=height / 2, octaves=5)[..., None]
    )
    made = np.dstack([np.clip(tone * worn * 255, 0, 255), np.full((height, width), 255)]).astype(np.uint8)
    ink = (0.95, 0.95, 0.92) if float(tone.sum()) < 1.7 else (0.08, 0.08, 0.1)
    words = card(
        [phrase(rng, 1 if lines > 1 else 2) for _ in range(lines)],
        height / (1.7 * lines),
        any_face(rng),
        ink,
        pad=0.1,
    )
    fit = min(1.0, 0.9 * width / words.shape[1], 0.92 * height / words.shape[0])
    words = cv2.resize(words, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
    paste_over(made, words, ((width - words.shape[1]) / 2, (height - words.shape[0]) / 2))
    cv2.rectangle(
        made, (0, 0), (width - 1, height - 1), tuple(int(255 * v) for v in (*ink, 1)), max(1, height // 30)
    )
    return made


def _leaning(board: Image, rng: Random) -> Image:
    """Return the board in perspective."""
    height, width = board.shape[:2]
    lean = rng.uniform(-0.22, 0.22)
    corners = floats([[0, 0], [width, 0], [width, height], [0, height]])
    low, high = (max(0.0, lean), max(0.0, -lean))
    to = floats(
        [
            [0, low * height],
            [width * (1 - abs(lean)), high * height],
            [width * (1 - abs(lean)), (1 - high) * height],
            [0, (1 - low) * height],
        ]
    )
    made: Image = cv2.warpPerspective(
        board, cv2.getPerspectiveTransform(corners, to), (width, height), flags=cv2.INTER_AREA
    )
    return made


def street_sign(base: Base, rng: Random) -> Made:
    """A sign or two on posts in the scene; the camera moves past them."""
    width, height = base.one.size
    things = []
    for _ in range(int(rng.integers(1, 3))):
        w, h = int(rng.uniform(0.18, 0.4) * height), int(rng.uniform(0.09, 0.2) * height)
        board = _leaning(_board(rng, 2 * w, 2 * h, int(rng.integers(1, 3))), rng)
        post = np.zeros((int(1.6 * height), 2 * w, 4), np.uint8)
        tone = int(rng.integers(60, 150))
        cv2.rectangle(
            post, (w - w // 14 - 1, h), (w + w // 14 + 1, post.shape[0]), (tone, tone, tone, 255), -1
        )
        paste_over(post, board, (0, 0))
        things.append(
            (Sprite(post, 2 * height), rng.uniform(-0.55, 0.55) * width / height, rng.uniform(0.1, 0.3))
        )
    way = 1 if rng.random() < 0.5 else -1
    drift = way * rng.choice([0.0, rng.uniform(0.03, 0.2)])

    def change(frame: Image, index: int, time_s: float) -> Image:
        view = base.one.views[index] if base.one.views else View()
        view = View(view.x, view.y, 0, 1.0, view.roll)
        for thing, x, y in things:
            at = (x + drift * (0 if base.one.views and abs(view.x) > 0.3 else time_s), y)
            draw(frame, thing, place(thing, view, (width, height), at=at, depth=0.9))
        return frame

    return Made(mapped(base.one, change), "street_sign", answers())


def shop_front(base: Base, rng: Random) -> Made:
    """Letters over a window, people before it."""
    width, height = base.one.size
    w, h = int(rng.uniform(0.6, 1.1) * height), int(rng.uniform(0.1, 0.17) * height)
    board = Sprite(_board(rng, w, h, 1), height)
    awning = np.zeros((int(0.5 * height), w, 4), np.uint8)
    stripes = tones(bright(rng))
    awning[: int(0.1 * height), :, :3] = np.where(
        (np.arange(w) // max(3, w // 16) % 2 == 0)[None, :, None], stripes, 235
    )
    awning[: int(0.1 * height), :, 3] = 255
    awning[int(0.1 * height) :] = (28, 32, 38, 255)
    glass = (
        60 * fractal((awning.shape[0] - int(0.1 * height), w), int(rng.integers(1 << 30)), cell=40)
    ).astype(np.uint8)
    awning[int(0.1 * height) :, :, :3] += glass[..., None]
    window = Sprite(awning, height)
    x = rng.uniform(-0.3, 0.3) * width / height
    who = person(rng, int(0.2 * height))
    start, way = rng.uniform(-1.0, 0.0), (1 if rng.random() < 0.5 else -1)

    def change(frame: Image, index: int, time_s: float) -> Image:
        view = base.one.views[index] if base.one.views else View()
        view = View(view.x, view.y, 0, 1.0, view.roll)
        draw(frame, window, place(window, view, (width, height), at=(x, 0.1)))
        draw(frame, board, place(board, view, (width, height), at=(x, -0.2)))
        pose = Pose(
            (way * (start + 0.3 * time_s) * width / height, 0.14), 0.2, talks=0, arms=0.3, legs=6 * time_s
        )
        draw_person(frame, who, pose, time_s, view)
        return frame

    return Made(mapped(base.one, change), "shop_front", answers())


def printed_shirt(base: Base, rng: Random) -> Made:
    """Somebody with words on the chest who walks or dances about."""
    width, height = base.one.size
    scale = rng.uniform(0.25, 0.5)
    who = person(rng, int(height * scale), printed=True)
    hz, reach = rng.uniform(0.25, 0.7), rng.uniform(0.15, 0.4)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        x = reach * math.sin(6.3 * hz * time_s) * width / height
        pose = Pose(
            (x, -0.1 + 0.03 * abs(math.sin(9 * hz * time_s))),
            scale,
            talks=0.2,
            sway=2.0,
            arms=1.0,
            legs=9 * hz * time_s,
        )
        draw_person(frame, who, pose, time_s, View())
        return frame

    return Made(mapped(base.one, change), "printed_shirt", answers())


def small_caption(base: Base, rng: Random) -> Made:
    """One line of subtitles that changes now and then."""
    width, height = base.one.size
    face = any_face(rng)
    body = min(0.065 * height, 0.05 * width)
    lines = []
    for _ in range(5):
        line = card([phrase(rng, int(rng.integers(3, 6)))], body, face, (1, 1, 0.9), outline=(0, 0, 0))
        fit = min(1.0, 0.9 * width / line.shape[1])
        lines.append(cv2.resize(line, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA))
    pause = rng.uniform(1.2, 2.5)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        line = lines[int(time_s / pause)]
        if time_s % pause < 0.8 * pause:
            paste(frame, line, ((width - line.shape[1]) / 2, 0.87 * height - line.shape[0] / 2))
        return frame

    return Made(mapped(base.one, change), "small_caption", answers(editing="unsure"))


def watermark(base: Base, rng: Random) -> Made:
    """A name, a date or a station's mark in a corner."""
    width, height = base.one.size
    body = min(0.06 * height, 0.05 * width) * rng.uniform(0.7, 1.1)
    date = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.2019"
    clock = f"{rng.integers(24):02d}:{rng.integers(60):02d}"
    text = phrase(rng, 1) if rng.random() < 0.6 else f"{date} {clock}"
    mark = card([text], body, "DejaVuSansMono" if ":" in text else any_face(rng), (1, 1, 1))
    x = rng.choice([0.02, 0.98]) * width
    x = x if x < width / 2 else x - mark.shape[1]
    y = float(rng.choice([0.02, 0.98])) * height
    y = y if y < height / 2 else y - mark.shape[0]
    alpha = rng.uniform(0.35, 1.0)

    def change(frame: Image, _index: int, _time_s: float) -> Image:
        paste(frame, mark, (x, y), alpha)
        return frame

    return Made(mapped(base.one, change), "watermark", answers())


def number_plate(base: Base, rng: Random) -> Made:
    """The back of a car ahead, with its plate, that drives along."""
    width, height = base.one.size
    w, h = int(0.62 * height), int(0.46 * height)
    back = np.zeros((h, w, 4), np.uint8)
    paint = floats(rng.uniform(0.05, 0.9, 3)) * 255
    body = px(
        [
            (0.04 * w, 0.9 * h),
            (0.04 * w, 0.42 * h),
            (0.16 * w, 0.36 * h),
            (0.26 * w, 0.04 * h),
            (0.74 * w, 0.04 * h),
            (0.84 * w, 0.36 * h),
            (0.96 * w, 0.42 * h),
            (0.96 * w, 0.9 * h),
        ]
    )
    cv2.fillPoly(back, [body], (*(float(v) for v in paint), 255), cv2.LINE_AA)
    glass = px([(0.22 * w, 0.36 * h), (0.3 * w, 0.09 * h), (0.7 * w, 0.09 * h), (0.78 * w, 0.36 * h)])
    cv2.fillPoly(back, [glass], (38, 46, 54, 255), cv2.LINE_AA)
    shade = np.linspace(1.2, 0.6, h, dtype=np.float32)[:, None, None]
    back[..., :3] = np.minimum(np.clip(back[..., :3] * shade, 0, 255), back[..., 3:]).astype(np.uint8)
    for side in (0.1, 0.9):
        cv2.rectangle(
            back,
            (int((side - 0.06) * w), int(0.48 * h)),
            (int((side + 0.06) * w), int(0.58 * h)),
            (190, 25, 25, 255),
            -1,
        )
        cv2.rectangle(
            back,
            (int((side - 0.05) * w), int(0.88 * h)),
            (int((side + 0.05) * w), h - 1),
            (15, 15, 15, 255),
            -1,
        )
    letters = "".join(str(v) for v in rng.choice(list("ABCDEFGHKLMNPRSTXYZ0123456789"), 6))
    plate = card(
        [f"{letters[:2]} {letters[2:]}"],
        0.09 * h,
        "DejaVuSans-Bold",
        (0.05, 0.05, 0.06),
        plate=(0.95, 0.95, 0.85, 1),
        pad=0.1,
    )
    paste_over(back, plate, ((w - plate.shape[1]) / 2, 0.66 * h))
    thing = Sprite(back, height)
    scale, pace = rng.uniform(0.45, 1.1), rng.uniform(0.4, 1.2)

    def change(frame: Image, _index: int, time_s: float) -> Image:
        x = 0.25 * math.sin(0.5 * pace * time_s) * width / height
        at = (x, 0.22 + 0.006 * math.sin(11 * time_s) + 0.03 * math.sin(pace * time_s))
        draw(
            frame,
            thing,
            place(
                thing,
                View(),
                (width, height),
                at=at,
                scale=scale * (1 + 0.15 * math.sin(0.8 * pace * time_s)),
            ),
        )
        return frame

    return Made(mapped(base.one, change), "number_plate", answers())
