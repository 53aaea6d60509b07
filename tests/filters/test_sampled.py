"""Which samples are looked at, and at what size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampled_clips import clip, jpeg, plain, rows

from curate.records import Failure, Row
from filters.sampled import Picture, SampledOptions, SampledStage, SampleError, evenly, fitted_size, look
from shards.schemas import column


class Levels(SampledStage):
    """The mean level of each picture looked at, and its size."""

    version = 1
    Options = SampledOptions
    provides = pa.schema([column("levels", pa.list_(pa.int64())), column("sizes", pa.list_(pa.string()))])

    def score(self, pictures: Sequence[Picture]) -> Row:
        return {
            "levels": [round(float(picture.mean())) for picture in pictures],
            "sizes": [f"{picture.shape[1]}x{picture.shape[0]}" for picture in pictures],
        }


@pytest.mark.parametrize(
    ("count", "wanted", "indices"),
    [(1, 2, [0]), (2, 2, [0, 1]), (3, 2, [0, 2]), (10, 2, [2, 7]), (10, 1, [5]), (5, 9, [0, 1, 2, 3, 4])],
)
def test_the_middles_of_equal_parts_are_looked_at(count: int, wanted: int, indices: list[int]) -> None:
    assert evenly(count, wanted) == indices


@given(st.integers(1, 300), st.integers(1, 20))
def test_samples_are_distinct_and_in_order(count: int, wanted: int) -> None:
    indices = evenly(count, wanted)
    assert len(indices) == min(count, wanted)
    assert indices == sorted(set(indices))
    assert indices[0] >= 0
    assert indices[-1] < count


@given(st.integers(1, 8000), st.integers(1, 8000), st.sampled_from([64, 256, 448]))
def test_sides_are_multiples_of_32_and_bounded(width: int, height: int, short_px: int) -> None:
    size = fitted_size(width, height, short_px)
    assert all(side % 32 == 0 and side >= 32 for side in size)
    assert max(size) <= 4 * short_px
    if max(width, height) <= 4 * min(width, height):
        assert min(size) == short_px
        wide = size[0] / size[1] * height / width
        assert 1 / 1.3 < wide < 1.3


def test_a_source_of_any_size_is_seen_at_one() -> None:
    assert {fitted_size(*size, 256) for size in ((640, 360), (1920, 1080), (320, 180), (796, 448))} == {
        (448, 256)
    }


@pytest.mark.parametrize("size", [(1, 1), (16, 9), (3, 700), (640, 360), (360, 640)])
def test_pictures_of_any_size_can_be_looked_at(size: tuple[int, int]) -> None:
    picture = look(jpeg(plain(*size, level=77)), 256)
    assert picture.shape == (*fitted_size(*size, 256)[::-1], 3)
    assert np.abs(picture.astype(int) - 77).max() <= 1


def test_a_gray_jpeg_becomes_three_equal_channels() -> None:
    gray = cv2.resize(np.arange(256, dtype=np.uint8).reshape(16, 16), (320, 180))
    picture = look(jpeg(gray), 256)
    assert picture.shape == (256, 448, 3)
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 0] == picture[..., 2]).all()


@pytest.mark.parametrize("broken", [b"", b"not a picture", jpeg(plain())[:80]])
def test_what_is_no_picture_is_refused(broken: bytes) -> None:
    with pytest.raises(SampleError, match=f"{len(broken)} bytes"):
        look(broken, 256)


def test_two_samples_of_many_are_looked_at_and_a_broken_one_fails_its_clip_alone() -> None:
    stage = Levels(SampledOptions())
    clips = [
        clip(*(plain(level=20 * n) for n in range(10)), name="long"),
        clip(plain(level=50), b"junk", name="broken"),
        clip(b"junk", plain(level=60), b"junk", plain(level=90), b"junk", name="lucky"),
        clip(name="none"),
        clip(plain(90, 160, level=30), name="one"),
    ]
    found = rows(stage, clips)
    assert found["long"] == {"levels": [40, 140], "sizes": ["448x256"] * 2}
    assert found["broken"] == Failure("SampleError", "4 bytes that are no picture")
    assert found["lucky"] == {"levels": [60, 90], "sizes": ["448x256"] * 2}
    assert found["none"] == {"levels": [], "sizes": []}
    assert found["one"] == {"levels": [30], "sizes": ["256x448"]}
