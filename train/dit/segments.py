"""Which tokens of a pack see each other: the lengths of its clips, and that fact in each kernel's form.

Every kernel wants the same fact in another form: a tuple of Python numbers (a loop of SDPA), bounds on the
CPU (cuDNN), bounds on the device (`varlen_attn`), a mask of blocks (FlexAttention). They are made once a
pack, outside the blocks, so that a compiled block holds no Python that depends on the data.

Legend: S tokens of a pack, B blocks of tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final, Literal

import torch
from torch import Tensor

from shards.errors import ConfigError

__all__ = ["KERNELS", "Kernel", "Segments"]

Kernel = Literal["sdpa", "cudnn", "varlen", "flex"]
KERNELS: Final[tuple[Kernel, ...]] = ("sdpa", "cudnn", "varlen", "flex")

_BLOCK: Final = 128
"""FlexAttention's block of tokens, on both sides"""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Clips of `lengths` tokens one after another, then `padding` tokens that belong to none.

    `slots`: how many clips the bounds have room for, so that their shape is the same for every pack of a run.
    """

    lengths: tuple[int, ...]
    padding: int = 0
    slots: int = 0
    kernel: Kernel = "sdpa"
    bounds: Tensor | None = field(default=None, repr=False)
    """where clips begin and end: int64 on the CPU (cudnn), or int32 on the device, with the padding as one
    more clip (varlen); repeated at the end until there are `slots` of them
    """
    mask: Any = field(default=None, repr=False)
    """a BlockMask (flex)"""

    def __post_init__(self) -> None:
        if not self.lengths or min(self.lengths) < 1 or self.padding < 0:
            raise ConfigError(f"a pack of clips of {list(self.lengths)} tokens and {self.padding} of padding")
        if self.slots and len(self.lengths) > self.slots:
            raise ConfigError(f"a pack of {len(self.lengths)} clips has {self.slots} slots")

    @property
    def tokens(self) -> int:
        """All tokens, with the padding."""
        return sum(self.lengths) + self.padding

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Where each clip begins and ends."""
        return tuple(pairwise(accumulate(self.lengths, initial=0)))

    def ready(self, kernel: Kernel | Literal["auto"], device: torch.device, dtype: torch.dtype) -> Segments:
        """Return the segments in the form that a kernel reads. `dtype`: what attention will compute in.

        `auto`: cuDNN in half precision on a GPU, otherwise SDPA; so it is an estimate and not a measurement
        (docs/decisions/0016). Raises ConfigError for a kernel that cannot run there.
        """
        half = dtype in (torch.float16, torch.bfloat16)
        chosen: Kernel = kernel if kernel != "auto" else "cudnn" if device.type == "cuda" and half else "sdpa"
        if chosen not in KERNELS:
            raise ConfigError(f"no attention kernel {kernel!r}: there are auto, {', '.join(KERNELS)}")
        if chosen in ("cudnn", "varlen") and device.type == "cuda" and not half:
            raise ConfigError(f"attention {chosen} computes in float16 or bfloat16, not {dtype}: choose sdpa")
        if chosen == "varlen" and device.type == "cpu":
            raise ConfigError("attention varlen has no kernel for the CPU: choose sdpa")
        made = dataclasses.replace(self, kernel=chosen)
        if chosen == "cudnn":
            return dataclasses.replace(made, bounds=self._bounds(list(self.lengths), torch.int64))
        if chosen == "varlen":
            lengths = [*self.lengths, self.padding]
            bounds = self._bounds(lengths, torch.int32).to(device, non_blocking=True)
            return dataclasses.replace(made, bounds=bounds)
        if chosen == "flex":
            return dataclasses.replace(made, mask=_block_mask(self._numbers().to(device)))
        return made

    def _bounds(self, lengths: Sequence[int], dtype: torch.dtype) -> Tensor:
        lengths = [*lengths, *[0] * max(self.slots - len(self.lengths), 0)]
        return torch.tensor(list(accumulate(lengths, initial=0)), dtype=dtype)

    def _numbers(self) -> Tensor:
        """Each token's clip, the padding as one more: (S,)."""
        lengths = torch.tensor([*self.lengths, self.padding])
        return torch.repeat_interleave(torch.arange(len(lengths)), lengths)


def _block_mask(clip_S: Tensor) -> Any:
    """Return FlexAttention's mask: tokens see those of their own clip.

    Made from the first and last clip of each block of tokens, so without a dense S x S mask (4 GB for 64k
    tokens, which is what `create_block_mask` builds). Clips lie in order, so two blocks share a clip where
    their ranges meet, and need no mask where both hold one clip alone.
    """
    from torch.nn.attention.flex_attention import BlockMask

    tokens = len(clip_S)
    blocks = -(-tokens // _BLOCK)
    starts = torch.arange(blocks, device=clip_S.device) * _BLOCK
    first_B, last_B = clip_S[starts], clip_S[(starts + _BLOCK - 1).clamp(max=tokens - 1)]
    meet_BB = (first_B[:, None] <= last_B[None]) & (first_B[None] <= last_B[:, None])
    # The last block may reach past the end: it is masked, not full.
    alone_B = (first_B == last_B) & (starts + _BLOCK <= tokens)
    full_BB = meet_BB & alone_B[:, None] & alone_B[None]

    def same_clip(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:  # noqa: ARG001
        return clip_S[query] == clip_S[key]

    return BlockMask.from_kv_blocks(
        *_listed(meet_BB & ~full_BB), *_listed(full_BB),
        BLOCK_SIZE=_BLOCK, mask_mod=same_clip, seq_lengths=(tokens, tokens),
    )  # fmt: skip


def _listed(chosen_BB: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many blocks each block sees, and which: the seen ones first, in order."""
    order_BB = chosen_BB.int().argsort(dim=1, descending=True, stable=True).int()
    return chosen_BB.sum(dim=1, dtype=torch.int32)[None, None], order_BB[None, None]
