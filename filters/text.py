"""How much of the picture is text: subtitles, titles, signs, pages.

Regions of text are found by PP-OCR's detector (DBNet: Liao et al., "Real-time Scene Text Detection with
Differentiable Binarization", AAAI 2020) as rapidocr carries it in its wheel; nothing is read, nothing is
downloaded. One thread, so that a sum has one order; another processor may still differ in a last bit.

On plain pictures with one thing in the middle the detector takes the whole thing for a character, with a
score as good as text has. So a region thicker than 0.45 of the picture's short side is none: over 354
pictures of real videos this drops 44 regions of 297, none of them text. It costs letters that fill half the
picture. Of 307 pictures without text, 16 still have more than 0.002 of it.
A region stands out around its letters: 1.3 to 2 times the box around the line, more for the smallest.

Cost: 40 ms a sample of 16:9 at 256 px.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml
from pydantic import Field

from curate.records import Row
from filters.sampled import Mask, Picture, SampledOptions, SampledStage
from filters.track import mean
from shards.errors import ConfigError
from shards.schemas import column

__all__ = ["TextOptions", "TextStage", "cover", "persistence", "summarize", "thickness"]

Regions = Sequence[npt.NDArray[Any]]
"""quadrilaterals, each (4, 2): x, y in pixels"""

_MODEL = Path("models") / "PP-OCRv6_det_small.onnx"
# Of the short side: the thickest line of text.
_THICKEST = 0.45
# Of the short side: what the outline of a standing line of text wavers from frame to frame.
_SLACK = 0.012


def cover(regions: Regions, height: int, width: int) -> Mask:
    """Return the union of `regions` as a mask of `height` and `width`, 1 inside."""
    mask: Mask = np.zeros((height, width), np.uint8)
    for region in regions:
        cv2.fillConvexPoly(mask, np.rint(region).astype(np.int32), 1)
    return mask


def thickness(region: npt.NDArray[Any]) -> float:
    """Return the shorter side, in pixels, of the smallest rectangle around a region."""
    _, (width, height), _ = cv2.minAreaRect(np.asarray(region, np.float32))
    return float(min(width, height))


def persistence(masks: Sequence[Mask]) -> float | None:
    """Return the share (0 to 1) of the masks' area that is covered in every other mask too.

    A pixel counts as covered within 1.2 % of the short side of a mask: outlines waver. None of fewer than two
    masks, of masks of different sizes, and of empty ones.
    """
    if len(masks) < 2 or len({mask.shape for mask in masks}) > 1:
        return None
    total: int = sum(cv2.countNonZero(mask) for mask in masks)
    if not total:
        return None
    reach = round(_SLACK * min(masks[0].shape))
    around = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * reach + 1, 2 * reach + 1))
    wide = [cv2.dilate(mask, around) for mask in masks]
    covered: int = 0
    for own, mask in enumerate(masks):
        inside = mask
        for other, reached in enumerate(wide):
            if other != own:
                inside = cv2.bitwise_and(inside, reached)
        covered += cv2.countNonZero(inside)
    return covered / total


def summarize(masks: Sequence[Mask], counts: Sequence[int]) -> Row:
    """Return the columns from each sample's mask of text and number of regions; all null of no samples."""
    return {
        "text_area": mean([_share(mask) for mask in masks]),
        "text_center_area": mean([_share(_center(mask)) for mask in masks]),
        "text_count": mean([float(count) for count in counts]),
        "text_persistence": persistence(masks),
    }


def _share(mask: Mask) -> float:
    return float(np.count_nonzero(mask)) / mask.size


def _center(mask: Mask) -> Mask:
    """Return the middle half of the height and of the width."""
    height, width = mask.shape
    return mask[height // 4 : height - height // 4, width // 4 : width - width // 4]


class TextOptions(SampledOptions):
    """How text is looked for."""

    score: float = Field(0.5, gt=0, lt=1, description="a region's mean probability, at least")


class TextStage(SampledStage):
    """`text_area` and its like, from a few samples of a clip."""

    version: ClassVar[int] = 1
    Options = TextOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column("text_area", pa.float64(), "1", "share of the picture inside regions of text"),
            column("text_center_area", pa.float64(), "1", "the same of its middle half by half"),
            column("text_count", pa.float64(), "", "regions of text, mean over the samples"),
            column(
                "text_persistence",
                pa.float64(),
                "1",
                "share of the text that stands at one place in all samples; null without two or text",
            ),
        ]
    )

    def __init__(self, options: TextOptions) -> None:
        super().__init__(options)
        self._score = options.score
        self._detector: Any = None

    def digests(self) -> Mapping[str, str]:
        """Return the SHA-256 of the detector's file. Raises ConfigError where rapidocr is missing."""
        return {_MODEL.name: hashlib.sha256(_model_file().read_bytes()).hexdigest()}

    def setup(self) -> None:
        """Load the detector."""
        self._detector = _load(_model_file(), self._score)

    def close(self) -> None:
        """Let go of it."""
        self._detector = None

    def score(self, pictures: Sequence[Picture]) -> Row:
        """Return the columns of a clip."""
        found = [self._regions(picture) for picture in pictures]
        masks = [cover(regions, *picture.shape[:2]) for regions, picture in zip(found, pictures, strict=True)]
        return summarize(masks, [len(regions) for regions in found])

    def _regions(self, picture: Picture) -> Regions:
        if self._detector is None:
            raise RuntimeError("TextStage.process before setup")
        boxes = self._detector(picture).boxes
        limit_px = _THICKEST * min(picture.shape[:2])
        return [box for box in ([] if boxes is None else boxes) if thickness(box) <= limit_px]


def _model_file() -> Path:
    """Return the detector's file in the wheel, without importing it."""
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None or find_spec("onnxruntime") is None:
        raise ConfigError("the stage 'text' needs rapidocr and onnxruntime; install cogcurate[text]")
    path = Path(spec.origin).parent / _MODEL
    if not path.is_file():
        raise ConfigError(f"rapidocr has no {_MODEL.name}: install rapidocr>=3.10,<4 (cogcurate[text])")
    return path


def _load(model: Path, score: float) -> Any:
    """Return rapidocr's detector of text over one thread, at the package's own settings but for `score`."""
    import onnxruntime
    from rapidocr.ch_ppocr_det import TextDetector
    from rapidocr.utils.typings import EngineType

    # The package logs what it loads to a handler of its own, on standard error.
    logging.getLogger("RapidOCR").setLevel(logging.WARNING)
    one = onnxruntime.SessionOptions()
    one.intra_op_num_threads = one.inter_op_num_threads = 1
    one.log_severity_level = 3
    settings = yaml.safe_load((model.parent.parent / "config.yaml").read_text())["Det"]
    return TextDetector(
        _Settings(
            settings,
            engine_type=EngineType.ONNXRUNTIME,
            session=onnxruntime.InferenceSession(str(model), one, providers=["CPUExecutionProvider"]),
            box_thresh=score,
            # Pictures come at their size: no short side is below this limit, so none is scaled.
            limit_type="min",
            limit_side_len=1,
        )
    )


class _Settings(dict[str, Any]):
    """rapidocr's settings, which it reads as a mapping and by attribute."""

    @property
    def engine_type(self) -> Any:
        return self["engine_type"]
