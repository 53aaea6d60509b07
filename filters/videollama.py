"""A clip's pictures and signals → video tokens → a causal language model's log-odds of yes against no.

After Video-LLaMA's vision branch (Zhang, Li, Bing, arXiv 2306.02858, section 2.1): tokens of each frame from
a frozen image encoder; a learned embedding of the frame's position added to them; a *video Q-Former*, learned
queries that attend to one another and to all frame tokens; a linear projection into the word embeddings of a
language model, which then reads video tokens and question. Where it differs:

- No image Q-Former between encoder and position embedding: BLIP-2's weights would be a second download. A
  frame's patches are averaged to a small grid, and each cell has an embedding of its own.
- It answers by one number, not by writing: the logit of "yes" less that of "no" after the question.
- Blocks normalize first (Xiong et al. 2020), where BERT's, in BLIP-2 and Video-LLaMA, do last.
- Signals of the clip (`nano`) are tokens beside the frames', read by the same cross-attention, and shift the
  queries.
- One Q-Former serves all labels; the language model may have a low-rank adapter (LoRA) for each.

Shape letters: B clips, T frames, K tokens a frame, E their width, S signals, N tokens of a clip, Q queries,
D width of the Q-Former, L labels, C cues, M = L + C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ASIDE", "Attention", "Glances", "LanguageModel", "QFormer", "VideoLlama", "trainable"]

ASIDE = ("shortcut.", "glimpse.")
"""how the names of parameters begin that training alone uses"""


class LanguageModel(Protocol):
    """What answers: a module that reads video tokens in its own width."""

    width: int

    def ask(self, video_BQD: Tensor) -> Tensor:
        """Return the log-odds of yes against no to each label's question, float32 (B, L)."""


class Glances(NamedTuple):
    """What is known of the pictures beside the tokens; the forest alone looks at it."""

    sights_BV: Tensor
    """numbers of the pictures"""
    maps_BTCHW: Tensor
    """what the encoder says of each place of each sample, close looks left out"""


class Forest(Protocol):
    """What judges the signals beside the network: a module."""

    share: Tensor
    """weight of its log-odds, 0 to 1"""

    def joined(
        self, odds_BL: Tensor, signals_BS: Tensor, glances: Glances, tokens_BTKE: Tensor, present_BT: Tensor
    ) -> Tensor:
        """Return the network's log-odds and its own put together, float32 (B, L)."""


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), from queries to a memory or among themselves."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x_BQD: Tensor, memory_BND: Tensor, allowed_BN: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Return (B, Q, D); `allowed` is False for tokens of the memory that nobody may look at."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(x_BQD), *self.kv(memory_BND).chunk(2, dim=-1))
        )
        mask = None if allowed_BN is None else allowed_BN[:, None, None, :]
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        out: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return out


class QFormerLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the tokens, a feed-forward network."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.self_attention = Attention(width, heads)
        self.cross_attention = Attention(width, heads)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x_BQD: Tensor, memory_BND: Tensor, allowed_BN: Tensor) -> Tensor:
        """Return the queries after this layer."""
        among, across, alone = self.norms
        normed = among(x_BQD)
        x_BQD = x_BQD + self.self_attention(normed, normed)
        x_BQD = x_BQD + self.cross_attention(across(x_BQD), memory_BND, allowed_BN)
        out: Tensor = x_BQD + self.feed(alone(x_BQD))
        return out


class QFormer(nn.Module):
    """BLIP-2's querying transformer (Li et al., arXiv 2301.12597) over the tokens of a whole clip."""

    def __init__(self, width: int, heads: int, layers: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.memory_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(QFormerLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, memory_BND: Tensor, allowed_BN: Tensor, about_BD: Tensor | None = None) -> Tensor:
        """Return (B, Q, D). Of each clip at least one token must be allowed.

        `about_BD` is added to every query: what is looked for may depend on the clip, as InstructBLIP's
        queries depend on the instruction (Dai et al., arXiv 2305.06500).
        """
        memory_BND = self.memory_norm(memory_BND)
        x_BQD = self.queries.to(memory_BND.dtype).expand(len(memory_BND), -1, -1)
        if about_BD is not None:
            x_BQD = x_BQD + about_BD[:, None].to(memory_BND.dtype)
        for layer in self.layers:
            x_BQD = layer(x_BQD, memory_BND, allowed_BN)
        out: Tensor = self.norm(x_BQD)
        return out


class VideoLlama(nn.Module):
    """The classifier of all labels.

    Frame tokens come in ready made by a frozen encoder. `signal_tokens` (nano) turns measurements into
    tokens, and into what shifts the queries. `cues` are how many things beside the labels training asks for.
    `forest` (nano) judges numbers of signals and pictures; it is set when the network is trained, and then
    shares in what is said.
    """

    def __init__(
        self,
        *,
        language: nn.Module,
        language_width: int,
        labels: int,
        frames: int,
        cells: int,
        feature_width: int,
        width: int,
        heads: int,
        layers: int,
        queries: int,
        cues: int = 0,
        signal_tokens: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.forest: Forest | None = None
        self.signal_tokens = signal_tokens
        self.language = language
        self._labels = labels
        self.register_buffer("token_mean", torch.zeros(cells, feature_width))
        self.register_buffer("token_scale", torch.ones(cells, feature_width))
        self.into_qformer = nn.Linear(feature_width, width)
        self.frame_position = nn.Parameter(torch.randn(frames, width) * 0.02)
        self.cell_position = nn.Parameter(torch.randn(cells, width) * 0.02)
        self.qformer = QFormer(width, heads, layers, queries)
        self.into_language = nn.Linear(width, language_width)
        self.shortcut = nn.Linear(width, labels + cues)
        self.glimpse = nn.Linear(width, labels + cues)

    def forward(
        self,
        frames_BTKE: Tensor,
        present_BT: Tensor,
        signals_BS: Tensor | None = None,
        glances: Glances | None = None,
        *,
        shortcut: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the log-odds of yes against no, float32 (B, L); with `shortcut` the network's in three ways.

        Args:
            frames_BTKE: the encoder's tokens of each frame.
            present_BT: False where a clip has no such frame.
            signals_BS: measurements, not a number where missing.
            glances: what else is known of the pictures, for the trees.
            shortcut: also what a linear layer makes of the mean query, past the language model, and another
                of the mean frame token, past the Q-Former too: (3, B, L) of the labels, (2, B, C) of the
                cues. Training alone asks for it: before the later parts have learned to read, the earlier
                ones learn by it what there is to be told (Lee et al., "Deeply-Supervised Nets", 2015).
        """
        tokens_BTKD = self.frame_tokens(frames_BTKE)
        queries_BQD = self.queried(tokens_BTKD, present_BT, signals_BS)
        video_BQD = self.into_language(queries_BQD)
        odds_BL: Tensor = self.language.ask(video_BQD)
        if not shortcut:
            if self.forest is None or signals_BS is None or glances is None:
                return odds_BL
            both_BL: Tensor = self.forest.joined(odds_BL, signals_BS, glances, frames_BTKE, present_BT)
            return both_BL
        weight_BT = present_BT / present_BT.sum(1, keepdim=True).clamp(min=1)
        mean_BD = torch.einsum("btkd,bt->bd", tokens_BTKD.float(), weight_BT) / tokens_BTKD.shape[2]
        aside = [self.shortcut(queries_BQD.mean(dim=1)), self.glimpse(mean_BD.to(queries_BQD.dtype))]
        aside_2BM = torch.stack([odds.float() for odds in aside])
        labels_2BL, cues_2BC = aside_2BM[..., : self._labels], aside_2BM[..., self._labels :]
        return torch.cat([odds_BL[None], labels_2BL]), cues_2BC

    def video_tokens(
        self, frames_BTKE: Tensor, present_BT: Tensor, signals_BS: Tensor | None = None
    ) -> Tensor:
        """Return what the language model reads of a clip, in its width."""
        tokens_BTKD = self.frame_tokens(frames_BTKE)
        video_BQD: Tensor = self.into_language(self.queried(tokens_BTKD, present_BT, signals_BS))
        return video_BQD

    def frame_tokens(self, frames_BTKE: Tensor) -> Tensor:
        """Return the frames' tokens in the Q-Former's width (B, T, K, D), without positions."""
        told = (frames_BTKE.float() - self.get_buffer("token_mean")) * self.get_buffer("token_scale")
        tokens_BTKD: Tensor = self.into_qformer(told.to(self.into_qformer.weight.dtype))
        return tokens_BTKD

    def queried(self, tokens_BTKD: Tensor, present_BT: Tensor, signals_BS: Tensor | None = None) -> Tensor:
        """Return what the Q-Former's queries found (B, Q, D)."""
        shown = tokens_BTKD.shape[1]
        tokens_BTKD = tokens_BTKD + self.frame_position[:shown, None] + self.cell_position
        memory = [tokens_BTKD.flatten(1, 2)]
        allowed = [present_BT.repeat_interleave(tokens_BTKD.shape[2], dim=1)]
        about_BD = None
        if self.signal_tokens is not None and signals_BS is not None:
            tokens_BSD, about_BD = self.signal_tokens(signals_BS)
            memory.append(tokens_BSD.to(memory[0].dtype))
            allowed.append(torch.ones_like(signals_BS, dtype=torch.bool))
        queries_BQD: Tensor = self.qformer(torch.cat(memory, 1), torch.cat(allowed, 1), about_BD)
        return queries_BQD


def trainable(module: nn.Module) -> Sequence[tuple[str, nn.Parameter]]:
    """Return the parameters that are trained, by name: what a checkpoint holds."""
    return [(name, value) for name, value in module.named_parameters() if value.requires_grad]
