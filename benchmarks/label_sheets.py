"""Draws docs/labels/*.jpg: for each label, films that have it and films that only seem to.

python benchmarks/label_sheets.py docs/labels
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from curate.footage.textures import Image
from filters.labels.questions import LABELS
from filters.labels.synthesis import quality
from filters.labels.synthesis.base import Base, Format, live
from filters.labels.synthesis.recipe import NEGATIVES, POSITIVES, clean
from filters.labels.synthesis.takes import Made

CELL = (232, 130)
SHOWN = 4
FORM = Format((464, 260), Fraction(12), 40)


def strip(made: Made) -> Image:
    """Return two moments of a film above each other."""
    frames = made.take.frames
    return np.vstack(
        [cv2.resize(frames[int(at * len(frames))], CELL, interpolation=cv2.INTER_AREA) for at in (0.3, 0.8)]
    )


def sheet(label: str) -> Image:
    """Return a row of films with the label above a row of films without it."""
    rows = []
    for positive in (True, False):
        cells = []
        some = list(dict.fromkeys((POSITIVES if positive else NEGATIVES).get(label, (clean,))))
        for number in range(SHOWN):
            rng = np.random.default_rng([LABELS.index(label), positive, number])
            base = Base(live(rng, FORM), live(rng, FORM))
            made = some[number * len(some) // SHOWN if len(some) >= SHOWN else number % len(some)](base, rng)
            if positive and label == "low_quality":
                name = ("defocus", "noise", "upscaled", "amateur")[number]
                made = made.with_take(quality.FAULTS[name](made.take, rng, 1.4))
            cells.append(strip(made))
        rows.append(np.hstack(cells))
    rule = np.full((6, rows[0].shape[1], 3), 255, np.uint8)
    return np.vstack([rows[0], rule, rows[1]])


def main() -> None:
    """Write one picture a label into the folder given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    for label in LABELS:
        picture = cv2.cvtColor(sheet(label), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{label}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 72])
        print(label, (folder / f"{label}.jpg").stat().st_size)


if __name__ == "__main__":
    main()
