"""Frozen share on numbers: runs of equal frames, judder, noise, slow moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.frames import Plane, SmallFrame
from curate.video import open_video
from filters.frozen import FrozenSignal, frozen_share, largest_change

REAL = Path(__file__).resolve().parents[2] / "../shared/data/clips"
GRAY = np.full((2, 2), 128, np.uint8)


def scene(x_px: float, noise: float = 0.0, seed: int = 0) -> Plane:
    """A high-contrast pattern, shifted; 320 x 180."""
    columns = np.arange(320)[None, :] + x_px
    rows = np.arange(180)[:, None]
    wave: npt.NDArray[np.float64] = 128 + 70 * np.sin(columns / 9) * np.cos(rows / 13)
    wave += np.random.default_rng(seed).normal(0, noise, wave.shape) if noise else 0
    plane: Plane = np.clip(np.rint(wave), 0, 255).astype(np.uint8)
    return plane


def share(planes: list[Plane], fps: float = 30) -> float | None:
    signal = FrozenSignal(FrozenSignal.Options())
    for n, plane in enumerate(planes):
        signal.push([SmallFrame(n, n / fps, plane, GRAY, GRAY)])
    value = signal.summary(0, len(planes))["frozen_share"]
    assert value is None or isinstance(value, float)
    return value


def test_a_still_is_frozen() -> None:
    assert share([scene(0)] * 60) == 1


def test_noise_and_compression_do_not_thaw_a_still() -> None:
    assert share([scene(0, noise=2, seed=n) for n in range(60)]) == 1


def test_moving_is_not_frozen() -> None:
    assert share([scene(n) for n in range(60)]) == 0


def test_half_a_freeze() -> None:
    planes = [scene(0)] * 31 + [scene(n) for n in range(1, 31)]
    assert share(planes) == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "of"), [(25, 30), (24, 30), (12, 24), (8, 24), (15, 60), (5, 30)])
def test_doubled_frames_are_not_frozen(rate: int, of: int) -> None:
    assert share([scene(40 * (n * rate // of) / rate) for n in range(3 * of)], of) == 0


def test_a_slow_zoom_is_not_frozen() -> None:
    """A pan of 3 px a second: hardly a change from frame to frame, but one that adds up."""
    assert share([scene(0.1 * n) for n in range(90)]) == 0


def test_a_cursor_is_a_change() -> None:
    planes = []
    for n in range(60):
        plane = scene(0)
        plane[100:105, 20 + 3 * n : 23 + 3 * n] = 255
        planes.append(plane)
    assert share(planes) == 0


def test_slides_are_frozen_between_changes() -> None:
    value = share([scene(50 * (n // 30)) for n in range(121)])
    assert value == pytest.approx(4 * 29 / 120)


def test_one_frame_is_neither() -> None:
    assert share([scene(0)]) is None


def test_a_run_counts_as_far_as_it_lies_in_the_clip() -> None:
    signal = FrozenSignal(FrozenSignal.Options())
    for n in range(60):
        signal.push([SmallFrame(n, n / 30, scene(0 if n < 30 else n), GRAY, GRAY)])
    assert signal.summary(15, 45)["frozen_share"] == pytest.approx(14 / 29)
    assert signal.summary(22, 52)["frozen_share"] == 0
    signal.forget(30)
    assert signal.summary(30, 60)["frozen_share"] == 0


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=50),
    st.floats(0.05, 2),
)
def test_share_is_a_share_and_falls_with_min_s(steps: list[tuple[float, bool]], min_s: float) -> None:
    times_s = np.cumsum([0, *[step for step, _ in steps]]).tolist()
    runs = np.cumsum([0, *[cut for _, cut in steps]]).tolist()
    value = frozen_share(times_s, runs, min_s)
    longer = frozen_share(times_s, runs, 2 * min_s)
    assert value is not None
    assert longer is not None
    assert 0 <= longer <= value <= 1 + 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (180, 320), (90, 161), (320, 180)])
def test_blocks_of_any_size(shape: tuple[int, int]) -> None:
    plane, chroma = np.full(shape, 77, np.uint8), np.full((1, 1), 128, np.uint8)
    blocks = SmallFrame(0, 0.0, plane, chroma, chroma).luma.at_most(56)
    assert max(blocks.shape) <= 56
    assert (blocks == 77).all()


def test_change_is_the_largest_of_any_block() -> None:
    a = np.full((4, 6), 100, np.uint8)
    b = a.copy()
    b[2, 3] = 60
    assert largest_change(a, b) == largest_change(b, a) == 40
    assert largest_change(a, b[:3]) == 255


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not there")
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("video2dataset--test_video.mp4", 0.9, 1.0),
        ("slidedash--silver-giulia-ti.mp4", 0.9, 1.0),
        ("Koala-36M--4.36_NRiRCe2ok0M_21.mp4.mp4", 0.0, 0.0),
        ("FastVideo--yYcK4nANZz4-Scene-030.mp4", 0.0, 0.0),
        ("Panda-70M--AR4f5aJ2JIU.284.mp4", 0.0, 0.1),
    ],
)
def test_real_clips_are_frozen_where_they_look_it(name: str, low: float, high: float) -> None:
    signal, frames = FrozenSignal(FrozenSignal.Options()), 0
    with open_video(str(REAL / name)) as video:
        for frame in video:
            signal.push([frame.small()])
            frames += 1
            if frames == 300:
                break
    assert low <= signal.summary(0, frames)["frozen_share"] <= high
