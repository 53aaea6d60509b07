"""What the frozen image encoder of a classifier gives of a clip's samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Encoder", "Features"]


@dataclass(frozen=True, slots=True)
class Features:
    """What a classifier sees of a clip's samples."""

    tokens: npt.NDArray[np.float16]
    """(T, K, E): T close looks and samples, K tokens of each, E wide"""
    sights: npt.NDArray[np.float32]
    """(V,): numbers of the pictures (`filters.labels.sights`); none beside open_clip's encoders"""
    maps: npt.NDArray[np.float16]
    """(T, C, H, W): what the encoder says of each place of each sample; none beside open_clip's encoders"""


class Encoder(Protocol):
    """Makes features on one device."""

    digest: str
    width: int
    """of a token"""

    def encode(self, jpegs: Sequence[bytes]) -> Features:
        """Return the features of a clip's samples, at least one. Raises PictureError for what is no JPEG."""

    def close(self) -> None:
        """Let go of the device's memory."""
