"""Frames as a camera leaves them, each made when it is first asked for: many variants look at a few only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, overload

from curate.footage.textures import Image

__all__ = ["Change", "Recording"]

Change: TypeAlias = Callable[[Image, int], Image]
"""(frame, its index) to a fresh frame"""


class Recording(Sequence[Image]):
    """Frames changed one by one, each made once; with `alike`, a frame that is repeated stays one frame."""

    def __init__(self, frames: Sequence[Image], change: Change, *, alike: bool) -> None:
        """`alike` says that `change` does not depend on the index."""
        self._frames, self._change, self._alike = frames, change, alike
        self._made: dict[int, Image] = {}

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        frame = self._frames[index]
        key = id(frame) if self._alike else index
        if key not in self._made:
            self._made[key] = self._change(frame, index)
        return self._made[key]
