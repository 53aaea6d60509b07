"""Films that stand still to the eye, whatever was drawn in them."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from curate.footage.camera import Camera
from filters.labels.synthesis import desktops, effects, joins, overlays, recipe
from filters.labels.synthesis.base import Base, Format, live
from filters.labels.synthesis.noticed import doubted, followed, moving_share, seen_s
from filters.labels.synthesis.quality import FAULTS, degraded, grain
from filters.labels.synthesis.takes import Made, Take, answers

FORM = Format((192, 108), Fraction(12), 36)


@pytest.fixture(scope="module")
def walk() -> Take:
    rng = np.random.default_rng(5)
    return live(rng, FORM, scenes=("street",), camera=Camera("pan", 0.05), lights=("noon",))


def _spot(take: Take, share: float) -> Take:
    """Return a still of a take in which a bright square of a share of the picture wanders."""
    frames = []
    for index in range(len(take.frames)):
        frame = take.frames[0].copy()
        side = round((share * frame.shape[0] * frame.shape[1]) ** 0.5)
        x = 10 + index * 3
        cv2.rectangle(frame, (x, 30), (x + side, 30 + side), (255, 255, 255), -1)
        frames.append(frame)
    return take.of(frames)


def test_what_moves_is_seen_and_what_stands_is_not(walk: Take) -> None:
    assert moving_share(walk) == 1
    assert moving_share(walk.of([walk.frames[0]] * 36)) == 0
    assert moving_share(walk.of([walk.frames[0]])) == 0


def test_half_of_it_standing_is_half(walk: Take) -> None:
    half = walk.of([*walk.frames[:16], *[walk.frames[16]] * 20])
    assert moving_share(half) == 0.5


def test_grain_alone_is_no_motion(walk: Take) -> None:
    still = cv2.resize(walk.frames[0], (480, 270), interpolation=cv2.INTER_CUBIC)
    assert moving_share(grain(walk.of([still] * 36), np.random.default_rng(6))) == 0


def test_a_spot_is_a_spot_until_it_grows(walk: Take) -> None:
    assert moving_share(_spot(walk, 0.002)) == 0
    assert moving_share(_spot(walk, 0.1)) == 1


def test_a_film_that_stands_is_no_sure_no(walk: Take) -> None:
    still = walk.of([walk.frames[0]] * 36)
    assert doubted(Made(still, "clean", answers(text="yes"))).answers == {"text": "yes", "static": "unsure"}
    assert doubted(Made(still, "static_held", answers(static="yes"))).answers == {"static": "yes"}
    assert doubted(Made(walk, "clean", answers())).answers == {}


def test_in_the_dark_nobody_sees_who_moves(walk: Take) -> None:
    black = walk.of([frame // 40 for frame in walk.frames])
    assert doubted(Made(black, "clean+dark", answers())).answers == {"static": "unsure"}


# -- edits ------------------------------------------------------------------------------------------------


def _scene(name: str, seed: int = 1) -> Take:
    still = Camera("static", 0.0)
    return live(np.random.default_rng(seed), FORM, scenes=(name,), camera=still, lights=("noon",))


def test_what_goes_somewhere_is_followed_and_what_flickers_is_not(walk: Take) -> None:
    assert followed(walk)
    assert not followed(_scene("fire"))
    assert not followed(walk.of([walk.frames[0]] * 36))
    assert not followed(walk.of([walk.frames[0]]))


def test_time_is_changed_only_where_one_would_see_it(walk: Take) -> None:
    fire = _scene("fire")
    assert joins.liveliness(fire) > 0
    for seed in range(6):
        kind = joins.speed_ramp(Base(fire, fire), np.random.default_rng(seed)).kind
        assert not kind.startswith("editing_speed")
    swift = walk.of(walk.frames[::3] * 3)
    assert joins.liveliness(swift) > joins.LIVELY
    assert joins.speed_ramp(Base(swift, swift), np.random.default_rng(0)).kind.startswith("editing_speed")


def test_the_colours_of_a_duotone_are_no_grade(walk: Take) -> None:
    """Dark and bright of it are far apart in hue, so no white balance makes them of one film."""
    row = np.repeat(np.linspace(0, 255, 192).astype(np.uint8)[:, None], 3, axis=1)
    ramp = walk.of([np.tile(row, (108, 1, 1))] * 2)
    found = []
    for seed in range(60):
        made = effects.stylized(Base(ramp, ramp), np.random.default_rng(seed))
        if made.kind == "editing_duotone":
            ends = made.take.frames[0][:1, [0, -1]].astype(np.float32) / 255
            dark, bright = cv2.cvtColor(ends, cv2.COLOR_RGB2LAB)[0]
            found.append(abs(np.angle(complex(*dark[1:]) / complex(*bright[1:]), deg=True)))
    assert len(found) > 3
    assert min(found) > 55


def test_a_duotone_uses_both_of_its_colours_however_dull_the_film(walk: Take) -> None:
    mist = walk.of([110 + frame // 16 for frame in walk.frames])
    apart = []
    for seed in range(40):
        made = effects.stylized(Base(mist, mist), np.random.default_rng(seed))
        if made.kind == "editing_duotone":
            lab = cv2.cvtColor(made.take.frames[0].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
            low, high = np.quantile(lab[..., 1:], (0.05, 0.95), axis=(0, 1))
            apart.append(float(np.hypot(*(high - low))))
    assert len(apart) > 3
    assert min(apart) > 25


def test_shots_that_might_be_one_make_no_sure_montage(walk: Take) -> None:
    still = walk.of([walk.frames[0]] * 36)
    alike = joins.montage(Base(still, still), np.random.default_rng(1))
    other = joins.montage(Base(still, _scene("reef")), np.random.default_rng(1))
    assert other.answers["editing"] == "yes"
    flat = walk.of([np.full_like(walk.frames[0], 90)] * 36)
    assert joins.montage(Base(flat, flat), np.random.default_rng(1)).answers["editing"] == "unsure"
    assert alike.kind == other.kind


def test_stickers_are_seen_by_day_and_not_by_night(walk: Take) -> None:
    base = Base(walk, walk)
    made = overlays.stickers(base, np.random.default_rng(2))
    assert made.plain is walk
    assert seen_s(made.take, walk) > 1
    assert doubted(made).answers["editing"] == "yes"
    night = [walk.of([frame // 50 for frame in take.frames]) for take in (made.take, walk)]
    hidden = Made(night[0], "editing_stickers+dark", made.answers, night[1])
    assert seen_s(*night) == 0
    assert doubted(hidden).answers["editing"] == "unsure"
    assert doubted(Made(night[0], "phone", made.answers)).answers["editing"] == "yes"


def test_less_is_seen_in_the_dark_than_numbers_say(walk: Take) -> None:
    """Eight levels of gray are seen in daylight; beside black a lit room's glare covers them."""
    gray, black = (walk.of([np.full_like(walk.frames[0], level)] * 36) for level in (128, 0))
    lighter, dim = (walk.of([take.frames[0] + 8] * 36) for take in (gray, black))
    assert seen_s(lighter, gray) == pytest.approx(3)
    assert seen_s(dim, black) == 0
    assert seen_s(walk.of([black.frames[0] + 16] * 36), black) == pytest.approx(3)


def test_a_torn_picture_may_have_been_torn_on_purpose(walk: Take) -> None:
    said = {}
    for seed in range(60):
        made = degraded(Made(walk, "clean", answers()), np.random.default_rng(seed))
        torn = "broken" in made.kind
        said.setdefault(torn, set()).add(made.answers.get("editing", "no"))
    assert said == {True: {"unsure"}, False: {"no"}}


def test_a_desktop_that_is_zoomed_into_was_worked_on_perhaps() -> None:
    """A recorder's own zoom looks like an editor's."""
    base = Base(_scene("street"), _scene("reef"))
    zoomed = {}
    for seed in range(40):
        made = desktops.application(base, np.random.default_rng(seed))
        if made.answers["lecture"] == "no":
            top = [frame[0] for frame in made.take.frames]
            stays = float(np.mean([np.mean(row == top[0]) for row in top])) > 0.9
            zoomed.setdefault(stays, set()).add(made.answers["editing"])
    assert zoomed == {True: {"no"}, False: {"unsure"}}


def test_faults_befall_the_film_without_the_edit_in_the_same_way(walk: Take) -> None:
    made = Made(walk, "clean", answers(editing="yes"), walk)
    seen = set()
    for seed in range(40):
        faulty = degraded(made, np.random.default_rng(seed))
        assert faulty.plain is not None
        assert all((a == b).all() for a, b in zip(faulty.take.frames, faulty.plain.frames, strict=True))
        seen |= {*faulty.kind.split("+")[1:]}
    assert seen == set(FAULTS)


@pytest.mark.parametrize(
    ("kind", "hides", "shows"),
    [
        ("editing_captions", "defocus", "noise"),
        ("editing_speed_ramp", "shake", "blocks"),
        ("editing_poster", "noise", "shake"),
    ],
)
def test_faults_hide_what_they_hide(walk: Take, kind: str, hides: str, shows: str) -> None:
    """Words that cannot be read; the pace of a film that is shaken."""
    found = {}
    for seed in range(60):
        faulty = degraded(Made(walk, kind, answers(editing="yes")), np.random.default_rng(seed))
        found[faulty.kind] = faulty.answers["editing"]
    assert found[f"{kind}+{hides}"] == "unsure"
    assert found[f"{kind}+{shows}"] == "yes"
    assert all(said == "unsure" for name, said in found.items() if hides in name)


def test_graphics_over_what_is_edited_already_change_no_answer(walk: Take) -> None:
    bars = Made(walk, "screen_phone", answers(editing="yes", screenshot="yes"))
    made = recipe._edited(bars, np.random.default_rng(3))
    assert made.plain is None
    assert recipe._edited(Made(walk, "screen_phone", answers()), np.random.default_rng(3)).plain is not None
