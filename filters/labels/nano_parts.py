"""The parts that `nano` has of its own: signal tokens and a causal language model. Both are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from filters.labels.questions import QUESTIONS
from filters.videollama import Attention

__all__ = ["SignalTokens", "SmallLanguage", "vocabulary"]


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

    def ask(self, video_BQD: Tensor) -> Tensor:
        """Return the logit of "yes" less that of "no" after each label's question, float32 (B, L).

        All questions in one pass. The shorter ones are filled up behind their end, which nothing before it
        sees: a word looks at what comes before it alone.
        """
        device = video_BQD.device
        questions = pad_sequence([torch.tensor(one) for one in self._questions], batch_first=True)
        opened, closed = self.words(torch.tensor([0, 1], device=device))
        count, labels, before = len(video_BQD), len(questions), video_BQD.shape[1] + 2
        shown = functional.pad(video_BQD, (0, 0, 1, 1))
        shown[:, 0], shown[:, -1] = opened, closed
        asked_LND = self.words(questions.to(device))
        tokens_BLND = torch.cat(
            [
                shown[:, None].expand(-1, labels, -1, -1),
                asked_LND.to(shown.dtype).expand(count, -1, -1, -1),
            ],
            dim=2,
        )
        x_BLND = self.read(tokens_BLND.flatten(0, 1)).unflatten(0, (count, labels))
        ends = torch.tensor([before + len(one) - 1 for one in self._questions], device=device)
        last_BLD = x_BLND[:, torch.arange(labels, device=device), ends]
        odds_BL: Tensor = last_BLD @ (self.words.weight[self._yes] - self.words.weight[self._no])
        return odds_BL.float()

    def read(self, tokens_BND: Tensor) -> Tensor:
        """Return what the transformer makes of each token (B, N, D); the next word's logit is a product."""
        x_BND = tokens_BND + self.positions[: tokens_BND.shape[1]]
        for layer in self.layers:
            x_BND = layer(x_BND)
        out: Tensor = self.norm(x_BND)
        return out


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
