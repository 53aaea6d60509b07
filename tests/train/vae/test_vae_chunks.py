"""Chunks: how time is divided, what is carried over, what depends on what."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from vae_pair import latents, our_vae, relative, video

from shards.errors import ConfigError
from train.vae import RELEASED, ChunkRule, Tiling, draw
from train.vae.chunks import Carry, spans
from train.vae.layers import CausalConv3d, convolve, double_time, halve_time, in_time


@given(total=st.integers(1, 400), size=st.integers(1, 40))
def test_spans_cover_all_and_the_first_takes_the_remainder(total: int, size: int) -> None:
    found = list(spans(total, size))
    assert found[0][0] == 0
    assert found[-1][1] == total
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert all(stop - start == size for start, stop in found[1:])
    first = found[0][1]
    assert first == (total if total < size else size + total % size)


def test_released_chunks_of_49_frames() -> None:
    assert list(spans(49, RELEASED.frames)) == [(0, 9), (9, 17), (17, 25), (25, 33), (33, 41), (41, 49)]
    assert list(spans(13, RELEASED.latents)) == [(0, 3), (3, 5), (5, 7), (7, 9), (9, 11), (11, 13)]
    assert next(spans(53, RELEASED.frames)) == (0, 13)


@settings(max_examples=20)
@given(clip=st.integers(0, 5), chunk=st.sampled_from([4, 8, 16]), data=st.data())
def test_later_frames_change_no_bit_of_earlier_chunks_latents(
    clip: int, chunk: int, data: st.DataObject
) -> None:
    vae, rule = our_vae("tiny"), ChunkRule(chunk, chunk // 4)
    x = video(vae.config, 4 * clip + 17, 8, 16)
    at = data.draw(st.sampled_from([start for start, _ in spans(x.shape[2], chunk)]))
    changed = x.clone()
    changed[:, :, at:] = changed[:, :, at:].flip(2) * 0.7 - 0.1
    one, other = vae.encode(x, rule=rule), vae.encode(changed, rule=rule)
    same = (at + 3) // 4
    assert torch.equal(one.mean[:, :, :same], other.mean[:, :, :same])
    assert torch.equal(one.logvar[:, :, :same], other.logvar[:, :, :same])
    assert not torch.equal(one.mean[:, :, same:], other.mean[:, :, same:])


def test_within_a_chunk_a_later_frame_does_change_earlier_latents() -> None:
    # Group normalization's statistics are a chunk's: why the rule is part of what latents are.
    vae = our_vae("tiny")
    x = video(vae.config, 17, 8, 16)
    changed = x.clone()
    changed[:, :, 8] *= 0.5
    assert not torch.equal(vae.encode(x).mean[:, :, 0], vae.encode(changed).mean[:, :, 0])


@pytest.mark.parametrize("at", [3, 5, 7])
def test_later_latents_change_no_bit_of_earlier_chunks_frames(at: int) -> None:
    vae = our_vae("tiny")
    z = latents(vae.config, 9, 1, 2)
    changed = z.clone()
    changed[:, :, at:] += 1
    one, other = vae.decode(z), vae.decode(changed)
    assert torch.equal(one[:, :, : 4 * at - 3], other[:, :, : 4 * at - 3])
    assert not torch.equal(one[:, :, 4 * at - 3 :], other[:, :, 4 * at - 3 :])


def test_an_earlier_chunk_reaches_later_ones_through_the_carry() -> None:
    vae = our_vae("tiny")
    z = latents(vae.config, 5, 1, 2)
    changed = z.clone()
    changed[:, :, :3] += 1
    assert not torch.equal(vae.decode(z)[:, :, 9:], vae.decode(changed)[:, :, 9:])


@pytest.mark.parametrize("frames", [1, 5, 9, 13, 17, 21, 25])
@pytest.mark.parametrize("rule", [RELEASED, ChunkRule(4, 1), ChunkRule(16, 3)])
def test_as_many_frames_come_back_as_went_in(frames: int, rule: ChunkRule) -> None:
    vae = our_vae("tiny")
    x = video(vae.config, frames, 8, 8)
    posterior = vae.encode(x, rule=rule)
    assert posterior.mean.shape == (1, 16, (frames - 1) // 4 + 1, 1, 1)
    assert vae.decode(draw(posterior, torch.Generator()), rule=rule).shape == x.shape


def test_an_even_number_of_latents_comes_back_longer_by_diffusers_rule() -> None:
    vae = our_vae("tiny")
    z = latents(vae.config, 4, 1, 1)
    assert vae.decode(z).shape[2] == 13
    assert vae.decode(z, rule=ChunkRule(first_alone=False)).shape[2] == 16


def test_another_rule_gives_other_latents_and_says_so() -> None:
    vae, longer = our_vae("tiny"), ChunkRule(16, 4)
    x = video(vae.config, 33, 16, 24)
    assert relative(vae.encode(x, rule=longer).mean, vae.encode(x).mean) > 0.02
    assert longer.to_record() != RELEASED.to_record() == {"frames": 8, "latents": 2, "first_alone": True}


@given(frames=st.integers(1, 99), count=st.integers(1, 99), alone=st.booleans())
def test_a_rule_survives_its_record(frames: int, count: int, alone: bool) -> None:
    rule = ChunkRule(frames, count, alone)
    assert ChunkRule.from_record(json.loads(json.dumps(rule.to_record()))) == rule


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"frames": 8, "latents": 2}, "keys"),
        ({"frames": 8, "latents": 2, "first_alone": True, "more": 1}, "keys"),
        ({"frames": 0, "latents": 2, "first_alone": True}, "frames: 0"),
        ({"frames": 8, "latents": 2.5, "first_alone": True}, "latents: 2.5"),
        ({"frames": 8, "latents": 2, "first_alone": "yes"}, "first_alone: 'yes'"),
    ],
)
def test_a_bad_record_is_refused(record: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ChunkRule.from_record(record)


def test_pointwise_convolutions_leave_nothing_and_others_two_frames() -> None:
    vae = our_vae("tiny")
    carry = Carry(None, alone=True)
    vae.decoder(latents(vae.config, 3, 2, 3), carry)
    convs = [m for m in vae.decoder.modules() if isinstance(m, CausalConv3d)]
    wide = [m for m in convs if m.conv.kernel_size == (3, 3, 3)]
    assert len(convs) > len(wide) > 0
    assert len(carry.held()) == len(wide)
    assert all(frames.shape[2] == 2 for frames in carry.held())
    # Its own memory: a view would keep the chunk that it is cut from
    assert all(frames.untyped_storage().nbytes() == 4 * frames.numel() for frames in carry.held())


def test_what_is_carried_does_not_grow() -> None:
    vae = our_vae("tiny")
    carry, sizes = None, []
    for start, stop in spans(9, 2):
        carry = Carry(carry, alone=carry is None)
        vae.decoder(latents(vae.config, 9, 2, 3)[:, :, start:stop], carry)
        sizes.append(sum(frames.numel() for frames in carry.held()))
    assert len(set(sizes)) == 1


def test_a_chunk_computed_again_is_the_same() -> None:
    vae = our_vae("tiny")
    x = video(vae.config, 17, 8, 16)
    first = Carry(None, alone=True)
    vae.encoder(x[:, :, :9], first)
    second = Carry(first, alone=False)
    assert torch.equal(vae.encoder(x[:, :, 9:], second), vae.encoder(x[:, :, 9:], second))


@pytest.mark.parametrize("tiling", [None, Tiling(2, 3, 1, 1)])
@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_streamed_chunks_are_the_decoded_whole(count: int, tiling: Tiling | None) -> None:
    vae = our_vae("tiny")
    z = latents(vae.config, count, 3, 5)
    chunks = list(vae.decode_chunks(z, tiling=tiling))
    assert [chunk.shape[2] for chunk in chunks] == [
        4 * (stop - start) - (3 if start == 0 else 0) for start, stop in spans(count, RELEASED.latents)
    ]
    assert torch.equal(torch.cat(chunks, dim=2), vae.decode(z, tiling=tiling))


def test_streaming_keeps_no_graph_and_leaves_the_callers_mode() -> None:
    vae = our_vae("tiny")
    z = latents(vae.config, 5, 1, 2).requires_grad_()
    for chunk in vae.decode_chunks(z):
        assert torch.is_grad_enabled()
        assert not chunk.requires_grad
    assert vae.decode(z).requires_grad


def test_gradients_cross_chunks() -> None:
    vae = our_vae("tiny")
    x = video(vae.config, 17, 8, 8).requires_grad_()
    vae.encode(x).mean[:, :, 3:].square().sum().backward()
    assert x.grad is not None
    # Latents 3 and 4 are of the second chunk, frames 9 to 16: they also see the last ones of the first.
    assert x.grad[:, :, 8].abs().sum() > 0


def test_a_convolution_in_parts_is_the_convolution() -> None:
    torch.manual_seed(0)
    for kernel in (1, 3):
        conv = nn.Conv3d(3, 4, kernel, padding=(0, kernel // 2, kernel // 2))
        x = torch.randn(2, 3, 11, 4, 5)
        whole = conv(x)
        for frames in (1, 2, 3, 4, 10, 11):
            assert torch.allclose(convolve(conv, x, most=frames * x[:, :, 0].numel()), whole, atol=1e-6)


def test_steps_in_time() -> None:
    x = torch.tensor([1.0, 2, 4, 6, 10]).view(1, 1, 5, 1, 1)
    assert halve_time(x, alone=True).flatten().tolist() == [1, 3, 8]
    assert halve_time(x[:, :, 1:], alone=False).flatten().tolist() == [3, 8]
    assert halve_time(x[:, :, :1], alone=True).flatten().tolist() == [1]
    assert double_time(x[:, :, :3], alone=True).flatten().tolist() == [1, 2, 2, 4, 4]
    assert double_time(x[:, :, :2], alone=False).flatten().tolist() == [1, 1, 2, 2]
    assert double_time(x[:, :, :1], alone=True).flatten().tolist() == [1]
    assert in_time(x[:, :, :3], 9, alone=True).flatten().tolist() == [1, 2, 2, 2, 2, 4, 4, 4, 4]
