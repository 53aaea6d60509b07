"""No boundaries at all: each source is one shot, for files that were cut before.

A source longer than the split pass's `max_s` is still divided there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curate.frames import Boundary, SmallFrame
from curate.records import Options as NoOptions

__all__ = ["WholeDetector"]


class WholeDetector:
    """Finds nothing; implements `curate.frames.Detector`."""

    version: ClassVar[int] = 1
    Options: ClassVar[type[NoOptions]] = NoOptions

    def __init__(self, options: NoOptions) -> None:
        del options
        self._frames = 0

    def digests(self) -> Mapping[str, str]:
        """Return nothing: there is no model."""
        return {}

    @property
    def settled(self) -> int:
        """No boundary that is still to come ends before this frame index."""
        return self._frames

    def push(self, frames: Sequence[SmallFrame]) -> Sequence[Boundary]:
        """Take the next frames; return no boundary."""
        self._frames = frames[-1].index + 1
        return ()

    def finish(self) -> Sequence[Boundary]:
        """Return no boundary."""
        return ()
