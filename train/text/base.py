"""What a text encoder is to the rest of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

__all__ = ["TextEncoder"]


class TextEncoder(Protocol):
    """Frozen. The same text gives the same embeddings, alone or beside others."""

    length: int
    """tokens of every text, pad tokens among them"""
    width: int
    """numbers a token"""

    @property
    def digest(self) -> str:
        """What embeddings are cached by: another digest, other embeddings."""
        ...

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings (texts, length, width); what is longer than `length` is cut off."""
        ...
