"""Attention within each clip of a pack: `attend(q, k, v, segments)`, whichever kernel computes it.

The library's kernels are called here alone; their signatures, private ones among them, move between
releases. Written against torch 2.13:

- `sdpa`: `scaled_dot_product_attention` clip by clip, in Python. Any device and precision, and the
  reference. A compiled block is compiled again for each combination of lengths.
- `cudnn`: cuDNN's kernel clip by clip, as one custom operator, so a compiled block is one graph whatever
  the lengths. On a CPU, where it is tested, the same operator calls the CPU's flash kernel.
- `varlen`: `torch.nn.attention.varlen.varlen_attn`, FlashAttention 2 over all clips at once. GPU only.
- `flex`: FlexAttention with a mask of blocks. On a CPU without gradients only.

Not tried for want of a GPU: cuDNN's own kernel under `cudnn`, `varlen`, and `flex` compiled for CUDA; the
calls of cuDNN and `varlen` ran on tensors that are shapes alone. On a CPU ran: `sdpa`; the operator of
`cudnn` with the CPU's kernel, its gradients and its compilation; `flex` forwards, its mask, and its tracing
into a block's graph.

Legend: S tokens of a pack, n of one clip, H heads, K numbers of a head.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import register_flop_formula

from train.dit.segments import Segments

__all__ = ["attend"]


def attend(q_SHK: Tensor, k_SHK: Tensor, v_SHK: Tensor, segments: Segments) -> Tensor:
    """Return softmax(q kᵀ / √K) v, each token over those of its own clip, as (S, H, K).

    `segments` come from `Segments.ready`. What padding tokens get is finite and depends on padding alone.
    """
    return _KERNELS[segments.kernel](q_SHK, k_SHK, v_SHK, segments)


def _sdpa(q_SHK: Tensor, k_SHK: Tensor, v_SHK: Tensor, segments: Segments) -> Tensor:
    outs = []
    for start, end in segments.spans:
        q, k, v = (x[start:end].transpose(0, 1)[None] for x in (q_SHK, k_SHK, v_SHK))
        outs.append(functional.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1))
    if segments.padding:
        outs.append(torch.zeros_like(v_SHK[-segments.padding :]))
    return torch.cat(outs)


def _cudnn(q_SHK: Tensor, k_SHK: Tensor, v_SHK: Tensor, segments: Segments) -> Tensor:
    out, _ = torch.ops.cogcurate.attend_clips(q_SHK, k_SHK, v_SHK, segments.bounds)
    return out


def _varlen(q_SHK: Tensor, k_SHK: Tensor, v_SHK: Tensor, segments: Segments) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    bounds, most = segments.bounds, len(q_SHK)
    # An upper bound, not the longest clip: it only sizes the grid of thread blocks, and compiles once.
    return varlen_attn(q_SHK, k_SHK, v_SHK, bounds, bounds, most, most)


def _flex(q_SHK: Tensor, k_SHK: Tensor, v_SHK: Tensor, segments: Segments) -> Tensor:
    q, k, v = (x.transpose(0, 1)[None] for x in (q_SHK, k_SHK, v_SHK))
    return _flex_attention(q.is_cuda)(q, k, v, block_mask=segments.mask)[0].transpose(0, 1)


def _flex_attention(cuda: bool) -> Callable[..., Any]:
    """FlexAttention is only fast compiled; inside a compiled block it is part of the block's graph."""
    from torch.nn.attention.flex_attention import flex_attention

    if cuda and not torch.compiler.is_compiling():
        return _compiled(flex_attention)
    plain: Callable[..., Any] = flex_attention
    return plain


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(function)
    return compiled


_KERNELS: dict[str, Callable[[Tensor, Tensor, Tensor, Segments], Tensor]] = {
    "sdpa": _sdpa,
    "cudnn": _cudnn,
    "varlen": _varlen,
    "flex": _flex,
}


# The operator of `cudnn`. Dynamo sees one call; the loop runs in eager mode inside it, over bounds on the
# CPU, so nothing waits for the GPU. The backward pass reads the logarithms of the softmax's sums from the
# forward one.


def _forward(q_SHK: Tensor, k_SHK: Tensor, v_SHK: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
    out_SHK, sums_SH = torch.zeros_like(q_SHK), q_SHK.new_zeros(q_SHK.shape[:2], dtype=torch.float32)
    for clip in _clips(bounds):
        q, k, v = (x[clip].transpose(0, 1)[None] for x in (q_SHK, k_SHK, v_SHK))
        if q.is_cuda:
            out, sums = torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, True)[:2]
            sums = sums[..., 0]
        else:
            out, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)
        out_SHK[clip], sums_SH[clip] = out[0].transpose(0, 1), sums[0].transpose(0, 1)
    return out_SHK, sums_SH


def _backward(
    grad_SHK: Tensor,
    q_SHK: Tensor,
    k_SHK: Tensor,
    v_SHK: Tensor,
    out_SHK: Tensor,
    sums_SH: Tensor,
    bounds: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    grads_SHK = [torch.zeros_like(q_SHK) for _ in range(3)]
    for clip in _clips(bounds):
        grad, q, k, v, out = (x[clip].transpose(0, 1)[None] for x in (grad_SHK, q_SHK, k_SHK, v_SHK, out_SHK))
        sums = sums_SH[clip].transpose(0, 1)[None].contiguous()
        if q.is_cuda:
            # Dropout is 0, so the state of its random numbers is not read; None stands for an empty tensor.
            state = torch.zeros((), dtype=torch.int64, device=q.device)
            grads = torch.ops.aten._scaled_dot_product_cudnn_attention_backward(
                grad, q, k, v, out, sums[..., None], state, state,
                None, None, None, q.shape[2], k.shape[2], 0.0, False,
            )  # fmt: skip
        else:
            grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                grad, q, k, v, out, sums, 0.0, False
            )
        for whole, part in zip(grads_SHK, grads, strict=True):
            whole[clip] = part[0].transpose(0, 1)
    return grads_SHK[0], grads_SHK[1], grads_SHK[2]


def _clips(bounds: Tensor) -> list[slice]:
    return [slice(start, end) for start, end in pairwise(bounds.tolist()) if end > start]


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    q_SHK, k_SHK, v_SHK, bounds = inputs
    out_SHK, sums_SH = output
    ctx.mark_non_differentiable(sums_SH)
    ctx.save_for_backward(q_SHK, k_SHK, v_SHK, out_SHK, sums_SH, bounds)


def _differentiate(ctx: Any, grad_SHK: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    grads = torch.ops.cogcurate.attend_clips_backward(grad_SHK.contiguous(), *ctx.saved_tensors)
    return (*grads, None)


_attend_clips = torch.library.custom_op(
    "cogcurate::attend_clips",
    _forward,
    mutates_args=(),
    schema="(Tensor q, Tensor k, Tensor v, Tensor bounds) -> (Tensor, Tensor)",
)
_attend_clips_backward = torch.library.custom_op(
    "cogcurate::attend_clips_backward",
    _backward,
    mutates_args=(),
    schema=(
        "(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor out, Tensor sums, Tensor bounds)"
        " -> (Tensor, Tensor, Tensor)"
    ),
)
_attend_clips.register_fake(
    lambda q, _k, _v, _bounds: (torch.empty_like(q), q.new_empty(q.shape[:2], dtype=torch.float32))
)
_attend_clips_backward.register_fake(
    lambda _grad, q, k, v, _out, _sums, _bounds: (
        torch.empty_like(q),
        torch.empty_like(k),
        torch.empty_like(v),
    )
)
_attend_clips.register_autograd(_differentiate, setup_context=_save)


def _count(matmuls: int, q_SHK: Tensor, bounds: Tensor) -> int:
    """FLOPs of so many products of n x K by K x n matrices a head, over all clips."""
    values = math.prod(q_SHK.shape[1:])
    return sum(matmuls * 2 * (clip.stop - clip.start) ** 2 * values for clip in _clips(bounds))


# torch's counter cannot look into the operator. As with its own kernels, the backward pass has five
# products: the fifth recomputes the scores.
register_flop_formula(torch.ops.cogcurate.attend_clips, get_raw=True)(
    lambda q, _k, _v, bounds, **_: _count(2, q, bounds)
)
register_flop_formula(torch.ops.cogcurate.attend_clips_backward, get_raw=True)(
    lambda _grad, q, _k, _v, _out, _sums, bounds, **_: _count(5, q, bounds)
)
