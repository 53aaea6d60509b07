"""The words of a text, as the checks count and compare them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["words_of"]

_WORD: Final = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Return the words, in lower case, without punctuation."""
    return [word.casefold() for word in _WORD.findall(text)]
