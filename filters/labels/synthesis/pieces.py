"""Base films out of a user's own footage: single-shot pieces of the videos in a folder.

A piece is as long as a rendered base film. What it is joined with is rendered: another piece of the folder
would put one video on both sides of a split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from curate.footage.textures import Image
from curate.frames import Boundary
from curate.video.reader import open_video
from filters.labels.synthesis.base import Base, Format, live
from filters.labels.synthesis.takes import Random, Take
from filters.shots import ShotDetector, ShotOptions
from shards.errors import ClipError, InputError

__all__ = ["Piece", "find_pieces", "read_base"]

SUFFIXES: Final = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m4v"})
LASTS_S: Final = 3.6
_TRIM_FRAMES: Final = 2
_SHORT_SIDE_PX: Final = 270
_MOST_FPS: Final = 30
_QUALITY: Final = 95


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of one shot of a video."""

    path: Path
    name: str
    """of the video within its folder: what must stay on one side of a split"""
    start_frame: int
    fps: float


def find_pieces(folder: Path, most: int) -> Sequence[Piece]:
    """Return at most `most` pieces: one of each video in name order, then a second of each, and so on.

    Decodes every video once. Raises InputError where the folder has no shot that is long enough.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    rows = [list(_pieces(path, path.relative_to(folder).as_posix())) for path in paths]
    deepest = max((len(row) for row in rows), default=0)
    found = [row[depth] for depth in range(deepest) for row in rows if depth < len(row)][:most]
    if not found:
        raise InputError(f"{folder}: no video has a shot of {LASTS_S} s")
    return found


def _pieces(path: Path, name: str) -> Iterator[Piece]:
    """Yield the pieces of a video, none of a file that cannot be read."""
    detector = ShotDetector(ShotOptions())
    cuts: list[Boundary] = []
    times: list[float] = []
    try:
        with open_video(str(path)) as reader:
            for frame in reader:
                times.append(frame.time_s)
                cuts += detector.push([frame.small()])
    except ClipError:
        return
    if len(times) < 3:
        return
    cuts += detector.finish()
    fps = (len(times) - 1) / max(times[-1] - times[0], 1e-6)
    starts = [0, *(cut.start_frame for cut in cuts)]
    ends = [*(cut.end_frame for cut in cuts), len(times)]
    need = int(LASTS_S * fps) + 1
    for start, end in zip(starts, ends, strict=True):
        for at in range(start + _TRIM_FRAMES, end - _TRIM_FRAMES - need, need):
            yield Piece(path, name, at, fps)


def read_base(piece: Piece, rng: Random) -> Base:
    """Return the piece at an even rate of at most 30 frames a second, and a rendered take beside it."""
    rate = Fraction(min(_MOST_FPS, max(1, round(piece.fps))))
    need = int(LASTS_S * piece.fps) + 1
    pictures: list[Image] = []
    with open_video(str(piece.path)) as reader:
        for frame in reader:
            if frame.index >= piece.start_frame + need:
                break
            if frame.index >= piece.start_frame:
                pictures.append(_picture(frame.jpeg(_SHORT_SIDE_PX, _QUALITY)))
    count = int(LASTS_S * rate)
    chosen = [pictures[min(len(pictures) - 1, int(n * piece.fps / float(rate)))] for n in range(count)]
    one = Take(chosen, rate)
    return Base(one, live(rng, Format(one.size, rate, count)))


def _picture(jpeg: bytes) -> Image:
    """Return a JPEG as RGB with even sides."""
    picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    made: Image = np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
    return made
