"""What the split pass shows of a frame, and the two protocols that look at it.

Every source is decoded once; detectors and signals see small planes of each frame and keep what they need.
Full-size RGB is never made for them. Implementations live in `filters` and are named in the YAML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.records import Options, Row

__all__ = ["Boundary", "Detector", "Plane", "Signal", "SmallFrame", "Transition"]

Plane = npt.NDArray[np.uint8]
Transition = Literal["hard", "dissolve", "fade", "wipe"]


@dataclass(frozen=True, slots=True)
class SmallFrame:
    """One decoded frame, shrunk by halving until its long side is at most 320 px.

    `luma_HW` is the decoder's own luma (8 bit; limited range is stretched to 0–255), turned as it is shown,
    in storage pixels. `u_hw` and `v_hw` are the chroma planes (128 is neutral, stretched likewise), at most
    160 px long side, also by halving; for gray sources both are all 128. The arrays are fresh for every
    frame: a detector may keep them.
    """

    index: int
    """counted from 0 in display order over the decodable frames"""
    time_s: float
    """presentation time on the source's clock; strictly rising"""
    luma_HW: Plane
    u_hw: Plane
    v_hw: Plane


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where one shot ends and the next starts; the frames between (none at a hard cut) are the transition.

    A fade-in from black at the beginning of a source has `end_frame` 0; a fade-out at its end has
    `start_frame` equal to the number of frames.
    """

    end_frame: int
    start_frame: int
    kind: Transition


class Detector(Protocol):
    """Frames in, shot boundaries out, in order, with a bounded delay."""

    version: ClassVar[int]
    Options: ClassVar[type[Options]]

    def digests(self) -> Mapping[str, str]:
        """Return name → digest of each model file that decides the boundaries."""

    @property
    def settled(self) -> int:
        """No boundary that is still to come ends before this frame index."""

    def push(self, frame: SmallFrame) -> Sequence[Boundary]:
        """Take the next frame; return the boundaries that have become certain, in order."""

    def finish(self) -> Sequence[Boundary]:
        """Return what is left at the end of the source."""


class Signal(Protocol):
    """Measurements of a clip made while the source is decoded: small planes in, columns out."""

    version: ClassVar[int]
    provides: ClassVar[pa.Schema]
    Options: ClassVar[type[Options]]

    def push(self, frame: SmallFrame) -> None:
        """Take the next frame."""

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the columns for frames [start_frame, end_frame), which have all been pushed."""

    def forget(self, before_frame: int) -> None:
        """Drop what was kept of earlier frames: no summary will ask for them again."""
