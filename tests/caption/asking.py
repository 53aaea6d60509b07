"""Requests and pictures for tests of engines that run models."""

from __future__ import annotations

import cv2
import numpy as np

from caption.engine import Picture, Request

__all__ = ["FRAMES", "ask"]


def _frame(number: int) -> Picture:
    image_HWC = np.full((180, 320, 3), (40 * number, 60, 200 - 40 * number), np.uint8)
    cv2.circle(image_HWC, (40 + 60 * number, 90), 30, (0, 255, 255), -1)
    done, data = cv2.imencode(".jpg", image_HWC)
    assert done
    return Picture(0.5 * number, data.tobytes())


FRAMES = tuple(_frame(number) for number in range(4))
"""a disc that goes right while the ground changes colour, half a second apart"""


def ask(number: int, pictures: tuple[Picture, ...], *, max_tokens: int = 16) -> Request:
    """Return a request about clip `number`."""
    return Request(
        id=f"clip{number:02}/frame/{number}",
        clip_id=f"clip{number:02}",
        template="frame",
        system="You describe pictures.",
        prompt=f"What moves in clip {number}?",
        pictures=pictures,
        video=False,
        seed=number,
        max_tokens=max_tokens,
        temperature=0.7,
    )
