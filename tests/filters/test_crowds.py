from __future__ import annotations

import numpy as np

from filters.crowds import NO_MORE, Keys, gathered, going_on, key_bits, meet, runs
from filters.waves import NO_KEY, basis

NONE = int(NO_KEY)


def keys(rows: list[tuple[int, int, int, int]]) -> Keys:
    """Return keys of (key, more, clip, step)."""
    key, more, clip, step = zip(*rows, strict=True)
    return Keys(
        np.array(key, np.uint32), np.array(more, np.uint8), np.array(clip, np.int32), np.array(step, np.int16)
    )


def met(base: Keys, query: Keys, bucket: int = 64) -> set[tuple[int, int, int, int]]:
    return {
        tuple(numbers)
        for one, two in meet(gathered(base), query, bucket, symmetric=True)
        for numbers in zip(*(side.tolist() for side in (*one, *two)), strict=True)
    }


def test_a_few_clips_meet_by_their_keys_alone() -> None:
    base = keys([(7, 1, 0, 3), (7, 2, 1, 5), (8, 1, 1, 9), (7, NO_MORE, 2, 4)])
    assert met(base, base) == {(0, 3, 1, 5), (0, 3, 2, 4), (1, 5, 2, 4)}


def test_in_a_crowd_those_meet_that_go_on_alike() -> None:
    rows = [(7, number % 50, number, 1) for number in range(80)]
    base = keys([*rows, (9, 3, 80, 2), (9, 4, 81, 2), (7, NO_MORE, 82, 1), (NONE, 3, 83, 1)])
    expected = {(number, 1, number + 50, 1) for number in range(30)}
    assert met(base, base) == {*expected, (80, 2, 81, 2)}


def test_one_clip_is_no_crowd() -> None:
    base = keys([*((7, step, 0, step) for step in range(40)), (7, 63, 1, 8)])
    assert met(base, base) == {(0, 0, 1, 8)}


def test_a_crowded_crowd_costs_no_more_than_its_bucket() -> None:
    base = keys([(7, 5, number, 1) for number in range(500)])
    assert len(met(base, base, bucket=10)) == sum(range(10)) + 490 * 10


def test_how_pictures_go_on_is_told_within_a_clip() -> None:
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (12, 64), np.uint8)
    clip = np.repeat(np.arange(2, dtype=np.int32), 6)

    def going(shown: np.ndarray, rows: int = 4, of: np.ndarray = clip) -> list[int]:
        waves = (shown.astype(np.float32) @ basis(0, 28))[:, None]
        return [more for (more,) in going_on(waves, of, rows).tolist()]

    more = going(blocks)
    assert [number < 64 for number in more] == [True, True, *[False] * 4] * 2
    assert {number for number in more if number >= 64} == {NO_MORE}
    # The other half of the picture has no part in it; brightness neither.
    other = blocks.reshape(-1, 8, 8).copy()
    other[:, :, 4:] = 9
    assert going(other.reshape(-1, 64)) == more
    assert np.mean(np.equal(going(blocks // 2 + 60), more)) > 0.6
    assert going(blocks[::-1].copy()) != more
    # Every fourth picture, one row on, goes on as among all.
    every = [0, 4, 6, 10]
    assert going(blocks[every], 1, clip[every]) == [more[0], NO_MORE, more[6], NO_MORE]


def test_a_run_stands_once_unless_it_goes_on_otherwise() -> None:
    one = runs(keys([(7, 1, 0, 0), (7, 1, 0, 1), (7, 2, 0, 2), (NONE, 2, 0, 3), (7, 2, 1, 0), (7, 2, 1, 1)]))
    assert one.step.tolist() == [0, 2, 0]
    assert one.clip.tolist() == [0, 0, 1]


def test_keys_of_long_runs_are_longer() -> None:
    assert [key_bits(24, clips) for clips in (0, 200_000, 1_000_000, 4_000_000)] == [24, 24, 25, 26]
