"""What is measured of a picture depends on the picture, not on where in memory it lies.

Two runs must write the same bytes. OpenCV's vendor kernels start their wide loops where memory is aligned,
and some of them round differently before and after: cv2.magnitude did, in the last bit.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from curate.frames import NativeLuma
from filters.blockiness import blockiness, grid_steps
from filters.camera import Similarity, fit_camera
from filters.combing import combing
from filters.fidelity import native_sharpness
from filters.motion import measure_flow, motion_parts
from filters.noise import noise_sigma
from filters.photographic import measure
from filters.quality import measure_chroma, measure_light
from filters.shots import gradual, hard
from filters.shots.planes import TinyFrame
from filters.stills import align, leftover
from filters.strokes import find_strokes, moving_cells, overlay_share
from filters.tiles import lively_tiles


def placed(array: NDArray[np.generic], offset: int) -> NDArray[np.generic]:
    """Return a copy whose first byte lies `offset` bytes after a multiple of 64."""
    room = np.empty(array.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("seed", range(5))
def test_measurements_do_not_depend_on_alignment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flow = rng.normal(0, 3, (144, 255, 2)).astype(np.float32)
    u, v, luma = (rng.integers(0, 256, (67, 121), np.uint8) for _ in range(3))
    first = rng.integers(0, 256, (144, 255), np.uint8)
    pairs = [measure_flow(placed(flow, n), 0.0, 0.1, placed(first, n)) for n in range(0, 64, 4)]
    assert len({pair.total for pair in pairs}) == 1
    cameras = [fit_camera([pair.samples]) for pair in pairs]
    parts = [motion_parts([pair], camera) for pair, camera in zip(pairs, cameras, strict=True)]
    assert all(part == parts[0] for part in parts)
    assert len({measure_chroma(placed(u, n), placed(v, (7 * n) % 64)) for n in range(64)}) == 1
    assert len({measure_light(placed(luma, n)) for n in range(64)}) == 1


def fidelity(luma: NDArray[np.generic]) -> tuple[float | None, ...]:
    native = NativeLuma(luma, 255 / 219, 16.0)
    tiles = lively_tiles(native)
    steps = grid_steps(tiles)
    assert steps is not None
    return noise_sigma(tiles), blockiness([steps]), native_sharpness(tiles), combing(native)


def test_fidelity_and_overlays_do_not_depend_on_alignment() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (181, 307), np.uint8) for _ in range(4)]
    assert len({fidelity(placed(frames[0], n)) for n in range(64)}) == 1
    shares = set()
    for n in range(64):
        strokes = [find_strokes(placed(frame, n)) for frame in frames]
        moving = moving_cells(strokes)
        shares.add((overlay_share(strokes, moving), moving.tobytes(), strokes[0].bits.tobytes()))
    assert len(shares) == 1


def test_flow_of_two_pictures_does_not_depend_on_alignment() -> None:
    rng = np.random.default_rng(0)
    first = cv2.GaussianBlur(rng.integers(0, 256, (144, 256), np.uint8), (0, 0), 3)
    second = np.roll(first, 2, 1)
    flows = set()
    for offset in range(0, 64, 7):
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        flows.add(dis.calc(placed(first, offset), placed(second, 3 * offset % 64), None).tobytes())
    assert len(flows) == 1


@pytest.mark.parametrize("seed", range(3))
def test_comparisons_of_shots_and_stills_do_not_depend_on_alignment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    film = [cv2.GaussianBlur(rng.integers(0, 256, (90, 160), np.uint8), (0, 0), 2) for _ in range(9)]

    def tiny(index: int, offset: int) -> TinyFrame:
        luma, chroma = film[index], film[index][:22, :40]
        planes = (placed(plane, offset) for plane in (luma[::2, ::2], luma[::4, ::4], chroma))
        return TinyFrame(index, index / 25, *planes)  # type: ignore[arg-type]

    def seen(offset: int) -> tuple[bytes, ...]:
        frames = [tiny(index, offset * (index + 1) % 64) for index in range(9)]
        gap = hard.Gap(frames[3::-1], frames[4:], [3.0, 2.0, 4.0], [2.5, 3.5, 1.0, 2.0])
        span = gradual.Span(frames, [3.0] * 8, 2, 6, 25.0)
        start = Similarity(0.01, 0.0, 0.001, 0.0)
        first, second = (placed(plane, offset) for plane in film[:2])
        move = align(first, second, start)  # type: ignore[arg-type]
        left = leftover(first, second, move)  # type: ignore[arg-type]
        cut, change = hard.glance(gap), gradual.glance(span, gradual.ramp(span))
        looks = [*hard.closer(gap, cut), *gradual.closer(span, change)]
        return (
            cut.tobytes(),
            change.tobytes(),
            *[look.tobytes() for look in looks],
            repr((move, left)).encode(),
        )

    assert len({seen(n) for n in range(0, 64, 4)}) == 1


@pytest.mark.parametrize("seed", range(3))
def test_photographic_measurements_do_not_depend_on_alignment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (113, 201, 3), np.uint8), (0, 0), 1 + seed)
    assert len({measure(placed(image, n)) for n in range(0, 64, 3)}) == 1  # type: ignore[arg-type]
