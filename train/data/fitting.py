"""A picture brought to a view's size: scaled to cover it, with antialias, and cropped evenly."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["VERSION", "covering", "fitted"]

VERSION: Final = 1
"""raise it when pixels change: latents are cached by it"""


def covering(shown: tuple[int, int], height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((height, width), (top, left)): what to scale to, and where to crop `height` x `width` px.

    `shown`: height and width as displayed, with square pixels.
    """
    # Compared as products: 270 x 480 scaled to 272 x 480 must not lose a pixel to rounding.
    if height * shown[1] >= width * shown[0]:
        scaled = height, max(width, round(shown[1] * height / shown[0]))
    else:
        scaled = max(height, round(shown[0] * width / shown[1])), width
    return scaled, ((scaled[0] - height) // 2, (scaled[1] - width) // 2)


def fitted(
    picture_HWC: npt.NDArray[np.uint8], shown: tuple[int, int], height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Return the picture, `shown` at that height and width, as (height, width, 3) uint8.

    Where pixels are not square the sides of the picture differ from those it is shown at.
    """
    scaled, (top, left) = covering(shown, height, width)
    if picture_HWC.shape[:2] != scaled:
        # Channels last and uint8: torch has a fast path of its own for these.
        picture_1CHW = torch.from_numpy(np.ascontiguousarray(picture_HWC)).permute(2, 0, 1)[None]
        made = torch.nn.functional.interpolate(picture_1CHW, scaled, mode="bicubic", antialias=True)
        picture_HWC = made[0].permute(1, 2, 0).numpy()
    return picture_HWC[top : top + height, left : left + width]
