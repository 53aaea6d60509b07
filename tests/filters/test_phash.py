from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from copies import sampled

from curate.footage.corpus.entries import one
from curate.footage.film import frames
from curate.records import Clip, Sample
from filters.phash import (
    BLOCK_BYTES,
    HASH_BYTES,
    MIRRORED,
    VIEWS,
    PerceptualHash,
    PhashOptions,
    block_means,
    decode_luma,
    middle,
    pdq,
)
from shards.errors import ConfigError

SCENES = ("street", "reef", "lake", "talker", "city", "balls")


def luma(scene: str) -> np.ndarray:
    (picture,) = frames(one(scene, 1, seed=31))
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def bits(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.bitwise_count(a ^ b).sum())


def rows(*clips: tuple[Sample, ...], **options: int) -> list[dict[str, list[bytes | None]]]:
    stage = PerceptualHash(PhashOptions(**options))
    stage.setup()
    return stage.process([Clip({}, lambda s=samples: s, bytes) for samples in clips])  # type: ignore[return-value,misc]


@pytest.mark.parametrize("scene", SCENES)
def test_the_mirrored_picture_needs_no_hash_of_its_own(scene: str) -> None:
    picture = luma(scene)
    assert bits(pdq(picture)[0] ^ MIRRORED, pdq(picture[:, ::-1])[0]) <= 32


def test_unlike_pictures_have_unlike_hashes_and_copies_like_ones() -> None:
    hashes = {scene: pdq(luma(scene))[0] for scene in SCENES}
    for scene, code in hashes.items():
        small = cv2.resize(luma(scene), (240, 136), interpolation=cv2.INTER_AREA)
        assert bits(code, pdq(small)[0]) <= 24
        assert all(bits(code, other) > 80 for name, other in hashes.items() if name != scene)


def test_a_view_is_the_hash_of_the_cropped_copy() -> None:
    picture = luma("reef")
    height, width = picture.shape
    y, x = round(height * 0.07), round(width * 0.07)
    crop = picture[y : height - y, x : width - x]
    assert bits(pdq(middle(picture, 0.87))[0], pdq(crop)[0]) <= 24
    assert bits(pdq(picture)[0], pdq(crop)[0]) > 48


def test_block_means() -> None:
    picture = np.kron(np.arange(64, dtype=np.uint8).reshape(8, 8), np.ones((9, 16), np.uint8))
    assert block_means(picture).tolist() == list(range(64))


def test_hashes_do_not_depend_on_where_in_memory_a_picture_lies() -> None:
    picture = luma("street")
    buffer = np.zeros(picture.size + 64, np.uint8)
    for offset in (1, 3, 17):
        moved = buffer[offset : offset + picture.size].reshape(picture.shape)
        moved[:] = picture
        assert pdq(moved)[0].tobytes() == pdq(picture)[0].tobytes()
        assert block_means(moved).tobytes() == block_means(picture).tobytes()


def test_plain_and_broken_samples_are_left_out_in_their_places() -> None:
    gray = np.full((270, 480, 3), 40, np.uint8)
    (picture,) = frames(one("street", 1, seed=31))
    good, plain = (sampled([(0.0, image)])[0] for image in (picture, gray))
    (row,) = rows((good, plain, Sample(2.0, b"no JPEG"), good))
    assert [code is None for code in row["phash"]] == [False, True, True, False]
    assert [code is None for code in row["phash_blocks"]] == [False, True, True, False]
    assert len(row["phash"][0] or b"") == HASH_BYTES * len(VIEWS)
    assert len(row["phash_blocks"][0] or b"") == BLOCK_BYTES
    assert row["phash"][0] == row["phash"][3]


def test_a_clip_is_the_same_in_any_batch_and_has_so_many_hashes_at_most() -> None:
    clips = [sampled((float(n), f) for n, f in enumerate(frames(one(s, 3, seed=7)))) for s in SCENES[:2]]
    assert rows(*clips) == [*rows(clips[0]), *rows(clips[1])]
    assert [len(row["phash"]) for row in rows(*clips, samples=2)] == [2, 2]


def test_small_samples_are_decoded_large_enough() -> None:
    for height, expected in ((448, 112), (144, 72), (90, 90)):
        data = cv2.imencode(".jpg", np.zeros((height, height * 2), np.uint8))[1]
        picture = decode_luma(bytes(data))
        assert picture is not None
        assert picture.shape == (expected, expected * 2)


def test_without_pdqhash_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pdqhash", None)
    with pytest.raises(ConfigError, match=r"cogcurate\[dedup\]"):
        PerceptualHash(PhashOptions()).setup()
