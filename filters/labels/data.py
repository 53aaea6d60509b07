"""Labelled clips ready to be learned from: features on disk, signals and answers in memory, by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curate.records import Row
from filters.labels.answers import join
from filters.labels.asking import ask
from filters.labels.clips import FeatureCache, LabelRun, Pack, pack, signals_of
from filters.labels.config import ModelConfig
from filters.labels.encoders import Encoder
from filters.labels.questions import LABELS
from filters.labels.splits import Split, members
from shards.errors import InputError

if TYPE_CHECKING:
    from filters.videollama import VideoLlama

__all__ = ["Indices", "LabelledClips", "check_classes", "cues_of", "predict", "read_labelled"]

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class LabelledClips:
    """Clips with answers and features, in order of clip."""

    rows: Sequence[Row]
    sources: Sequence[str]
    yes_NL: npt.NDArray[np.float32]
    """1 yes, 0 no, not a number: nobody was sure"""
    kinds: Sequence[str]
    """what the labels file says of a clip beside its answers: words joined by `+`"""
    signals_NS: npt.NDArray[np.float32]
    cache: FeatureCache
    labels_sha256: str

    def pack(self, indices: Sequence[int] | Indices) -> Pack:
        """Return features of some clips side by side."""
        return pack([self.cache.load(self.rows[int(n)]) for n in indices])

    def of(self, split: Split, seed: int) -> Indices:
        """Return the positions of the clips on one side of the split."""
        return members(self.sources, seed, split)


def read_labelled(
    labels: Path,
    run: LabelRun,
    model: ModelConfig,
    encoder: Encoder,
    cache: Path,
    progress: Callable[[int], Callable[[int], None]] = lambda _: lambda _: None,
) -> LabelledClips:
    """Join a labels file to a run, and make the features that are not in `cache` yet.

    `progress(total)` returns what is called with the number of clips done. Raises InputError for bad labels,
    and where no clip of them has a sample.
    """
    rows = {str(row["clip_id"]): row for row in run.clips(model.signals)}
    answers = join(labels, list(rows.values()), run.files())
    chosen = [rows[ident] for ident in answers.clips]
    features = FeatureCache(cache, run, model, encoder)
    usable = features.fill(chosen, progress(len(chosen)))
    if not usable:
        raise InputError(f"{labels}: none of its clips has a sample to look at")
    kept = [chosen[n] for n in usable]
    return LabelledClips(
        kept,
        [answers.sources[n] for n in usable],
        answers.yes_NL[usable],
        [answers.kinds[n] for n in usable],
        signals_of(kept, model.signals),
        features,
        answers.sha256,
    )


def cues_of(kinds: Sequence[str], least: int) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Return the words of `kinds` that `least` clips have or more, sorted, and who has them: (N, C)."""
    words = [frozenset(kind.split("+")) - {""} for kind in kinds]
    counted = Counter(word for some in words for word in some)
    cues = tuple(sorted(word for word, count in counted.items() if count >= least))
    has = np.array([[cue in some for cue in cues] for some in words], np.float32)
    return cues, has.reshape(len(kinds), len(cues))


def check_classes(labels: Path, yes_NL: npt.NDArray[np.float32], where: str) -> None:
    """Raise InputError for a label that has one class only, or none, among these clips."""
    for number, label in enumerate(LABELS):
        known = yes_NL[:, number][~np.isnan(yes_NL[:, number])]
        for value, name in ((1.0, "yes"), (0.0, "no")):
            if not (known == value).any():
                hint = "" if where == "it" else "; label more sources, or take another seed (--set seed=1)"
                raise InputError(f"{labels}: {label}: no clip in {where} is answered {name!r}{hint}")


def predict(
    network: VideoLlama, data: LabelledClips, indices: Indices, device: Any, batch: int = 16
) -> npt.NDArray[np.float64]:
    """Return the log-odds of clips (N, L), some at a time."""
    network.eval()
    chunks = [np.empty((0, len(LABELS)))]
    chunks += [
        ask(network, data.pack(chunk), data.signals_NS[chunk], device) for chunk in _chunks(indices, batch)
    ]
    return np.concatenate(chunks)


def _chunks(indices: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
