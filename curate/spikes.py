"""Equal captions over a run: what a stage's options allow, and the check once its pass is done.

The limits are options of the stage that writes captions, but no part of its fingerprint: they decide whether
a run is accepted, not what its captions say. run.json records them, for `curate verify`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pydantic import Field

from curate.plan import PassPlan
from curate.records import Options
from shards.caption_spikes import run_spikes
from shards.errors import SpikeError
from shards.run import RunFiles, RunInfo, SpikeLimits

__all__ = ["HasSpikes", "SpikeOptions", "check_spikes", "spike_limits"]


class SpikeOptions(Options):
    """How many of a run's captions may be equal."""

    max_equal_share: float = Field(
        0.2, gt=0, le=1, description="of the captions of a variant and model; 1: any number may be equal"
    )
    least: int = Field(50, ge=1, description="captions of a variant and model that make a check meaningful")


@runtime_checkable
class HasSpikes(Protocol):
    """Options of a stage whose captions are to differ."""

    @property
    def spike_options(self) -> SpikeOptions | None:
        """The limits; None where captions are rightly alike."""


def spike_limits(pass_: PassPlan) -> SpikeLimits | None:
    """Return what the stages of a pass allow; None where it writes no captions, or no limits hold."""
    for stage in pass_.stages:
        if isinstance(stage.options, HasSpikes) and (chosen := stage.options.spike_options) is not None:
            return SpikeLimits(chosen.max_equal_share, chosen.least)
    return None


def check_spikes(run: RunFiles, info: RunInfo, pass_name: str) -> None:
    """Raise SpikeError, of one line, where too many captions of a pass are equal."""
    found = run_spikes(run, info, pass_name)
    if found:
        more = f", and {len(found) - 1} more such" if len(found) > 1 else ""
        raise SpikeError(
            f"pass {pass_name!r}: {found[0]}{more}; look at what the model was given and says, or allow it "
            f"(`--set {pass_name}.spikes.max_equal_share=…`)"
        )
