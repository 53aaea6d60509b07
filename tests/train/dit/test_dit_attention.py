"""Every kernel that a CPU can run gives softmax(q kᵀ/√K) v within clips; the others' inputs are right."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.nn.attention.flex_attention import create_block_mask

from shards.errors import ConfigError
from train.dit import Segments, attention
from train.dit.attention import attend

CPU = torch.device("cpu")


def inputs(tokens: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(tokens, 3, 16, generator=generator) for _ in range(3)]


def plain(q: Tensor, k: Tensor, v: Tensor, segments: Segments) -> Tensor:
    """By the formula, with a dense mask, in float64; padding is a clip of its own."""
    lengths = torch.tensor([*segments.lengths, segments.padding])
    clip = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    scores = torch.einsum("shk,thk->hst", q.double(), k.double()) / 4
    weights = scores.masked_fill(clip[:, None] != clip[None], -torch.inf).softmax(dim=-1)
    return torch.einsum("hst,thk->shk", weights, v.double())


@pytest.mark.parametrize("kernel", ["sdpa", "cudnn", "flex"])
@pytest.mark.parametrize("lengths", [(5,), (3, 1, 40), (128, 128), (130, 300, 2)])
@pytest.mark.parametrize("padding", [0, 9])
def test_kernels_attend_within_clips(kernel: str, lengths: tuple[int, ...], padding: int) -> None:
    segments = Segments(lengths, padding, slots=4).ready(kernel, CPU, torch.float32)
    q, k, v = inputs(segments.tokens)
    with warnings.catch_warnings():
        # Uncompiled FlexAttention says that it is slow.
        warnings.simplefilter("ignore", UserWarning)
        out = attend(q, k, v, segments)
    real = sum(lengths)
    expected = plain(q, k, v, segments)
    torch.testing.assert_close(out[:real].double(), expected[:real], atol=1e-5, rtol=1e-5)
    assert bool(out.isfinite().all())


def test_the_gradients_of_the_operator_are_those_of_the_formula() -> None:
    segments = Segments((30, 1, 17), 5, slots=6).ready("cudnn", CPU, torch.float32)
    leaves = [x.requires_grad_() for x in inputs(segments.tokens)]
    weights = torch.linspace(-1, 2, 48 * 3 * 16).reshape(48, 3, 16)
    (attend(*leaves, segments)[:48] * weights).sum().backward()
    doubles = [x.detach().double().requires_grad_() for x in leaves]
    (plain(*doubles, segments)[:48] * weights).sum().backward()
    for x, y in zip(leaves, doubles, strict=True):
        torch.testing.assert_close(x.grad.double(), y.grad, atol=1e-4, rtol=1e-5)
        assert not bool(x.grad[48:].any())


def test_the_operator_keeps_its_contract_with_the_compiler() -> None:
    segments = Segments((7, 4), 2, slots=3).ready("cudnn", CPU, torch.float32)
    leaves = [x.requires_grad_() for x in inputs(segments.tokens)]
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(torch.ops.cogcurate.attend_clips, (*leaves, segments.bounds), test_utils=checks)


def test_the_branch_of_cudnn_runs_on_tensors_that_are_shapes_alone() -> None:
    """Its calls, their arguments and the shapes that come back; no GPU, so no numbers."""
    # A tensor's numbers cannot be read in this mode.
    bounds = np.array([0, 3, 10, 10])
    with FakeTensorMode():
        q, k, v = (torch.empty(12, 2, 64, dtype=torch.bfloat16, device="cuda") for _ in range(3))
        out, sums = attention._forward(q, k, v, bounds)
        assert (out.shape, out.dtype, sums.shape, sums.dtype) == (q.shape, q.dtype, (12, 2), torch.float32)
        grads = attention._backward(out, q, k, v, out, sums, bounds)
        assert [(x.shape, x.dtype, x.device.type) for x in grads] == [(q.shape, q.dtype, "cuda")] * 3


def test_the_signature_of_varlen_attn_is_still_the_one_that_is_called() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        segments = Segments((3, 2), 1, slots=4).ready("varlen", torch.device("cuda"), torch.bfloat16)
        q = torch.empty(6, 2, 64, dtype=torch.bfloat16, device="cuda")
        assert attend(q, q, q, segments).shape == q.shape


@pytest.mark.parametrize(
    ("lengths", "padding"), [((5,), 0), ((128, 128, 256), 0), ((100, 300, 7, 200), 33), ((640,), 1)]
)
def test_the_mask_of_blocks_is_that_of_the_library(lengths: tuple[int, ...], padding: int) -> None:
    segments = Segments(lengths, padding)
    mask = segments.ready("flex", CPU, torch.float32).mask
    clip = torch.repeat_interleave(torch.arange(len(lengths) + 1), torch.tensor([*lengths, padding]))
    tokens = segments.tokens
    expected = create_block_mask(
        lambda _b, _h, i, j: clip[i] == clip[j], None, None, tokens, tokens, device="cpu"
    )
    assert torch.equal(mask.to_dense(), expected.to_dense())
    assert mask.seq_lengths == (tokens, tokens)
    # Which blocks need no mask inside, too.
    for one in (mask, expected):
        assert one.full_kv_num_blocks is not None
    assert torch.equal(mask.full_kv_num_blocks, expected.full_kv_num_blocks)
    assert torch.equal(mask.kv_num_blocks, expected.kv_num_blocks)


def test_bounds_have_the_same_shape_for_every_pack() -> None:
    for lengths in ((4,), (2, 3, 1)):
        cudnn = Segments(lengths, 2, slots=4).ready("cudnn", CPU, torch.float32).bounds
        assert cudnn is not None
        assert cudnn.tolist() == [
            0,
            *torch.tensor(lengths).cumsum(0).tolist(),
            *[sum(lengths)] * (4 - len(lengths)),
        ]
    with pytest.raises(ConfigError, match="3 clips has 2 slots"):
        Segments((1, 1, 1), slots=2)
    with pytest.raises(ConfigError, match="tokens"):
        Segments((1, 0))


def test_kernels_are_chosen_by_what_can_run() -> None:
    segments = Segments((4, 4))
    assert segments.ready("auto", CPU, torch.bfloat16).kernel == "sdpa"
    cuda = torch.device("cuda")
    assert segments.ready("auto", cuda, torch.float32).kernel == "sdpa"
    assert segments.ready("auto", cuda, torch.bfloat16).kernel == "cudnn"
    with pytest.raises(ConfigError, match="varlen has no kernel for the CPU"):
        segments.ready("varlen", CPU, torch.bfloat16)
    with pytest.raises(ConfigError, match="computes in float16 or bfloat16"):
        segments.ready("cudnn", cuda, torch.float32)
    with pytest.raises(ConfigError, match="no attention kernel 'xformers'"):
        segments.ready("xformers", CPU, torch.float32)
