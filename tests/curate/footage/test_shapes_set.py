"""The learning set: captions that the pixels bear out, in shards that stock readers take."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from curate.footage import render_shapes
from curate.footage.drawing import COLORS, DIRECTIONS, SHAPES
from curate.footage.plain_shapes import WAYS
from shards.errors import InputError
from shards.reader import ManifestReader
from shards.verify import verify

COUNT = 48


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    assert render_shapes(folder, COUNT, seed=3, processes=1) == folder / "manifest.parquet"
    return folder


def pixels(media: bytes) -> npt.NDArray[np.float32]:
    with av.open(io.BytesIO(media)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.float32) / 255


def middle(frame_HW3: npt.NDArray[np.float32], color: str, other: str | None) -> tuple[float, float]:
    """Return the middle (x, y in 0..1) of the pixels whose hue and brightness are nearest to `color`'s."""
    names = [color, other] if other else [color]
    distance = [np.abs(frame_HW3 - np.float32(COLORS[name])).sum(axis=2) for name in names]
    near = distance[0] < 0.55
    if other:
        near &= distance[0] < distance[1]
    y, x = np.nonzero(near)
    return float(np.median(x)) / frame_HW3.shape[1], float(np.median(y)) / frame_HW3.shape[0]


def test_the_shape_has_the_colour_and_goes_the_way_that_the_caption_says(shapes: Path) -> None:
    agree = 0
    for sample in ManifestReader(str(shapes / "manifest.parquet"), verify=True):
        row, video = sample.row, pixels(sample.media)
        assert video.shape == (17, 64, 64, 3)
        assert f"{row['color']} {row['shape']}" in row["caption"]
        dx, dy, words = DIRECTIONS[row["direction"]]
        assert words in row["caption"]
        first = middle(video[0], row["color"], row["second_color"])
        last = middle(video[-1], row["color"], row["second_color"])
        expected = (row["end_x"] - row["start_x"], row["end_y"] - row["start_y"])
        moved = (last[0] - first[0], last[1] - first[1])
        assert np.sign(expected).tolist() == [dx, dy]
        agree += np.hypot(moved[0] - expected[0], moved[1] - expected[1]) < 0.1
    assert agree >= 0.95 * COUNT  # a second shape, or a highlight, may blur a colour at one end


def test_the_shards_are_sound_and_sorted(shapes: Path) -> None:
    assert verify(str(shapes), decode=lambda media: len(pixels(media))) == []
    rows = pq.read_table(shapes / "manifest.parquet").to_pylist()
    assert len(rows) == COUNT
    assert [row["clip_id"] for row in rows] == sorted(row["clip_id"] for row in rows)
    assert len({row["clip_id"] for row in rows}) == COUNT
    assert {row["shape"] for row in rows} == set(SHAPES)
    assert json.loads((shapes / "stats.json").read_text())["clips"] == COUNT


# webdataset leaves its last shard open for the garbage collector to close.
@pytest.mark.filterwarnings(
    "ignore:.*unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_stock_webdataset_reads_them(shapes: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    samples = list(webdataset.WebDataset(str(shapes / "00000.tar"), shardshuffle=False))
    assert len(samples) == COUNT
    assert {"mp4", "txt", "json"} <= set(samples[0])
    assert json.loads(samples[0]["json"])["caption"] == samples[0]["txt"].decode()


def test_the_same_bytes_twice_and_others_for_another_seed(shapes: Path, tmp_path: Path) -> None:
    render_shapes(tmp_path / "again", COUNT, seed=3, processes=1)
    render_shapes(tmp_path / "other", COUNT, seed=4, processes=1)
    for name in ("00000.tar", "manifest.parquet", "stats.json"):
        assert (tmp_path / "again" / name).read_bytes() == (shapes / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (shapes / name).read_bytes()


@pytest.mark.parametrize("options", [{"size_px": 63}, {"size_px": 8}, {"frames": 1}, {"count": 0}])
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="shapes of"):
        render_shapes(tmp_path, **{"count": 1, **options})


def test_plain_clips_show_all_that_their_one_sentence_says(tmp_path: Path) -> None:
    render_shapes(tmp_path, COUNT, seed=5, size_px=84, frames=26, plain=True, processes=1)
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    told = {row["source_id"]: row["caption"] for row in truth}
    assert len(told) == COUNT
    for sample in ManifestReader(str(tmp_path / "manifest.parquet"), verify=True):
        row, video = sample.row, pixels(sample.media)
        assert video.shape == (26, 84, 84, 3)
        dx, dy, words = WAYS[row["direction"]]
        article = "An" if row["color"] == "orange" else "A"
        assert row["caption"] == told[row["source_id"]] == f"{article} {row['color']} {row['shape']} {words}."
        first, last = (middle(video[at], row["color"], None) for at in (0, -1))
        moved = (last[0] - first[0], last[1] - first[1])
        assert [round(step / 0.42) for step in moved] == [dx, dy]
    assert {row["direction"] for row in truth} == set(WAYS)
