"""Small videos for tests, rendered in milliseconds: textured shots whose brightness tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

__all__ = ["write_video"]


def write_video(
    path: Path,
    shots: Sequence[tuple[int, float]],
    *,
    fps: int = 20,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    seed: int = 0,
) -> Path:
    """Write shots of (mean luma, seconds) joined by hard cuts, each a texture that drifts."""
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = fps
        stream.codec_context.thread_count = 1
        count = 0
        for luma, seconds in shots:
            texture = cv2.GaussianBlur(rng.normal(0, 120, (height * 2, width * 2)), (0, 0), 4)
            for n in range(round(seconds * fps)):
                window = texture[n // 2 % height :, n % width :][:height, :width]
                gray = np.clip(window + luma, 0, 255).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.stack([gray] * 3, -1), "rgb24")
                frame.pts, frame.time_base = count, Fraction(1, fps)
                container.mux(stream.encode(frame))
                count += 1
        container.mux(stream.encode())
    return path
