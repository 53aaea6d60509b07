"""The split stage: its options, and the parts that they name.

It differs from other stages in what it takes (a source, not clips) and where it runs (a supervised child
process). Built here it is only a checked description; `curate.split.scan` does the work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from curate.config import validate
from curate.frames import Detector, Signal
from curate.records import Options
from curate.registry import resolve
from curate.video.decode import Deblock
from shards.errors import ConfigError
from shards.schemas import CLIPS, column

__all__ = ["Eyes", "Split", "SplitOptions"]


class SplitOptions(Options):
    """What decides the clips. Lengths are in seconds of the source's clock, whatever the frame rate."""

    min_s: float = Field(3.0, gt=0, description="shots that are shorter give no clip")
    max_s: float = Field(20.0, gt=0, description="a shot longer than max_s + min_s is cut every max_s")
    trim_frames: float = Field(
        2, ge=0, description="left out at each transition, in frames of 30 a second: 2 is 67 ms at any rate"
    )
    sample_every_s: float = Field(1.0, gt=0, description="grid of the samples")
    deblock: Deblock = Field(
        "referenced",
        description="pictures of H.264 to deblock; samples are of these, at most 0.1 s after the grid",
    )
    sample_px: int = Field(448, ge=16, description="short side of a sample; never scaled up")
    sample_quality: int = Field(90, ge=1, le=100, description="JPEG quality of a sample")
    cut: Literal["copy", "transcode"] = "copy"
    decoder: Literal["pyav", "decord"] = "pyav"
    detector: dict[str, Any] = {"shots": {}}
    signals: dict[str, Any] = {}

    @model_validator(mode="after")
    def _consistent(self) -> SplitOptions:
        if self.max_s < self.min_s:
            raise ValueError(f"max_s ({self.max_s}) is below min_s ({self.min_s})")
        if 3 * self.sample_every_s > self.min_s * (1 + 1e-9):
            raise ValueError(
                f"sample_every_s ({self.sample_every_s}) is above min_s / 3 ({self.min_s / 3:.3g}): "
                "the shortest clip would have fewer than three samples"
            )
        if len(self.detector) != 1:
            raise ValueError("detector: name exactly one")
        return self

    @property
    def trim_s(self) -> float:
        """What is left out at each transition, in seconds."""
        return self.trim_frames / 30


@dataclass(frozen=True, slots=True)
class Eyes:
    """What looks at the frames of one source."""

    detector: Detector
    signals: tuple[Signal, ...]


class Split:
    """A source to shots, clips, samples and signals."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[Options]] = SplitOptions

    def __init__(self, options: SplitOptions) -> None:
        self.options = options
        (name, raw), *_ = options.detector.items()
        self._detector = resolve("detector", name)
        self._detector_options = validate(self._detector.Options, raw, f"detector.{name}")
        self._signals: dict[str, tuple[Any, Options]] = {}
        for signal, raw in options.signals.items():
            cls = resolve("signal", signal)
            self._signals[signal] = (cls, validate(cls.Options, raw, f"signals.{signal}"))
        self.signals_schema = self._schema()

    def _schema(self) -> pa.Schema:
        fields = [column("clip_id", pa.string(), nullable=False)]
        names = {field.name for field in CLIPS}
        for signal, (cls, _) in self._signals.items():
            for field in cls.provides:
                if field.name in names:
                    raise ConfigError(f"signals.{signal}: column {field.name!r} is already written")
                names.add(field.name)
                fields.append(field)
        return pa.schema(fields)

    def digests(self) -> Mapping[str, str]:
        """Return what besides the options decides the results: each part's version, defaults and models."""
        parts = {"detector": (self._detector, self._detector_options), **self._signals}
        versions = {
            name: json.dumps([cls.__qualname__, cls.version, options.model_dump(mode="json")], sort_keys=True)
            for name, (cls, options) in parts.items()
        }
        return versions | dict(self._detector(self._detector_options).digests())

    def eyes(self) -> Eyes:
        """Return a detector and signals for one source."""
        signals = tuple(cls(options) for cls, options in self._signals.values())
        return Eyes(self._detector(self._detector_options), signals)
