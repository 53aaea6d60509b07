"""How time is divided when a video is encoded or latents are decoded, and what one chunk leaves to the next.

Chunks are not a matter of memory alone: group normalization takes its statistics over a chunk, so another
division gives other latents (17 % apart on random weights). Whoever stores latents stores the rule with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from torch import Tensor, nn

from shards.errors import ConfigError
from train.diffusers_config import truth, whole

__all__ = ["RELEASED", "Carry", "ChunkRule", "spans"]


@dataclass(frozen=True, slots=True)
class ChunkRule:
    """Frames that are encoded, and latents that are decoded, at a time; the first chunk takes the remainder.

    `frames` is a multiple of the temporal compression (4). `first_alone`: the first latent stands for one
    frame whatever their number, so n latents decode to the 4(n-1)+1 frames that they came from. diffusers
    0.42 does so only where the first chunk has an odd number of latents; an even one it takes as if it did
    not begin a video, and 4 latents of 13 frames come back as 16. False does as diffusers does.
    """

    frames: int = 8
    latents: int = 2
    first_alone: bool = True

    def __post_init__(self) -> None:
        whole("chunk rule: frames", self.frames, 1)
        whole("chunk rule: latents", self.latents, 1)
        truth("chunk rule: first_alone", self.first_alone)

    def to_record(self) -> dict[str, int | bool]:
        """Return what is stored beside latents: plain JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ChunkRule:
        """Return the rule of a record; ConfigError where a key is missing or unknown."""
        wanted = set(cls.__dataclass_fields__)
        if record.keys() != wanted:
            raise ConfigError(f"chunk rule: keys {sorted(record)}; wanted are {sorted(wanted)}")
        return cls(**record)


RELEASED: Final = ChunkRule()
"""the chunks that the released models were made and are decoded with (diffusers and the original code)"""


def spans(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield [start, stop) of each chunk of `total` frames: first `size` and the remainder, then `size`."""
    start, stop = 0, total if total < size else size + total % size
    while start < total:
        yield start, stop
        start, stop = stop, stop + size


class Carry:
    """What the causal convolutions of a network keep from chunk to chunk: the last frames that each one saw.

    One object a chunk. A convolution reads what it left in the chunk before and leaves its own in a new
    place, nothing is overwritten: computed again (gradient checkpointing), a chunk has the same result.
    `alone`: the chunk's first frame is the video's first, which stands for itself in time.
    """

    __slots__ = ("_left", "_past", "alone")

    def __init__(self, before: Carry | None, *, alone: bool) -> None:
        self.alone = alone
        self._past: Mapping[nn.Module, Tensor] = {} if before is None else before._left
        self._left: dict[nn.Module, Tensor] = {}

    def past(self, conv: nn.Module) -> Tensor | None:
        """Return the frames that `conv` left in the chunk before; None in the first."""
        return self._past.get(conv)

    def leave(self, conv: nn.Module, frames_BCTHW: Tensor) -> None:
        """Keep frames for `conv` in the chunk after."""
        self._left[conv] = frames_BCTHW

    def held(self) -> list[Tensor]:
        """Return all that is left to the chunk after."""
        return list(self._left.values())
