"""Sharpness, light and colour on numbers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.frames import Plane, SmallFrame
from filters.quality import QualitySignal, measure_chroma, measure_light, sharpness


def texture(seed: int = 0, size: int = 320) -> Plane:
    """A 1/f texture with hard edges, 16:9."""
    rng = np.random.default_rng(seed)
    height = size * 9 // 16
    plane = np.full((height, size), 128, np.uint8)
    for _ in range(150):
        x, y, radius = (int(v) for v in rng.integers(0, (size, height, size // 10)))
        cv2.circle(plane, (x, y), radius, int(rng.integers(0, 256)), -1, cv2.LINE_AA)
    return plane


def yuv(red: int, green: int, blue: int, share: float = 1.0) -> tuple[Plane, Plane]:
    """Chroma planes of which `share` is of one colour, the rest gray (full range, BT.601)."""
    u = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    v = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    planes = np.full((2, 100, 100), 128, np.uint8)
    planes[:, : round(100 * share)] = np.rint(np.clip([[[u]], [[v]]], 0, 255)).astype(np.uint8)
    return planes[0], planes[1]


@pytest.mark.parametrize("seed", range(3))
def test_blur_lowers_sharpness_step_by_step(seed: int) -> None:
    plane = texture(seed)
    values = [sharpness(plane)] + [
        sharpness(cv2.GaussianBlur(plane, (0, 0), s)) for s in (0.7, 1.2, 2, 3.5, 6)
    ]
    assert all(value is not None for value in values)
    drops = np.diff(np.array(values, float))
    assert (drops < -0.02).all()


def test_motion_blur_in_one_direction_is_seen() -> None:
    plane = texture()
    sharp = sharpness(plane)
    for kernel in ((11, 1), (1, 11)):
        blurred = sharpness(cv2.blur(plane, kernel))
        assert blurred is not None
        assert sharp is not None
        assert blurred < sharp - 0.15


def test_sharpness_does_not_depend_on_contrast_or_brightness() -> None:
    plane = texture()
    flat = cv2.convertScaleAbs(plane, alpha=0.4, beta=90)
    assert sharpness(flat) == pytest.approx(sharpness(plane), abs=0.02)


def test_sharpness_depends_little_on_the_size_of_the_plane() -> None:
    large = texture(size=1280)
    values = [
        sharpness(cv2.resize(large, (width, width * 9 // 16), interpolation=cv2.INTER_AREA))
        for width in (176, 240, 320)
    ]
    assert max(values) - min(values) < 0.1  # type: ignore[type-var,operator]


def test_a_blank_picture_has_no_sharpness() -> None:
    assert sharpness(np.full((180, 320), 40, np.uint8)) is None
    assert sharpness(np.full((1, 1), 40, np.uint8)) is None


@settings(max_examples=50)
@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_ranges_hold_for_any_picture(plane: Plane) -> None:
    sharp, light = sharpness(plane), measure_light(plane)
    assert sharp is None or 0 <= sharp <= 1
    assert light.exposure == pytest.approx(plane.mean() / 255)
    assert light.contrast == pytest.approx(plane.std() / 255, abs=1e-6)
    assert 0 <= light.contrast <= 0.5 + 1e-9
    chroma = measure_chroma(plane, plane)
    assert 0 <= chroma.saturation <= 1
    assert chroma.colorfulness >= 0


def test_light_of_known_pictures() -> None:
    half = np.zeros((10, 10), np.uint8)
    half[5:] = 255
    light = measure_light(half)
    assert light.exposure == pytest.approx(0.5)
    assert light.contrast == pytest.approx(0.5)
    assert (light.dark_clipped, light.bright_clipped) == (0.5, 0.5)
    gray = measure_light(np.full((10, 10), 51, np.uint8))
    assert gray.exposure == pytest.approx(0.2)
    assert (gray.contrast, gray.dark_clipped, gray.bright_clipped) == (0, 0, 0)


def test_gray_has_no_colour_and_red_has_much() -> None:
    gray, red = measure_chroma(*yuv(90, 90, 90)), measure_chroma(*yuv(255, 0, 0))
    assert (gray.saturation, gray.colorfulness) == (0, 0)
    assert red.saturation > 0.9
    pale = measure_chroma(*yuv(200, 150, 150))
    assert gray.saturation < pale.saturation < red.saturation


def test_colorfulness_is_that_of_the_paper() -> None:
    """The published formula on RGB, against the one on chroma planes."""
    u, v = yuv(220, 60, 40, share=0.4)
    rgb = np.zeros((100, 100, 3))
    rgb[:], rgb[:40] = (110, 110, 110), (220, 60, 40)
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert measure_chroma(u, v).colorfulness == pytest.approx(expected, rel=0.01)


def test_summary_is_the_mean_over_the_clips_own_frames() -> None:
    signal = QualitySignal(QualitySignal.Options(every_s=0.2))
    u, v = yuv(128, 128, 128)
    for n in range(90):
        level = 51 if n < 30 else 102 if n < 60 else 153
        signal.push([SmallFrame(n, n / 30, np.full((18, 32), level, np.uint8), u, v)])
    for start, exposure in ((0, 0.2), (30, 0.4), (60, 0.6)):
        assert signal.summary(start, start + 30)["exposure"] == pytest.approx(exposure)
    assert signal.summary(0, 90)["exposure"] == pytest.approx(0.4)
    row = signal.summary(0, 30)
    assert set(row) == set(QualitySignal.provides.names)
    assert row["sharpness"] is None
    assert signal.summary(1, 3)["exposure"] is None
    signal.forget(30)
    assert signal.summary(0, 30)["exposure"] is None


def test_an_image_is_measured() -> None:
    signal = QualitySignal(QualitySignal.Options())
    signal.push([SmallFrame(0, 0.0, texture(), *yuv(200, 30, 30))])
    assert all(value is not None for value in signal.summary(0, 1).values())
