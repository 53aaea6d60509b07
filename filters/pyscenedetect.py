"""PySceneDetect's detectors on the small frames, for comparison and for those who know them.

Name them in a pipeline as `filters.pyscenedetect:AdaptiveDetector` or `:ContentDetector`; they need the extra
`scenedetect`. They report cuts only, and see the picture at 320 px in BGR made of the small planes: results
differ a little from the package's own on full-size frames. Cost: about 0.3 ms a frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
from pydantic import Field

from curate.frames import Boundary, SmallFrame
from curate.records import Options
from shards.errors import ConfigError

__all__ = ["AdaptiveDetector", "AdaptiveOptions", "ContentDetector", "ContentOptions"]

_FPS = 25.0
"""the package wants a frame rate to name frames; all limits here are in frames"""


class AdaptiveOptions(Options):
    """Defaults are the package's."""

    adaptive_threshold: float = Field(default=3.0, gt=0)
    """times the mean content change of the frames around"""
    min_content: float = Field(default=15.0, ge=0)
    """content change (mean of hue, saturation, value), below which nothing is a cut"""
    min_scene_frames: int = Field(default=15, ge=0)
    """cuts closer than this to the one before are dropped"""


class ContentOptions(Options):
    """Defaults are the package's."""

    threshold: float = Field(default=27.0, gt=0)
    """content change (mean of hue, saturation, value)"""
    min_scene_frames: int = Field(default=15, ge=0)
    """cuts closer than this are merged"""


class _Adapter:
    """Shows small frames to a detector of PySceneDetect and turns its cuts into boundaries."""

    version: ClassVar[int] = 1

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        self._frames = 0

    def digests(self) -> Mapping[str, str]:
        """Return nothing: there is no model."""
        return {}

    @property
    def settled(self) -> int:
        """No boundary that is still to come ends before this frame index."""
        return max(0, self._frames - int(self._detector.event_buffer_length) - 1)

    def push(self, frames: Sequence[SmallFrame]) -> Sequence[Boundary]:
        """Take the next frames; return the boundaries that have become certain, in order."""
        from scenedetect import FrameTimecode

        self._frames += len(frames)
        return [
            boundary
            for frame in frames
            for boundary in _boundaries(
                self._detector.process_frame(FrameTimecode(frame.index, fps=_FPS), _bgr(frame))
            )
        ]

    def finish(self) -> Sequence[Boundary]:
        """Return what is left at the end of the source."""
        from scenedetect import FrameTimecode

        return _boundaries(self._detector.post_process(FrameTimecode(max(0, self._frames - 1), fps=_FPS)))


class AdaptiveDetector(_Adapter):
    """PySceneDetect's AdaptiveDetector: content change against its neighbourhood's mean."""

    Options: ClassVar[type[AdaptiveOptions]] = AdaptiveOptions

    def __init__(self, options: AdaptiveOptions) -> None:
        super().__init__(
            _package().AdaptiveDetector(
                adaptive_threshold=options.adaptive_threshold,
                min_content_val=options.min_content,
                min_scene_len=options.min_scene_frames,
            )
        )


class ContentDetector(_Adapter):
    """PySceneDetect's ContentDetector: content change above a threshold."""

    Options: ClassVar[type[ContentOptions]] = ContentOptions

    def __init__(self, options: ContentOptions) -> None:
        super().__init__(
            _package().ContentDetector(threshold=options.threshold, min_scene_len=options.min_scene_frames)
        )


def _package() -> Any:
    try:
        from scenedetect import detectors
    except ImportError as exc:
        raise ConfigError("PySceneDetect is not installed; install cogcurate[scenedetect]") from exc
    return detectors


def _boundaries(cuts: Sequence[Any]) -> list[Boundary]:
    return [Boundary(cut.frame_num, cut.frame_num, "hard") for cut in cuts]


def _bgr(frame: SmallFrame) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the frame in BGR at the size of its luma."""
    height, width = frame.luma_HW.shape
    v, u = (cv2.resize(c, (width, height), interpolation=cv2.INTER_LINEAR) for c in (frame.v_hw, frame.u_hw))
    bgr: np.ndarray[Any, np.dtype[np.uint8]] = cv2.cvtColor(
        cv2.merge((frame.luma_HW, v, u)), cv2.COLOR_YCrCb2BGR
    )
    return bgr
