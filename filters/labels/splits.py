"""Train, validation and test by source: 80, 10 and 10 of a hundred, by a hash, whatever else is there.

No film has clips on two sides. A source stays on its side when others are added, and in every file of labels
that names it alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["SPLITS", "Split", "members", "split_of"]

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")


def split_of(source: str, seed: int) -> Split:
    """Return the side on which a source lies."""
    digest = hashlib.sha256(f"{seed}:{source}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


def members(sources: Sequence[str], seed: int, split: Split) -> npt.NDArray[np.intp]:
    """Return the positions of the clips whose source lies on one side."""
    return np.array([n for n, source in enumerate(sources) if split_of(source, seed) == split], np.intp)
