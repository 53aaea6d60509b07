"""A clip's bytes and a view of it → frames.

Pictures are scaled one by one as they come, so memory is that of the view and of one picture of full size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shards.errors import SourceError
from train.data.decoders import Decoder, Rolls
from train.data.fitting import fitted
from train.data.times import asked_times
from train.plan import View

__all__ = ["decode"]


def decode(
    media: bytes, view: View, shown: tuple[int, int], decoder: Decoder, rolls: Rolls = (0, 0)
) -> npt.NDArray[np.uint8]:
    """Return the frames of the view (T, H, W, 3), uint8 RGB.

    Args:
        media: a video file.
        view: what is seen of it.
        shown: height and width at which the clip is displayed, in px: after rotation, with square pixels.
        decoder: see `train.data.decoders`.
        rolls: frames stored before the clip's first and after its last one.

    Raises SourceError where the clip does not decode, or not as far as the view looks.
    """
    frames_THWC = np.empty((view.frames, view.height, view.width, 3), np.uint8)
    at = 0
    for count, picture_HWC in decoder(media, asked_times(view), rolls):
        frames_THWC[at : at + count] = fitted(picture_HWC, shown, view.height, view.width)
        at += count
    if at != view.frames:
        raise SourceError(f"{at} of {view.frames} frames decoded")
    return frames_THWC
