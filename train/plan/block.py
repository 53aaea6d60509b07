"""The record of a block of steps: which clips it drew under which bounds, so that it can be replayed."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Block"]


@dataclass(slots=True, kw_only=True)
class Block:
    """A block, as far as it has come. `Planner.replay` returns its clips and reasons."""

    stage: int
    number: int
    """within the stage"""
    first_step: int
    """over all stages"""
    bounds: list[float]
    """of the stage's thresholds, in their order"""
    start: list[int]
    """clips of each manifest that were drawn before it"""
    end: list[int]
    """and that were drawn when it ended"""
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """by reason"""
    let_go: int = 0
    """clips of earlier blocks that waited, and that its bounds do not admit"""

    def drop(self, reason: str) -> None:
        """Count a clip that was dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
