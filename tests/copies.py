"""Copies of a clip as they go round: re-encoded, scaled, cropped, mirrored, marked, trimmed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import av
import cv2
import numpy as np

from curate.frames import SmallFrame, half
from curate.records import Options, Sample
from filters.trace import TraceSignal

__all__ = ["KINDS", "Frames", "Seen", "copied", "pieces", "sampled", "seen"]

Frames: TypeAlias = list[tuple[float, np.ndarray]]
"""(time in seconds, RGB picture) in order"""
Change: TypeAlias = Callable[[Frames, random.Random], Frames]


def sampled(frames: Iterable[tuple[float, np.ndarray]]) -> tuple[Sample, ...]:
    """Return the samples that the split pass takes by default: one a second, short side 448, quality 90."""
    next_s, samples = float("-inf"), []
    for time_s, picture in frames:
        if time_s < next_s:
            continue
        height, width = picture.shape[:2]
        scale = min(1.0, 448 / min(height, width))
        if scale < 1:
            size = (round(width * scale), round(height * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # noqa: PLW2901
        data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        samples.append(Sample(time_s, bytes(data)))
        next_s = time_s // 1 + 1
    return tuple(samples)


class Seen(NamedTuple):
    """What the split pass keeps of a clip to tell copies by."""

    samples: tuple[Sample, ...]
    trace: bytes | None


def seen(frames: Frames) -> Seen:
    """Return the samples and the trace of a clip."""
    signal = TraceSignal(Options())
    gray = np.full((2, 2), 128, np.uint8)
    for number, (time_s, picture) in enumerate(frames):
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        while max(luma.shape) > 320:
            luma = half(luma)
        signal.push([SmallFrame(number, time_s, luma, gray, gray)])
    return Seen(sampled(frames), signal.summary(0, len(frames))["trace"])


def copied(frames: Frames, kind: str, seed: str) -> Seen:
    """Return what is seen of a copy of that kind, encoded as H.264; `seed` draws where it is trimmed."""
    change, crf = KINDS[kind]
    return seen(_encoded(change(frames, random.Random(seed)), crf))


def _encoded(frames: Frames, crf: int) -> Frames:
    file = io.BytesIO()
    height, width = (side - side % 2 for side in frames[0][1].shape[:2])
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for time_s, picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            frame.pts, frame.time_base = round((time_s - frames[0][0]) * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def _each(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda frames, _random: [(time_s, change(picture)) for time_s, picture in frames]


def _scale(share: float) -> Change:
    def change(picture: np.ndarray) -> np.ndarray:
        size = (int(picture.shape[1] * share), int(picture.shape[0] * share))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

    return _each(change)


def _crop(left: float, top: float, right: float, bottom: float) -> Change:
    def change(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        rows = slice(int(height * top), height - int(height * bottom))
        columns = slice(int(width * left), width - int(width * right))
        return cv2.resize(picture[rows, columns], (width, height), interpolation=cv2.INTER_LINEAR)

    return _each(change)


def _mark(picture: np.ndarray) -> np.ndarray:
    marked = picture.copy()
    height, width = picture.shape[:2]
    corners = ((int(width * 0.72), int(height * 0.04)), (int(width * 0.97), int(height * 0.16)))
    cv2.rectangle(marked, *corners, (240, 240, 240), -1)
    at = (int(width * 0.73), int(height * 0.13))
    cv2.putText(marked, "CHANNEL", at, 0, height / 420, (200, 20, 20), max(1, height // 150))
    return marked


def _grade(picture: np.ndarray) -> np.ndarray:
    graded = np.clip(picture / 255 * 1.12, 0, 1) ** 0.8 * 255 * np.array([1.08, 1, 0.88])
    return np.clip(graded, 0, 255).astype(np.uint8)


def _mirror(picture: np.ndarray) -> np.ndarray:
    return picture[:, ::-1]


def _fewer(frames: Frames, _random: random.Random) -> Frames:
    return [frames[int(index * 5 / 3)] for index in range(int(len(frames) * 3 / 5))]


def _cut(frames: Frames, start_s: float, end_s: float) -> Frames:
    first_s, last_s = frames[0][0] + start_s, frames[-1][0] - end_s
    return [(time_s - first_s, picture) for time_s, picture in frames if first_s <= time_s + 1e-6 <= last_s]


def _trim(frames: Frames, draw: random.Random) -> Frames:
    duration_s = frames[-1][0] - frames[0][0]
    return _cut(frames, draw.uniform(0.3, min(4, duration_s * 0.4)), draw.uniform(0, duration_s * 0.15))


def _trim_whole(frames: Frames, draw: random.Random) -> Frames:
    return _cut(frames, 1 if frames[-1][0] - frames[0][0] < 5 else draw.choice([1, 2]), 0)


def _chain(*changes: Change) -> Change:
    def change(frames: Frames, draw: random.Random) -> Frames:
        for one in changes:
            frames = one(frames, draw)
        return frames

    return change


KINDS: Mapping[str, tuple[Change, int]] = {
    "re-encoded, CRF 28": (_chain(), 28),
    "re-encoded, CRF 35": (_chain(), 35),
    "half the size": (_scale(0.5), 26),
    "a quarter of the size": (_scale(0.25), 24),
    "cropped to 95 %": (_crop(0.025, 0.025, 0.025, 0.025), 23),
    "cropped to 90 %": (_crop(0.05, 0.05, 0.05, 0.05), 23),
    "cropped to 86 %": (_crop(0.07, 0.07, 0.07, 0.07), 23),
    "bottom 10 % gone": (_crop(0, 0, 0, 0.10), 23),
    "corner of 8 % gone": (_crop(0.08, 0.08, 0, 0), 23),
    "watermark": (_each(_mark), 23),
    "mirrored": (_each(_mirror), 23),
    "graded": (_each(_grade), 23),
    "3 frames of 5": (_fewer, 23),
    "trimmed, whole seconds": (_trim_whole, 23),
    "trimmed": (_trim, 23),
    "trimmed, mirrored, marked, CRF 30": (_chain(_trim, _each(_mirror), _each(_mark)), 30),
}
"""kind → (change, CRF)"""


def pieces(frames: Frames, length_s: float) -> list[Seen]:
    """Return what is seen of consecutive clips of that length; what is left at the end is left out."""
    count = int((frames[-1][0] + frames[1][0] - frames[0][0]) // length_s)
    return [
        seen([(time_s, picture) for time_s, picture in frames if n <= time_s / length_s < n + 1])
        for n in range(count)
    ]
