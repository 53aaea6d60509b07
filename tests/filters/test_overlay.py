"""Overlays and subtitles: rendered footage under a moving and a fixed camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import cv2
import numpy as np
import pytest

from curate.footage.camera import STILL, Camera
from curate.footage.faults import Fault, Letterbox, Subtitle, Watermark
from curate.footage.film import Film, Shot, frames
from curate.footage.textures import Image
from curate.frames import Plane, SmallFrame
from filters.overlay import OverlaySignal
from filters.strokes import find_strokes, overlay_share

GRAY = np.full((2, 2), 128, np.uint8)
PAN = Camera("pan", 0.12)
LINES = ("and then we went", "down to the river", "where nobody waits", "for the last boat")
FPS = 4
TEXTURED = ["aerial", "city", "street"]


@cache
def footage(scene: str, camera: Camera) -> tuple[Image, ...]:
    """Ten seconds, four frames a second, 480 x 270."""
    film = Film((Shot(scene, 10 * FPS, camera=camera),), fps=Fraction(FPS))
    return tuple(frame.copy() for frame in frames(film))


def under(images: Sequence[Image], fault: Fault | None) -> list[Plane]:
    """The luma of frames with a fault, at half size, as the decoder would show it."""
    made = [
        image.copy() if fault is None else fault(image.copy(), n, n / FPS) for n, image in enumerate(images)
    ]
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in made]
    return [np.asarray(cv2.resize(plane, (240, 135), interpolation=cv2.INTER_AREA)) for plane in gray]


def columns(planes: Sequence[Plane]) -> dict[str, float | None]:
    signal = OverlaySignal(OverlaySignal.Options())
    for n, plane in enumerate(planes):
        signal.push([SmallFrame(n, n / FPS, plane, GRAY, GRAY)])
    row = signal.summary(0, len(planes))
    return {"overlay_area": row["overlay_area"], "subtitle_band": row["subtitle_band"]}


@dataclass(frozen=True)
class Name:
    """White letters with black edges, `share` of the frame's height, in the middle: an opaque logo."""

    share: float

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:  # noqa: ARG002
        if self.share:
            place, scale = (120, 160), self.share * 270 / 22
            for level, thick in ((0, 6), (255, 2)):
                color = (level, level, level)
                cv2.putText(frame_HW3, "CHANNEL", place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thick)
        return frame_HW3


@dataclass(frozen=True)
class Spoken:
    """Subtitles up to a time, none after."""

    until_s: float

    def __call__(self, frame_HW3: Image, index: int, time_s: float) -> Image:
        return Subtitle(LINES)(frame_HW3, index, time_s) if time_s < self.until_s else frame_HW3


@pytest.mark.parametrize("scene", TEXTURED)
def test_footage_without_overlay_has_none(scene: str) -> None:
    row = columns(under(footage(scene, PAN), None))
    assert row["overlay_area"] == pytest.approx(0, abs=0.005)
    assert row["subtitle_band"] == 0


@pytest.mark.parametrize("scene", TEXTURED)
def test_a_growing_logo_grows(scene: str) -> None:
    areas = [
        columns(under(footage(scene, PAN), Name(share)))["overlay_area"] for share in (0, 0.06, 0.1, 0.15)
    ]
    values = [area for area in areas if area is not None]
    assert len(values) == len(areas)
    assert all(np.diff(values) > 0.003)


def test_a_half_transparent_watermark_is_an_overlay() -> None:
    row = columns(under(footage("aerial", PAN), Watermark("EXAMPLE.TV")))
    assert row["overlay_area"] is not None
    assert row["overlay_area"] > 0.01


@pytest.mark.parametrize("scene", TEXTURED)
def test_more_subtitles_are_more(scene: str) -> None:
    shares = [
        columns(under(footage(scene, PAN), Spoken(until_s)))["subtitle_band"] for until_s in (0, 2, 4, 7)
    ]
    values = [share for share in shares if share is not None]
    assert len(values) == len(shares)
    assert values[0] == 0
    assert all(np.diff(values) > 0)
    assert values[-1] >= 0.75


def test_changing_subtitles_are_seen_before_a_fixed_camera() -> None:
    row = columns(under(footage("talker", STILL), Subtitle(LINES)))
    assert row["subtitle_band"] is not None
    assert row["subtitle_band"] >= 0.75


def test_of_a_picture_that_stands_still_nothing_is_said() -> None:
    plane = under(footage("city", STILL)[:1], Name(0.1))[0]
    row = columns([plane] * 40)
    assert row["overlay_area"] is None
    assert row["subtitle_band"] in (None, 0)


def test_bars_are_no_overlay() -> None:
    row = columns(under(footage("aerial", PAN), Letterbox(0.12)))
    assert row["overlay_area"] == pytest.approx(0, abs=0.005)
    pillars = under(footage("aerial", PAN), None)
    for plane in pillars:
        plane[:, :40] = plane[:, 200:] = 0
    assert columns(pillars)["overlay_area"] == pytest.approx(0, abs=0.005)


def test_texture_that_goes_by_is_no_overlay() -> None:
    noise = np.random.default_rng(0).normal(0, 150, (135, 1500))
    wall = np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5) * 2 + 128, 0, 255).astype(np.uint8)
    planes = [np.ascontiguousarray(wall[:, 31 * n : 31 * n + 240]) for n in range(40)]
    row = columns(planes)
    assert row["overlay_area"] == pytest.approx(0, abs=0.005)
    assert row["subtitle_band"] == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (3, 50), (50, 3), (17, 31)])
@pytest.mark.parametrize("level", [0, 200])
def test_any_size_is_measured(shape: tuple[int, int], level: int) -> None:
    columns([np.full(shape, level, np.uint8)] * 30)
    rng = np.random.default_rng(0)
    columns([rng.integers(0, 256, shape, np.uint8) for _ in range(30)])


def test_one_frame_and_none_are_null() -> None:
    null = {"overlay_area": None, "subtitle_band": None}
    assert columns(under(footage("city", PAN)[:1], None)) == null
    assert columns([]) == null


def test_a_change_of_size_is_null() -> None:
    planes = under(footage("city", PAN), None)
    row = columns([plane if n < 20 else plane[:100] for n, plane in enumerate(planes)])
    assert row == {"overlay_area": None, "subtitle_band": None}


def test_forgotten_frames_are_gone() -> None:
    signal = OverlaySignal(OverlaySignal.Options())
    planes = under(footage("city", PAN), Name(0.1))
    for n, plane in enumerate(planes):
        signal.push([SmallFrame(n, n / FPS, plane, GRAY, GRAY)])
    assert signal.summary(0, 40)["overlay_area"]
    signal.forget(30)
    assert signal.summary(0, 30)["overlay_area"] is None


def test_black_has_no_strokes() -> None:
    frames = [find_strokes(np.zeros((90, 160), np.uint8))] * 5
    assert overlay_share(frames, np.zeros(frames[0].cells.shape, bool)) == 0
