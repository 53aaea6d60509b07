"""Training a classifier: the same code on a CPU, a GPU (bfloat16), and several (`torchrun`).

First, and cheaply, `nano` learns to read signals alone; then pictures come in. The loss is the binary
cross-entropy of each label, yes weighed so that both classes count the same, mean over the clips that have an
answer and over the labels. After each epoch a moving average of the weights is judged on the validation
split, its classes weighed likewise; the best is kept, and training stops when it has not been bettered for
some epochs. Then a temperature a label is fitted there. The test split is not looked at.

Where the labels file says of what kind a clip is (rendered films: which generators made it), the network is
also asked for that, past its later parts: seventy cues tell an encoder more of a film than six answers do.

    DIR/begun.json    what it is of: another recipe or other labels are refused
    DIR/cache/        features by clip
    DIR/state.pt      weights, optimizer and history after the last epoch: the same command goes on from it

Order, variation and dropping of tokens are drawn anew in each epoch from seed and epoch alone: a training
that was killed ends as an unbroken one does, to the bit on a CPU.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from filters.labels.batches import Seen, seen, signals_alone
from filters.labels.building import build
from filters.labels.calibration import balanced_weights
from filters.labels.config import Recipe
from filters.labels.data import Indices, LabelledClips, cues_of, predict
from filters.labels.measured import measure
from filters.labels.metrics import log_loss
from filters.labels.processes import Group
from filters.labels.progress import Average, Epoch, Progress, resumed, save
from filters.labels.questions import LABELS
from shards.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from filters.videollama import VideoLlama

__all__ = ["Trained", "begin", "train"]

_WEIGHT_MOST: Final = 20.0


@dataclass(frozen=True, slots=True)
class Trained:
    """The network of the best epoch, and how it came about."""

    network: VideoLlama
    history: tuple[Epoch, ...]
    best: int
    """number of the best epoch, from 0"""


def begin(
    output: Path, recipe: Recipe, labels_sha256: str, run: str, *, start: str | None, writes: bool
) -> None:
    """Note what `output` is of, or check that what is there is of the same; ConfigError where not.

    `start` is the digest of the weights that are learned on from.
    """
    said = {
        "recipe": recipe.model_dump(mode="json"),
        "labels_sha256": labels_sha256,
        "run": run,
        "start": start,
    }
    path = output / "begun.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != said:
            raise ConfigError(f"{output}: begun with another recipe, start, run or other labels")
    elif writes:
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def train(
    data: LabelledClips,
    recipe: Recipe,
    feature_width: int,
    state: Path,
    device: torch.device,
    group: Group,
    on_step: Callable[[int, int], None] = lambda _done, _of: None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    start: VideoLlama | None = None,
) -> Trained:
    """Train on the clips of the split `train`, judged on `val`; goes on from `state` where it is there.

    With `start` it learns on from the weights of that network, whose scales of tokens and signals stay; what
    training alone uses begins anew, since other clips have other cues.
    """
    import torch

    from filters.videollama import ASIDE

    if device.type == "cpu":
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    half = torch.bfloat16 if device.type == "cuda" else torch.float32
    learn, judge = data.of("train", recipe.seed), data.of("val", recipe.seed)
    cues, cues_NC = cues_of([data.kinds[int(n)] for n in learn], recipe.cue_clips)
    network = build(recipe.model, feature_width, half, cues=len(cues))
    if start is not None:
        kept = {name: value for name, value in start.state_dict().items() if not name.startswith(ASIDE)}
        network.load_state_dict(kept, strict=False)
    else:
        measure(network, data, learn, recipe.model.signal_bins)
    network.to(device)
    optimizer = _optimizer(network, recipe)
    average = Average(network, recipe.average)
    progress, best = resumed(state, network, optimizer, average, device)
    for done in progress.history:
        on_epoch(done)
    loop = _Loop(data, recipe, device, group, network, optimizer, average, learn, cues_NC)
    if not progress.history and recipe.model.signals:
        loop.read_signals()
    for epoch in range(len(progress.history), recipe.epochs):
        if _finished(progress, recipe, loop.total):
            break
        train_loss = loop.epoch(epoch, progress, on_step)
        with average.inside(network):
            odds = group.gathered(predict(network, data, judge[group.rank :: group.size], device))
        val_loss, accuracy = _judged(data.yes_NL[judge], odds)
        progress.history.append(Epoch(epoch, progress.steps, train_loss, val_loss, accuracy))
        if val_loss < progress.best_loss:
            progress.best, progress.best_loss = epoch, val_loss
            best = {name: value.clone() for name, value in average.values.items()}
        if group.rank == 0:
            save(state, network, optimizer, average, progress, best)
        on_epoch(progress.history[-1])
        group.wait()
    network.load_state_dict(best, strict=False)
    return Trained(network.eval(), tuple(progress.history), progress.best)


class _Loop:
    """One epoch of updates."""

    def __init__(
        self,
        data: LabelledClips,
        recipe: Recipe,
        device: torch.device,
        group: Group,
        network: VideoLlama,
        optimizer: torch.optim.Optimizer,
        average: Average,
        learn: Indices,
        cues_NC: npt.NDArray[np.float32],
    ) -> None:
        """Take what is trained, and by what; `cues_NC` are the cues of `learn`, in its order."""
        import torch

        self._data, self._recipe, self._device, self._group = data, recipe, device, group
        self._network, self._optimizer, self._average, self._learn = network, optimizer, average, learn
        self._wrapped = group.wrapped(network, device)
        self._cues = np.zeros((len(data.rows), cues_NC.shape[1]), np.float32)
        self._cues[learn] = cues_NC
        if recipe.batch % group.size:
            raise ConfigError(f"batch {recipe.batch} is not a multiple of {group.size} processes")
        # Among several processes every one must have clips in every update.
        self._per_epoch = len(learn) // recipe.batch or 1
        if group.size == 1:
            self._per_epoch = -(-len(learn) // recipe.batch)
        self.total = min(self._per_epoch * recipe.epochs, recipe.max_steps or sys.maxsize)
        self._positive = torch.from_numpy(_positive_weights(data.yes_NL[learn])).to(device)

    def epoch(self, epoch: int, progress: Progress, on_step: Callable[[int, int], None]) -> float:
        """Make the updates of an epoch; return the mean loss."""
        import torch

        recipe, group = self._recipe, self._group
        rng = np.random.default_rng([recipe.seed, epoch])
        order = rng.permutation(self._learn)
        mine = np.random.default_rng([recipe.seed, epoch, group.rank, 1])
        torch.manual_seed(1_000_003 * recipe.seed + epoch + 1)
        self._network.train()
        losses = []
        for number in range(self._per_epoch):
            if progress.steps >= self.total:
                break
            chosen = order[number * recipe.batch : (number + 1) * recipe.batch][group.rank :: group.size]
            for settings in self._optimizer.param_groups:
                settings["lr"] = recipe.learning_rate * _schedule(progress.steps, self.total, recipe.warmup)
            losses.append(self._update(chosen, seen(self._data, chosen, recipe, mine)))
            progress.steps += 1
            self._average.update(self._network, progress.steps)
            on_step(progress.steps, self.total)
        return float(np.mean(losses)) if losses else math.nan

    def read_signals(self) -> None:
        """Make updates on signals alone, of eight batches at a time: cheap, and most of what comes first."""
        import torch

        recipe, group = self._recipe, self._group
        torch.manual_seed(1_000_003 * recipe.seed)
        self._network.train()
        for settings in self._optimizer.param_groups:
            settings["lr"] = recipe.learning_rate
        size = 8 * recipe.batch
        for epoch in range(recipe.signal_epochs):
            rng = np.random.default_rng([recipe.seed, epoch, 2])
            order = rng.permutation(self._learn)
            mine = np.random.default_rng([recipe.seed, epoch, group.rank, 3])
            for start in range(0, max(1, len(order) - size + 1), size):
                chosen = order[start : start + size][group.rank :: group.size]
                self._update(chosen, signals_alone(self._data, chosen, recipe, mine))

    def _update(self, chosen: Indices, shown: Seen) -> float:
        import torch
        from torch.nn import functional

        frames, present, signals = shown
        yes_BL = torch.from_numpy(self._data.yes_NL[chosen]).to(self._device)
        cuda = self._device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16) if cuda else nullcontext():
            odds_3BL, cues_2BC = self._wrapped(
                torch.from_numpy(frames).to(self._device),
                torch.from_numpy(present).to(self._device),
                None if signals is None else torch.from_numpy(signals).to(self._device),
                shortcut=True,
            )
        known_BL = ~yes_BL.isnan()
        smooth = self._recipe.smoothing
        wanted_BL = torch.where(known_BL, yes_BL, 0.5) * (1 - smooth) + smooth / 2
        loss_3BL = functional.binary_cross_entropy_with_logits(
            odds_3BL.float(), wanted_BL.expand(3, -1, -1), pos_weight=self._positive, reduction="none"
        )
        per_label_3L = (loss_3BL * known_BL).sum(1) / known_BL.sum(0).clamp(min=1)
        answered, *aside = per_label_3L.mean(1)
        loss = answered + self._recipe.shortcut * sum(aside)
        if cues_2BC.shape[2]:
            has_BC = torch.from_numpy(self._cues[chosen]).to(self._device)
            cue_losses = functional.binary_cross_entropy_with_logits(
                cues_2BC, has_BC.expand(2, -1, -1), reduction="none"
            )
            loss = loss + self._recipe.cue * cue_losses.sum(2).mean()
        self._optimizer.zero_grad()
        loss.backward()
        trained = [value for value in self._network.parameters() if value.requires_grad]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        self._optimizer.step()
        return float(answered.detach())


def _positive_weights(yes_NL: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return how much a yes counts against a no, by label: the inverse of how many there are."""
    yes, no = np.nansum(yes_NL == 1, axis=0), np.nansum(yes_NL == 0, axis=0)
    weights: npt.NDArray[np.float32] = np.clip(
        no / np.maximum(yes, 1), 1 / _WEIGHT_MOST, _WEIGHT_MOST
    ).astype(np.float32)
    return weights


def _schedule(step: int, total: int, warmup: float) -> float:
    """Return the share of the learning rate: a linear rise, then half a cosine (Loshchilov, Hutter 2017)."""
    rise = max(1, round(warmup * total))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def _optimizer(network: VideoLlama, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW; biases, norms and positions do not decay."""
    import torch

    from filters.videollama import trainable

    values = trainable(network)
    decayed = [value for name, value in values if value.ndim > 1 and "position" not in name]
    others = [value for name, value in values if value.ndim <= 1 or "position" in name]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )


def _judged(
    yes_NL: npt.NDArray[np.float32], odds_NL: npt.NDArray[np.float64]
) -> tuple[float, dict[str, float]]:
    """Return the validation loss, classes weighing the same, and each label's balanced accuracy."""
    losses, accuracy = [], {}
    for number, label in enumerate(LABELS):
        known = ~np.isnan(yes_NL[:, number])
        yes, odds = yes_NL[known, number] == 1, odds_NL[known, number]
        loss = log_loss(yes, odds, balanced_weights(yes))
        if loss is not None:
            losses.append(loss)
        if yes.any() and not yes.all():
            accuracy[label] = float((np.mean(odds[yes] >= 0) + np.mean(odds[~yes] < 0)) / 2)
    return float(np.mean(losses)), accuracy


def _finished(progress: Progress, recipe: Recipe, total: int) -> bool:
    waited = len(progress.history) - 1 - progress.best
    return progress.steps >= total or (progress.best >= 0 and waited >= recipe.patience)
