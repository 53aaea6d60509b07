"""RGB to the planes that encoders take, the same bytes in every process.

swscale chooses its code by the alignment of the memory it is given and rounds differently in each; OpenCV's
`transform` does not. BT.601, limited range, chroma by averaging.
"""

from __future__ import annotations

from typing import Final

import av
import cv2
import numpy as np

from curate.footage.textures import Image

__all__ = ["to_frame"]

# Rec. ITU-R BT.601-7, scaled to 16..235 and 16..240; columns R, G, B and offset.
BT601: Final = np.array(
    [
        [65.481 / 255, 128.553 / 255, 24.966 / 255, 16.0],
        [-37.797 / 255, -74.203 / 255, 112.0 / 255, 128.0],
        [112.0 / 255, -93.786 / 255, -18.214 / 255, 128.0],
    ]
)


def to_frame(image_HW3: Image, pix_fmt: str) -> av.VideoFrame:
    """Return an RGB image as a frame in yuv420p, yuv444p or yuv420p10le; any size.

    Raises `ValueError` for another format.
    """
    if pix_fmt not in ("yuv420p", "yuv444p", "yuv420p10le"):
        raise ValueError(f"{pix_fmt!r} is not a format that footage is rendered in")
    height, width = image_HW3.shape[:2]
    deep = pix_fmt.endswith("10le")
    source = image_HW3.astype(np.float32) if deep else image_HW3
    planes = cv2.split(cv2.transform(source, BT601 * 4 if deep else BT601))
    if "420" in pix_fmt:
        if height % 2 or width % 2:
            planes = [
                cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
                for plane in planes
            ]
        half = (planes[1].shape[1] // 2, planes[1].shape[0] // 2)
        small = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in planes[1:]]
        planes = [planes[0][:height, :width], *small]
    frame = av.VideoFrame(width, height, pix_fmt)
    kind = np.dtype("<u2") if deep else np.dtype(np.uint8)
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // kind.itemsize), kind)
        rows[:, : values.shape[1]] = np.rint(values) if deep else values
        plane.update(rows.tobytes())
    return frame
