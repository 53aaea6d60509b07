"""Whether captions say the same: a captioner that has got stuck repeats itself from clip to clip.

Two texts are alike when they are the same but for case and punctuation, or have most of their phrases in
common: Jaccard's coefficient of the sets of five-word phrases, the resemblance of Broder, "On the
resemblance and containment of documents" (1997). Measured descriptions (the engine `signals`) of clips that
look alike are rightly alike: these are not to be compared. Equal captions over the whole run are
shards/caption_spikes.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from caption.words import words_of

__all__ = ["earlier_neighbours", "is_alike", "resemblance"]

_PHRASE: Final = 5


def resemblance(one: str, other: str) -> float:
    """Return what share of the five-word phrases of two texts is in both, 0 to 1.

    1 where both have the same words; 0 where either has fewer than five and they differ.
    """
    words, others = words_of(one), words_of(other)
    if words == others:
        return 1.0
    phrases, other_phrases = _phrases(words), _phrases(others)
    together = len(phrases | other_phrases)
    return len(phrases & other_phrases) / together if together else 0.0


def is_alike(one: str, other: str, limit: float) -> bool:
    """Return whether two texts have words, and resemble each other by `limit` or more."""
    return bool(words_of(one)) and resemblance(one, other) >= limit


def earlier_neighbours(source_ids: Sequence[str], reach: int = 1) -> list[tuple[int, ...]]:
    """Return for each clip the numbers of the `reach` clips before it that are of the same source.

    The clips are in the order of their sources and, within these, of time. Only the later of two clips has
    the other for a neighbour, so that one of two equal captions stands.
    """
    last: dict[str, list[int]] = {}
    found = []
    for number, source in enumerate(source_ids):
        before = last.setdefault(source, [])
        found.append(tuple(before[-reach:]) if reach else ())
        before.append(number)
    return found


def _phrases(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + _PHRASE]) for at in range(len(words) - _PHRASE + 1)}
