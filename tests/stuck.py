"""A captioner for tests that says of every clip what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from curate.records import Clip, Options, Outcome, Stage
from curate.spikes import SpikeOptions
from shards.schemas import CAPTIONS

__all__ = ["Stuck", "StuckOptions"]


class StuckOptions(Options):
    """What it says."""

    text: str = "A dog."
    spikes: SpikeOptions = Field(SpikeOptions(), exclude=True)

    @property
    def spike_options(self) -> SpikeOptions:
        return self.spikes


class Stuck(Stage):
    """One row a clip; `{clip_id}` in the text is the clip's."""

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"samples_sha256"})
    provides: ClassVar[pa.Schema] = pa.schema([field for field in CAPTIONS if field.name != "clip_id"])
    Options: ClassVar[type[Options]] = StuckOptions

    def process(self, clips: Sequence[Clip]) -> Sequence[Outcome]:
        return [(self._row(clip),) for clip in clips]

    def _row(self, clip: Clip) -> dict[str, object]:
        text = self.options.text.format(clip_id=clip.clip_id)
        return {
            "variant": "dense", "caption": text, "status": "ok", "caption_ok": True, "problems": [],
            "caption_model": "stuck-1", "words": len(text.split()), "request_id": f"{clip.clip_id}/dense/1",
            "samples_digest": clip.row["samples_sha256"],
        }  # fmt: skip
