"""The parts that `nano` has of its own: image encoder, signal tokens, causal language model. All are trained.

Together less than a million parameters; 40 million multiplications a frame of 96 x 160.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from filters.labels.questions import QUESTIONS
from filters.videollama import Attention

__all__ = ["CELLS", "FEATURES", "ConvEncoder", "SignalTokens", "SmallLanguage", "vocabulary"]

FEATURES: Final = 96
"""width of a frame's tokens"""
_GRID: Final = (3, 5)
CELLS: Final = _GRID[0] * _GRID[1]
_LUMA: Final = (0.299, 0.587, 0.114)


class _Residual(nn.Module):
    """Two convolutions and a short cut (He et al. 2016), with group normalization (Wu and He 2018).

    Groups and not batches: a picture's tokens do not depend on its company, nor on what the training saw.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_step(width, width, 1), _step(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _step(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(8, outputs), nn.GELU()
    )


class ConvEncoder(nn.Module):
    """Pictures → a grid of 3 x 5 tokens each.

    It sees red, green, blue, and how much the luma changed since the sample before (the first: until the one
    after it): whether things move is easier to see there than from two pictures' tokens. A picture's plain
    mean and spread of each channel are added as numbers, since normalization takes them away. The first
    `looks` pictures are pieces of samples, not scaled; nothing changes between them and others.
    """

    def __init__(self, looks: int = 0) -> None:
        super().__init__()
        self._looks = looks
        self.register_buffer("luma", torch.tensor(_LUMA), persistent=False)
        self.body = nn.Sequential(
            _step(4, 16, 2),
            _step(16, 32, 2),
            _step(32, 64, 2),
            _Residual(64),
            _step(64, FEATURES, 2),
            _Residual(FEATURES),
            nn.AdaptiveAvgPool2d(_GRID),
        )
        self.plain = nn.Linear(8, FEATURES)

    def forward(self, frames_BTCHW: Tensor, present_BT: Tensor) -> Tensor:
        """Return (B, T, 15, 96) of RGB pictures, 0 to 255; sides are multiples of 32."""
        pictures = frames_BTCHW.float() / 127.5 - 1
        luma_BTHW = torch.einsum("btchw,c->bthw", pictures, self.get_buffer("luma"))
        looks = self._looks
        change_BTHW = torch.zeros_like(luma_BTHW)
        change_BTHW[:, looks:] = _changes(luma_BTHW[:, looks:], present_BT[:, looks:])
        x_NCHW = torch.cat([pictures, change_BTHW[:, :, None]], dim=2).flatten(0, 1)
        x_NCHW = x_NCHW.contiguous(memory_format=torch.channels_last)
        plain_NF = torch.cat([x_NCHW.mean(dim=(2, 3)), x_NCHW.std(dim=(2, 3))], dim=1)
        tokens_NKE = self.body(x_NCHW).flatten(2).transpose(1, 2) + self.plain(plain_NF)[:, None]
        out: Tensor = tokens_NKE.unflatten(0, frames_BTCHW.shape[:2])
        return out


def _changes(luma_BTHW: Tensor, present_BT: Tensor) -> Tensor:
    """Return |luma - luma of the frame before|, 0 to 2; 0 where either frame is missing."""
    if luma_BTHW.shape[1] == 1:
        return torch.zeros_like(luma_BTHW)
    both = (present_BT[:, 1:] & present_BT[:, :-1])[..., None, None]
    later = (luma_BTHW[:, 1:] - luma_BTHW[:, :-1]).abs() * both
    return torch.cat([later[:, :1], later], dim=1)


class SignalTokens(nn.Module):
    """Measurements → a token each, by where they lie among the training set's quantiles.

    Piecewise linear encoding (Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular
    Deep Learning", NeurIPS 2022): of each span between two quantiles, how much of it lies below the value, 0
    to 1. What lies beyond the training set's span looks like its end. A missing value has a token of its own.
    A small network over all of them at once says what shifts the queries: attention alone takes long to learn
    which of a hundred tokens matter.
    """

    def __init__(self, signals: int, bins: int, width: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.zeros(signals, bins + 1))
        self.weight = nn.Parameter(torch.randn(signals, bins, width) * bins**-0.5)
        self.bias = nn.Parameter(torch.randn(signals, width) * 0.5)
        self.missing = nn.Parameter(torch.randn(signals, width) * 0.5)
        self.together = nn.Sequential(
            nn.Linear(signals * (bins + 1), 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, signals_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, S, D) of measurements, not a number where missing, and the shift (B, D)."""
        known = ~signals_BS.isnan()
        low, high = self.get_buffer("edges")[:, :-1], self.get_buffer("edges")[:, 1:]
        values = torch.where(known, signals_BS, 0.0)[..., None]
        spans = high - low
        # Of an empty span (a value that many clips share) one is above or not.
        parts = torch.where(
            spans > 0, (values - low) / torch.where(spans > 0, spans, 1.0), (values > low).float()
        )
        parts = parts.clamp(0, 1) * known[..., None]
        told = torch.einsum("bsn,snd->bsd", parts, self.weight) + self.bias
        whole = torch.cat([parts, known[..., None].to(parts.dtype)], dim=2).flatten(1)
        return torch.where(known[..., None], told, self.missing), self.together(whole)


def vocabulary(texts: Sequence[str]) -> list[str]:
    """Return the words of `texts`, sorted, after the special ones."""
    words = {word for text in texts for word in _words(text)}
    return ["<video>", "</video>", "yes", "no", *sorted(words - {"yes", "no"})]


def _words(text: str) -> list[str]:
    return text.lower().replace("?", " ?").split()


class SmallLanguage(nn.Module):
    """A causal transformer whose vocabulary is the words of the questions: `<video> … </video> question`.

    It stands where Video-LLaMA has a Llama or Vicuna. It has read nothing but these questions: what it knows
    of a word is what training here makes of it.
    """

    def __init__(self, width: int, layers: int, heads: int, queries: int) -> None:
        super().__init__()
        questions = list(QUESTIONS.values())
        words = vocabulary(questions)
        self.width = width
        numbers = {word: number for number, word in enumerate(words)}
        self._questions = [[numbers[word] for word in _words(text)] for text in questions]
        self._yes, self._no = numbers["yes"], numbers["no"]
        longest = queries + 2 + max(map(len, self._questions))
        self.words = nn.Embedding(len(words), width)
        nn.init.normal_(self.words.weight, std=width**-0.5)
        self.positions = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.layers = nn.ModuleList(_CausalLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def ask(self, video_BQD: Tensor, label: int) -> Tensor:
        """Return the logit of "yes" less that of "no" after a label's question, float32 (B,)."""
        device = video_BQD.device
        opened, closed = (
            self.words(torch.tensor([0, 1], device=device)).expand(len(video_BQD), -1, -1).split(1, 1)
        )
        question = self.words(torch.tensor(self._questions[label], device=device))
        question = question.expand(len(video_BQD), -1, -1)
        logits_BNV = self.read(torch.cat([opened, video_BQD, closed, question], dim=1))
        return (logits_BNV[:, -1, self._yes] - logits_BNV[:, -1, self._no]).float()

    def read(self, tokens_BND: Tensor) -> Tensor:
        """Return the logits of the next word after each token (B, N, vocabulary)."""
        x_BND = tokens_BND + self.positions[: tokens_BND.shape[1]]
        for layer in self.layers:
            x_BND = layer(x_BND)
        return functional.linear(self.norm(x_BND), self.words.weight)


class _CausalLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = Attention(width, heads)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x_BND: Tensor) -> Tensor:
        before, between = self.norms
        normed = before(x_BND)
        x_BND = x_BND + self.attention(normed, normed, causal=True)
        out: Tensor = x_BND + self.feed(between(x_BND))
        return out
