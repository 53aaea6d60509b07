"""The stage `photographic`: an aesthetic rating from measurements that photographers and the literature name.

It is a formula over light, contrast, sharpness, colour and composition; no model, nothing fitted to anybody's
ratings. It tells a dull, dark or blurred picture from a bright, crisp and colourful one; it knows nothing of
what is shown, and says nothing of taste. The ramps below span what varied footage shows (5th to 95th
percentile, rounded); no rating was looked at. `aesthetic_model` is "photographic-1": not comparable with a
rating by a model.

Six subscores, each 0 to 1, in two groups; of each group the plain mean of what could be measured; the rating
is 10 times the geometric mean of the two groups, so neither makes up for the other.

| group | subscore | source |
|---|---|---|
| technique | light: mean luma, clipped shares | Datta et al. 2006, f1 |
| technique | contrast: width of the histogram's middle 98 % | Ke et al. 2006 |
| technique | sharpness of the sharpest part: soft backgrounds cost nothing | Crété-Roffet et al. 2007 |
| picture | colour: colourfulness, and a palette of few hues | Hasler and Süsstrunk 2003; Ke et al. 2006 |
| picture | thirds: what stands out lies near a power point | Datta et al. 2006; Achanta et al. 2009 |
| picture | simplicity: edges gathered in a part of the picture | Ke et al. 2006 |

Datta, Joshi, Li, Wang, "Studying Aesthetics in Photographic Images Using a Computational Approach" (ECCV
2006); Ke, Tang, Jing, "The Design of High-Level Features for Photo Quality Assessment" (CVPR 2006); Achanta,
Hemami, Estrada, Süsstrunk, "Frequency-tuned Salient Region Detection" (CVPR 2009).

Cost: about 2 CPU ms a sample, three samples a clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from curate.frames import Plane, half
from curate.records import Clip, Failure, Options, Outcome, Stage
from filters.quality import measure_chroma, sharpness
from filters.spread import spread
from filters.track import mean
from shards.errors import ClipError
from shards.schemas import column

__all__ = ["Photographic", "PhotographicOptions", "Subscores", "hue_count", "measure", "rating"]

MODEL: Final = "photographic-1"
_MIN_PX: Final = 8
Image = npt.NDArray[np.uint8]


class SampleError(ClipError):
    """A clip's samples cannot be measured."""


@dataclass(frozen=True, slots=True)
class Subscores:
    """Of one picture, each 0 (poor) to 1 (good); None where there is nothing to measure."""

    light: float
    contrast: float
    sharpness: float | None
    colour: float
    thirds: float | None
    simplicity: float | None


def rating(scores: Subscores) -> float:
    """Return the rating of one picture, 0 to 10."""
    technique = _mean(scores.light, scores.contrast, scores.sharpness)
    picture = _mean(scores.colour, scores.thirds, scores.simplicity)
    return 10 * math.sqrt(technique * picture)


def measure(image_HWC: Image) -> Subscores:
    """Return the subscores of a picture in BGR, uint8, at least 8 px on each side; best 200 to 300 px."""
    luma, v, u = cv2.split(cv2.cvtColor(image_HWC, cv2.COLOR_BGR2YCrCb))
    small = cv2.merge([half(plane) for plane in cv2.split(image_HWC)])
    light, contrast = _light(luma)
    palette = hue_count(small)
    # Hasler and Süsstrunk's 59 is "quite colourful".
    vivid = _ramp(measure_chroma(half(u), half(v)).colorfulness, 0, 59)
    colour = vivid if palette is None else (2 * vivid + _ramp(palette, 11, 1)) / 3
    return Subscores(light, contrast, _sharpest(luma), colour, _thirds(small), _simplicity(half(luma)))


def hue_count(image_HWC: Image) -> int | None:
    """Return how many hues of twenty a picture in BGR has; None of one that is gray all over.

    Ke et al.: over pixels of saturation above 0.2 and brightness 0.15 to 0.95, the bins that hold more than
    0.05 of what the fullest holds.
    """
    hue, saturation, value = cv2.split(cv2.cvtColor(image_HWC, cv2.COLOR_BGR2HSV))
    told = (saturation > 51) & (value >= 38) & (value <= 242)
    if np.count_nonzero(told) < 0.01 * hue.size:
        return None
    counts = np.bincount(hue[told] // 9, minlength=20)
    return int(np.count_nonzero(counts > 0.05 * counts.max()))


def _light(luma_HW: Plane) -> tuple[float, float]:
    """Return the subscores of light and of contrast."""
    counts = np.bincount(luma_HW.ravel(), minlength=256)
    level = float(counts @ np.arange(256)) / luma_HW.size / 255
    clipped = float(counts[:9].sum() + counts[247:].sum()) / luma_HW.size
    # Full marks from a third to two thirds of the scale; none for black and for white.
    light = min(_ramp(level, 0.05, 0.33), _ramp(level, 0.95, 0.67)) * (1 - clipped)
    low, high = np.searchsorted(np.cumsum(counts), (0.01 * luma_HW.size, 0.99 * luma_HW.size))
    return light, _ramp(float(high - low) / 255, 0.3, 0.95)


def _sharpest(luma_HW: Plane) -> float | None:
    """Return the subscore of sharpness: of the sharpest among the four quarters and the middle."""
    height, width = (side // 2 for side in luma_HW.shape)
    corners = ((0, 0), (0, width), (height, 0), (height, width), (height // 2, width // 2))
    found = [sharpness(np.ascontiguousarray(luma_HW[y : y + height, x : x + width])) for y, x in corners]
    values = [value for value in found if value is not None]
    return _ramp(max(values), 0.5, 0.82) if values else None


def _thirds(image_HWC: Image) -> float | None:
    """Return how near the centre of what stands out lies to a power point: 1 on one, 0 as far as a corner.

    What stands out, by Achanta et al.: pixels whose colour (CIELAB, slightly blurred) is farther from the
    mean colour than twice the mean distance. None where nothing does.
    """
    lab_HWC = cv2.GaussianBlur(cv2.cvtColor(image_HWC, cv2.COLOR_BGR2LAB), (5, 5), 0).astype(np.float32)
    centre = [np.float32(value) for value in cv2.mean(lab_HWC)[:3]]
    apart_HW = np.sqrt(sum((lab_HWC[..., k] - centre[k]) ** 2 for k in range(3)))
    ys, xs = np.nonzero(apart_HW > 2 * apart_HW.mean())
    if not len(ys):
        return None
    height, width = apart_HW.shape
    y, x = (float(ys.mean()) + 0.5) / height, (float(xs.mean()) + 0.5) / width
    nearest = math.hypot(abs(abs(y - 0.5) - 1 / 6), abs(abs(x - 0.5) - 1 / 6))
    return 1 - min(1.0, nearest / (math.sqrt(2) / 3))


def _simplicity(luma_HW: Plane) -> float | None:
    """Return how small a part of the picture holds its edges: 0 at 0.85 of its area, 1 at 0.35 or less.

    Ke et al.: the area of the box that holds the middle of the edges' energy along each axis; here 90 %.
    None of a picture without edges.
    """
    edges = np.abs(cv2.Laplacian(luma_HW, cv2.CV_16S))
    area = 1.0
    for axis in (0, 1):
        mass = np.cumsum(edges.sum(axis=axis, dtype=np.int64))
        if not mass[-1]:
            return None
        low, high = np.searchsorted(mass, (0.05 * mass[-1], 0.95 * mass[-1]))
        area *= float(high - low + 1) / len(mass)
    return _ramp(area, 0.85, 0.35)


def _ramp(value: float, zero: float, one: float) -> float:
    """Return 0 at and beyond `zero`, 1 at and beyond `one`, linear between."""
    return min(1.0, max(0.0, (value - zero) / (one - zero)))


def _mean(*values: float | None) -> float:
    """Return the mean of what was measured; 0 of nothing."""
    return mean([value for value in values if value is not None]) or 0.0


class PhotographicOptions(Options):
    """What is looked at."""

    frames: int = Field(3, ge=1, description="samples of a clip at most, evenly spread")


class Photographic(Stage):
    """Aesthetic rating of clips from photographic measurements."""

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})
    Options: ClassVar[type[Options]] = PhotographicOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column("aesthetic", pa.float64(), "1", "0 to 10, from photographic measurements; no model"),
            column("aesthetic_model", pa.string(), doc="what rated it: not comparable with another"),
        ]
    )
    concurrent: ClassVar[bool] = True

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        """Return one row a clip: the mean rating of its samples; null where all are smaller than 16 px."""
        return [self._rated(clip) for clip in clips]

    def _rated(self, clip: Clip) -> Outcome:
        ratings = []
        for sample in spread(clip.samples(), self.options.frames):
            # libjpeg decodes at half size for a fraction of the cost.
            image = cv2.imdecode(np.frombuffer(sample.jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
            if image is None:
                return Failure.of(SampleError(f"the sample at {sample.time_s} s is not a readable JPEG"))
            if min(image.shape[:2]) >= _MIN_PX:
                ratings.append(rating(measure(image)))
        return {"aesthetic": mean(ratings), "aesthetic_model": MODEL}
