"""What is checked of every caption, and what comes of it as columns.

Each check is a function of the text (and of its tokens, its language, its neighbours) and gives a code; a
caption is ok when its status is "ok" and no code was given. Nothing is repaired: whoever asks for captions
may ask again.

Cost: 0.5 ms a caption of 30 words, 1.3 ms one of 90, half of it the wording's patterns; 0.6 s and 170 MB at
the start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from caption.engine import Status
from caption.language import Language, LanguageModel, has_foreign_script
from caption.sameness import is_alike
from caption.t5_tokens import TokenCounter, open_counter
from caption.wording import find_wording
from caption.words import words_of
from curate.records import Options

__all__ = ["CODES", "CheckOptions", "Checked", "Checker", "ends_whole", "is_stuck", "repetition"]

CODES: Final = (
    "empty", "error", "forbidden_word", "language", "meta", "opening", "refused", "repetition",
    "same_as_neighbour", "too_long", "too_many_tokens", "truncated", "unfinished",
)  # fmt: skip
"""what `problems` may hold"""

_NGRAM: Final = 4
_CHARACTERS: Final = re.compile(r"([^\s\d])\1{7}")
_ENDS: Final = ".!?。！？"
_CLOSING: Final = "\"'”’»)]"


class CheckOptions(Options):
    """What a caption must keep to."""

    max_words: int = Field(100, ge=1, description="of a template that names no limit of its own")
    max_tokens: int = Field(226, ge=1, description="of the T5 tokenizer, its end token included")
    t5_tokenizer: str | None = Field(
        None, description="folder, tokenizer.json or hub name; null: tokens are not counted"
    )
    max_repetition: float = Field(
        0.2, ge=0, le=1, description="share of four-word phrases said before; 1: loops are let pass, too"
    )
    language: str | None = Field(
        "en", description="ISO 639-1; null: not checked. What must not be said is known of English alone"
    )
    min_language: float = Field(
        0.01, ge=0, le=1, description="probability of that language below which it is another"
    )
    finished: bool = Field(True, description="a caption ends with a full stop or the like")
    max_alike: float = Field(
        0.8, ge=0, le=1, description="share of five-word phrases in common with a neighbour's caption"
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one caption."""

    words: int
    tokens: int | None
    """of the T5 tokenizer, with its end token; None without one"""
    repetition: float
    language: str | None
    problems: tuple[str, ...]
    """sorted, of CODES"""
    caption_ok: bool

    def columns(self) -> Mapping[str, object]:
        """Return it as columns of the captions table."""
        return {
            "words": self.words,
            "tokens": self.tokens,
            "repetition": self.repetition,
            "language": self.language,
            "problems": list(self.problems),
            "caption_ok": self.caption_ok,
        }


class Checker:
    """The checks with what they load: the language model and the tokenizer."""

    def __init__(self, options: CheckOptions) -> None:
        """Find what is to be loaded; ConfigError where it is not there."""
        self.options = options
        self._counter: TokenCounter | None = open_counter(options.t5_tokenizer)
        self._languages = None if options.language is None else LanguageModel(options.language)

    def digests(self) -> Mapping[str, str]:
        """Return the digests of the files that decide about captions: part of the pass's fingerprint."""
        digests = {}
        if self._counter is not None:
            digests["T5 tokenizer"] = self._counter.digest
        if self._languages is not None:
            digests["language model"] = self._languages.digest
        return digests

    def check(
        self,
        text: str | None,
        status: Status,
        *,
        max_words: int | None = None,
        neighbours: Sequence[str] = (),
    ) -> Checked:
        """Return what is to be said of one caption.

        Args:
            text: what the engine answered; None counts as "".
            status: what the engine said of it.
            max_words: the template's limit; None: the options'.
            neighbours: captions of the same variant of the clips beside it, of the same source.
        """
        text = (text or "").strip()
        options = self.options
        words = len(text.split())
        tokens = self._counter.count(text) if self._counter is not None else None
        repeated = repetition(text)
        language = self._languages.tell(text) if self._languages is not None else None
        problems = {
            "too_long": words > (max_words or options.max_words),
            "too_many_tokens": tokens is not None and tokens > options.max_tokens,
            "repetition": options.max_repetition < 1
            and (repeated > options.max_repetition or is_stuck(text)),
            "language": language is not None and self._is_other(text, language),
            "unfinished": options.finished and not ends_whole(text),
            "same_as_neighbour": any(is_alike(text, other, options.max_alike) for other in neighbours),
            **dict.fromkeys(find_wording(text) if options.language == "en" else (), True),
        }
        if not words_of(text):
            problems = {"empty": True}
        if status != "ok":
            problems[status] = True
        codes = tuple(sorted(code for code, found in problems.items() if found))
        return Checked(words, tokens, repeated, language.code if language else None, codes, not codes)

    def _is_other(self, text: str, language: Language) -> bool:
        options = self.options
        foreign = options.language == "en" and has_foreign_script(text)
        return foreign or language.wanted < options.min_language


def repetition(text: str) -> float:
    """Return the share of four-word phrases that have come before, 0 (none) to below 1.

    It is seq-rep-4 of Welleck et al., "Neural Text Generation with Unlikelihood Training"
    (arXiv 1908.04319, section 6.1): 1 - distinct / all phrases. People's text has 0.00 to 0.02; models that
    loop come to 0.5 and more. 0 for a text too short to hold one phrase.
    """
    words = words_of(text)
    phrases = [tuple(words[at : at + _NGRAM]) for at in range(len(words) - _NGRAM + 1)]
    return 1 - len(set(phrases)) / len(phrases) if phrases else 0.0


def is_stuck(text: str) -> bool:
    """Return whether up to four words stand three times in a row, or a character eight times."""
    words = words_of(text)
    for length in range(1, _NGRAM + 1):
        run = 0
        for at in range(length, len(words)):
            run = run + 1 if words[at] == words[at - length] else 0
            if run == 2 * length:
                return True
    return _CHARACTERS.search(text) is not None


def ends_whole(text: str) -> bool:
    """Return whether the text ends with a mark that ends a sentence, and does not trail off in dots."""
    text = text.rstrip().rstrip(_CLOSING).rstrip()
    return text.endswith(tuple(_ENDS)) and not text.endswith(("..", "…"))
