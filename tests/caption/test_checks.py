"""The checks of a caption, one by one, over sentences by hand and over whatever Hypothesis thinks of."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from captions import BAD, GOOD, MEDIUM, OTHER_LANGUAGES, THINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from caption.checks import CODES, Checker, CheckOptions, ends_whole, is_stuck, repetition
from caption.wording import find_wording
from shards.errors import ConfigError

pytest.importorskip("py3langid")

_CHECKER = Checker(CheckOptions())
WORDING = ("forbidden_word", "meta", "opening", "refused")


@pytest.fixture
def checker() -> Checker:
    return _CHECKER


@pytest.mark.parametrize("text", GOOD)
def test_a_good_caption_is_not_accused(text: str, checker: Checker) -> None:
    found = checker.check(text, "ok")
    assert found.problems == ()
    assert found.caption_ok
    assert found.words == len(text.split())
    assert found.tokens is None


@pytest.mark.parametrize(("text", "code"), BAD)
def test_a_bad_caption_has_its_code(text: str, code: str, checker: Checker) -> None:
    found = checker.check(text, "ok")
    assert code in found.problems
    assert not found.caption_ok


@pytest.mark.parametrize("text", THINGS)
def test_things_are_not_the_medium(text: str) -> None:
    assert find_wording(text) == []


@pytest.mark.parametrize("text", MEDIUM)
def test_the_medium_is_found(text: str) -> None:
    assert set(find_wording(text)) & set(WORDING)


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda text: f"  {text}\n"])
def test_case_and_space_do_not_hide_an_opening(change: Callable[[str], str]) -> None:
    for text, code in BAD:
        if code in ("opening", "forbidden_word"):
            assert code in find_wording(change(text)), text


@pytest.mark.parametrize(("text", "code"), OTHER_LANGUAGES)
def test_other_languages_are_told(text: str, code: str, checker: Checker) -> None:
    found = checker.check(text, "ok")
    assert found.language == code
    assert "language" in found.problems
    # Half a sentence says that it is not English, if not what it is.
    assert "language" in checker.check(text[: len(text) // 2], "ok").problems


def test_another_language_can_be_wanted() -> None:
    checker = Checker(CheckOptions(language="de"))
    german, english = OTHER_LANGUAGES[0][0], GOOD[0]
    assert checker.check(german, "ok").problems == ()
    assert checker.check(english, "ok").problems == ("language",)
    assert Checker(CheckOptions(language=None)).check(german, "ok").problems == ()
    with pytest.raises(ConfigError, match=r"language: 'english' is not one that is known"):
        Checker(CheckOptions(language="english"))


@pytest.mark.parametrize("status", ["truncated", "refused", "error", "empty"])
def test_a_status_that_is_not_ok_is_a_problem(status: str, checker: Checker) -> None:
    found = checker.check(GOOD[0], status)  # type: ignore[arg-type]
    assert found.problems == (status,)
    assert not found.caption_ok
    assert checker.check(None, status).problems == tuple(sorted({"empty", status}))  # type: ignore[arg-type]


def test_the_templates_limit_of_words_comes_before_the_options(checker: Checker) -> None:
    text = " ".join(f"{number} boats pass." for number in range(20, 40))
    assert checker.check(text, "ok").problems == ()
    assert checker.check(text, "ok", max_words=60).problems == ()
    assert checker.check(text, "ok", max_words=59).problems == ("too_long",)
    assert Checker(CheckOptions(max_words=59)).check(text, "ok").problems == ("too_long",)


def test_every_option_decides() -> None:
    twice = "A man in a gray coat walks on, and a man in a gray coat walks back."
    assert repetition(twice) == pytest.approx(4 / 14)
    assert Checker(CheckOptions()).check(twice, "ok").problems == ("repetition",)
    assert Checker(CheckOptions(max_repetition=0.4)).check(twice, "ok").problems == ()
    open_end = "A dog runs along the beach"
    assert Checker(CheckOptions(finished=False)).check(open_end, "ok").problems == ()
    swiss = Checker(CheckOptions(min_language=0.5)).check("A tram passes.", "ok")
    assert swiss.problems == ("language",)


def test_a_neighbours_caption_is_seen(checker: Checker) -> None:
    text = GOOD[0]
    same = text.lower().replace(",", "")
    assert checker.check(text, "ok", neighbours=[GOOD[1], same]).problems == ("same_as_neighbour",)
    assert checker.check(text, "ok", neighbours=GOOD[1:]).problems == ()
    longer = f"{text} The sun sets."
    assert checker.check(text, "ok", neighbours=[longer]).problems == ("same_as_neighbour",)
    strict = Checker(CheckOptions(max_alike=1.0))
    assert strict.check(text, "ok", neighbours=[longer]).problems == ()
    assert strict.check(text, "ok", neighbours=[same]).problems == ("same_as_neighbour",)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("A dog.", True), ("A dog!", True), ('It says "Stop."', True), ("(A dog.)", True), ("狗。", True),
        ("A dog", False), ("A dog,", False), ("A dog...", False), ("A dog…", False), ("", False),
        ('It says "Stop"', False),
    ],
)  # fmt: skip
def test_ends(text: str, whole: bool) -> None:
    assert ends_whole(text) is whole


def test_repetition_is_seq_rep_4() -> None:
    assert repetition("a b c d a b c d") == pytest.approx(1 - 4 / 5)
    assert repetition("A b, c! d? A B C D.") == pytest.approx(1 - 4 / 5)
    assert repetition("a b c") == 0.0
    assert repetition("") == 0.0


@pytest.mark.parametrize(
    ("text", "stuck"),
    [
        ("a dog, a dog, A Dog.", True), ("the the the", True), ("very very", False), ("a b c d " * 3, True),
        ("a b c d a b c d a b c", False), ("a b c d e " * 3, False), ("x" + "!" * 7, False), ("!" * 8, True),
        ("10000000000", False), ("x y a a a", True), ("a a b b a a b b", False), ("", False),
    ],
)  # fmt: skip
def test_stuck(text: str, stuck: bool) -> None:
    assert is_stuck(text) is stuck


texts = st.text(max_size=400) | st.lists(st.sampled_from([word for text in GOOD for word in text.split()]),
                                         max_size=120).map(" ".join)  # fmt: skip


@settings(max_examples=300)
@given(text=texts, status=st.sampled_from(["ok", "truncated", "refused"]))
def test_whatever_the_text(text: str, status: str) -> None:
    found = _CHECKER.check(text, status)  # type: ignore[arg-type]
    assert set(found.problems) <= set(CODES)
    assert list(found.problems) == sorted(set(found.problems))
    assert found.caption_ok == (not found.problems)
    assert found.caption_ok <= (status == "ok")
    assert 0 <= found.repetition < 1
    assert found == _CHECKER.check(text, status)  # type: ignore[arg-type]
    # Space at the ends says nothing.
    assert found == _CHECKER.check(f" {text}\n", status)  # type: ignore[arg-type]
    assert found.language is None or len(found.language) == 2


@settings(max_examples=100)
@given(
    phrase=st.lists(
        st.sampled_from(["dog", "cat", "runs", "on", "the", "red", "mat"]), min_size=1, max_size=12
    ),
    times=st.integers(4, 30),
)
def test_a_loop_is_repetition(phrase: list[str], times: int) -> None:
    text = " ".join(phrase * times) + "."
    assert "repetition" in _CHECKER.check(text, "ok").problems


@settings(max_examples=100)
@given(other=st.text(max_size=300) | st.sampled_from([text for text, _ in BAD]))
def test_a_text_in_quotation_marks_is_not_looked_at(other: str) -> None:
    clean = other.replace('"', "").replace("\n", " ")
    assert find_wording(f'A sign reads "{clean}" above a door.') == []


@pytest.mark.parametrize(
    "text", ["the " * 20000, "a" * 100000, "in the " * 20000, '"' * 50001, "\n" * 50000 + "x"]
)
def test_a_text_without_end_is_checked_in_a_moment(text: str) -> None:
    started_s = time.process_time()
    assert not _CHECKER.check(text, "truncated").caption_ok
    assert time.process_time() - started_s < 5
