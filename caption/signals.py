"""The engine without a model: describes a clip by what was measured of it.

For runs without a GPU and without weights, and for tests of everything around an engine. Its captions are
true and poor: light, colours, amount of motion, length. `caption_model` says signals-1.

Cost: 1 ms a sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from caption.colors import Picture, decode_reduced, dominant_colors, is_gray, without_margins
from caption.engine import Answer, Request, Status
from caption.sentences import Measured, describe, describe_short
from curate.records import Options, Value
from shards.errors import ConfigError

__all__ = ["SignalsEngine", "SignalsOptions", "without_bars"]

_TEMPLATES = {"dense": describe, "short": describe_short}


class SignalsOptions(Options):
    """Nothing to choose."""


class SignalsEngine:
    """Sentences from measurements."""

    version: ClassVar[int] = 1
    rule_based: ClassVar[bool] = True
    Options: ClassVar[type[Options]] = SignalsOptions
    needs: ClassVar[frozenset[str]] = frozenset(
        {
            "samples", "frames", "duration_s", "width", "height", "motion_total", "frozen_share",
            "black_share", "letterbox_share", "pillarbox_share", "exposure", "contrast",
        }
    )  # fmt: skip

    def __init__(self, options: SignalsOptions) -> None:
        self.options = options

    @property
    def model(self) -> str:
        """The engine's own name: there is no model."""
        return "signals-1"

    def digests(self) -> Mapping[str, str]:
        """Return nothing: there are no model files."""
        return {}

    def setup(self) -> None:
        """There is nothing to load."""

    def close(self) -> None:
        """There is nothing to let go of."""

    async def generate(self, request: Request) -> Answer:
        """Describe one clip. Raises ConfigError for a template that it cannot answer."""
        write = _TEMPLATES.get(request.template)
        if write is None:
            raise ConfigError(
                f"the engine 'signals' answers the prompts {', '.join(_TEMPLATES)}; "
                f"leave out {request.template!r} or name another engine"
            )
        if not request.pictures:
            return self._answer(request, "error", "", "no samples")
        pictures = []
        for number, sample in enumerate(request.pictures):
            picture = decode_reduced(sample.jpeg)
            if picture is None:
                return self._answer(request, "error", "", f"sample {number} cannot be decoded")
            pictures.append(picture)
        return self._answer(request, "ok", write(_measured(request.measured, pictures)), "")

    async def stop(self) -> None:
        """Nothing belongs to the event loop."""

    def counts(self) -> Mapping[str, float]:
        """Return nothing: requests are counted by those who make them."""
        return {}

    def _answer(self, request: Request, status: Status, text: str, message: str) -> Answer:
        return Answer(request.id, status, text, self.model, message=message)


def _measured(row: Mapping[str, Value], pictures: list[Picture]) -> Measured:
    """Return what the sentences need, from the clip's columns and its samples."""
    width, height, frames, duration_s = (row[key] for key in ("width", "height", "frames", "duration_s"))
    visible = (1 - (_number(row, "letterbox_share") or 0.0)) * (1 - (_number(row, "pillarbox_share") or 0.0))
    exposure, contrast = without_bars(_number(row, "exposure"), _number(row, "contrast"), visible)
    if visible < 1:
        pictures = without_margins(pictures)
    return Measured(
        still=frames == 1,
        duration_s=float(str(duration_s)),
        width=int(str(width)),
        height=int(str(height)),
        motion_total=_number(row, "motion_total"),
        frozen_share=_number(row, "frozen_share"),
        black_share=_number(row, "black_share"),
        bars_share=1 - visible,
        exposure=exposure,
        contrast=contrast,
        gray=is_gray(pictures),
        colors=tuple(dominant_colors(pictures)),
    )


def without_bars(
    exposure: float | None, contrast: float | None, visible: float
) -> tuple[float | None, float | None]:
    """Return mean and standard deviation of luma between black bars, from those of the whole picture.

    `visible` (0 to 1) is the share of the picture between the bars. Bars are zero, so the means of luma and
    of its square are `visible` times those between them.
    """
    if exposure is None or visible <= 0:
        return None, None
    mean = exposure / visible
    if contrast is None:
        return mean, None
    variance = (contrast**2 + exposure**2) / visible - mean**2
    return mean, math.sqrt(max(0.0, variance))


def _number(row: Mapping[str, Value], name: str) -> float | None:
    value = row[name]
    return float(value) if isinstance(value, int | float) else None
