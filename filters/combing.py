"""Combing: the two fields of an interlaced picture, taken at different moments and shown at once."""

from __future__ import annotations

import cv2
import numpy as np

from curate.frames import NativeLuma
from filters.tiles import as_bytes

__all__ = ["combing", "is_combed"]

# Columns looked at, spread over the picture: moving things are wider than the gaps.
_COLUMNS = 64
# Levels of 255 by which neighbouring lines differ, this way and that, over so many steps in a row.
_TEETH, _RUN = 8.0, 5
_COMBED = 0.002
# Teeth are larger than so many standard deviations of the noise.
_NOISES = 4


def combing(native: NativeLuma, noise: float = 0.0) -> float | None:
    """Return the share of the picture that is combed, 0 to 1; None below eight lines.

    Looked at are 64 columns from top to bottom. A sample is combed where it begins five steps from line to
    line that go up and down by turns, each by 8 levels or more (four times `noise`, the noise's standard
    deviation, where that is more) and twice the step between lines two apart. The first is the comb test of
    deinterlacers, (a - b)(c - b) > T^2 for a line b between a and c (Graft's Decomb, 2003), over four lines
    on end; the second tells fields from fine texture. Stripes two lines apart pass for combing. Rows must be
    those that were stored: interlaced footage that was scaled vertically is not found, nor a picture that
    stands still.
    """
    height, width = native.samples_HW.shape
    if height < _RUN + 3:
        return None
    samples, scale = as_bytes(native, native.samples_HW[:, :: max(1, width // _COLUMNS)])
    least = max(1, round(max(_TEETH, _NOISES * noise) / scale))
    up, down = cv2.subtract(samples[1:], samples[:-1]), cv2.subtract(samples[:-1], samples[1:])
    tooth = np.maximum(cv2.min(up[:-1], down[1:]), cv2.min(down[:-1], up[1:]))
    # Lines of one field, two apart, are more alike than those of two fields.
    within = cv2.absdiff(samples[2:], samples[:-2])
    turns = (tooth >= least) & (within <= tooth >> 1)
    run = turns[: len(turns) - _RUN + 2].copy()
    for later in range(1, _RUN - 1):
        run &= turns[later : later + len(run)]
    return float(np.count_nonzero(run) / run.size)


def is_combed(share: float) -> bool:
    """Return whether so much of a picture is combed that it shows: a fifth of a percent."""
    return share > _COMBED
