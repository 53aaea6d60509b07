"""The same motion in another size, rate, container, compression or direction is the same motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from curate.footage.camera import Camera
from curate.footage.encode import Encoding, encode
from curate.footage.film import Film, Shot, frames
from curate.footage.textures import Image
from curate.records import Row
from curate.video import open_video
from filters.motion import MotionSignal

REAL = Path(__file__).resolve().parents[2] / "../shared/data/clips"
COLUMNS = ("motion_total", "motion_camera", "motion_object")

SHOTS = {
    "things": Shot("hands", 150, seed=5),
    "pan": Shot("hills", 150, seed=11, camera=Camera("pan", 0.08)),
    "pan and traffic": Shot("street", 150, seed=9, light="overcast", camera=Camera("pan", -0.06)),
    "photograph": Shot("lake", 150, seed=10, still=True, camera=Camera("zoom", 0.09)),
    "handheld": Shot("aerial", 150, seed=4, camera=Camera("handheld", 0.025)),
}
CLIPS = (
    "Koala-36M--4.36_NRiRCe2ok0M_21.mp4.mp4",
    "Panda-70M--8CwuRmhm_PA.2.mp4",
    "Rerender_A_Video--pexels-koolshooters-7322716.mp4",
    "FastVideo--yYcK4nANZz4-Scene-030.mp4",
)


def resized(scale: float) -> Callable[[Sequence[Image]], list[Image]]:
    def change(pictures: Sequence[Image]) -> list[Image]:
        height, width = pictures[0].shape[:2]
        size = (round(width * scale) // 2 * 2, round(height * scale) // 2 * 2)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return [cv2.resize(picture, size, interpolation=how) for picture in pictures]

    return change


CHANGES: dict[str, tuple[Callable[[Sequence[Image]], Sequence[Image]], str, int]] = {
    "half size": (resized(0.5), ".mp4", 18),
    "double size": (resized(2), ".mp4", 18),
    "mirrored": (
        lambda pictures: [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures],
        ".mp4",
        18,
    ),
    "another container": (lambda pictures: pictures, ".mkv", 18),
    "CRF 23": (lambda pictures: pictures, ".mp4", 23),
    "reversed": (lambda pictures: pictures[::-1], ".mp4", 18),
}


def measured(path: Path, pictures: Sequence[Image], fps: Fraction, crf: int = 18) -> Row:
    height, width = pictures[0].shape[:2]
    how = Encoding(options=(("preset", "veryfast"), ("crf", str(crf))))
    encode(path, iter(pictures), (width, height), list(range(len(pictures) + 1)), fps, how)
    signal, count = MotionSignal(MotionSignal.Options()), 0
    with open_video(str(path)) as video:
        for frame in video:
            signal.push([frame.small()])
            count += 1
    return signal.summary(0, count)


def differences(one: Row, two: Row) -> dict[str, tuple[float, float]]:
    """Return the columns that differ by more than a tenth and 0.003 diagonals a second."""
    return {
        name: (one[name], two[name])
        for name in COLUMNS
        if abs(one[name] - two[name]) > max(0.1 * one[name], 0.003)
    }


@pytest.mark.slow
@pytest.mark.parametrize("shot", SHOTS)
def test_rendered_motion_survives(tmp_path: Path, shot: str) -> None:
    film = Film((SHOTS[shot],), size=(480, 270), fps=Fraction(60))
    sixty = list(frames(film))
    plain = measured(tmp_path / "plain.mp4", sixty[::2], Fraction(30))
    assert plain["motion_total"] > 0.004
    wrong = {}
    for name, (change, suffix, crf) in CHANGES.items():
        row = measured(tmp_path / f"changed{suffix}", change(sixty[::2]), Fraction(30), crf)
        wrong[name] = differences(plain, row)
        assert row["camera"] == plain["camera"], name
    faster = measured(tmp_path / "sixty.mp4", sixty, Fraction(60))
    wrong["60 frames a second"] = differences(plain, faster)
    assert faster["camera"] == plain["camera"]
    assert {name: what for name, what in wrong.items() if what} == {}


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not there")
@pytest.mark.parametrize("name", CLIPS)
def test_real_motion_survives(tmp_path: Path, name: str) -> None:
    pictures = list(islice(decoded(REAL / name), 75))
    rate = Fraction(25)
    plain = measured(tmp_path / "plain.mp4", pictures, rate)
    wrong = {}
    for change_name, (change, suffix, crf) in CHANGES.items():
        row = measured(tmp_path / f"changed{suffix}", change(pictures), rate, crf)
        wrong[change_name] = differences(plain, row)
    assert {change_name: what for change_name, what in wrong.items() if what} == {}


def decoded(path: Path) -> Iterator[Image]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            height, width = picture.shape[:2]
            size = (640, round(640 * height / width) // 2 * 2)
            yield cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
