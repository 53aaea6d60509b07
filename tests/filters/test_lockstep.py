"""Traces laid over each other: offsets, agreement, crops, on numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.crops import WHOLE, Crop, best_crop, crop_matrix
from filters.framings import near_framings
from filters.lockstep import Bounds, agreement, copy_agreement, in_lockstep, offsets
from filters.moments import near_moments
from filters.step_keys import CROPS
from filters.trace import pack, unpack
from filters.traces import Trace, Traces, mirrored

BOUNDS = Bounds(min_agreement=0.87, min_crop_agreement=0.65, min_picture=0.9, min_overlap=0.5)


def levels(seed: int, steps: int = 48, picture: int = 0) -> np.ndarray:
    """Return blocks of smooth things moving before a picture."""
    still = np.kron(np.random.default_rng(picture).normal(120, 40, (4, 4)), np.ones((2, 2)))
    draw = np.random.default_rng(100 + seed)
    x, y = np.meshgrid(np.arange(8), np.arange(8))
    at = np.cumsum(draw.normal(0, 0.5, (steps, 3, 2)), axis=0) + draw.uniform(1, 6, (3, 2))
    near = np.exp(-((x - at[..., 0, None, None]) ** 2 + (y - at[..., 1, None, None]) ** 2) / 3)
    return np.clip(still + 40 * near.sum(1), 0, 255).reshape(steps, 64)


def portrait(blocks: np.ndarray, picture: int = 0) -> np.ndarray:
    """Return the mean picture, with detail of the still picture's own."""
    fine = np.random.default_rng(500 + picture).normal(0, 12, (16, 16))
    coarse = np.kron(blocks.mean(0).reshape(8, 8), np.ones((4, 4)))
    return np.clip(np.rint(coarse + np.kron(fine, np.ones((2, 2)))), 0, 255).astype(np.uint8).ravel()


def packed(blocks: np.ndarray, picture: int = 0) -> bytes:
    return pack(blocks, portrait(blocks, picture))


def trace(blocks: np.ndarray, picture: int = 0) -> Trace:
    return Trace(*unpack(packed(blocks, picture)))


def cropped(blocks: np.ndarray, crop: Crop) -> bytes:
    window = portrait(blocks).astype(float) @ crop_matrix(crop, False, 32).T / 1024
    return pack(blocks @ crop_matrix(crop, False, 8).T / 1024, np.rint(window).astype(np.uint8))


def test_offsets() -> None:
    offset, start, end = offsets(20, 30, 1.0)
    assert offset.tolist() == list(range(11))
    assert (end - start == 20).all()
    assert offsets(20, 30, 0.5)[0].tolist() == list(range(-10, 21))
    assert len(offsets(3, 3, 0.5)[0]) == 1  # shorter than a second: all of it


def test_agreement_is_a_correlation_at_each_offset() -> None:
    one, two = trace(levels(1)), trace(levels(1)[13:41])
    laid = agreement(one, two, 0.5)
    a, b = one.codes.astype(float), two.codes.astype(float)
    for offset, found in zip(laid.offset.tolist(), laid.correlation.tolist(), strict=True):
        low, high = max(0, -offset), min(len(a), len(b) - offset)
        p, q = a[low:high], b[low + offset : high + offset]
        p, q = p - p.mean(0), q - q.mean(0)
        assert found == pytest.approx((p * q).sum() / np.sqrt((p * p).sum() * (q * q).sum()))
    assert laid.offset[laid.correlation.argmax()] == -13


def test_trimmed_and_noisy_copies() -> None:
    noise = np.random.default_rng(5).normal(0, 0.5, (30, 64))
    assert copy_agreement(trace(levels(1)), trace(levels(1)[11:41] * 0.9 + 9 + noise), BOUNDS)
    between = (levels(1)[1:] + levels(1)[:-1]) / 2
    assert copy_agreement(trace(levels(1)), trace(between[7:40]), BOUNDS)


def test_a_mirrored_copy_is_one_only_mirrored() -> None:
    flipped = levels(1).reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    assert not copy_agreement(trace(levels(1)), trace(flipped), BOUNDS)
    assert copy_agreement(trace(levels(1)), mirrored(trace(flipped)), BOUNDS)


@pytest.mark.parametrize("crop", [Crop(0.08, 0, 0.08, 0), Crop(0, 0, 0, 0.12), Crop(0.04, 0.08, 0, 0.08)])
def test_a_crop_is_seen_through(crop: Crop) -> None:
    through = Trace(*unpack(cropped(levels(1), crop)))
    assert copy_agreement(trace(levels(1)), through, BOUNDS)
    assert copy_agreement(through, trace(levels(1)), BOUNDS)
    assert not copy_agreement(through, trace(levels(2)), BOUNDS)
    fit = best_crop(through.picture, trace(levels(1)).picture)
    assert fit.crop == pytest.approx(crop, abs=0.011)
    assert fit.like > 0.98
    assert fit.whole < 0.9
    unlikely = best_crop(through.picture, trace(levels(1)).picture, lambda rough: rough == WHOLE)
    assert unlikely.crop == WHOLE
    assert unlikely.whole == fit.whole
    other = best_crop(through.picture, trace(levels(1, picture=3), picture=3).picture)
    assert other.like < 0.9


@pytest.mark.parametrize(
    "crop", [Crop(0.08, 0.07, 0.08, 0.07), Crop(0, 0.1, 0.05, 0), Crop(0.05, 0, 0.1, 0.05)]
)
@pytest.mark.parametrize("flipped", [False, True])
def test_framings_are_found_by_their_portraits(crop: Crop, flipped: bool) -> None:
    of = [levels(n, picture=n) for n in range(30)]
    clips = [pack(blocks, portrait(blocks, n)) for n, blocks in enumerate(of)]
    window = portrait(of[7], 7).astype(float) @ crop_matrix(crop, flipped, 32).T / 1024
    # What changes is another clip's: the portraits alone say so.
    clips.append(pack(of[3], np.rint(window).astype(np.uint8)))
    traces = Traces(pa.chunked_array([pa.array(clips, pa.binary())]), np.arange(31))
    codes = near_framings(traces, min_framed=0.9, bucket=8)[flipped]
    assert 7 * 31 + 30 in codes.tolist()
    assert len(codes) < 10


def test_other_moments_of_one_set_are_no_copies() -> None:
    found = [copy_agreement(trace(levels(a)), trace(levels(b)), BOUNDS) for a in range(8) for b in range(a)]
    assert not any(found)


def test_one_large_thing_in_common_is_not_enough() -> None:
    """Windows pop up alike on two desktops, while the texts in them differ."""
    pop_up = np.zeros((48, 8, 8))
    pop_up[16:32, 2:5, 2:5] = 120
    one, two = (100 + pop_up for _ in range(2))
    for shown, seed in ((one, 1), (two, 2)):
        shown[:, 1:7, 5:8] += np.random.default_rng(seed).normal(0, 3, (6, 6, 3)).repeat(8, axis=0)
    one, two = one.reshape(48, 64), two.reshape(48, 64)
    laid = agreement(trace(one), trace(two), 0.5)
    assert laid.correlation.max() > BOUNDS.min_agreement
    assert not copy_agreement(trace(one), trace(two), BOUNDS)
    noisy = one + np.random.default_rng(3).normal(0, 0.15, one.shape)
    assert copy_agreement(trace(one), trace(noisy[5:]), BOUNDS) > 0.75


def test_the_same_changes_before_another_picture_are_no_copy() -> None:
    assert not copy_agreement(trace(levels(1)), trace(levels(1, picture=1), picture=1), BOUNDS)


def test_nothing_that_changes_is_no_evidence() -> None:
    still = trace(np.repeat(levels(1)[:1], 30, axis=0))
    assert still.change == 0
    assert not copy_agreement(still, still, BOUNDS)


def test_traces_are_found_in_any_chunks() -> None:
    held = [packed(levels(1)), None, packed(levels(1)[9:40]), packed(levels(2)), packed(levels(3, picture=7))]
    whole = pa.chunked_array([pa.array(held, pa.binary())])
    cut = pa.chunked_array(
        [pa.array([b"x", *held[:2]], pa.binary()).slice(1), pa.array(held[2:], pa.binary())]
    )
    many = pa.chunked_array([pa.array([one], pa.binary()) for one in held * 5])
    for column in (whole, cut):
        traces = Traces(column, np.array([2, 0, 1, 3, 4]))
        assert traces.steps.tolist() == [31, 48, 0, 48, 48]
        assert traces.of(1).codes.tobytes() == unpack(held[0] or b"").codes.tobytes()
        shown = traces.pictures(np.array([0, 1]), np.array([3, 12]))
        assert np.abs(shown - levels(1)[12]).mean() < 2.5
        assert traces.portraits(np.array([1, 3])).reshape(2, -1).tolist() == [
            portrait(levels(1)).tolist(), portrait(levels(2)).tolist(),
        ]  # fmt: skip
        plain, flipped = near_moments(traces, min_like=0.7, min_hint=0.45, min_overlap=0.5, bucket=8)
        assert 1 in plain.tolist()
        assert not len(flipped)
        agreed = in_lockstep(traces, np.array([[0, 1], [0, 3], [1, 3], [3, 4]]), False, BOUNDS)
        assert agreed[0] > 0.9
        assert not agreed[1:].any()
        changes = traces.changes().tolist()
        assert changes == [traces.of(clip).change if steps else 0 for clip, steps in enumerate(traces.steps)]
    assert len(Traces(many, np.arange(25))) == 25
    assert Traces(many, np.arange(25)).of(22).codes.tobytes() == unpack(held[2] or b"").codes.tobytes()


def test_crops_cover_every_side_of_the_picture() -> None:
    assert len(set(CROPS)) == 9
    for crop in CROPS:
        for blocks in (8, 32):
            assert (crop_matrix(crop, False, blocks).sum(1) == 1024).all()
