"""Frames halved together are, to the bit, frames halved alone."""

from __future__ import annotations

import numpy as np
import pytest

from curate.frames import Plane, SmallFrame, gather


def frames(sizes: list[tuple[int, int]], limited: bool = True) -> list[SmallFrame]:
    rng = np.random.default_rng(7)

    def plane(height: int, width: int) -> Plane:
        noise: Plane = rng.integers(0, 256, (height, width), np.uint8)
        return noise

    return [
        SmallFrame.of_stack(n, n / 25, plane(h, w), plane(2 * (h // 2), w // 2), limited=limited)
        for n, (h, w) in enumerate(sizes)
    ]


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("size", [(180, 320), (135, 240), (176, 99), (4, 161), (2, 2)])
def test_planes_stay_the_same(size: tuple[int, int], limited: bool) -> None:
    alone, together = frames([size] * 5, limited), frames([size] * 5, limited)
    gather(together)
    for one, other in zip(alone, together, strict=True):
        for long_px in (1000, 160, 80, 56, 40):
            for name in ("luma", "chroma"):
                planes = (getattr(frame, name).at_most(long_px) for frame in (one, other))
                assert np.array_equal(*planes), (name, long_px)
        assert np.array_equal(one.luma_HW, other.luma_HW)
        assert np.array_equal(one.u_hw, other.u_hw)
        assert np.array_equal(one.v_hw, other.v_hw)


def test_frames_of_several_sizes_stay_alone() -> None:
    mixed, alone = frames([(180, 320), (90, 160)]), frames([(180, 320), (90, 160)])
    gather(mixed)
    for one, other in zip(mixed, alone, strict=True):
        assert np.array_equal(one.luma.at_most(80), other.luma.at_most(80))
