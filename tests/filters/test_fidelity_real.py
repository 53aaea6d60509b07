"""Fidelity and overlays of filmed footage, where it is at hand: what was seen in it, and what was not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from curate.video import open_video
from filters.fidelity import FidelitySignal
from filters.overlay import OverlaySignal

CLIPS = Path(__file__).resolve().parents[2] / "../shared/data/clips"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not beside the project"),
]


@cache
def columns(name: str) -> dict[str, float | None]:
    """Columns over a whole file."""
    fidelity, overlay = FidelitySignal(FidelitySignal.Options()), OverlaySignal(OverlaySignal.Options())
    count = 0
    with open_video(str(CLIPS / name)) as video:
        for frame in video:
            small = frame.small()
            fidelity.push([small])
            overlay.push([small])
            count += 1
    return {**fidelity.summary(0, count), **overlay.summary(0, count)}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "name",
    ["Panda-70M--8CwuRmhm_PA.2.mp4", "Panda-70M--27JMPcO4byc.33.mp4", "Panda-70M--video2.mp4"],
)
def test_progressive_footage_of_fine_texture_is_not_combed(name: str) -> None:
    assert columns(name)["interlaced"] == 0


def test_an_old_codec_without_deblocking_is_blockier_than_a_new_one() -> None:
    coarse, fine = (
        columns(name)["blockiness"] for name in ("bgslibrary--video.avi", "editly-assets--lofoten.mp4")
    )
    assert coarse is not None
    assert fine is not None
    assert coarse > 0.5
    assert fine < 0.1


def test_a_soft_clip_is_softer_than_a_sharp_one() -> None:
    soft, sharp = (
        columns(f"Panda-70M--{n}.mp4")["sharpness_native"] for n in ("vE7ciKU5KM4.4", "8CwuRmhm_PA.2")
    )
    assert soft is not None
    assert sharp is not None
    assert soft < sharp - 0.2


@pytest.mark.parametrize(
    "name", ["Panda-70M--mYvSJp7_aYQ.53.mp4", "data-juicer--video1.mp4", "data-juicer--video2.mp4"]
)
def test_subtitles_are_seen(name: str) -> None:
    share = columns(name)["subtitle_band"]
    assert share is not None
    assert share >= 0.5


@pytest.mark.parametrize("name", ["Panda-70M--TPVvXvf4xRc.9.mp4", "DOVER--e4dv6ZsFzHE_000243_000253.mp4"])
def test_names_laid_over_the_picture_are_seen(name: str) -> None:
    area = columns(name)["overlay_area"]
    assert area is not None
    assert area > 0.005


@pytest.mark.parametrize("name", ["Panda-70M--27JMPcO4byc.33.mp4", "Ask-Anything--hitting_baseball.mp4"])
def test_clean_footage_has_neither(name: str) -> None:
    row = columns(name)
    assert row["overlay_area"] == 0
    assert row["subtitle_band"] == 0
