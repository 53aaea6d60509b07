"""Small planes hold the picture's own luma and chroma, whatever the pixel format."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from rendered import scene

from curate.frames import Plane, halve
from curate.video.geometry import Orientation
from curate.video.planes import Shrinker

FORMATS = [
    "yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p16le",
    "yuva420p", "nv12", "yuyv422", "p010le", "rgb24", "bgr24", "gbrp", "rgba", "gray", "gray10le",
]  # fmt: skip


def picture(name: str, width: int = 400, height: int = 200) -> av.VideoFrame:
    image = cv2.resize(scene(1, 64, 32)[0], (width, height), interpolation=cv2.INTER_CUBIC)
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=name, dst_colorspace=5, dst_color_range=2 if "yuvj" in name or "gray" in name else None
    )


def test_halving_is_the_mean_of_four() -> None:
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 256, (9, 14), dtype=np.uint8)
    small = halve(plane, 7)
    assert small.shape == (4, 7)
    means = plane[:8, :14].reshape(4, 2, 7, 2).astype(float).mean((1, 3))
    assert np.abs(small - means).max() <= 0.5


@pytest.mark.parametrize(
    ("size", "expected"), [((320, 320), (320, 320)), ((321, 8), (160, 4)), ((1, 700), (1, 175))]
)
def test_long_side(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert halve(np.zeros(size, np.uint8), 320).shape == expected


def small_planes(shrinker: Shrinker, frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    small = shrinker.small(frame, 0, 0.0)
    return small.luma_HW, small.u_hw, small.v_hw


@pytest.mark.parametrize("name", FORMATS)
def test_formats_agree(name: str) -> None:
    shrinker = Shrinker(Orientation())
    luma, u, v = small_planes(shrinker, picture(name))
    reference = small_planes(shrinker, picture("yuvj420p"))
    assert luma.shape == (100, 200)
    for plane in (luma, u, v):
        own = plane if plane.base is None else plane.base
        assert plane.dtype == np.uint8
        assert isinstance(own, np.ndarray)
        assert own.flags.owndata
    assert np.abs(luma.astype(int) - reference[0]).max() <= 4
    for plane, expected in zip((u, v), reference[1:], strict=True):
        if name.startswith("gray"):
            assert (plane == 128).all()
        else:
            assert max(plane.shape) <= 160
            resized = cv2.resize(plane, expected.shape[::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(resized.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("turned", [Orientation(), Orientation(True, True, False)])
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuv420p10le", "rgb24", "gray"])
def test_frames_looked_at_together_are_the_same(name: str, turned: Orientation) -> None:
    sizes = [(400, 200)] * 3 + [(300, 160)] * 2
    alone, together = Shrinker(turned), Shrinker(turned, together=2)
    laid = [together.small(picture(name, *size), n, n / 25) for n, size in enumerate(sizes)]
    for n, (size, frame) in enumerate(zip(sizes, laid, strict=True)):
        own = alone.small(picture(name, *size), n, n / 25)
        assert np.array_equal(own.luma_HW, frame.luma_HW)
        assert np.array_equal(own.chroma.whole, frame.chroma.whole)


def test_limited_range_is_stretched() -> None:
    frame = av.VideoFrame(64, 64, "yuv420p")
    for index, value in enumerate((235, 16, 240)):
        frame.planes[index].update(bytes([value]) * frame.planes[index].buffer_size)
    luma, u, v = small_planes(Shrinker(Orientation()), frame)
    assert (luma.max(), u.max(), v.min()) == (255, 0, 255)
    frame.planes[0].update(bytes([3]) * frame.planes[0].buffer_size)
    frame.planes[1].update(bytes([128]) * frame.planes[1].buffer_size)
    luma, u, _ = small_planes(Shrinker(Orientation()), frame)
    assert (luma.max(), u.min(), u.max()) == (0, 128, 128)


@pytest.mark.parametrize("name", FORMATS)
def test_jpeg_shows_the_picture(name: str) -> None:
    data = Shrinker(Orientation(transpose=True)).jpeg(picture(name), 100, 200, 95)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    rgb = cv2.resize(scene(1, 64, 32)[0], (400, 200), interpolation=cv2.INTER_CUBIC)
    expected = cv2.resize(rgb, (200, 100), interpolation=cv2.INTER_AREA).swapaxes(0, 1)[:, :, ::-1]
    assert image.shape == (200, 100, 3)
    if name.startswith("gray"):
        expected = cv2.cvtColor(cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert np.abs(image.astype(int) - expected).mean() < 6
