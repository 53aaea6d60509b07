from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from curate.records import Clip, Failure, Sample
from filters.photographic import Photographic, PhotographicOptions, hue_count, measure, rating

Image = np.ndarray[Any, np.dtype[np.uint8]]


def scene(seed: int = 3) -> Image:
    """A red ball with stripes on a power point, before a smooth, grayish-blue wall: BGR, 224 x 398."""
    rng = np.random.default_rng(seed)
    wall = cv2.resize(
        rng.uniform(0.8, 1.2, (5, 9)).astype(np.float32), (398, 224), interpolation=cv2.INTER_CUBIC
    )
    image = np.clip(wall[..., None] * np.array([150, 120, 105]), 0, 255).astype(np.uint8)
    cv2.circle(image, (133, 75), 40, (40, 40, 210), -1)
    for x in range(101, 166, 8):
        cv2.line(image, (x, 50), (x, 100), (235, 240, 245), 2)
    return image


def disc(x: float, y: float) -> Image:
    image = np.full((224, 398, 3), 120, np.uint8)
    cv2.circle(image, (round(x * 398), round(y * 224)), 20, (30, 30, 220), -1)
    return image


def clip_of(*images: Image) -> Clip:
    def media() -> bytes:
        raise AssertionError

    jpegs = [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for image in images]
    return Clip({"clip_id": "c"}, lambda: tuple(Sample(float(n), j) for n, j in enumerate(jpegs)), media)


def rated(*clips: Clip) -> list[Any]:
    return list(Photographic(PhotographicOptions()).process(clips))


def gray(image: Image) -> Image:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


SPOILED: dict[str, Callable[[Image, float], Any]] = {
    "dark": lambda image, by: np.clip(image * (1 - by), 0, 255),
    "burnt out": lambda image, by: np.clip(image + 255.0 * by, 0, 255),
    "flat": lambda image, by: image * (1 - by) + image.mean() * by,
    "blurred": lambda image, by: cv2.GaussianBlur(image, (0, 0), 1.5 * by),
    "faded": lambda image, by: image * (1 - by) + gray(image) * by,
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_fault_lowers_the_rating_the_more_the_worse(fault: str) -> None:
    image = scene()
    found = [rating(measure(image))]
    for by in (0.5, 0.75, 0.9):
        found.append(rating(measure(SPOILED[fault](image, by).astype(np.uint8))))
    assert found == sorted(found, reverse=True), found
    assert found[0] - found[-1] > 0.5, found
    assert 5 < found[0] <= 10


def test_a_soft_background_costs_no_sharpness() -> None:
    """Low depth of field: only the ball is sharp."""
    image = scene()
    soft = cv2.GaussianBlur(image, (0, 0), 4)
    mask = cv2.circle(np.zeros(image.shape[:2], np.uint8), (133, 75), 60, 1, -1)[..., None]
    low = measure(np.where(mask, image, soft)).sharpness
    sharp, blurred = measure(image).sharpness, measure(soft.astype(np.uint8)).sharpness
    assert low is not None
    assert sharp is not None
    assert blurred is not None
    assert low > 0.8 * sharp > 2 * blurred


def test_what_stands_out_is_best_on_a_power_point() -> None:
    points = [measure(disc(x, y)).thirds for x, y in ((1 / 3, 2 / 3), (0.5, 0.5), (0.94, 0.92))]
    assert points == pytest.approx([1, 0.5, 0.21], abs=0.02)


def test_edges_in_a_part_of_the_picture_are_simpler_than_everywhere() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 398, 3), np.uint8)
    part = np.full_like(noise, 128)
    part[60:160, 100:200] = noise[60:160, 100:200]
    assert measure(noise).simplicity == pytest.approx(0.08, abs=0.03)
    assert measure(part).simplicity == 1


@pytest.mark.parametrize("hues", [1, 2, 5, 10])
def test_hues_are_counted(hues: int) -> None:
    hsv = np.full((40, 40 * hues, 3), 200, np.uint8)
    for number in range(hues):
        hsv[:, 40 * number : 40 * (number + 1), 0] = 4 + 18 * number
    assert hue_count(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)) == hues  # type: ignore[arg-type]


def test_a_gray_picture_has_no_hues_and_a_rating_all_the_same() -> None:
    image = gray(scene())
    assert hue_count(image) is None
    assert measure(image).colour == 0
    assert 0 < rating(measure(image)) < rating(measure(scene()))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_one_level_is_worth_nothing(level: int) -> None:
    (row,) = rated(clip_of(np.full((448, 796, 3), level, np.uint8)))
    assert row["aesthetic"] == 0
    assert row["aesthetic_model"] == "photographic-1"


def test_a_clip_is_rated_by_the_mean_of_three_samples() -> None:
    good, bad = (cv2.resize(image, (796, 448)) for image in (scene(), np.zeros_like(scene())))
    one, mixed, many = rated(
        clip_of(good), clip_of(good, bad), clip_of(bad, good, bad, bad, good, bad, bad, good, bad)
    )
    assert mixed["aesthetic"] == pytest.approx(one["aesthetic"] / 2)
    assert many["aesthetic"] == pytest.approx(one["aesthetic"])


def test_what_cannot_be_measured_is_null_and_what_cannot_be_read_fails() -> None:
    broken = Clip({"clip_id": "b"}, lambda: (Sample(1.5, b"no JPEG"),), lambda: b"")
    tiny, failed, good = rated(clip_of(np.full((12, 9, 3), 90, np.uint8)), broken, clip_of(scene()))
    assert tiny == {"aesthetic": None, "aesthetic_model": "photographic-1"}
    assert isinstance(failed, Failure)
    assert "1.5 s is not a readable JPEG" in failed.message
    assert good["aesthetic"] > 0


def test_size_matters_little() -> None:
    large = cv2.resize(scene(), (796, 448), interpolation=cv2.INTER_CUBIC)
    whole, smaller = rated(
        clip_of(large), clip_of(cv2.resize(large, (640, 360), interpolation=cv2.INTER_AREA))
    )
    assert smaller["aesthetic"] == pytest.approx(whole["aesthetic"], abs=0.3)


def test_mirrored_is_the_same() -> None:
    image = scene()[:, :396]
    assert rating(measure(image[:, ::-1].copy())) == pytest.approx(rating(measure(image)), abs=0.05)
