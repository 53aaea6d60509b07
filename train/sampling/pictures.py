"""Frames in and out of files: an image to begin from, a video, a contact sheet of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from shards.errors import ConfigError, InputError

__all__ = ["contact_sheet", "read_image", "write_png", "write_video"]

Frame = npt.NDArray[np.uint8]

_GAP_PX = 4
_LINE_PX = 22


def read_image(path: Path, height: int, width: int) -> Frame:
    """Return an image (height, width, 3) uint8 RGB: scaled to cover, and cut to its middle.

    Raises InputError where it cannot be read.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as exc:
        raise InputError(f"{path}: {exc.strerror}") from None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise InputError(f"{path}: no image that can be read")
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, size, interpolation=way)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    cut: Frame = np.ascontiguousarray(scaled[top : top + height, left : left + width, ::-1])
    return cut


def write_video(path: Path, frames: Iterable[npt.NDArray[np.uint8]], fps: float) -> list[Frame]:
    """Write chunks of frames (T, H, W, 3) uint8 RGB as H.264, and return eight of them, evenly spread.

    Sides are even. The file appears when it is whole. Raises ConfigError without av.
    """
    try:
        import av
    except ImportError as exc:
        raise ConfigError("writing videos needs av: pip install av") from exc
    partial = path.with_name(f".{path.name}.partial")
    kept: list[Frame] = []
    with av.open(str(partial), "w", format="mp4") as container:
        stream = None
        for chunk in frames:
            for picture in chunk:
                if stream is None:
                    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt, stream.options = "yuv420p", {"crf": "17", "preset": "medium"}
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
                kept.append(picture)
        if stream is not None:
            container.mux(stream.encode())
    partial.rename(path)
    chosen = np.linspace(0, len(kept) - 1, min(8, len(kept))).round().astype(int)
    return [kept[at] for at in chosen]


def contact_sheet(rows: Sequence[tuple[str, Sequence[Frame]]], height_px: int = 160) -> Frame:
    """Return one picture (H, W, 3) uint8 RGB: a row a video, its text above it."""
    strips = []
    for text, frames in rows:
        small = []
        for picture in frames:
            size = (max(1, round(picture.shape[1] * height_px / picture.shape[0])), height_px)
            way = cv2.INTER_AREA if height_px < picture.shape[0] else cv2.INTER_NEAREST
            small += [
                cv2.resize(picture, size, interpolation=way),
                np.full((height_px, _GAP_PX, 3), 255, np.uint8),
            ]
        strip = np.hstack(small)
        title = np.full((_LINE_PX, strip.shape[1], 3), 255, np.uint8)
        plain = text.encode("ascii", "replace").decode()
        cv2.putText(title, plain, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        strips.append(np.vstack([title, strip]))
    width = max(strip.shape[1] for strip in strips)
    padded = [
        np.pad(strip, ((0, _GAP_PX), (0, width - strip.shape[1]), (0, 0)), constant_values=255)
        for strip in strips
    ]
    sheet: Frame = np.vstack(padded)
    return sheet


def write_png(path: Path, picture_HW3: Frame) -> None:
    """Write an RGB picture as PNG."""
    path.write_bytes(cv2.imencode(".png", picture_HW3[..., ::-1])[1].tobytes())
