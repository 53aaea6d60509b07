"""Moved stills told from scenes: on numbers, on the gold corpus and more of its kind, on real clips."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from curate.footage.camera import Camera
from curate.footage.canvas import View
from curate.footage.encode import Encoding, encode
from curate.footage.film import Film, Shot, frames
from curate.frames import Plane, SmallFrame
from curate.video import open_video
from filters.camera import Similarity
from filters.motion import MotionSignal
from filters.shots import ShotDetector, ShotOptions
from filters.stills import StillPair, align, leftover, start_between, still_score

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
HEIGHT, WIDTH = 90, 160
REST = Similarity(0, 0, 0, 0)


@pytest.fixture(scope="module")
def photo() -> npt.NDArray[np.float32]:
    """Detail at several scales, 400 x 400."""
    rng = np.random.default_rng(8)
    layers = [cv2.GaussianBlur(rng.normal(0, 40 * s, (400, 400)), (0, 0), s) for s in (1.5, 4, 12)]
    image: npt.NDArray[np.float32] = np.clip(128 + sum(layers), 0, 255).astype(np.float32)
    return image


def seen(photo: npt.NDArray[np.float32], move: Similarity, noise: float = 0.0, seed: int = 0) -> Plane:
    """Return the photograph as it is seen after the camera's move."""
    matrix = move.matrix(WIDTH, HEIGHT) @ np.array([[1, 0, -120], [0, 1, -150], [0, 0, 1.0]])
    image = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    image = image + np.random.default_rng(seed).normal(0, noise, image.shape) if noise else image
    plane: Plane = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return plane


MOVES = [
    Similarity(0.02, 0.01, 0, 0),
    Similarity(0, 0, 0.04, 0),
    Similarity(0, 0, 0, 0.03),
    Similarity(-0.02, 0, -0.03, 0.02),
]


@pytest.mark.parametrize("move", MOVES)
def test_a_photograph_is_laid_over_itself(photo: npt.NDArray[np.float32], move: Similarity) -> None:
    first, second = seen(photo, REST, 1, 1), seen(photo, move, 1, 2)
    start = Similarity(move.x * 0.8, move.y * 0.8, move.zoom * 0.8, move.roll * 0.8)
    found = align(first, second, start)
    for name in ("x", "y", "zoom", "roll"):
        assert getattr(found, name) == pytest.approx(getattr(move, name), abs=8e-4)
    left = leftover(first, second, found)
    assert left is not None
    assert left < 0.3


def test_brightness_is_no_motion(photo: npt.NDArray[np.float32]) -> None:
    first, second = seen(photo, REST), seen(photo, MOVES[0])
    brighter = cv2.add(second, np.full_like(second, 20))
    left = leftover(first, brighter, align(first, brighter, REST))
    assert left is not None
    assert left < 0.3


def test_a_mover_is_left_over(photo: npt.NDArray[np.float32]) -> None:
    first, second = seen(photo, REST), seen(photo, MOVES[0])
    first[40:56, 30:46], second[40:56, 60:76] = 10, 10
    left = leftover(first, second, align(first, second, REST))
    assert left is not None
    assert left > 1


def test_frames_without_overlap_say_nothing(photo: npt.NDArray[np.float32]) -> None:
    assert leftover(seen(photo, REST), seen(photo, REST), Similarity(0.9, 0, 0, 0)) is None


def test_blank_frames_do_not_move() -> None:
    blank = np.full((HEIGHT, WIDTH), 30, np.uint8)
    assert align(blank, blank, REST) == REST
    assert leftover(blank, blank, REST) == 0


def test_the_start_is_what_the_camera_did_meanwhile() -> None:
    blank = np.zeros((HEIGHT, WIDTH), np.uint8)
    pair = StillPair(1.0, 1.5, blank, blank)
    moves = [
        (0.9, 0.1, Similarity(9, 9, 9, 9)),
        (1.0, 0.1, Similarity(0.01, 0, 0.02, 0)),
        (1.2, 0.05, Similarity(0.01, 0, 0, 0)),
        (1.3, 0.1, None),
        (1.5, 0.1, Similarity(9, 9, 9, 9)),
    ]
    start = start_between(pair, moves)
    assert (start.x, start.zoom) == (pytest.approx(0.075), pytest.approx(0.05))
    assert start_between(pair, []) == REST


def test_the_score_is_by_the_worst_pair(photo: npt.NDArray[np.float32]) -> None:
    first, second = seen(photo, REST, 1, 1), seen(photo, REST, 1, 2)
    still = StillPair(0.0, 0.5, first, second)
    changed = second.copy()
    changed[20:60, 20:60] = 0
    scene = StillPair(0.0, 0.5, first, changed)
    assert still_score([], []) is None
    score, of_scene = still_score([still] * 3, []), still_score([still, scene, still], [])
    assert score is not None
    assert of_scene is not None
    assert score > 0.8
    assert of_scene < 0.1


def test_slides_with_a_cut_between_them_are_stills(photo: npt.NDArray[np.float32]) -> None:
    one, two = seen(photo, REST), seen(photo[::-1].copy(), REST)
    frozen, cut = StillPair(0.0, 0.5, one, one), StillPair(1.0, 1.5, one, two)
    assert still_score([frozen, cut, frozen], []) == 1
    of_cuts = still_score([cut, cut, frozen], [])
    assert of_cuts is not None
    assert of_cuts < 0.1


SCENES = (
    "aerial", "balls", "birds", "city", "clockwork", "cloth", "drive", "fire", "forest", "hands", "lake",
    "meadow", "reef", "sea", "street", "talker",
)  # fmt: skip
MOVED = (
    Camera("pan", 0.05, start=View(x=-0.1)),
    Camera("zoom", 0.09),
    Camera("tilt", -0.04),
    Camera("roll", 0.06),
    Camera("zoom", -0.08, start=View(zoom=1.15)),
    Camera("pan", -0.02),
)


def score_of(path: Path, start: int = 0, end: int | None = None) -> float | None:
    signal, count = MotionSignal(MotionSignal.Options()), 0
    with open_video(str(path)) as video:
        for frame in video:
            if end is not None and count == end:
                break
            if count >= start:
                signal.push([frame.small()])
            count += 1
    score = signal.summary(start, count)["still_score"]
    assert score is None or isinstance(score, float)
    return score


def area_under_roc(stills: list[float], scenes: list[float]) -> float:
    """Return how often a still's score is above a scene's; Hanley and McNeil 1982."""
    one, two = np.array(stills)[:, None], np.array(scenes)[None]
    return float((one > two).mean() + 0.5 * (one == two).mean())


def rendered(folder: Path) -> Iterator[tuple[bool, float]]:
    """Yield (still?, score) of photographs of each scene, moved over, and of the scenes themselves."""
    for n, scene in enumerate(SCENES):
        light, camera = ("night" if scene == "fire" else "noon"), MOVED[n % len(MOVED)]
        for still, move in ((True, camera), (False, camera), (False, Camera())):
            film = Film((Shot(scene, 55, seed=20 + n, light=light, still=still, camera=move),))
            path = folder / f"{scene}.mp4"
            how = Encoding(options=(("preset", "veryfast"), ("crf", str((20, 23, 26)[n % 3]))))
            encode(path, frames(film), film.size, film.ticks(), film.fps, how)
            score = score_of(path)
            assert score is not None
            yield still, score


@pytest.mark.slow
def test_stills_and_scenes_are_told_apart(gold: Path, tmp_path: Path) -> None:
    """The gold corpus has few moved stills, so sixteen more are rendered, each with its scene twice."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for still, score in rendered(tmp_path):
        found[still].append(score)
    for record in json.loads((gold / "truth.json").read_text()):
        if record["outcome"] != "clips" or record["duplicate_of"] or record["near_duplicate_of"]:
            continue
        for shot in record["shots"]:
            still = shot["moved_still"] or shot["frozen_share"] > 0.9
            moves = shot["object_motion"] and shot["frozen_share"] == 0
            screen = shot["scene"] in ("slides", "page", "desktop")
            if shot["end_frame"] - shot["start_frame"] < 25 or not (still or moves) or screen:
                continue
            score = score_of(gold / record["file"], shot["start_frame"], shot["end_frame"])
            if score is not None:
                found[still].append(score)
    assert len(found[True]) >= 20
    assert len(found[False]) >= 100
    assert area_under_roc(found[True], found[False]) >= 0.98


def labelled(word: str) -> list[str]:
    if not (DATA / "clips.csv").is_file():
        return []
    with (DATA / "clips.csv").open(newline="", encoding="utf-8") as lines:
        return [row["file"] for row in csv.DictReader(lines) if word in row["labels"]]


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not there")
def test_real_slideshows_are_caught() -> None:
    """Shot by shot, as the split pass cuts them."""
    names = labelled("static(slideshow)")
    assert names
    for name in names:
        signal, detector = MotionSignal(MotionSignal.Options()), ShotDetector(ShotOptions())
        starts, ends, count = [0], [], 0
        with open_video(str(DATA / "clips" / name)) as video:
            for frame in video:
                small: SmallFrame = frame.small()
                signal.push([small])
                for boundary in detector.push([small]):
                    ends.append(boundary.end_frame)
                    starts.append(boundary.start_frame)
                count += 1
        for boundary in detector.finish():
            ends.append(boundary.end_frame)
            starts.append(boundary.start_frame)
        spans = [(a, b) for a, b in zip(starts, [*ends, count], strict=True) if b - a >= 25]
        verdicts = [signal.summary(a, b)["moved_still"] for a, b in spans]
        assert len(verdicts) > 5
        assert all(verdicts), list(zip(spans, verdicts, strict=True))


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the real clips are not there")
def test_clean_real_clips_are_not_accused() -> None:
    names = labelled("clean")
    scores = {name: score_of(DATA / "clips" / name, 0, 250) for name in names}
    accused = {name: score for name, score in scores.items() if score is not None and score >= 0.5}
    assert len(names) > 20
    assert len(accused) <= 0.05 * len(names), accused
