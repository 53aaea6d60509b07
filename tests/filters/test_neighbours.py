from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.neighbours import (
    Samples,
    among,
    colliding,
    hamming,
    indexed,
    merged,
    near_samples,
    row_keys,
)
from filters.phash import MIRRORED
from filters.waves import KEY_BITS, NO_KEY


def pictures(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(20, 236, (count, 64), np.uint8)


def hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 3, 4), np.uint64)


def test_hamming() -> None:
    a = np.zeros((2, 4), np.uint64)
    b = np.array([[0, 0, 0, 0b1011], [2**64 - 1] * 4], np.uint64)
    assert hamming(a, b).tolist() == [3, 256]


def test_keys_of_the_mirrored_hash() -> None:
    codes = hashes(50)
    mirrored = codes ^ MIRRORED.view(np.uint64)
    for view, triple in product(range(3), range(8)):
        keys = row_keys(mirrored, view, triple)
        assert (keys == row_keys(codes, view, triple, mirrored=True)).all()
        assert (keys != row_keys(codes, view, triple)).any()
        assert keys.max() < 2**KEY_BITS


@settings(deadline=None)
@given(st.data())
def test_samples_collide_as_they_do_by_brute_force(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    clip = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    some = st.lists(
        st.sampled_from([0, 5, 6, 2**24 - 1, int(NO_KEY)]), min_size=len(clip), max_size=len(clip)
    )
    base, query = (np.array(data.draw(some), np.uint32) for _ in range(2))
    for other in (base, query):
        found = {
            (int(clip[a]), int(clip[b]), int(base[a]))
            for one, two in colliding(indexed(base, clip), indexed(other, clip), 100)
            for a, b in zip(one, two, strict=True)
        }
        expected = {
            (int(clip[a]), int(clip[b]), int(base[a]))
            for a, b in product(range(len(clip)), repeat=2)
            if base[a] == other[b] != NO_KEY
        }
        assert found == expected


def test_a_crowded_key_costs_no_more_than_its_bucket() -> None:
    keys = indexed(np.full(1000, 7, np.uint32), np.arange(1000, dtype=np.int32))
    pairs = [(a, b) for a, b in colliding(keys, keys, 10)]
    base = np.concatenate([a for a, _ in pairs])
    assert base.max() == 9
    assert len(base) == 1000 * 10


@given(st.lists(st.lists(st.integers(0, 9)), max_size=4), st.lists(st.integers(0, 9)))
def test_codes_are_merged_and_found_again(lists: list[list[int]], codes: list[int]) -> None:
    known = merged([np.array(some, np.int64) for some in lists])
    assert known.tolist() == sorted({code for some in lists for code in some})
    assert among(known, np.array(codes, np.int64)).tolist() == [code in known for code in codes]


def test_near_samples_name_the_view_in_which_clips_are_alike() -> None:
    codes, blocks = hashes(4), pictures(4)
    # 1 is 0 mirrored; 3 shows whole what 2 shows in its narrower view.
    codes[1, 0], blocks[1] = codes[0, 0] ^ MIRRORED.view(np.uint64), blocks[0].reshape(8, 8)[:, ::-1].ravel()
    codes[3, 0] = codes[2, 2]
    samples = Samples(codes, blocks, np.arange(4, dtype=np.int32))
    found = {
        (view, mirrored): pairs.tolist()
        for view, mirrored, pairs in near_samples(samples, max_bits=40, bucket=8)
        if len(pairs)
    }
    assert found == {(0, True): [[0, 1]], (2, False): [[3, 2]]}
