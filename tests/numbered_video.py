"""Videos whose every frame says in black and white bars which video and frame it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

__all__ = ["read_number", "write_numbered"]

_VIDEO_BITS, _FRAME_BITS = 5, 9
_BAR_PX, _HEIGHT = 16, 128


def write_numbered(path: Path, video: int, seconds: float, *, fps: int = 10) -> Path:
    """Write a video; `read_number` of its frame `n` is (video, n)."""
    bits = _VIDEO_BITS + _FRAME_BITS
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = bits * _BAR_PX, _HEIGHT, "yuv420p"
        stream.gop_size = fps
        stream.codec_context.thread_count = 1
        for n in range(round(seconds * fps)):
            said = f"{video:0{_VIDEO_BITS}b}{n:0{_FRAME_BITS}b}"
            line = np.repeat([255 * int(bit) for bit in said], _BAR_PX).astype(np.uint8)
            # The lower half is the same in all frames: the bars are no cuts.
            gray = np.full((_HEIGHT, line.size), 128, np.uint8)
            gray[: _HEIGHT // 2] = line
            frame = av.VideoFrame.from_ndarray(np.stack([gray] * 3, -1), "rgb24")
            frame.pts, frame.time_base = n, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_number(jpeg: bytes) -> tuple[int, int]:
    """Return video and frame that a picture of one shows."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    height, width = picture.shape
    bits = _VIDEO_BITS + _FRAME_BITS
    middles = ((np.arange(bits) + 0.5) * width / bits).astype(int)
    said = "".join("1" if value > 127 else "0" for value in picture[height // 4, middles])
    return int(said[:_VIDEO_BITS], 2), int(said[_VIDEO_BITS:], 2)
