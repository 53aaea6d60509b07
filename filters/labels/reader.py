"""A small convolutional network over the frozen encoder's maps: what is where, and what stays there.

Tokens and probes pool a frame to a few cells; words that pop up, a picture in a picture or a window are told
by small shapes next to each other, and by whether they stay. Each frame is looked at by itself, then what
all frames show at one place (mean, spread, most, the largest change from one to the next), then around it.

It learns from clips what a linear probe cannot say, and learns by heart more easily: so frames, channels and
left and right vary, and it is asked for the films' cues beside the labels. Several learn, each from all but
some of the sources: trees learn from what is said by the one that has not seen a clip's source, and are told
the mean of them all from then on. Cost: 3 CPU ms a clip of five frames for each.

Shape letters: B, N clips, T frames, C channels, H, W places of a map, D width, L labels, Q cues.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from filters.labels.probe import answer_weights

__all__ = ["Fit", "Maps", "Reader", "fit_reader", "fit_readers", "read"]

_MOST: Final = 6.0
"""standard deviations, beyond which a number is no farther from the mean"""
_BATCH: Final = 32
_RATE: Final = 2e-3
_DECAY: Final = 0.05
_RISE: Final = 100
"""updates until the learning rate is whole"""
_DROP_CHANNEL: Final = 0.1
_DROP_FRAME: Final = 0.1
_DROP_TOLD: Final = 0.2
"""of what the last layer reads"""
_CUES: Final = 5.0
"""what the cues' mean loss counts beside the labels'"""
_MEASURED: Final = 400
"""clips over which channels are standardized"""


@dataclass(frozen=True, slots=True)
class Maps:
    """Maps of clips side by side."""

    maps_NTCHW: Tensor
    """float16, zeros where a clip has fewer frames"""
    present_NT: Tensor
    """bool, at least one of each clip"""

    def __len__(self) -> int:
        return len(self.present_NT)

    def of(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Maps:
        """Return those of some clips."""
        some = torch.from_numpy(chosen)
        return Maps(self.maps_NTCHW[some], self.present_NT[some])


class Reader(nn.Module):  # type: ignore[misc]
    """The network; `outputs` log-odds."""

    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.narrow = nn.Conv2d(channels, width, 1)
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.join = nn.Conv2d(4 * width, width, 1)
        self.around = nn.Conv2d(width, width, 3, padding=1)
        self.say = nn.Linear(2 * width, outputs)

    def forward(self, maps: Maps) -> Tensor:
        """Return log-odds of yes against no, float32 (B, outputs)."""
        odds: Tensor = self.say(self.told(maps))
        return odds

    def told(self, maps: Maps) -> Tensor:
        """Return what the last layer reads (B, 2 D): the mean over all places, and the most of any."""
        x_BTCHW = self.standardized(maps.maps_NTCHW)
        clips, frames = x_BTCHW.shape[:2]
        seen = functional.gelu(self.narrow(x_BTCHW.flatten(0, 1)))
        seen = seen + functional.gelu(self.look(seen))
        seen_BTDHW = seen.unflatten(0, (clips, frames))
        place_BDHW = functional.gelu(self.join(_over_time(seen_BTDHW, maps.present_NT)))
        place_BDHW = place_BDHW + functional.gelu(self.around(place_BDHW))
        return torch.cat([place_BDHW.mean((2, 3)), place_BDHW.amax((2, 3))], dim=1)

    def standardized(self, maps_BTCHW: Tensor) -> Tensor:
        """Return maps less their channels' means, in standard deviations; learning, some are zero."""
        mean, scale = (self.get_buffer(name)[:, None, None] for name in ("mean", "scale"))
        x_BTCHW = ((maps_BTCHW.float() - mean) * scale).clamp(-_MOST, _MOST)
        if self.training:
            kept = torch.rand(len(x_BTCHW), 1, x_BTCHW.shape[2], 1, 1) >= _DROP_CHANNEL
            x_BTCHW = x_BTCHW * kept
        return x_BTCHW


def _over_time(seen_BTDHW: Tensor, present_BT: Tensor) -> Tensor:
    """Return (B, 4 D, H, W): mean, spread and most of the frames, and their largest change."""
    there = present_BT[:, :, None, None, None]
    count = there.sum(1).clamp(min=1)
    mean = (seen_BTDHW * there).sum(1) / count
    off = (seen_BTDHW - mean[:, None]) * there
    spread = ((off * off).sum(1) / count + 1e-6).sqrt()
    most = seen_BTDHW.masked_fill(~there, -torch.inf).amax(1)
    if seen_BTDHW.shape[1] == 1:
        return torch.cat([mean, spread, most, torch.zeros_like(mean)], dim=1)
    both = there[:, 1:] & there[:, :-1]
    change = ((seen_BTDHW[:, 1:] - seen_BTDHW[:, :-1]).abs() * both).amax(1)
    return torch.cat([mean, spread, most, change], dim=1)


def fit_reader(
    maps: Maps,
    yes_NL: npt.NDArray[np.float32],
    has_NQ: npt.NDArray[np.float32],
    *,
    width: int,
    epochs: int,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> Reader:
    """Return a reader of the labels, learned from clips with an answer (1 or 0; others are not numbers).

    Both answers weigh the same. `has_NQ` says which cues a film has; they are learned beside the labels and
    then forgotten.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 5])
    labels, cues = yes_NL.shape[1], has_NQ.shape[1]
    reader = Reader(maps.maps_NTCHW.shape[2], width, labels)
    _standardize(reader, maps, rng)
    say_cues = nn.Linear(2 * width, cues) if cues else None
    parameters = [*reader.parameters(), *(say_cues.parameters() if say_cues else ())]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    each = max(1, len(maps) // _BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, epochs * each))
    answers_NL, has = torch.from_numpy(yes_NL), torch.from_numpy(has_NQ)
    weight_NL = answer_weights(answers_NL)
    reader.train()
    for _ in range(epochs):
        order = rng.permutation(len(maps))
        for number in range(each):
            chosen = order[number * _BATCH : (number + 1) * _BATCH]
            told = functional.dropout(reader.told(_varied(maps.of(chosen), rng)), _DROP_TOLD)
            some = torch.from_numpy(chosen)
            loss = functional.binary_cross_entropy_with_logits(
                reader.say(told), answers_NL[some].nan_to_num(0.0), weight_NL[some], reduction="sum"
            ) / (len(chosen) * labels)
            if say_cues:
                loss = loss + _CUES * functional.binary_cross_entropy_with_logits(say_cues(told), has[some])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
        on_epoch()
    reader.eval()
    return reader


Fit: TypeAlias = Callable[[Maps, npt.NDArray[np.float32], npt.NDArray[np.float32]], Reader]
"""`fit_reader` with its settings"""


def fit_readers(
    fit: Fit,
    maps: Maps,
    yes_NL: npt.NDArray[np.float32],
    has_NQ: npt.NDArray[np.float32],
    fold_N: npt.NDArray[np.intp],
    folds: int,
) -> tuple[list[Reader], npt.NDArray[np.float32]]:
    """Return a reader for each fold, learned from the others, and (N, L) what it says of that fold.

    `fit` is `fit_reader` with its settings. Where all clips are in one fold its reader learns from them all
    the same, and zeros are what it says of them.
    """
    readers, said = [], np.zeros(yes_NL.shape, np.float32)
    for fold in range(folds):
        out = fold_N == fold
        rest = ~out if not out.all() else out
        readers.append(fit(maps.of(rest), yes_NL[rest], has_NQ[rest]))
        if out.any() and not out.all():
            said[out] = read(readers[-1], maps.of(out))
    return readers, said


def read(reader: Reader, maps: Maps) -> npt.NDArray[np.float32]:
    """Return what a reader says of clips, some at a time."""
    with torch.inference_mode():
        said = [
            reader(maps.of(np.arange(start, min(start + _BATCH, len(maps)))))
            for start in range(0, len(maps), _BATCH)
        ]
    found: npt.NDArray[np.float32] = torch.cat(said).numpy()
    return found


def _rate(step: int, total: int) -> float:
    """Return the share of the learning rate: a linear rise under half a cosine."""
    return min(1.0, (step + 1) / _RISE) * (1 + math.cos(math.pi * step / total)) / 2


def _standardize(reader: Reader, maps: Maps, rng: np.random.Generator) -> None:
    some = maps.of(np.sort(rng.permutation(len(maps))[:_MEASURED]))
    values = some.maps_NTCHW[some.present_NT].float()
    spread = values.std((0, 2, 3), unbiased=False)
    reader.get_buffer("mean").copy_(values.mean((0, 2, 3)))
    reader.get_buffer("scale").copy_(torch.where(spread > 1e-4, 1 / spread.clamp(min=1e-4), 0.0))


def _varied(maps: Maps, rng: np.random.Generator) -> Maps:
    """Return a batch, half of the time mirrored, some frames left out."""
    pictures = maps.maps_NTCHW.flip(4) if rng.random() < 0.5 else maps.maps_NTCHW
    kept = maps.present_NT & torch.from_numpy(rng.random(tuple(maps.present_NT.shape)) >= _DROP_FRAME)
    return Maps(pictures, torch.where(kept.any(1, keepdim=True), kept, maps.present_NT))
