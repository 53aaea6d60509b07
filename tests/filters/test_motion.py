"""Motion on numbers: textures moved by known amounts, at several rates and sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from curate.frames import Plane, SmallFrame
from curate.records import Row
from curate.video import open_video
from filters.camera import FlowSamples
from filters.motion import MotionSignal, PairMotion, flow_plane, measure_flow, motion_total

REAL = Path(__file__).resolve().parents[2] / "../shared/data/clips"
WIDTH, HEIGHT = 320, 180
DIAGONAL = float(np.hypot(WIDTH, HEIGHT))
GRAY = np.full((2, 2), 128, np.uint8)

Texture = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def texture() -> Texture:
    """A gray texture with detail at every scale (1/f), 1024 x 1024."""
    size = 1024
    spectrum = np.fft.fft2(np.random.default_rng(7).normal(size=(size, size)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1
    image = np.fft.ifft2(spectrum / frequency**1.2).real
    image = (image - image.mean()) / image.std() * 45 + 128
    clipped: Texture = np.clip(image, 0, 255).astype(np.float32)
    return clipped


def view(texture: Texture, x: float, y: float, width: int = WIDTH, height: int = HEIGHT) -> Plane:
    """Return the texture at a sub-pixel offset, always the same field of view, in units of 320 px."""
    scale = width / WIDTH
    size = (WIDTH * 2, HEIGHT * 2)
    matrix = np.array([[1, 0, -300 - 2 * x], [0, 1, -300 - 2 * y]], np.float32)
    large = cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    small = cv2.resize(
        large, (width, round(height if scale == 1 else HEIGHT * scale)), interpolation=cv2.INTER_AREA
    )
    plane: Plane = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return plane


def columns(planes: list[Plane], times_s: list[float]) -> Row:
    signal = MotionSignal(MotionSignal.Options())
    for index, (plane, time_s) in enumerate(zip(planes, times_s, strict=True)):
        signal.push([SmallFrame(index, time_s, plane, GRAY, GRAY)])
    return signal.summary(0, len(planes))


def measure(planes: list[Plane], times_s: list[float]) -> float | None:
    total = columns(planes, times_s)["motion_total"]
    assert total is None or isinstance(total, float)
    return total


def pan(texture: Texture, speed: float, fps: float, seconds: float = 2.0, width: int = WIDTH) -> float:
    """Return the motion measured of a pan of `speed` diagonals a second."""
    times_s = [n / fps for n in range(round(seconds * fps))]
    step = speed * DIAGONAL
    planes = [view(texture, 0.8 * step * t, 0.6 * step * t, width) for t in times_s]
    total = measure(planes, times_s)
    assert total is not None
    return total


@pytest.mark.parametrize("fps", [10, 15, 23.976, 25, 30, 50, 60])
def test_speed_is_independent_of_frame_rate(texture: Texture, fps: float) -> None:
    assert pan(texture, 0.05, fps) == pytest.approx(0.05, rel=0.07)


@pytest.mark.parametrize("speed", [0.005, 0.02, 0.1, 0.3, 0.8])
def test_speed_is_measured_from_slow_to_fast(texture: Texture, speed: float) -> None:
    assert pan(texture, speed, 30, 1.0) == pytest.approx(speed, rel=0.1, abs=0.002)


@pytest.mark.parametrize("width", [160, 192, 256, 320])
def test_speed_is_independent_of_size(texture: Texture, width: int) -> None:
    assert pan(texture, 0.06, 30, width=width) == pytest.approx(0.06, rel=0.08)


def moving_box(texture: Texture, box: bool = True) -> list[Plane]:
    """A patch that crosses a fixed background in two seconds."""
    planes = []
    for n in range(60):
        plane = view(texture, 0, 0)
        if box:
            x = 20 + 3 * n
            plane[60:120, x : x + 60] = view(texture, 200, 100)[60:120, 60:120]
        planes.append(plane)
    return planes


CHANGES: dict[str, Callable[[list[Plane]], list[Plane]]] = {
    "mirrored": lambda planes: [np.ascontiguousarray(plane[:, ::-1]) for plane in planes],
    "upside down": lambda planes: [np.ascontiguousarray(plane[::-1]) for plane in planes],
    "turned": lambda planes: [np.ascontiguousarray(plane.T) for plane in planes],
    "reversed": lambda planes: planes[::-1],
    "brighter": lambda planes: [cv2.convertScaleAbs(plane, alpha=0.8, beta=30) for plane in planes],
}


@pytest.mark.parametrize("change", CHANGES)
def test_motion_survives(texture: Texture, change: str) -> None:
    planes, times_s = moving_box(texture), [n / 30 for n in range(60)]
    plain, changed = measure(planes, times_s), measure(CHANGES[change](planes), times_s)
    assert plain is not None
    assert plain > 0.01
    assert changed == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize(("rate", "of"), [(25, 30), (24, 30), (12, 24), (30, 60), (15, 30)])
def test_doubled_frames_do_not_slow_motion(texture: Texture, rate: int, of: int) -> None:
    times_s = [n / of for n in range(4 * of)]
    step = 0.05 * DIAGONAL
    planes = [view(texture, step * (n * rate // of) / rate, 0) for n in range(4 * of)]
    assert measure(planes, times_s) == pytest.approx(0.05, rel=0.1)


def test_still_picture_has_no_motion(texture: Texture) -> None:
    noise = np.random.default_rng(3)
    still = view(texture, 0, 0).astype(np.float32)
    planes: list[Plane] = [
        np.clip(np.rint(still + noise.normal(0, 1.5, still.shape)), 0, 255).astype(np.uint8)
        for _ in range(30)
    ]
    total = measure(planes, [n / 30 for n in range(30)])
    assert total is not None
    assert total < 0.0015


def test_motion_of_blank_pictures_is_zero() -> None:
    planes = [np.full((HEIGHT, WIDTH), 90, np.uint8)] * 30
    assert measure(planes, [n / 30 for n in range(30)]) == pytest.approx(0, abs=1e-6)


def test_one_frame_has_no_motion(texture: Texture) -> None:
    assert measure([view(texture, 0, 0)], [0.0]) is None
    assert set(columns([view(texture, 0, 0)], [0.0]).values()) == {None}
    assert set(MotionSignal.provides.names) == set(columns([view(texture, 0, 0)], [0.0]))


def test_a_box_before_a_fixed_camera_is_all_object(texture: Texture) -> None:
    row = columns(moving_box(texture), [n / 30 for n in range(60)])
    assert row["camera"] == "static"
    assert row["motion_camera"] < 0.005
    assert row["motion_object"] == pytest.approx(row["motion_total"], rel=0.2)
    assert row["moved_still"] is False


def test_a_pan_is_all_camera(texture: Texture) -> None:
    times_s = [n / 30 for n in range(60)]
    row = columns([view(texture, 0.05 * DIAGONAL * t, 0) for t in times_s], times_s)
    assert row["camera"] == "pan"
    assert row["motion_camera"] == pytest.approx(0.05, rel=0.1)
    assert row["motion_object"] < 0.005
    assert row["shake"] < 0.005
    assert row["moved_still"] is True


def test_a_blank_picture_has_no_camera() -> None:
    row = columns([np.full((HEIGHT, WIDTH), 90, np.uint8)] * 60, [n / 30 for n in range(60)])
    assert row["motion_total"] == pytest.approx(0, abs=1e-6)
    assert row["camera"] is row["motion_camera"] is row["motion_object"] is row["shake"] is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 300), (16, 16), (20, 320), (320, 20), (47, 63), (181, 321)])
def test_any_size_is_measured(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    planes = [rng.integers(0, 256, shape, np.uint8) for _ in range(8)]
    total = measure(planes, [n / 30 for n in range(8)])
    assert total is not None
    assert np.isfinite(total)


def test_a_change_of_size_is_not_motion(texture: Texture) -> None:
    planes = [view(texture, 0, 0)] * 10 + [view(texture, 0, 0, 200, 112)] * 10
    total = measure(planes, [n / 30 for n in range(20)])
    assert total == pytest.approx(0, abs=1e-3)


def test_a_picture_that_is_turned_on_its_way_is_measured(texture: Texture) -> None:
    planes = [view(texture, 3 * n, 0) for n in range(30)]
    planes += [np.ascontiguousarray(view(texture, 3 * n, 0).T) for n in range(30)]
    row = columns(planes, [n / 30 for n in range(60)])
    assert row["camera"] == "pan"
    assert row["motion_total"] > 0.1


def test_pairs_lie_within_the_clip(texture: Texture) -> None:
    """A clip between two cuts is measured by its own frames alone."""
    signal = MotionSignal(MotionSignal.Options())
    for n in range(90):
        shift = 0 if 30 <= n < 60 else 400 + 10 * n
        signal.push([SmallFrame(n, n / 30, view(texture, shift, 0), GRAY, GRAY)])
    assert signal.summary(30, 60)["motion_total"] == pytest.approx(0, abs=1e-3)
    assert signal.summary(0, 30)["motion_total"] > 0.3
    signal.forget(60)
    assert signal.summary(0, 60)["motion_total"] is None
    assert signal.summary(60, 90)["motion_total"] > 0.3


def test_flow_is_measured_in_diagonals_a_second() -> None:
    flow = np.zeros((30, 40, 2), np.float32)
    flow[:, :20] = (3.0, 4.0)
    pair = measure_flow(flow, 7.0, 0.5, np.zeros((30, 40), np.uint8))
    assert pair.total == pytest.approx(5 / 2 / 50 / 0.5)
    assert (pair.time_s, pair.dt_s) == (7.0, 0.5)


def test_total_leaves_out_the_outer_tenths() -> None:
    none = np.zeros((2, 0), np.float32)
    samples = FlowSamples(none, none[0], none)
    totals = [9.0, *[0.1, 0.2] * 4, 0.0]
    pairs = [PairMotion(total, 0.0, 0.1, samples, np.zeros((2, 2), np.uint8)) for total in totals]
    assert motion_total(pairs) == pytest.approx(0.15)
    assert motion_total([]) is None


def test_flow_plane_keeps_the_aspect() -> None:
    assert flow_plane(np.zeros((180, 320), np.uint8)).shape == (90, 160)
    assert flow_plane(np.zeros((200, 120), np.uint8)).shape == (160, 96)
    assert flow_plane(np.zeros((10, 30), np.uint8)).shape == (53, 160)
    assert flow_plane(np.zeros((10, 100), np.uint8)).shape == (48, 480)


def test_options_refuse_overlapping_pairs() -> None:
    with pytest.raises(ValueError, match="overlap"):
        MotionSignal.Options(every_s=0.1, apart_s=0.2)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not there")
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("slidedash--silver-giulia-ti.mp4", 0.0, 0.003),
        ("mmaction2--S001C001P001R001A001_rgb.avi", 0.0, 0.005),
        ("Panda-70M--S-1NdEjjg7c.58.mp4", 0.3, 1.0),
    ],
)
def test_real_clips_are_as_fast_as_they_look(name: str, low: float, high: float) -> None:
    signal, frames = MotionSignal(MotionSignal.Options()), 0
    with open_video(str(REAL / name)) as video:
        for frame in video:
            signal.push([frame.small()])
            frames += 1
            if frames == 300:
                break
    assert low <= signal.summary(0, frames)["motion_total"] <= high
