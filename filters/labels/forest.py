"""Boosted trees over a clip's signals, sights and probes: the second judge that `nano` asks.

Tables of numbers are what trees are good at. They read the signals, some numbers of the pictures
(`filters.labels.sights`), what linear probes say of the encoder's tokens (`filters.labels.probe`) and
small networks of its maps (`filters.labels.reader`). `nano` says a weighted mean of their log-odds and the
network's. The trees learn from the split `train` alone, after the network, which is trained and chosen
without them; the weight of each label is chosen on the validation split.

A number that is missing lies below all values. So that the trees do not lean on any one of them, they see
each clip again with some numbers left out, and others the next time. Cost: 1 CPU ms a clip.

Trees may go on from others that were grown on other clips: those stay, and what is added puts right what
they say of clips that nobody has seen (boosting from a first guess: Friedman, "Greedy function approximation:
a gradient boosting machine", 2001). Probes and readers stay, too: they learned from more films.

Shape letters: B, N clips, S signals, V sights, P pooled numbers of the tokens, X what trees read of a clip,
L labels, T trees, N nodes of a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from filters.labels.calibration import scale_and_offset
from filters.labels.mixing import told_better
from filters.labels.probe import Probe, fit_probe, pooled, pooled_width, unseen
from filters.labels.reader import Fit, Maps, Reader, fit_reader, fit_readers, read
from filters.labels.trees import DEPTH, NODES, Trees, boost
from filters.videollama import Glances

__all__ = ["Examples", "SignalForest", "Size", "grow"]

_MISSING: Final = -1e30
_FOLDS: Final = 3
_COPIES: Final = 3
"""of each clip, beside itself, that lack some numbers"""


class Size(NamedTuple):
    """Of what trees read beside signals and sights."""

    width: int
    """of frame tokens"""
    looks: int
    """how many of a clip's first frames are close looks"""
    reader: int = 0
    """width of what reads maps; 0: there is none"""
    channels: int = 0
    """of the maps"""


class SignalForest(nn.Module):  # type: ignore[misc]
    """The trees of all labels, laid out as in `filters.labels.trees`."""

    def __init__(self, labels: int, trees: int, size: Size) -> None:
        """Make trees that say nothing; `grow` makes others."""
        super().__init__()
        self._looks = size.looks
        self.probe = Probe(labels, pooled_width(size.width, size.looks))
        readers = _FOLDS if size.reader else 0
        self.readers = nn.ModuleList(Reader(size.channels, size.reader, labels) for _ in range(readers))
        self.register_buffer("share", torch.full((labels,), 0.5))
        self.register_buffer("offset", torch.zeros(labels))
        self.register_buffer("scale", torch.ones(labels))
        self.register_buffer("feature", torch.zeros(labels, trees, NODES, dtype=torch.int16))
        self.register_buffer("child", torch.zeros(labels, trees, NODES, 2, dtype=torch.int8))
        self.register_buffer("number", torch.zeros(labels, trees, NODES))

    @property
    def trees(self) -> int:
        """Return how many there are of each label."""
        return len(self.get_buffer("feature")[0])

    def put(self, label: int, trees: Trees) -> None:
        """Put a label's trees into their place: the last ones."""
        last = slice(self.trees - len(trees.feature_TN), None)
        self.get_buffer("feature")[label, last] = torch.from_numpy(trees.feature_TN)
        self.get_buffer("child")[label, last] = torch.from_numpy(trees.child_TN2)
        self.get_buffer("number")[label, last] = torch.from_numpy(trees.number_TN)

    def begin_with(self, before: SignalForest) -> None:
        """Take the trees of another into the first places, so that these say what it says."""
        first = slice(before.trees)
        for name in ("feature", "child", "number"):
            self.get_buffer(name)[:, first] = before.get_buffer(name)
        itself = torch.arange(NODES, dtype=torch.int8)[:, None]
        leaf_LTN = (before.get_buffer("child") == itself).all(3)
        scaled_LTN = before.get_buffer("number") * before.get_buffer("scale")[:, None, None]
        self.get_buffer("number")[:, first] = torch.where(leaf_LTN, scaled_LTN, before.get_buffer("number"))
        self.get_buffer("offset").copy_(before.get_buffer("offset"))

    def joined(
        self, odds_BL: Tensor, signals_BS: Tensor, glances: Glances, tokens_BTKE: Tensor, present_BT: Tensor
    ) -> Tensor:
        """Return a network's log-odds (B, L) moved towards the trees', by their share of each label."""
        told = [signals_BS.float(), glances.sights_BV.float()]
        told.append(self.probe(pooled(tokens_BTKE, present_BT, self._looks)))
        if self.readers:
            maps = Maps(glances.maps_BTCHW, present_BT[:, self._looks :])
            told.append(torch.stack([reader(maps) for reader in self.readers]).mean(0))
        return torch.lerp(odds_BL.float(), self(torch.cat(told, dim=1)), self.get_buffer("share"))

    def forward(self, told_BX: Tensor) -> Tensor:
        """Return the log-odds of yes against no, float32 (B, L), of numbers that may be missing (nan)."""
        told_BX = told_BX.nan_to_num(_MISSING)
        feature, number = self.get_buffer("feature").flatten(), self.get_buffer("number").flatten()
        child = self.get_buffer("child").flatten()
        labels, trees = self.get_buffer("feature").shape[:2]
        root_R = torch.arange(labels * trees, device=told_BX.device) * NODES
        node_BR = root_R.expand(len(told_BX), -1)
        for _ in range(DEPTH):
            above_BR = told_BX.gather(1, feature[node_BR].long()) > number[node_BR]
            node_BR = root_R + child[2 * node_BR + above_BR].long()
        sums_BL = number[node_BR].unflatten(1, (labels, trees)).sum(2)
        odds: Tensor = self.get_buffer("offset") + self.get_buffer("scale") * sums_BL
        return odds


@dataclass(frozen=True, slots=True)
class Examples:
    """What trees learn from."""

    plain_NX: npt.NDArray[np.float32]
    """signals and sights, not a number where missing"""
    pooled_NP: Tensor
    """numbers of the frame tokens"""
    maps: Maps
    """of the samples; not read where the model has no reader"""
    yes_NL: npt.NDArray[np.float32]
    """1 yes, 0 no, not a number: nobody was sure"""
    has_NQ: npt.NDArray[np.float32]
    """which cues a film has"""
    sources: Sequence[str]

    def of(self, chosen_N: npt.NDArray[np.bool_]) -> Examples:
        """Return some of them."""
        return Examples(
            self.plain_NX[chosen_N],
            self.pooled_NP[torch.from_numpy(chosen_N)],
            self.maps.of(chosen_N),
            self.yes_NL[chosen_N],
            self.has_NQ[chosen_N],
            [source for source, held in zip(self.sources, chosen_N, strict=True) if held],
        )

    @property
    def fold_N(self) -> npt.NDArray[np.intp]:
        """Return which of some folds each is in; all of a source are in one."""
        place_N: npt.NDArray[np.intp] = np.unique(np.asarray(self.sources), return_inverse=True)[1]
        return place_N % _FOLDS


def grow(
    examples: Examples,
    trees: int,
    size: Size,
    *,
    drop_signal: float,
    reader_epochs: int,
    seed: int,
    threads: int = 1,
    before: SignalForest | None = None,
    on_step: Callable[[int, int], None] = lambda _done, _of: None,
) -> SignalForest:
    """Return trees for each label, grown on clips with an answer, both classes weighing the same.

    With `before`, as many are added to its trees, which have seen none of these clips' sources.

    `drop_signal` is the share of the numbers left out when a clip is seen again. What probe and
    reader say of a clip here, they say without having seen its source (stacking: Wolpert, "Stacked
    generalization", 1992); trees see the reader for the labels that it told better so. Trees, too, believe
    of what they have seen that they would know it again, and say yes to less than they should of what they
    have not. So others are grown, which have seen two thirds of the sources, and what these say of the rest
    is put right by a scale and an offset a label; those are the trees', too. `on_step` is called with steps
    done and in all: a reader's epoch, and a label's trees.
    """
    yes_NL, fold_N = examples.yes_NL, examples.fold_N
    folds = [fold for fold in range(_FOLDS) if (fold_N == fold).any() and not (fold_N == fold).all()]
    learned = _FOLDS * reader_epochs if size.reader and not before else 0
    step = _Steps(on_step, learned + yes_NL.shape[1] * (1 + len(folds)))
    first = before or SignalForest(yes_NL.shape[1], 0, size)
    forest = SignalForest(yes_NL.shape[1], first.trees + trees, size)
    if before:
        forest.probe, forest.readers = before.probe, before.readers
        probed_NL, read_NL = _asked(before, examples)
    else:
        learn = partial(fit_reader, width=size.reader, epochs=reader_epochs, seed=seed, on_epoch=step)
        probed_NL, read_NL = _learned(forest, examples, learn)
    told, reads = [examples.plain_NX, probed_NL], frozenset(range(yes_NL.shape[1]))
    if read_NL is not None:
        told.append(read_NL)
        reads = told_better(yes_NL, read_NL, probed_NL)
    told_NX = np.concatenate(told, axis=1)
    plant = partial(
        _grow, first=first, reads=reads, drop_signal=drop_signal, seed=seed, threads=threads, step=step
    )
    plant(forest, told_NX, yes_NL)
    unseen_NL = np.full(yes_NL.shape, np.nan)
    for fold in folds:
        out = fold_N == fold
        others = SignalForest(yes_NL.shape[1], forest.trees, size)
        plant(others, told_NX[~out], yes_NL[~out])
        unseen_NL[out] = others(torch.from_numpy(told_NX[out])).double().numpy()
    for label, (answers, odds) in enumerate(zip(yes_NL.T, unseen_NL.T, strict=True)):
        known = ~np.isnan(answers) & ~np.isnan(odds)
        scale, offset = scale_and_offset(answers[known] == 1, odds[known])
        forest.get_buffer("scale")[label] = scale
        forest.get_buffer("offset")[label] = offset + scale * forest.get_buffer("offset")[label]
    return forest


_Said: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""of clips (N, L): by a probe, by readers where there are any"""


def _asked(before: SignalForest, examples: Examples) -> _Said:
    """Return what probe and readers say that learned from other clips."""
    probed_NL = before.probe(examples.pooled_NP).numpy()
    if not before.readers:
        return probed_NL, None
    return probed_NL, np.mean([read(reader, examples.maps) for reader in before.readers], axis=0)


def _learned(forest: SignalForest, examples: Examples, learn: Fit) -> _Said:
    """Teach a forest's probe and readers; return what those say of clips that have not seen their source."""
    yes_NL, fold_N = examples.yes_NL, examples.fold_N
    forest.probe = fit_probe(examples.pooled_NP, yes_NL)
    probed_NL = unseen(examples.pooled_NP, yes_NL, fold_N)
    if not forest.readers:
        return probed_NL, None
    readers, read_NL = fit_readers(learn, examples.maps, yes_NL, examples.has_NQ, fold_N, _FOLDS)
    forest.readers = nn.ModuleList(readers)
    return probed_NL, read_NL


class _Steps:
    """Counts steps, and says so."""

    def __init__(self, on_step: Callable[[int, int], None], total: int) -> None:
        self._on_step, self._done, self._total = on_step, 0, total

    def __call__(self) -> None:
        self._done += 1
        self._on_step(self._done, self._total)


def _grow(
    forest: SignalForest,
    told_NX: npt.NDArray[np.float32],
    yes_NL: npt.NDArray[np.float32],
    *,
    first: SignalForest,
    reads: frozenset[int],
    drop_signal: float,
    seed: int,
    threads: int,
    step: Callable[[], None],
) -> None:
    """Put trees into a forest behind `first` as they grow; those of a label of one class only say nothing.

    What the reader says comes last in `told_NX`; trees of labels that are not in `reads` do not see it.
    """
    rng = np.random.default_rng([seed, 4])
    copies = [np.where(rng.random(told_NX.shape) < drop_signal, np.nan, told_NX) for _ in range(_COPIES)]
    all_MX = np.nan_to_num(np.concatenate([told_NX, *copies]), nan=_MISSING).astype(np.float32)
    forest.begin_with(first)
    guess_ML = first(torch.from_numpy(all_MX)).double().numpy()
    for label, answers in enumerate(np.concatenate([yes_NL] * (1 + _COPIES)).T):
        known = ~np.isnan(answers)
        yes = answers[known] == 1
        step()
        if yes.all() or not yes.any():
            continue
        weight = np.where(yes, 0.5 / yes.mean(), 0.5 / (1 - yes.mean()))
        seen_MX = all_MX[known, : all_MX.shape[1] - (0 if label in reads else yes_NL.shape[1])]
        guess = guess_ML[known, label] if first.trees else None
        more = forest.trees - first.trees
        forest.put(label, boost(seen_MX, yes, weight, guess, trees=more, seed=seed, threads=threads))
