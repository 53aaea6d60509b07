"""The formula of operations against torch's counter: equal, for every preset, on the meta device."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from dit_reference import small, some_clip
from torch.utils.flop_counter import FlopCounterMode

from train.dit import PRESETS, Pack, Segments, Transformer, TransformerConfig, forward_flops, training_flops
from train.dit import pack_clips as pack_clips_of
from train.dit.attention import attend

# 49 x 480 x 720 pixels (1.5: 81 x 768 x 1360) as latents.
SIZE, SIZE_15 = (13, 60, 90), (22, 96, 170)


def full_size(name: str, layers: int | None = None) -> tuple[TransformerConfig, Pack]:
    config = dataclasses.replace(PRESETS[name], layers=layers or PRESETS[name].layers)
    size = (5, 8, 8) if name == "tiny" else SIZE_15 if "1.5" in name else SIZE
    return config, pack_clips_of([some_clip(config, *size, 500, 0)], config)


def counted(model: Transformer, pack: Pack, *, backward: bool) -> int:
    model.attention = "sdpa"
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        out = model(pack)
        if backward:
            out.sum().backward()
    return counter.get_total_flops()


def clips_of(pack: Pack) -> list[tuple[int, tuple[int, int, int]]]:
    return list(zip(pack.text_lengths, pack.grids, strict=True))


@pytest.mark.parametrize("name", PRESETS)
def test_a_forward_pass_at_full_size(name: str) -> None:
    config, pack = full_size(name)
    with torch.device("meta"):
        model = Transformer(config)
    assert counted(model, pack.to("meta"), backward=False) == forward_flops(config, clips_of(pack))


@pytest.mark.parametrize("name", PRESETS)
def test_a_training_step_at_full_size(name: str) -> None:
    """Twice the forward pass for the backward one, but for what the convention leaves out or adds."""
    config, pack = full_size(name, layers=3)
    with torch.device("meta"):
        model = Transformer(config)
    total = counted(model, pack.to("meta"), backward=True)
    (text, grid), width, time = clips_of(pack)[0], config.width, config.time_dim
    video = math.prod(grid)
    # Gradients of the inputs are not computed.
    not_computed = (
        2 * text * config.text_dim * width + 2 * video * config.in_channels * config.patch_values * width
    )
    not_computed += 2 * width * time + (0 if config.ofs_dim is None else 2 * config.ofs_dim**2)
    # The gradients of modulations are products with a 0/1 matrix: 2 rows a clip in blocks, 1 at the end.
    added = config.layers * 2 * (2 * 2 * (text + video) * 3 * width) + 2 * video * 2 * width
    expected = training_flops(config, clips_of(pack))
    assert total == expected - not_computed + added


def test_a_mixed_pack_and_an_adapter() -> None:
    config = small("cogvideox-1.5-5b-i2v", extra_channels=5)
    clips = [
        some_clip(config, *size, text=text, seed=0) for *size, text in [(4, 12, 16, 9, 7), (2, 6, 20, 0, 1)]
    ]
    pack = pack_clips_of(clips, config)
    with torch.device("meta"):
        model = Transformer(config)
    assert counted(model, pack.to("meta"), backward=False) == forward_flops(config, clips_of(pack))


def test_the_figures_of_the_design() -> None:
    """49 x 480 x 720: 360 TFLOP a training step for 2B, 997 for 5B."""
    for name, teraflops in (("cogvideox-2b", 360), ("cogvideox-5b", 997)):
        total = training_flops(PRESETS[name], [(226, (13, 30, 45))])
        assert round(total / 1e12) == teraflops


def test_the_operator_of_cudnn_counts_as_torch_counts_its_own() -> None:
    segments = Segments((30, 1, 17), 5).ready("cudnn", torch.device("cpu"), torch.float32)
    q = torch.randn(53, 3, 16, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        attend(q, q, q, segments).sum().backward()
    product = 2 * (30**2 + 1 + 17**2) * 3 * 16
    assert counter.get_total_flops() == (2 + 5) * product


def test_clips_add_up() -> None:
    config = dataclasses.replace(PRESETS["tiny"], layers=2)
    clips = [(3, (2, 4, 4)), (5, (1, 2, 6))]
    assert forward_flops(config, clips) == sum(forward_flops(config, [clip]) for clip in clips)
