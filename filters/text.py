"""How much of the picture is text: subtitles, titles, signs, pages.

Regions of text are found by PP-OCR's detector (DBNet: Liao et al., "Real-time Scene Text Detection with
Differentiable Binarization", AAAI 2020) as rapidocr carries it in its wheel; nothing is read, nothing is
downloaded. One thread, so that a sum has one order; another processor may still differ in a last bit.

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
from pydantic import Field

from curate.records import Row
from filters.sampled import Mask, Picture, SampledOptions, SampledStage, persistence
from filters.track import mean
from shards.errors import ConfigError
from shards.schemas import column

__all__ = ["TextOptions", "TextStage", "cover", "summarize"]

Regions = Sequence[npt.NDArray[Any]]
"""quadrilaterals, each (4, 2): x, y in pixels"""

_MODEL = Path("models") / "PP-OCRv6_det_small.onnx"
# Of the short side: what the outline of a standing line of text wavers from frame to frame.
_SLACK = 0.012


def cover(regions: Regions, height: int, width: int) -> Mask:
    """Return the union of `regions` as a mask of `height` and `width`, 1 inside."""
    mask: Mask = np.zeros((height, width), np.uint8)
    for region in regions:
        cv2.fillConvexPoly(mask, np.rint(region).astype(np.int32), 1)
    return mask


def summarize(masks: Sequence[Mask], counts: Sequence[int]) -> Row:
    """Return the columns from each sample's mask of text and number of regions; all null of no samples."""
    return {
        "text_area": mean([_share(mask) for mask in masks]),
        "text_center_area": mean([_share(_center(mask)) for mask in masks]),
        "text_count": mean([float(count) for count in counts]),
        "text_persistence": persistence(masks, _SLACK),
    }


def _share(mask: Mask) -> float:
    return cv2.countNonZero(mask) / mask.size


def _center(mask: Mask) -> Mask:
    """Return the middle half of the height and of the width."""
    height, width = mask.shape
    return np.ascontiguousarray(mask[height // 4 : height - height // 4, width // 4 : width - width // 4])


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
                "share of the text that stands at one place in all samples; null without two, or without text",
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
        return [] if boxes is None else list(boxes)


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
    from omegaconf import OmegaConf

    # Before its modules are first imported: they log what they load, to a handler of their own.
    logger = logging.getLogger("RapidOCR")
    from rapidocr.ch_ppocr_det import TextDetector
    from rapidocr.utils.typings import EngineType

    logger.setLevel(logging.WARNING)
    one = onnxruntime.SessionOptions()
    one.intra_op_num_threads = one.inter_op_num_threads = 1
    one.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), one, providers=["CPUExecutionProvider"])
    settings = OmegaConf.load(model.parent.parent / "config.yaml").Det
    # The pictures come at their size: a limit of 1 px on the short side leaves them alone.
    settings.update({"engine_type": EngineType.ONNXRUNTIME, "box_thresh": score})
    settings.update({"limit_type": "min", "limit_side_len": 1})
    return TextDetector(_WithSession(settings, session))


class _WithSession:
    """rapidocr's settings with a session made here; OmegaConf holds no such object."""

    def __init__(self, settings: Any, session: Any) -> None:
        self._settings, self._session = settings, session
        self.engine_type = settings.engine_type

    def get(self, name: str, default: Any = None) -> Any:
        return self._session if name == "session" else self._settings.get(name, default)
