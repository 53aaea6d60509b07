"""Two captioners on the same clips, or one against captions known to be right, in numbers.

chrF (Popović 2015, https://aclanthology.org/W15-3049) and BLEU (Papineni et al. 2002) are sacrebleu's, over
the corpus, 0 to 100; they tell how near the words are, not which caption is the better one. Without
sacrebleu they are None.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Captions", "Nearness", "Side", "by_group", "describe", "nearness"]

Captions = Mapping[str, Mapping[str, Any]]
"""clip → row of the captions table"""


@dataclass(frozen=True, slots=True)
class Side:
    """What one captioner wrote."""

    name: str
    models: Mapping[str, int]
    """name → number of captions"""
    clips: int
    ok: float | None
    """share of `caption_ok`"""
    words: tuple[float, float, float] | None
    """10th percentile, median, 90th percentile, of captions that have text"""
    distinct: float | None
    """share of the texts that no other clip has, too"""
    asked_again: int
    problems: Mapping[str, int]
    alignment: float | None
    """mean, where an encoder measured it"""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near captions are to others."""

    clips: int
    exact: float | None
    """share that is the same, spaces at the ends apart"""
    chrf: float | None
    bleu: float | None


def describe(name: str, rows: Captions) -> Side:
    """Return what there is to say of captions without looking at others."""
    texts = [row["caption"].strip() for row in rows.values() if row["caption"]]
    known = Counter(texts)
    aligned = [row["alignment"] for row in rows.values() if row.get("alignment") is not None]
    return Side(
        name=name,
        models=dict(Counter(row["caption_model"] for row in rows.values()).most_common()),
        clips=len(rows),
        ok=_share([bool(row["caption_ok"]) for row in rows.values()]),
        words=_spread([len(text.split()) for text in texts]),
        distinct=_share([known[text] == 1 for text in texts]),
        asked_again=sum((row.get("asked") or 1) > 1 for row in rows.values()),
        problems=dict(Counter(p for row in rows.values() for p in row.get("problems") or ()).most_common()),
        alignment=statistics.fmean(aligned) if aligned else None,
    )


def nearness(said: Sequence[str], references: Sequence[str]) -> Nearness:
    """Return how near each text is to the reference at the same place."""
    pairs = [(one.strip(), other.strip()) for one, other in zip(said, references, strict=True)]
    exact = _share([one == other for one, other in pairs])
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        return Nearness(len(pairs), exact, None, None)
    if not pairs:
        return Nearness(0, None, None, None)
    hypotheses, wanted = ([pair[side] for pair in pairs] for side in (0, 1))
    chrf = CHRF().corpus_score(hypotheses, [wanted]).score
    return Nearness(len(pairs), exact, chrf, BLEU().corpus_score(hypotheses, [wanted]).score)


def by_group(exact: Mapping[str, bool], groups: Mapping[str, str]) -> dict[str, tuple[int, float]]:
    """Return group → (clips, share that is exact), of clips that have a group, in order of group."""
    members: dict[str, list[bool]] = {}
    for clip, group in groups.items():
        if clip in exact:
            members.setdefault(group, []).append(exact[clip])
    return {group: (len(found), sum(found) / len(found)) for group, found in sorted(members.items())}


def _share(truths: Sequence[bool]) -> float | None:
    return sum(truths) / len(truths) if truths else None


def _spread(numbers: Sequence[float]) -> tuple[float, float, float] | None:
    if not numbers:
        return None
    ordered = sorted(numbers)
    places = [round(share * (len(ordered) - 1)) for share in (0.1, 0.5, 0.9)]
    return ordered[places[0]], ordered[places[1]], ordered[places[2]]
