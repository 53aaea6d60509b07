"""The share of text: rendered writing of known size, and scenes without any."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from sampled_clips import clip, plain, row, rows, scene

from curate.footage.pages import caption_bar, write
from filters.sampled import Picture
from filters.text import TextOptions, TextStage, cover, persistence, summarize, thickness
from shards.errors import ConfigError

pytest.importorskip("rapidocr")

LINE = "where two rivers meet"


@pytest.fixture(scope="module")
def stage() -> Iterator[TextStage]:
    stage = TextStage(TextOptions())
    stage.setup()
    yield stage
    stage.close()


def titled(background: Picture, top: float, tall: float, text: str = LINE, left: float = 0.05) -> Picture:
    """The picture with a white line of text, its place and letters' height in shares of the height."""
    picture = background.copy()
    height, width = picture.shape[:2]
    write(picture, text, (left * width, (top + tall) * height), tall * height, (1, 1, 1), bold=True)
    return picture


def line_area(picture: Picture, tall: float, text: str = LINE) -> float:
    """The share of a picture in the box around such a line, from the top of its letters to their foot."""
    height, width = picture.shape[:2]
    ink_px = write(picture.copy(), text, (0, height / 2), tall * height, (1, 1, 1), bold=True)
    return ink_px * tall / width


@pytest.mark.parametrize("name", ["sea", "forest", "balls", "clockwork", "city", "talker", "fire", "hills"])
def test_scenes_without_writing_have_no_text(stage: TextStage, name: str) -> None:
    assert row(stage, scene(name), scene(name, 3.0)) == {
        "text_area": 0.0, "text_center_area": 0.0, "text_count": 0.0, "text_persistence": None
    }  # fmt: skip


@pytest.mark.parametrize("name", ["sea", "forest", "balls"])
@pytest.mark.parametrize("tall", [0.05, 0.07, 0.1])
def test_area_is_that_of_the_line_and_a_margin(stage: TextStage, name: str, tall: float) -> None:
    picture = titled(scene(name), 0.7, tall)
    found = row(stage, picture, picture)
    ratio = found["text_area"] / line_area(picture, tall)
    assert 1.2 < ratio < 2.6
    assert found["text_count"] == 1
    assert found["text_persistence"] == 1


def test_area_grows_with_the_amount_of_text(stage: TextStage) -> None:
    picture, areas, counts = scene("sea"), [], []
    for line in range(5):
        picture = titled(picture, 0.08 + 0.17 * line, 0.06)
        found = row(stage, picture, picture)
        areas.append(found["text_area"])
        counts.append(found["text_count"])
    assert counts == [1, 2, 3, 4, 5]
    assert np.allclose(np.diff(areas), areas[0], rtol=0.35)


def test_area_grows_with_the_size_of_the_letters(stage: TextStage) -> None:
    areas = [row(stage, titled(scene("hills"), 0.4, tall))["text_area"] for tall in (0.03, 0.05, 0.07, 0.1)]
    assert all(later > 1.3 * earlier for earlier, later in pairwise(areas))


def test_area_does_not_depend_on_the_resolution(stage: TextStage) -> None:
    areas = [
        row(stage, titled(scene("sea", size=(width, width * 9 // 16)), 0.7, 0.08))["text_area"]
        for width in (480, 640, 960, 1280)
    ]
    assert max(areas) < 1.15 * min(areas)


def test_portrait_and_gray_pictures_are_looked_at_alike(stage: TextStage) -> None:
    portrait = titled(scene("sea", size=(360, 640)), 0.5, 0.04, "two rivers")
    gray = cv2.cvtColor(titled(scene("sea"), 0.7, 0.08), cv2.COLOR_BGR2GRAY)
    assert row(stage, portrait)["text_count"] == 1
    assert row(stage, gray)["text_count"] == 1


def test_pages_and_slides_are_full_of_text(stage: TextStage) -> None:
    page, slide = (row(stage, scene(name), scene(name, 2.0)) for name in ("page", "slides"))
    assert page["text_area"] > 0.35
    assert page["text_center_area"] > 0.5
    assert page["text_count"] >= 8
    assert 0.07 < slide["text_area"] < 0.25
    assert slide["text_persistence"] > 0.9


def test_an_overlay_persists_and_text_in_the_scene_moves_on(stage: TextStage) -> None:
    calm, later = scene("hills"), scene("hills", 4.0)
    overlay = row(stage, titled(calm, 0.8, 0.07), titled(later, 0.8, 0.07))
    passing = row(stage, titled(calm, 0.8, 0.07), titled(later, 0.2, 0.07))
    gone = row(stage, titled(calm, 0.8, 0.07), later)
    both = row(stage, *(titled(titled(calm, 0.8, 0.07), top, 0.07) for top in (0.1, 0.4)))
    assert overlay["text_persistence"] > 0.9
    assert passing["text_persistence"] == 0
    assert gone["text_persistence"] == 0
    assert 0.35 < both["text_persistence"] < 0.65


def test_subtitles_persist_in_their_place_though_their_words_change(stage: TextStage) -> None:
    first, second = scene("hills"), scene("hills", 4.0)
    caption_bar(first, "the light of morning fell across a valley")
    caption_bar(second, "every frame keeps a little of the time")
    found = row(stage, first, second)
    assert found["text_persistence"] > 0.8
    assert found["text_center_area"] == 0


def test_the_center_is_the_middle_half(stage: TextStage) -> None:
    middle, edge = (row(stage, titled(scene("hills"), top, 0.06, left=0.3)) for top in (0.45, 0.85))
    assert middle["text_center_area"] > 2 * middle["text_area"]
    assert edge["text_area"] > 0
    assert edge["text_center_area"] == 0


def test_one_sample_or_none(stage: TextStage) -> None:
    one = row(stage, titled(scene("hills"), 0.8, 0.07))
    assert one["text_area"] > 0
    assert one["text_persistence"] is None
    assert set(row(stage).values()) == {None}


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1, 1), (16, 16), (3, 700)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_have_no_text(stage: TextStage, size: tuple[int, int], level: int) -> None:
    found = row(stage, plain(*size, level=level), plain(*size, level=level))
    assert found["text_area"] == found["text_count"] == 0
    assert found["text_persistence"] is None


def test_one_thing_before_a_plain_wall_is_no_letter(stage: TextStage) -> None:
    region = np.array([[40, 10], [400, 10], [400, 250], [40, 250]])
    assert thickness(region) == pytest.approx(240)
    assert thickness(region @ np.array([[0.8, 0.6], [-0.6, 0.8]])) == pytest.approx(240, abs=0.01)
    detector = stage._detector

    class Everything:
        boxes = np.stack([region, [[10, 200], [300, 200], [300, 220], [10, 220]]])

    stage._detector = lambda _: Everything
    try:
        assert row(stage, plain())["text_count"] == 1
    finally:
        stage._detector = detector


def test_the_union_of_overlapping_regions_counts_once() -> None:
    square = np.array([[0, 0], [49, 0], [49, 49], [0, 49]])
    mask = cover([square, square + 25], 100, 200)
    found = summarize([mask], [2])
    assert found["text_area"] == pytest.approx((2 * 2500 - 625) / 20000)
    assert found["text_count"] == 2
    assert found["text_persistence"] is None


def test_persistence_of_masks() -> None:
    mask = cover([np.array([[20, 20], [79, 20], [79, 39], [20, 39]])], 200, 200)
    shifted, aside, empty = np.roll(mask, 2, 0), np.roll(mask, 60, 0), np.zeros_like(mask)
    assert persistence([mask, shifted]) == 1
    assert persistence([mask, aside]) == 0
    assert persistence([mask, mask, aside]) == 0
    assert persistence([mask, empty]) == 0
    assert persistence([empty, empty]) is None
    assert persistence([mask]) is None
    assert persistence([mask, mask.T.copy()[:, :100]]) is None


def test_the_same_in_any_order_and_again(stage: TextStage) -> None:
    clips = [
        clip(titled(scene("sea"), 0.7, 0.08), scene("sea"), name="a"),
        clip(scene("page"), scene("page", 2.0), name="b"),
        clip(scene("slides", size=(360, 640)), name="c"),
    ]
    other = TextStage(TextOptions())
    other.setup()
    assert rows(stage, clips) == rows(stage, clips[::-1]) == rows(other, [clips[1], clips[0], clips[2]])


def test_a_higher_score_finds_no_more(stage: TextStage) -> None:
    sure = TextStage(TextOptions(score=0.8))
    sure.setup()
    page = scene("desktop")
    assert row(sure, page)["text_count"] < row(stage, page)["text_count"]


def test_it_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with caplog_of("RapidOCR") as records:
        again = TextStage(TextOptions())
        again.setup()
        row(again, titled(scene("sea"), 0.7, 0.08))
    assert records == []
    assert capfd.readouterr() == ("", "")


class caplog_of:  # noqa: N801  # a context manager
    """Records of a logger that does not propagate."""

    def __init__(self, name: str) -> None:
        self._logger, self._records = logging.getLogger(name), []
        self._handler = logging.Handler()
        self._handler.emit = self._records.append  # type: ignore[method-assign]

    def __enter__(self) -> list[logging.LogRecord]:
        self._logger.addHandler(self._handler)
        return self._records

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)


def test_the_model_is_part_of_the_fingerprint() -> None:
    (digest,) = TextStage(TextOptions()).digests().values()
    assert len(digest) == 64


@pytest.mark.parametrize("package", ["rapidocr", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    stage = TextStage(TextOptions())
    for use in (stage.digests, stage.setup):
        with pytest.raises(ConfigError, match=r"cogcurate\[text\]") as caught:
            use()
        assert "\n" not in str(caught.value)


def test_a_package_without_the_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filters.text._MODEL", Path("models") / "gone.onnx")
    with pytest.raises(ConfigError, match=r"no gone\.onnx"):
        TextStage(TextOptions()).digests()
