"""What a training step is made of, decided from the manifest alone, before any file is opened.

The planner makes these, a loader fills them with tensors, the loop computes with them. Nothing in them
depends on ranks, loaders or what was read: the same recipe, manifests and seed give the same steps.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass

__all__ = ["PlannedClip", "PlannedPack", "PlannedStep", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """What is seen of a clip: which frames, at what size."""

    start_s: float
    """from the clip's first frame"""
    fps: float
    """frame k is the one shown at start_s + k / fps, by its time stamp; an image: 1"""
    frames: int
    """4k + 1"""
    height: int
    """in px, a multiple of 16, as is the width; scaled to cover, the rest cropped evenly"""
    width: int

    @property
    def key(self) -> str:
        """Name of the view among those of its clip, for caches: 16 hex digits."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """A clip as it is drawn into a step."""

    row: int
    """of the planner's manifest: all manifests one after another, sorted as they are stored"""
    visit: int
    """how often the row was drawn before"""
    view: View
    caption: int | None
    """which of the clip's captions; None: dropped, the empty text"""
    tokens: int
    """of the transformer: text and video"""
    weight: float
    """in the loss: 1, or the video's tokens"""
    timestep: int


@dataclass(frozen=True, slots=True)
class PlannedPack:
    """Clips that share one sequence of the recipe's token budget."""

    clips: tuple[PlannedClip, ...]

    @property
    def tokens(self) -> int:
        """Tokens of its clips, without padding."""
        return sum(clip.tokens for clip in self.clips)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """All packs of one optimizer step, of all ranks."""

    number: int
    """from 0, over all stages"""
    stage: int
    """which of the recipe's stages"""
    packs: tuple[PlannedPack, ...]

    @property
    def clips(self) -> tuple[PlannedClip, ...]:
        """All clips of the step, pack by pack."""
        return tuple(clip for pack in self.packs for clip in pack.clips)
