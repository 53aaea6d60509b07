"""The gold corpus: rendered a few files at a time, decoded, and held against its own truth."""

from __future__ import annotations

import csv
import json
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from curate.footage import render_gold
from curate.footage.corpus import CORPUS, Copy, Derived, Rendered, Sound
from curate.footage.film import spans
from curate.footage.truth import COLUMNS, shots_of
from shards.errors import InputError

FILES = (
    "fast-cuts.mp4", "open-gop.mp4", "vp8.webm", "mpeg4-b-frames.avi", "variable-rate.mp4",
    "delayed-start.ts",
    "hevc-10-bit.mp4", "av1.mp4", "odd-size.webm", "rotated-90.mov", "anamorphic.mp4", "several-streams.mkv",
    "it's 100%25 \"odd\" #1 [a]{b}.mp4", "photo.webp", "sound-only.mp4", "frozen.mp4", "fish-copy.mp4",
    "truncated.mp4", "truncated-no-index.mp4", "corrupted.ts", "empty.mp4", "not-a-video.mp4",
    "lying-header.mp4",
    "lying-size.png", "header-only.webm",
)  # fmt: skip
CODEC_NAMES = {"libdav1d": "av1"}


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_gold(tmp_path_factory.mktemp("gold"), only=FILES, processes=2).parent


@pytest.fixture(scope="module")
def truth(gold: Path) -> dict[str, dict[str, object]]:
    return {row["file"]: row for row in json.loads((gold / "truth.json").read_text(encoding="utf-8"))}


def lumas(path: Path) -> list[npt.NDArray[np.float32]]:
    """Return the luma planes of the first video stream, every eighth pixel, as far as it decodes."""
    found = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                plane = frame.planes[0]
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                found.append(rows[::4, : plane.width : 4].astype(np.float32))
    except (av.FFmpegError, IndexError):
        return found
    return found


def test_every_file_named_is_there_and_in_both_truths(
    gold: Path, truth: dict[str, dict[str, object]]
) -> None:
    with (gold / "truth.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert (
        [row["file"] for row in rows]
        == list(truth)
        == [entry.file for entry in CORPUS if entry.file in FILES]
    )
    assert {path.name for path in gold.iterdir()} == {*FILES, "truth.csv", "truth.json"}
    for row in rows:
        assert int(row["bytes"]) == (gold / row["file"]).stat().st_size


def test_sound_files_decode_to_what_the_truth_says(gold: Path, truth: dict[str, dict[str, object]]) -> None:
    checked = 0
    for name, row in truth.items():
        if row["outcome"] != "clips" or row["frames"] is None:
            continue
        with av.open(str(gold / name)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context.name
            assert CODEC_NAMES.get(codec, codec) == row["codec"] or row["container"] in (
                "jpeg",
                "png",
                "webp",
            )
            assert (stream.width, stream.height) == (row["width"], row["height"])
            assert str(row["container"]) in container.format.name or row["container"] in (
                "jpeg",
                "png",
                "webp",
            )
            assert bool(container.streams.audio) == (row["audio"] is not None)
        assert len(lumas(gold / name)) == row["frames"], name
        checked += 1
    assert checked >= 14


def test_hard_cuts_are_where_the_picture_changes(gold: Path, truth: dict[str, dict[str, object]]) -> None:
    cuts = 0
    for name, row in truth.items():
        if row["cut_truth"] != "exact" or not row["hard_cuts"] or row["gradual"]:
            continue
        frames = lumas(gold / name)
        change = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
        places = np.array(row["hard_cuts"]) - 1
        others = np.delete(change, places)
        assert change[places].min() > 1.5 * others.max(), name
        cuts += len(places)
    assert cuts > 15


def test_metadata_that_players_obey_is_there(gold: Path) -> None:
    with av.open(str(gold / "rotated-90.mov")) as container:
        assert next(container.decode(video=0)).rotation % 360 in (90, 270)
    with av.open(str(gold / "anamorphic.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    with av.open(str(gold / "delayed-start.ts")) as container:
        assert next(container.decode(video=0)).time == pytest.approx(37.5)
    with av.open(str(gold / "variable-rate.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len({round(float(b - a), 4) for a, b in pairwise(times) if a is not None and b is not None}) == 3
    with av.open(str(gold / "several-streams.mkv")) as container:
        assert Counter(stream.type for stream in container.streams) == {"video": 2, "audio": 1}


def test_broken_files_are_broken(gold: Path, truth: dict[str, dict[str, object]]) -> None:
    counts = {name: len(lumas(gold / name)) for name in truth if truth[name]["labels"] == "corrupt"}
    for name, row in truth.items():
        if row["labels"] == "corrupt" and row["outcome"] == "failure":
            assert counts[name] == 0, name
    assert 0 < counts["truncated.mp4"] < 75
    assert counts["corrupted.ts"] < 62
    assert counts["lying-header.mp4"] == 62
    data = (gold / "lying-header.mp4").read_bytes()
    at = data.index(b"mvhd") + 20
    assert int.from_bytes(data[at : at + 4], "big") > 10**9
    with av.open(str(gold / "sound-only.mp4")) as container:
        assert not container.streams.video


def test_a_frozen_film_repeats_one_frame_and_a_copy_its_original(
    gold: Path, truth: dict[str, dict[str, object]]
) -> None:
    frames = lumas(gold / "frozen.mp4")
    assert np.median([np.abs(b - a).mean() for a, b in pairwise(frames)]) < 0.05
    assert truth["fish-copy.mp4"]["duplicate_of"] == "fish.mp4"


def test_the_same_bytes_twice(gold: Path, tmp_path: Path) -> None:
    names = ["several-streams.mkv", "vp8.webm", "rotated-90.mov", "photo.webp", "truncated.mp4"]
    render_gold(tmp_path, only=names, processes=1)
    for name in names:
        assert (tmp_path / name).read_bytes() == (gold / name).read_bytes(), name


def test_an_unknown_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing-like-it"):
        render_gold(tmp_path, only=["nothing-like-it.mp4"])


def test_the_list_covers_what_it_should() -> None:
    assert len({entry.file for entry in CORPUS}) == len(CORPUS)
    made = [entry for entry in CORPUS if isinstance(entry, Rendered)]
    names = {entry.file for entry in made}
    assert {entry.of for entry in CORPUS if isinstance(entry, Copy | Derived)} <= names
    assert {entry.near_duplicate_of for entry in made} - {None} <= names
    assert {entry.how.codec for entry in made} == {
        "libx264",
        "libx265",
        "libvpx",
        "libvpx-vp9",
        "libsvtav1",
        "mpeg4",
    }
    suffixes = {Path(entry.file).suffix for entry in CORPUS}
    assert suffixes == {".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".jpg", ".png", ".webp"}
    assert any(isinstance(entry, Sound) for entry in CORPUS)
    kinds = {join.kind for entry in made for join in entry.film.between()}
    assert kinds == {"cut", "dissolve", "black", "white", "wipe", "iris"}


@pytest.mark.parametrize(
    "entry", [entry for entry in CORPUS if isinstance(entry, Rendered)], ids=lambda entry: entry.file
)
def test_truth_tiles_the_film(entry: Rendered) -> None:
    film = entry.film
    shots, cuts, gradual = shots_of(film)
    covered = np.zeros(film.total(), np.int64)
    for shot in shots:
        covered[shot.start_frame : shot.end_frame] += 1
    for start, end in gradual:
        covered[start:end] += 1
    assert (covered == 1).all()
    starts = {span.start_frame for span in spans(film)}
    assert set(cuts) <= starts
    assert all(shot.transition_out != "hard" or shot.end_frame in cuts for shot in shots)
    assert len(film.ticks()) == film.total() + 1
