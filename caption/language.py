"""Which language a caption is in, by py3langid's bundled model: no download, no randomness.

Captions are short, and a bird called by its French name does not make a caption French. So a caption is
only called foreign where the wanted language itself is improbable: of 117 English captions of 3 to 90 words
the least probable had 0.04; of 48 sentences in 16 other languages, and the first halves of these, the most
probable English had 0.003 (tests/caption/sentences). lingua 2.1.1, tried beside it, was right as often on
the foreign ones, called more of the English ones foreign, and took 1.6 ms a caption and 1.2 GB.

Cost: 0.1 to 0.2 ms a caption; 0.6 s and, while it loads, 160 MB.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from caption.wording import without_quotes
from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["Language", "LanguageModel", "has_foreign_script"]

_CONFIDENT: Final = 0.4
_LETTERS: Final = 3


@dataclass(frozen=True, slots=True)
class Language:
    """What was found."""

    code: str | None
    """ISO 639-1; None where no language is probable enough: a text of few words, or of none"""
    wanted: float
    """probability of the language that is wanted, 0 to 1"""


class LanguageModel:
    """Tells languages apart."""

    def __init__(self, wanted: str) -> None:
        """Load the model; ConfigError where it is not installed, or does not know `wanted`."""
        if find_spec("py3langid") is None:
            raise ConfigError(
                "the language of captions is checked by py3langid, which is not installed; install "
                "cogcurate[captions], or set `checks.language: null`"
            )
        from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

        path = Path(MODEL_DIR) / MODEL_FILE
        with path.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()
        # With normalised probabilities; of the languages that have a code of two letters.
        self._model: Any = LanguageIdentifier.from_model_file(path, norm_probs=True)
        known = [code for code in self._model.labels if len(code) == 2]
        if wanted not in known:
            raise ConfigError(f"language: {wanted!r} is not one that is known; {nearest(wanted, known)}")
        self._model.set_languages(known)
        # Its columns were chosen: rows that lie together are gathered in half the time.
        self._model.nb_ptc = np.ascontiguousarray(self._model.nb_ptc)
        self._wanted = wanted

    def tell(self, text: str) -> Language:
        """Return the language of a text."""
        probabilities = dict(self._model.rank(text))
        code, probability = next(iter(probabilities.items()))
        return Language(code if probability >= _CONFIDENT else None, float(probabilities[self._wanted]))


def has_foreign_script(text: str) -> bool:
    """Return whether three letters or more, outside quotation marks, are not of the Latin script.

    A model that changes its language within an English caption is caught by this and not by the whole's.
    """
    foreign = 0
    for character in without_quotes(text):
        if character.isalpha() and not character.isascii():
            foreign += not unicodedata.name(character, "").startswith(("LATIN", "FULLWIDTH LATIN"))
    return foreign >= _LETTERS
