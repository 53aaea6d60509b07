"""Synthetic labels: what each generator promises, before any encoder has touched it."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction

import cv2
import numpy as np
import pytest

from curate.footage.camera import Camera
from curate.footage.textures import Image
from filters.labels.questions import LABELS
from filters.labels.synthesis import (
    bystanders,
    desktops,
    holding,
    joins,
    lectures,
    overlays,
    phones,
    quality,
    rooms,
    signs,
    stills,
    traps,
    writing,
)
from filters.labels.synthesis.base import Base, Format, live, recorded
from filters.labels.synthesis.recipe import NEGATIVES, POSITIVES, Generator, plan, variants
from filters.labels.synthesis.takes import Made, Take, answers, merged

FORM = Format((192, 108), Fraction(10), 24)


def _rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([11, *seed])


@pytest.fixture(scope="module")
def base() -> Base:
    one = live(_rng(1), FORM, scenes=("street",), camera=Camera("pan", 0.05), lights=("noon",))
    two = live(_rng(2), FORM, scenes=("reef",), camera=Camera("static"), lights=("noon",))
    return Base(one, two)


def _sharpness(image: Image) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def _steps(take: Take) -> list[float]:
    """Return how much each frame differs from the one before, mean over the picture in 8-bit steps."""
    return [float(cv2.absdiff(take.frames[n], take.frames[n - 1]).mean()) for n in range(1, len(take.frames))]


def _distinct(take: Take) -> int:
    return len({frame.tobytes() for frame in take.frames})


ALL = [*POSITIVES.items(), *NEGATIVES.items()]


@pytest.mark.parametrize(
    ("label", "generator"),
    [
        pytest.param(label, one, id=f"{label}-{one.__name__}")
        for label, some in ALL
        for one in dict.fromkeys(some)
    ],
)
def test_every_generator_gives_whole_films_twice_the_same(
    base: Base, label: str, generator: Generator
) -> None:
    before = [frame.tobytes() for frame in base.one.frames[:3]]
    first, again = generator(base, _rng(3)), generator(base, _rng(3))
    assert len(first.take.frames) == FORM.frames
    assert first.take.fps == FORM.fps
    for one, two in zip(first.take.frames, again.take.frames, strict=True):
        assert one.shape == (108, 192, 3)
        assert one.dtype == np.uint8
        assert one.tobytes() == two.tobytes()
    assert first.answers == again.answers
    assert set(first.answers) <= set(LABELS)
    expected = "yes" if generator in POSITIVES.get(label, ()) else "no"
    assert first.answers.get(label, "no") in (
        expected,
        "unsure" if generator is traps.camera_watches else expected,
    )
    assert [frame.tobytes() for frame in base.one.frames[:3]] == before, "a base film was written into"


def test_portrait_frames_are_served_too() -> None:
    form = Format((108, 192), Fraction(10), 12)
    upright = Base(live(_rng(4), form), live(_rng(5), form))
    for number, one in enumerate({g: None for _, some in ALL for g in some}):
        made = one(upright, _rng(6, number))
        assert {frame.shape for frame in made.take.frames} == {(192, 108, 3)}, made.kind


def test_a_slideshow_repeats_its_frames_exactly(base: Base) -> None:
    for seed in range(6):
        made = stills.slideshow(base, _rng(7, seed))
        steps = _steps(made.take)
        assert sum(step == 0 for step in steps) > 0.4 * len(steps)
        assert max(steps) > 5, "the next picture is another one"


def test_a_frozen_film_stays_one_picture_through_the_camera_of_stills(base: Base) -> None:
    calm = Base(recorded(base.one, _rng(8), grain=0.0), recorded(base.two, _rng(9), grain=0.0))
    made = stills.frozen(calm, _rng(10))
    assert _distinct(made.take) <= FORM.frames // 3
    grainy = recorded(made.take, _rng(8), grain=3.0)
    assert _distinct(grainy) == FORM.frames, "grain is new in each frame"


def test_few_frames_a_second_are_few(base: Base) -> None:
    assert _distinct(base.one) == FORM.frames
    assert _distinct(stills.stutter(base, _rng(12)).take) <= FORM.frames / 2


def test_ken_burns_is_one_picture_seen_through_a_moving_window(base: Base) -> None:
    picture = base.two.frames[0]
    near = stills.moved(picture, 1.5, 0.4, -0.2)
    there = stills.moved(picture, 1.5, -0.4, -0.2)
    shift = cv2.phaseCorrelate(
        *(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (near, there))
    )[0]
    assert shift[0] == pytest.approx(0.8 * 0.5 * 192 / 2, abs=2)
    assert shift[1] == pytest.approx(0, abs=2)


@pytest.mark.parametrize("fault", ["defocus", "upscaled", "smear"])
def test_unclear_films_are_less_sharp(base: Base, fault: str) -> None:
    made = quality.FAULTS[fault](base.one, _rng(13), 1.0)
    sharp, soft = (np.mean([_sharpness(f) for f in take.frames]) for take in (base.one, made))
    assert soft < sharp / 2


def test_noise_dark_and_glare_are_what_they_say(base: Base) -> None:
    luma = {
        name: float(np.mean(quality.FAULTS[name](base.one, _rng(14), 1.0).frames[0]))
        for name in ("dark", "glare")
    }
    assert luma["dark"] < 30
    assert luma["glare"] > 175
    noisy = quality.FAULTS["noise"](Take([base.one.frames[0]] * 6, FORM.fps), _rng(15), 1.0)
    assert np.stack(noisy.frames).astype(float).std(axis=0).mean() > 8


def _jolt(take: Take) -> float:
    """Return the mean change of the picture's speed (px a frame), by phase correlation."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64) for frame in take.frames]
    window = cv2.createHanningWindow((192, 108), cv2.CV_64F)
    way = np.array([cv2.phaseCorrelate(a, b, window)[0] for a, b in itertools.pairwise(gray)])
    return float(np.abs(np.diff(way, axis=0)).mean())


def test_a_shaking_hand_jolts_and_a_calm_one_does_not(base: Base) -> None:
    still = Take([base.one.frames[0]] * FORM.frames, FORM.fps)
    shaky, calm = quality.FAULTS["shake"](still, _rng(16), 1.0), holding.handheld(still, _rng(16))
    assert _jolt(shaky) > 5 * _jolt(calm)


def test_a_lecture_moves_little_and_a_walk_moves_more(base: Base) -> None:
    talk = [lectures.talking_head(base, _rng(17, n)).take for n in range(4)]
    walk = [bystanders.busy_face(base, _rng(17, n)).take for n in range(4)]
    assert all(np.median(_steps(take)) > 0 for take in talk), "somebody talks"
    quiet, busy = (np.mean([np.mean(_steps(take)) for take in takes]) for takes in (talk, walk))
    assert quiet < busy / 3


def test_joins_begin_with_one_take_and_end_with_the_other(base: Base) -> None:
    for name, mix in joins.MIXES.items():
        old, new = base.one.frames[0], base.two.frames[0]
        first, last = mix(old, new, 0.02), mix(old, new, 0.98)
        if name in ("zoom", "spin", "whip", "pixels"):  # they move the pictures before they mix them
            continue
        assert cv2.absdiff(first, old).mean() < cv2.absdiff(first, new).mean(), name
        assert cv2.absdiff(last, new).mean() < cv2.absdiff(last, old).mean(), name


def test_a_picture_in_picture_leaves_the_rest_alone(base: Base) -> None:
    made = overlays.picture_in_picture(base, _rng(18))
    changed = (cv2.absdiff(made.take.frames[-1], base.one.frames[-1]).max(axis=2) > 0).mean()
    assert 0.03 < changed < 0.3


def test_pages_hold_far_more_writing_than_signs(base: Base) -> None:
    """Writing is edges: rows of a page switch between ink and paper far more often than scenes do."""

    def ink(frame: Image) -> float:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        return float((cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, np.ones((5, 5), np.uint8)) > 40).mean())

    page = [ink(writing.printed_page(base, _rng(19, n)).take.frames[0]) for n in range(6)]
    assert np.median(page) > 0.04
    sign = signs.watermark(base, _rng(20)).take
    changed = np.mean(
        [
            (cv2.absdiff(a, b).max(axis=2) > 20).mean()
            for a, b in zip(sign.frames, base.one.frames, strict=True)
        ]
    )
    assert 0 < changed < 0.04


def test_a_screen_is_still_but_for_what_is_at_work(base: Base) -> None:
    shares = []
    for seed in range(5):
        take = desktops.desktop(base, _rng(21, seed)).take
        shares.append(
            np.mean(
                [
                    (cv2.absdiff(a, b).max(axis=2) == 0).mean()
                    for a, b in zip(take.frames, take.frames[1:], strict=False)
                ]
            )
        )
    assert np.median(shares) > 0.8
    room = rooms.monitor(base, _rng(22)).take
    moved = np.mean(
        [
            (cv2.absdiff(a, b).max(axis=2) == 0).mean()
            for a, b in zip(room.frames, room.frames[1:], strict=False)
        ]
    )
    assert moved < 0.6, "a camera looks at it, and moves"


def test_a_phone_between_bars_that_are_not_black_is_edited(base: Base) -> None:
    told = Counter[tuple[bool, str]]()
    for seed in range(12):
        made = phones.phone(base, _rng(seed))
        side = np.concatenate([frame[:, :20] for frame in made.take.frames])
        told[bool(side.any()), made.answers["editing"]] += 1
    assert set(told) == {(False, "no"), (True, "yes")}


def test_a_camera_leaves_no_frame_as_it_was_and_makes_each_once(base: Base) -> None:
    calls = Counter[int]()

    class Counted(list[Image]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            calls[index] += 1
            return super().__getitem__(index)

    take = recorded(Take(Counted(base.one.frames), FORM.fps), _rng(23), grain=2.0)
    one, two = take.frames[5], take.frames[5]
    assert one is two
    assert set(calls) == {5}, "frames that nobody asks for are not made"
    assert [f.shape for f in take.frames[2:4]] == [(108, 192, 3)] * 2


def test_cues_add_up() -> None:
    made = merged(
        answers(text="yes", editing="unsure"), answers(editing="yes", text="unsure", static="unsure")
    )
    assert made == {"text": "yes", "editing": "yes", "static": "unsure"}


def test_the_plan_of_a_source_has_every_label_and_some_traps() -> None:
    for seed in range(20):
        wanted = plan(_rng(24, seed))
        assert wanted[0] == ("", False, False)
        assert {one.label for one in wanted if one.positive} == set(LABELS)
        assert sum(bool(one.label) and not one.positive for one in wanted) == 7
        assert {one.label for one in wanted if one.uncommon} == {"editing"}


def test_over_many_sources_each_label_has_both_answers_and_no_kind_is_left_out() -> None:
    """Tiny films: only the drawing of the recipe is looked at."""
    form = Format((96, 54), Fraction(6), 10)
    said: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
    kinds: set[str] = set()
    for source in range(18):
        tiny = Base(live(_rng(25, source), form), live(_rng(26, source), form))
        for made in variants(tiny, [25, source]):
            kinds |= {part.split("_")[0] for part in made.kind.split("+")}
            for label in LABELS:
                said[label][made.answers.get(label, "no")] += 1
    for label in LABELS:
        sure = said[label]["yes"] + said[label]["no"]
        assert 0.05 < said[label]["yes"] / sure < 0.5, (label, said[label])
    assert {"clean", "editing", "static", "lecture", "text", "screen", *quality.FAULTS} <= kinds


def test_degraded_films_say_so(base: Base) -> None:
    made = quality.degraded(Made(base.one, "clean", answers()), _rng(27))
    assert made.answers == {"low_quality": "yes"}
    assert made.kind.startswith("clean+")
    steady = {
        name
        for n in range(30)
        for name in quality.degraded(
            Made(Take(base.one.frames[:2], FORM.fps), "x", {}), _rng(28, n), steady=True
        ).kind.split("+")[1:]
    }
    assert steady.isdisjoint({"shake", "smear"})
    assert "blocks" in steady
