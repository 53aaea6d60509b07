"""Farneback's score: which frames, known shifts, the published figures, the stage on rendered clips."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from curate.frames import Plane
from curate.records import Clip, Failure
from filters.farneback import Farneback, FarnebackOptions, farneback_length, motion_farneback, sampled
from tests.media import write_video

REAL = Path(__file__).resolve().parents[2] / "../shared/data/clips"


def texture(shift_px: int = 0) -> Plane:
    noise = np.random.default_rng(5).normal(128, 120, (160, 280)).astype(np.float32)
    plane: Plane = cv2.GaussianBlur(noise, (0, 0), 3).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(plane[:, 20 + shift_px : 220 + shift_px])


def clip_of(path: Path, frames: int, fps: float | None) -> Clip:
    return Clip({"clip_id": "a", "frames": frames, "fps": fps}, lambda: (), path.read_bytes)


def test_which_frames() -> None:
    assert list(sampled("data-juicer", 24, 40, 2)) == [0, 1, 12, 24, 36]
    assert list(sampled("videox-fun", 24, 40, 2)) == [0, 12, 24, 36]
    assert list(sampled("data-juicer", 29.97, 40, 2)) == [0, 1, 15, 30]
    assert list(sampled("videox-fun", 29.97, 40, 2)) == [0, 14, 28]
    assert list(sampled("videox-fun", 24, 5, 2)) == [0, 4]
    assert list(sampled("data-juicer", 1, 4, 2)) == [0, 1, 2, 3]
    assert list(sampled("data-juicer", 24, 1, 2)) == [0]


def test_a_shift_has_its_length() -> None:
    assert farneback_length(texture(), texture(3)) == pytest.approx(3, abs=0.3)
    assert farneback_length(texture(), texture()) == pytest.approx(0, abs=0.01)


def test_the_mean_is_over_pairs() -> None:
    one, two = farneback_length(texture(), texture(2)), farneback_length(texture(2), texture(6))
    planes = [texture(), texture(2), texture(6)]
    assert motion_farneback(planes) == pytest.approx((one + two) / 2)
    assert motion_farneback(planes, relative=True) == pytest.approx((one + two) / 2 / np.hypot(160, 200))
    assert motion_farneback(planes[:1]) is None


def test_the_stage_scores_clips_and_says_what_fails(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [(128, 2.0)])
    stage = Farneback(FarnebackOptions())
    row, one_frame, short = stage.process(
        [clip_of(path, 40, 20.0), clip_of(path, 1, None), clip_of(path, 400, 20.0)]
    )
    assert isinstance(row, dict)
    assert 1 < row["motion_farneback"] < 30
    assert one_frame == {"motion_farneback": None}
    assert short == Failure("SourceError", "only 40 of 391 frames can be decoded")


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not there")
@pytest.mark.parametrize(
    ("name", "frames", "published"),
    [("video1", 282, 1.869317), ("video2", 556, 3.52111), ("video3", 1190, 1.1731424)],
)
def test_the_published_figures(name: str, frames: int, published: float) -> None:
    clip = clip_of(REAL / f"data-juicer--{name}.mp4", frames, 24.0)
    (row,) = Farneback(FarnebackOptions()).process([clip])
    assert isinstance(row, dict)
    assert row["motion_farneback"] == pytest.approx(published, abs=1e-4)
