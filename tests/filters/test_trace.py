"""The dense trace: exact block means, the same at any frame rate, in any place in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from curate.frames import Plane, SmallFrame
from curate.records import Options
from filters.portrait import portrait
from filters.trace import (
    HEAD_BYTES,
    RATE,
    STEP_BYTES,
    TAIL_BYTES,
    TraceSignal,
    block_means,
    on_grid,
    pack,
    unpack,
)

GRAY = np.full((2, 2), 128, np.uint8)
PLAIN = np.full(TAIL_BYTES, 9, np.uint8)


def moving(time_s: float, size: tuple[int, int] = (45, 80)) -> Plane:
    """A bright spot on its way over a pattern."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    wave = 110 + 40 * np.sin(x / size[1] * 11) * np.cos(y / size[0] * 7)
    across = (x / size[1] - 0.2 - 0.1 * time_s) ** 2 + (y / size[0] - 0.5) ** 2
    plane: Plane = np.clip(wave + 90 * np.exp(-across / 0.02), 0, 255).astype(np.uint8)
    return plane


def trace(times_s: npt.NDArray[np.float64], shown: Callable[[float], Plane] = moving) -> bytes | None:
    signal = TraceSignal(Options())
    for n, time_s in enumerate(times_s):
        signal.push([SmallFrame(n, float(time_s), shown(float(time_s)), GRAY, GRAY)])
    value = signal.summary(0, len(times_s))["trace"]
    assert value is None or isinstance(value, bytes)
    return value


def levels(packed: bytes | None) -> npt.NDArray[np.float64]:
    assert packed is not None
    step, mean, codes, _ = unpack(packed)
    roots = codes * step
    return mean + np.sign(roots) * roots**2


def alike(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Return the correlation of what changes."""
    steps = min(len(a), len(b))
    a, b = a[:steps] - a[:steps].mean(0), b[:steps] - b[:steps].mean(0)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def test_block_means_are_exact() -> None:
    picture = np.kron(np.arange(64, dtype=np.uint8).reshape(8, 8), np.ones((5, 10), np.uint8))
    assert block_means(picture).tolist() == list(range(64))
    ramp = np.tile(np.arange(45, dtype=np.uint8), (60, 1))
    edges = np.rint(np.arange(9) * 90) / 16
    middles = (edges[:-1] + edges[1:] - 1) / 2
    assert block_means(ramp)[:8] == pytest.approx(middles, abs=0.03)


def test_block_means_do_not_depend_on_where_in_memory_a_picture_lies() -> None:
    plane = np.random.default_rng(0).integers(0, 256, (61, 80), np.uint8)
    room = np.empty(plane.size + 64, np.uint8)
    found = set()
    for offset in range(64):
        moved = room[offset : offset + plane.size].reshape(plane.shape)
        moved[...] = plane
        found.add(block_means(moved).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("fps", [12.5, 24, 30, 59.94])
def test_a_trace_is_the_same_at_any_frame_rate(fps: float) -> None:
    usual, other = (levels(trace(np.arange(int(5 * rate) + 1) / rate)) for rate in (25, fps))
    assert abs(len(usual) - len(other)) <= 1
    steps = min(len(usual), len(other))
    assert alike(usual[:steps], other[:steps]) > 0.98


def test_a_trimmed_trace_is_a_part_of_the_whole() -> None:
    times_s = np.arange(150) / 25
    whole, trimmed = levels(trace(times_s)), levels(trace(times_s[50:] + 3.21, lambda t: moving(t - 3.21)))
    assert abs(len(trimmed) - (len(whole) - 2 * RATE)) <= 1
    assert alike(whole[2 * RATE :], trimmed[: len(whole) - 2 * RATE]) > 0.98
    assert alike(whole[RATE:], trimmed[: len(whole) - RATE]) < 0.9


def test_packing_keeps_what_changes() -> None:
    steps = np.random.default_rng(1).normal(120, 8, (40, 64))
    packed = pack(steps, PLAIN)
    assert len(packed) == HEAD_BYTES + 40 * STEP_BYTES + TAIL_BYTES
    assert (unpack(packed).picture == PLAIN).all()
    assert np.corrcoef((levels(packed) - 120).ravel(), (steps - 120).ravel())[0, 1] > 0.98


def test_a_still_has_no_changes() -> None:
    step, mean, codes, _ = unpack(pack(np.full((9, 64), 77.0), PLAIN))
    assert (mean == 77).all()
    assert not codes.any()
    assert step > 0


def test_a_portrait_is_the_mean_picture_in_finer_blocks() -> None:
    blocks = np.random.default_rng(2).integers(0, 200, (32, 32), np.uint8)
    small, large = (np.kron(blocks, np.ones((n, 2 * n), np.uint8)) for n in (1, 3))
    assert portrait([small]).tolist() == blocks.ravel().tolist()
    assert portrait([small, large + np.uint8(50)]).tolist() == (blocks.ravel() + 25).tolist()
    # Of fewer lines than blocks, some blocks lie in one line.
    low = portrait([np.repeat(np.arange(16, dtype=np.uint8), 40).reshape(16, 40)]).reshape(32, 32)
    assert (low == np.repeat(np.arange(16), 2)[:, None]).all()
    strip = portrait([np.arange(64, dtype=np.uint8)[None] * np.uint8(2)]).reshape(32, 32)
    assert (strip == np.arange(32) * 4 + 1).all()


def test_a_trace_holds_the_portrait_of_its_clip_alone() -> None:
    signal = TraceSignal(Options())
    for n in range(20):
        plane = np.full((90, 160), 10 if n < 10 else 200, np.uint8)
        signal.push([SmallFrame(n, n / 10, plane, GRAY, GRAY)])
    for start, level in ((0, 10), (10, 200)):
        assert (unpack(signal.summary(start, start + 10)["trace"]).picture == level).all()


def test_steps_lie_between_frames() -> None:
    blocks = np.repeat(np.array([0.0, 10.0, 40.0], np.float32)[:, None], 64, axis=1)
    steps = on_grid(np.array([1.0, 1.25, 1.375]), blocks)
    assert steps[:, 0].tolist() == [0.0, 5.0, 10.0, 40.0]


def test_a_single_frame_has_no_trace() -> None:
    assert trace(np.array([3.0])) is None


def test_earlier_clips_are_forgotten() -> None:
    signal = TraceSignal(Options())
    for n in range(100):
        signal.push([SmallFrame(n, n / 25, moving(n / 25), GRAY, GRAY)])
    expected = signal.summary(60, 100)
    signal.forget(60)
    assert signal.summary(60, 100) == expected
    assert signal.summary(0, 60) == {"trace": None}
