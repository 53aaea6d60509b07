"""`motion_farneback`: the motion score of Data-Juicer and VideoX-Fun, for thresholds that come from there.

Dense flow by Farneback's method (2003) between frames half a second apart, at the clip's own size: the mean
length of its vectors in pixels, the mean of that over the pairs. It grows with the picture's size, with the
frame interval and not with time, and saturates where motion outruns the method: `motion_total` of the motion
signal is the better measure. A stage of the score pass and off by default: it decodes the clip and costs
0.2 s of CPU a clip second at 640x360.

The two samplings differ: Data-Juicer's takes frames 0, 1 and then every round(fps / 2)-th
(https://github.com/modelscope/data-juicer, video_motion_score_filter); VideoX-Fun's and EasyAnimate's takes
every int(fps / 2)-th from 0 (https://github.com/aigc-apps/EasyAnimate, compute_motion_score).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.frames import Plane
from curate.records import Clip, Failure, Options, Outcome, Stage
from filters.track import mean
from shards.errors import SourceError
from shards.schemas import column

__all__ = ["Farneback", "FarnebackOptions", "farneback_length", "motion_farneback", "sampled"]

Sampling = Literal["data-juicer", "videox-fun"]


def sampled(sampling: Sampling, fps: float, frames: int, sampling_fps: float) -> Iterator[int]:
    """Yield the frames that are compared, each with the next; at least two where there are two."""
    rate = min(sampling_fps, fps)
    step = round(fps / rate) if sampling == "data-juicer" else int(fps / rate)
    step = max(min(step, frames - 1), 1)
    second_too = sampling == "data-juicer" and step > 1
    for frame in range(0, frames, step):
        yield frame
        if frame == 0 and second_too and frames > 1:
            yield 1


def farneback_length(first_HW: Plane, second_HW: Plane) -> float:
    """Return the mean length of the flow between two gray frames, in pixels.

    Pyramid scale 0.5, 3 levels, window 15, 3 iterations, neighbourhood 5, sigma 1.2: both projects' settings.
    """
    start = np.zeros((*first_HW.shape, 2), np.float32)
    flow = cv2.calcOpticalFlowFarneback(first_HW, second_HW, start, 0.5, 3, 15, 3, 5, 1.2, 0)
    x, y = flow[..., 0], flow[..., 1]
    # Not cv2.cartToPolar: its last bit depends on where in memory an array lies.
    return float(np.sqrt(x * x + y * y).mean())


def motion_farneback(grays: Iterable[Plane], *, relative: bool = False) -> float | None:
    """Return the mean over the pairs of consecutive frames of one size; None of fewer than two frames.

    In pixels; `relative` divides by the diagonal.
    """
    lengths, before = [], None
    for gray in grays:
        if before is not None and before.shape == gray.shape:
            length = farneback_length(before, gray)
            lengths.append(length / float(np.hypot(*gray.shape)) if relative else length)
        before = gray
    return mean(lengths)


class FarnebackOptions(Options):
    """Whose score it is to be."""

    sampling: Sampling = Field("data-juicer", description="which frames; see the module")
    sampling_fps: float = Field(2.0, gt=0, description="frames compared a second of the clip")
    relative: bool = Field(False, description="divide by the diagonal, Data-Juicer's option")


class Farneback(Stage):
    """`motion_farneback` of clips, from their media."""

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"media", "frames", "fps"})
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "motion_farneback",
                pa.float64(),
                "px",
                "mean Farneback flow of sampled frames; of the diagonal if `relative`; null of one frame",
            )
        ]
    )
    Options: ClassVar[type[Options]] = FarnebackOptions

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return a row a clip; a clip that cannot be decoded to its frames is a failure."""
        return [self._score(clip) for clip in clips]

    def _score(self, clip: Clip) -> Outcome:
        frames, fps = int(clip.row["frames"]), clip.row["fps"]
        if frames < 2 or not fps:
            return {"motion_farneback": None}
        options = self.options
        wanted = set(sampled(options.sampling, float(fps), frames, options.sampling_fps))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            path.write_bytes(clip.media())
            try:
                score = motion_farneback(gray_frames(path, wanted), relative=options.relative)
            except SourceError as exc:
                return Failure.of(exc)
        return {"motion_farneback": score}


def gray_frames(path: Path, wanted: set[int]) -> Iterator[Plane]:
    """Yield the wanted frames, at their own size, as OpenCV decodes and converts to gray.

    Raises SourceError where the file ends before the last of them.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        for index in range(max(wanted) + 1):
            if not capture.grab():
                raise SourceError(f"only {index} of {max(wanted) + 1} frames can be decoded")
            if index in wanted:
                _, picture = capture.retrieve()
                gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
                yield gray.astype(np.uint8, copy=False)
    finally:
        capture.release()
