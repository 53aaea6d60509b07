"""A text encoder without weights to download: frozen random vectors of words, for `tiny` models.

A token is a word of the text, without regard to case, or a mark between words. Its vector is drawn from its
hash, so there is no vocabulary; added to it are sinusoids of its place, since the transformer gives text no
positions of its own. Nothing is learned: it says which words stand where, and nothing of what they mean or
that two of them are alike. Tokens of bytes were tried first: the transformer has to learn to spell before a
text tells it anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from shards.errors import ConfigError

__all__ = ["WordEncoder"]

_WORDS: Final = re.compile(r"\w+|[^\w\s]")
_KEPT: Final = 1 << 16


class WordEncoder:
    """`TextEncoder` of words. Raises ConfigError for sizes that cannot be."""

    def __init__(self, length: int = 64, width: int = 128, seed: int = 0) -> None:
        for name, value, least in (("length", length, 1), ("width", width, 2), ("seed", seed, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"word encoder: {name} is {value!r}, want a whole number from {least}")
        if width % 2:
            raise ConfigError(f"word encoder: width is {width}, want an even number")
        self.length, self.width, self.seed = length, width, seed
        frequencies = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(10000.0)) / width))
        angles = torch.arange(length)[:, None] * frequencies
        self._places_LW = torch.cat([angles.sin(), angles.cos()], dim=1)

    @property
    def digest(self) -> str:
        """As of `TextEncoder`."""
        said = f"words-1 {self.length} {self.width} {self.seed}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the embeddings (texts, length, width), float32 on the CPU."""
        rows = [_WORDS.findall(text.casefold())[: self.length] for text in texts]
        # No word is empty, so the pad token has a vector of its own.
        padded = [row + [""] * (self.length - len(row)) for row in rows]
        vectors = [torch.stack([_vector(word, self.width, self.seed) for word in row]) for row in padded]
        return torch.stack(vectors) + self._places_LW

    def to_record(self) -> dict[str, Any]:
        """Return its `config.json`."""
        return {
            "_class_name": type(self).__name__,
            "length": self.length,
            "width": self.width,
            "seed": self.seed,
        }


@lru_cache(maxsize=_KEPT)
def _vector(word: str, width: int, seed: int) -> Tensor:
    """Return the vector (width,) of a word: of unit variance, the same on every machine."""
    key = int.from_bytes(hashlib.sha256(f"{seed} {word}".encode()).digest()[:8], "big") >> 1
    return torch.randn(width, generator=torch.Generator().manual_seed(key))
