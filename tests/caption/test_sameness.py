from __future__ import annotations

import pytest
from captions import GOOD
from hypothesis import given
from hypothesis import strategies as st

from caption.sameness import earlier_neighbours, is_alike, resemblance


def test_case_and_punctuation_do_not_count() -> None:
    assert resemblance("A dog, running.", "a DOG running") == 1.0
    assert is_alike("A dog.", "a dog", 1.0)
    assert not is_alike("", "", 0.5)
    assert not is_alike("...", "!", 0.5)


def test_good_captions_do_not_resemble_each_other() -> None:
    for number, text in enumerate(GOOD):
        assert max(resemblance(text, other) for other in GOOD[:number] + GOOD[number + 1 :]) < 0.1


def test_the_share_of_phrases_in_common() -> None:
    one = "a b c d e f g h"  # phrases abcde bcdef cdefg defgh
    other = "a b c d e f g x"  # abcde bcdef cdefg defgx
    assert resemblance(one, other) == pytest.approx(3 / 5)
    assert is_alike(one, other, 0.6)
    assert not is_alike(one, other, 0.61)
    assert resemblance("a b", "a c") == 0.0


@given(st.text(), st.text())
def test_resemblance_is_symmetric_and_of_itself_whole(one: str, other: str) -> None:
    assert resemblance(one, other) == resemblance(other, one)
    assert 0 <= resemblance(one, other) <= 1
    assert resemblance(one, one) == 1.0


def test_neighbours_are_the_clips_before_of_the_same_source() -> None:
    assert earlier_neighbours(["a", "a", "b", "a", "b"]) == [(), (0,), (), (1,), (2,)]
    assert earlier_neighbours(["a"] * 4, reach=2) == [(), (0,), (0, 1), (1, 2)]
    assert earlier_neighbours(["a", "a"], reach=0) == [(), ()]
    assert earlier_neighbours([]) == []
