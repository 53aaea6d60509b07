"""What is asked about clips, and of whom: the options of the caption pass.

What decides only how fast captions come, or whether a run of them is accepted, is not dumped, and so is no
part of the fingerprint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_serializer, field_validator

from caption.checks import CheckOptions
from caption.engines import engine_class, resolved_options
from curate.records import Options
from curate.spikes import SpikeOptions

__all__ = ["CaptionOptions"]


class CaptionOptions(Options):
    """What is asked, and of whom."""

    engine: dict[str, Any] = Field({"signals": {}}, description="who sees: one engine's name: its options")
    summarizer: dict[str, Any] | None = Field(
        None, description="who sums up answers; null: the same engine, which then must take text alone"
    )
    variants: dict[str, str] = Field({"dense": "dense"}, min_length=1, description="variant: its template")
    prompts: Path | None = Field(None, description="a folder of templates of one's own")
    seed: int = Field(0, ge=0)
    checks: CheckOptions = CheckOptions()
    spikes: SpikeOptions = Field(SpikeOptions(), exclude=True)
    canaries: int = Field(0, ge=0, exclude=True, description="clips to one canary among them; 0: none")
    min_canaries_right: float = Field(
        0.8, ge=0, le=1, exclude=True, description="share; below, the run fails"
    )
    aligner: dict[str, Any] | None = Field(
        None, description="whose cosine of captions and samples is written: {clip: options as in `score`}"
    )
    concurrency: int = Field(64, ge=1, exclude=True, description="requests in flight at most")

    @field_validator("variants", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Take a list as variants that are called like their templates."""
        if isinstance(value, list | tuple):
            if len(set(value)) < len(value):
                raise ValueError("one is named twice")
            return {name: name for name in value}
        return value

    @property
    def spike_options(self) -> SpikeOptions | None:
        """How many captions of a run may be equal; None where rules write them."""
        return None if engine_class(self.engine).rule_based else self.spikes

    @field_serializer("engine", "summarizer")
    def _resolved(self, named: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if named is None else resolved_options(named)
