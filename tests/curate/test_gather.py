"""Frames halved together are, to the bit, frames halved alone."""

from __future__ import annotations

import numpy as np
import pytest

from curate.frames import Plane, Pyramid, SmallFrame, gather
from curate.pyramid import Sheet


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


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("long_px", [1000, 80])
def test_planes_asked_for_at_once_are_those_of_each(joined: bool, long_px: int) -> None:
    alone, some = frames([(180, 320)] * 5), frames([(180, 320)] * 5)
    if joined:
        gather(some)
    for name in ("luma", "chroma"):
        at_once = Pyramid.each_at_most([getattr(frame, name) for frame in some[::-1]], long_px)
        for frame, plane in zip(alone[::-1], at_once, strict=True):
            assert np.array_equal(getattr(frame, name).at_most(long_px), plane)


def test_frames_of_several_sizes_stay_alone() -> None:
    mixed, alone = frames([(180, 320), (90, 160)]), frames([(180, 320), (90, 160)])
    gather(mixed)
    for one, other in zip(mixed, alone, strict=True):
        assert np.array_equal(one.luma.at_most(80), other.luma.at_most(80))


def on_sheets(alone: list[SmallFrame], places: int) -> list[SmallFrame]:
    """Return the same frames with their planes on sheets."""
    luma, chroma = alone[0].luma.whole, alone[0].chroma.whole
    sheets = Sheet(places, *luma.shape), Sheet(places, *chroma.shape)
    laid = []
    for frame in alone:
        planes = [sheet.place() for sheet in sheets]
        for plane, pyramid in zip(planes, (frame.luma, frame.chroma), strict=True):
            plane[:] = pyramid.whole
        laid.append(SmallFrame.of_stack(frame.index, frame.time_s, *planes, sheets=sheets))
    return laid


@pytest.mark.parametrize("places", [5, 8])
@pytest.mark.parametrize("looked_at", [slice(0, 5), slice(2, 5), slice(None, None, -1)])
def test_planes_on_a_sheet_stay_the_same(places: int, looked_at: slice) -> None:
    alone = frames([(135, 240)] * 5, limited=False)
    laid = on_sheets(alone, places)[looked_at]
    gather(laid)
    for one, other in zip(alone[looked_at], laid, strict=True):
        for long_px in (1000, 160, 80):
            assert np.array_equal(one.luma.at_most(long_px), other.luma.at_most(long_px))
            assert np.array_equal(one.chroma.at_most(long_px), other.chroma.at_most(long_px))


def test_what_fills_a_sheet_from_its_top_is_not_copied() -> None:
    laid = on_sheets(frames([(180, 320)] * 3, limited=False), 8)
    gather(laid)
    stack = laid[0].luma.at_most(160).base
    assert stack is not None
    assert stack.shape == (3 * 90, 160)
    assert laid[2].luma.at_most(160).base is stack


def test_a_sheet_gives_each_place_once() -> None:
    sheet = Sheet(2, 3, 4)
    sheet.place()[:] = 1
    assert not sheet.full
    sheet.place()[:] = 2
    assert sheet.full
    assert sheet.planes[:, 0].tolist() == [1, 1, 1, 2, 2, 2]
