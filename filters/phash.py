"""Perceptual hashes of a clip's samples: what near-duplicates are found by, in stored bytes alone.

Of each sample two things are kept. PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ
Image-Hashing Algorithm", 2019): 256 signs of the low frequencies of its luma, for the whole picture and for
its middle at two sizes, so that a cropped copy meets its original. And 8 x 8 block means of the luma: how
they change from sample to sample tells one moment before a fixed camera from another, which no hash of a
picture does. The mirrored picture needs no hash of its own (`MIRRORED`).

Cost: 1.3 ms a sample (JPEG 0.7, hashes 0.2 each); 96 + 64 bytes a sample. A picture with too little in it
(black, plain, fog) has a hash of noise and is left out: null, in its place in the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from curate.frames import Plane
from curate.records import Clip, Options, Outcome, Row, Sample, Stage
from shards.errors import ConfigError
from shards.schemas import column

__all__ = [
    "BLOCKS",
    "BLOCK_BYTES",
    "HASH_BYTES",
    "MIRRORED",
    "VIEWS",
    "PerceptualHash",
    "PhashOptions",
    "block_means",
    "decode_luma",
    "middle",
    "pdq",
]

VIEWS: Final = (1.0, 0.93, 0.87)
"""share of each side of the picture that is hashed, about its middle"""
HASH_BYTES: Final = 32
BLOCKS: Final = 8
BLOCK_BYTES: Final = BLOCKS * BLOCKS
MIRRORED: Final = np.packbits(np.tile(np.array([0, 1], np.uint8), 128))
"""XOR of a hash and this is nearly (to some 20 bits) the hash of the mirrored picture: the odd horizontal
frequencies change sign, and the median that PDQ compares with lies close to zero."""

_ENOUGH_PX: Final = 64
_HASHED_PX: Final = 128
_REDUCED: Final = (
    cv2.IMREAD_REDUCED_GRAYSCALE_4,
    cv2.IMREAD_REDUCED_GRAYSCALE_2,
    cv2.IMREAD_GRAYSCALE,
)


def decode_luma(jpeg: bytes) -> Plane | None:
    """Return the JPEG's luma, at a quarter or half of its size where 64 px remain; None if it is broken."""
    data = np.frombuffer(jpeg, np.uint8)
    luma: Plane | None = None
    for flag in _REDUCED:
        luma = cv2.imdecode(data, flag)
        if luma is None or min(luma.shape) >= _ENOUGH_PX:
            break
    return luma


def middle(luma_HW: Plane, share: float) -> Plane:
    """Return the middle of the picture, `share` of each side."""
    height, width = luma_HW.shape
    h, w = max(1, round(height * share)), max(1, round(width * share))
    y, x = (height - h) // 2, (width - w) // 2
    return luma_HW[y : y + h, x : x + w]


def pdq(luma_HW: Plane) -> tuple[npt.NDArray[np.uint8], int]:
    """Return the PDQ hash, 32 bytes, and its quality, 0 (nothing in the picture) to 100."""
    import pdqhash

    square = cv2.resize(luma_HW, (_HASHED_PX, _HASHED_PX), interpolation=cv2.INTER_AREA)
    bits, quality = pdqhash.compute(cv2.merge((square, square, square)))
    return np.packbits(bits.astype(np.uint8)), int(quality)


def block_means(luma_HW: Plane) -> npt.NDArray[np.uint8]:
    """Return the means of 8 x 8 equal blocks of the picture, row by row."""
    blocks: Plane = cv2.resize(luma_HW, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    return blocks.ravel()


class PhashOptions(Options):
    """Which samples are hashed."""

    quality: int = Field(50, ge=0, le=100, description="PDQ quality below which a sample is left out")
    samples: int = Field(
        32, ge=1, description="samples hashed at most, the first of the clip: the rest are too long a clip's"
    )


class PerceptualHash(Stage):
    """Hashes of each sample of a clip."""

    version = 1
    needs = frozenset({"samples"})
    provides = pa.schema(
        [
            column(
                "phash",
                pa.list_(pa.binary(HASH_BYTES * len(VIEWS))),
                doc="PDQ of each sample: whole, middle 93 %, middle 87 % of its sides; null of a plain one",
            ),
            column(
                "phash_blocks",
                pa.list_(pa.binary(BLOCK_BYTES)),
                "0-255",
                "luma of each sample in 8 x 8 blocks",
            ),
        ]
    )
    Options: ClassVar[type[Options]] = PhashOptions

    def setup(self) -> None:
        """See that PDQ is there."""
        try:
            import pdqhash  # noqa: F401
        except ImportError as exc:
            raise ConfigError("stage phash needs pdqhash: pip install 'cogcurate[dedup]'") from exc
        cv2.setNumThreads(1)

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return the hashes of each clip's samples."""
        return [self._row(clip.samples()[: self.options.samples]) for clip in clips]

    def _row(self, samples: Sequence[Sample]) -> Row:
        hashes: list[bytes | None] = []
        blocks: list[bytes | None] = []
        for sample in samples:
            one = self._hashed(sample)
            hashes.append(one and one[0])
            blocks.append(one and one[1])
        return {"phash": hashes, "phash_blocks": blocks}

    def _hashed(self, sample: Sample) -> tuple[bytes, bytes] | None:
        luma = decode_luma(sample.jpeg)
        if luma is None:
            return None
        whole, quality = pdq(luma)
        if quality < self.options.quality:
            return None
        views: list[Any] = [whole, *(pdq(middle(luma, share))[0] for share in VIEWS[1:])]
        return b"".join(view.tobytes() for view in views), block_means(luma).tobytes()
