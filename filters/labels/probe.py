"""Linear probes of the frozen encoder's frame tokens: what its features say of each label by themselves.

Logistic regression on what a clip's frames have in common and how much they differ, strongly held towards
zero: a clip has more numbers here than there are clips to learn from. The boosted trees read what the probes
say beside signals and sights. Of clips that a probe learned from it would say too much, so trees learn from
what probes say that have not seen the clip's source.

Shape letters: B, N clips, T frames, K tokens of a frame, E their width, P pooled numbers, L labels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Probe", "answer_weights", "fit_probe", "pooled", "pooled_width", "unseen"]

_WHOLE: Final = 2
"""tokens at the end of a frame that tell of all of it"""
_HELD: Final = 500.0
"""what the squared weights of standardized numbers cost, in clips' log losses, twice"""
_MOST: Final = 6.0
"""standard deviations, beyond which a number is no farther from the mean"""
_STEPS: Final = 60


def pooled_width(width: int, looks: int) -> int:
    """Return how many numbers `pooled` gives of tokens of that width."""
    return (2 * (2 + _WHOLE) + 4 + (1 + _WHOLE if looks else 0)) * width


def pooled(tokens_BTKE: Tensor, present_BT: Tensor, looks: int) -> Tensor:
    """Return (B, P), float32: mean and spread over a clip's frames, and the mean of its close looks.

    Of a frame the cells' mean and greatest values, and what is told of the whole of it; the first `looks`
    frames are close looks, whose greatest values are left out. Then of each cell by itself: the usual and the
    greatest spread over the frames (something changes in one place), the greatest and the least mean over
    them (something stays in one place).
    """
    tokens = tokens_BTKE.float()
    cells, whole_BTF = tokens[:, :, :-_WHOLE], tokens[:, :, -_WHOLE:].flatten(2)
    mean_BTE, most_BTE = cells.mean(2), cells.amax(2)
    seen_BTF = torch.cat([mean_BTE, most_BTE, whole_BTF], dim=2)[:, looks:]
    shown_BT = present_BT[:, looks:]
    place_BKE, change_BKE = _mean_and_spread(cells[:, looks:], shown_BT)
    parts = [
        *_mean_and_spread(seen_BTF, shown_BT),
        change_BKE.mean(1),
        change_BKE.amax(1),
        place_BKE.amax(1),
        place_BKE.amin(1),
    ]
    if looks:
        parts.append(torch.cat([mean_BTE, whole_BTF], dim=2)[:, :looks].mean(1))
    return torch.cat(parts, dim=1)


def _mean_and_spread(values: Tensor, present_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation over the frames that are there, of (B, T, …)."""
    weight = present_BT.float().reshape(*present_BT.shape, *(1,) * (values.ndim - 2))
    count = weight.sum(1).clamp(min=1)
    mean = (values * weight).sum(1) / count
    off = (values - mean[:, None]) * weight
    return mean, ((off * off).sum(1) / count).sqrt()


class Probe(nn.Module):
    """The probes of all labels."""

    def __init__(self, labels: int, numbers: int) -> None:
        """Make probes that say nothing."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("scale", torch.zeros(numbers))
        self.register_buffer("weight", torch.zeros(labels, numbers))
        self.register_buffer("bias", torch.zeros(labels))

    def standardized(self, pooled_BP: Tensor) -> Tensor:
        """Return the numbers less their mean, in standard deviations of what was learned from."""
        made: Tensor = (pooled_BP - self.get_buffer("mean")) * self.get_buffer("scale")
        return made.clamp(-_MOST, _MOST)

    def forward(self, pooled_BP: Tensor) -> Tensor:
        """Return the log-odds of yes against no, float32 (B, L)."""
        return functional.linear(
            self.standardized(pooled_BP), self.get_buffer("weight"), self.get_buffer("bias")
        )


def fit_probe(pooled_NP: Tensor, yes_NL: npt.NDArray[np.float32]) -> Probe:
    """Return probes of clips with an answer (1 or 0; others are not numbers), both classes weighing the same.

    All are fitted at once, by L-BFGS. That of a label that has one answer only says nothing.
    """
    probe = Probe(yes_NL.shape[1], pooled_NP.shape[1])
    probe.get_buffer("mean").copy_(pooled_NP.mean(0))
    spread_P = pooled_NP.std(0, unbiased=False)
    probe.get_buffer("scale").copy_(torch.where(spread_P > 1e-4, 1 / spread_P.clamp(min=1e-4), 0.0))
    told_NP = probe.standardized(pooled_NP)
    answers_NL = torch.from_numpy(yes_NL)
    wanted_NL, counts_NL = answers_NL.nan_to_num(0.0), answer_weights(answers_NL)
    weight_LP = torch.zeros(yes_NL.shape[1], pooled_NP.shape[1], requires_grad=True)
    bias_L = torch.zeros(yes_NL.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight_LP, bias_L], max_iter=_STEPS, history_size=8, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        odds_NL = functional.linear(told_NP, weight_LP, bias_L)
        wrong = functional.binary_cross_entropy_with_logits(odds_NL, wanted_NL, counts_NL, reduction="sum")
        total: Tensor = wrong + _HELD / 2 * (weight_LP * weight_LP).sum()
        total.backward()
        return total

    optimizer.step(loss)
    probe.get_buffer("weight").copy_(weight_LP.detach())
    probe.get_buffer("bias").copy_(bias_L.detach())
    return probe


def answer_weights(answers_NL: Tensor) -> Tensor:
    """Return what each answer counts: yes and no of a label the same, those that are missing nothing.

    Nothing either of a label that has one answer only.
    """
    known_NL = ~answers_NL.isnan()
    wanted_NL = answers_NL.nan_to_num(0.0)
    share_L = wanted_NL.sum(0) / known_NL.sum(0).clamp(min=1)
    half_L = torch.where((share_L > 0) & (share_L < 1), 0.5, 0.0)
    counts_NL = torch.where(
        wanted_NL > 0, half_L / share_L.clamp(min=1e-6), half_L / (1 - share_L).clamp(min=1e-6)
    )
    return counts_NL * known_NL


def unseen(
    pooled_NP: Tensor, yes_NL: npt.NDArray[np.float32], fold_N: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """Return (N, L) what probes say of each fold that learned from the others; zeros of a single fold."""
    said = np.zeros(yes_NL.shape, np.float32)
    for fold in np.unique(fold_N):
        out = fold_N == fold
        if not out.all():
            others = fit_probe(pooled_NP[torch.from_numpy(~out)], yes_NL[~out])
            said[out] = others(pooled_NP[torch.from_numpy(out)]).numpy()
    return said
