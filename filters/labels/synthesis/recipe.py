"""Which files a source gives: a clean one, and for each label what has its cue and what only seems to.

Every file is drawn from (seed, source, number) alone. Films with the cue of one label often carry those of
others too, as real ones do: then it is `yes` for both, so that no classifier learns "one at most".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from filters.labels.synthesis import (
    bystanders,
    desktops,
    effects,
    games,
    joins,
    lectures,
    overlays,
    phones,
    quality,
    rooms,
    ruses,
    signs,
    stills,
    traps,
    writing,
)
from filters.labels.synthesis.base import Base, recorded
from filters.labels.synthesis.noticed import doubted
from filters.labels.synthesis.nuisances import carried
from filters.labels.synthesis.takes import Made, Random, answers, merged

__all__ = ["NEGATIVES", "POSITIVES", "UNCOMMON", "Generator", "Wanted", "plan", "variants"]

Generator: TypeAlias = Callable[[Base, Random], Made]

POSITIVES: Final[Mapping[str, Sequence[Generator]]] = {
    "editing": (
        joins.transition, joins.transition, joins.transition, joins.transition, joins.montage,
        joins.montage, joins.speed_ramp,
        effects.flashes, effects.glitch, effects.stylized, overlays.stickers, overlays.lower_third,
        overlays.captions, overlays.captions, overlays.picture_in_picture, overlays.split_screen,
        overlays.blurred_border,
    ),
    "static": (
        stills.slideshow, stills.slideshow, stills.ken_burns, stills.ken_burns, stills.frozen, stills.frozen,
        stills.stutter, stills.particles, stills.parallax, stills.nearly_still,
        stills.nearly_still, stills.waiting,
    ),
    "lecture": (
        lectures.talking_head, lectures.talking_head, lectures.talking_head, lectures.talking_head,
        lectures.interview, lectures.lectern, lectures.lectern, lectures.board_talk, lectures.webcam_slides,
    ),
    "text": (
        writing.printed_page, writing.credits_roll, writing.title, writing.title, writing.slides,
        writing.lyrics, writing.quote, writing.wall_of_text, writing.banner,
    ),
    "screenshot": (
        desktops.desktop, desktops.desktop, desktops.application, desktops.application, games.game,
        games.game, games.video_call, phones.phone, phones.phone, phones.phone,
    ),
}  # fmt: skip
"""low_quality has faults in place of generators: they may befall any film (`quality.FAULTS`)"""
UNCOMMON: Final[Sequence[Generator]] = (
    joins.speed_ramp, joins.speed_ramp, joins.speed_ramp, joins.transition, joins.transition,
    joins.transition, joins.transition, joins.montage,
    effects.stylized, effects.stylized, effects.stylized, effects.stylized, effects.flashes,
    overlays.picture_in_picture, overlays.picture_in_picture, overlays.picture_in_picture,
    overlays.split_screen, overlays.split_screen, overlays.split_screen, overlays.blurred_border,
)  # fmt: skip
"""editing of which there would be a dozen of a kind in hundreds of sources: too few to learn a kind from"""
NEGATIVES: Final[Mapping[str, Sequence[Generator]]] = {
    "editing": (
        traps.passing_object, traps.car_window, traps.letterbox, traps.light_changes, ruses.whip_pan,
        ruses.focus_pull, ruses.lightning, ruses.stage_lights, ruses.reflection, ruses.panes,
    ),
    "static": (traps.slow_pan, traps.small_motion, traps.small_motion, traps.camera_watches),
    "low_quality": (traps.sharp_subject, traps.followed, traps.film_grain, traps.night, traps.mild_hand),
    "lecture": (bystanders.walking_person, bystanders.walking_person, bystanders.crowd, bystanders.busy_face,
        bystanders.busy_hands, bystanders.busy_hands),
    "text": (
        signs.street_sign, signs.shop_front, signs.printed_shirt, signs.small_caption, signs.watermark,
        signs.number_plate,
    ),
    "screenshot": (rooms.monitor, rooms.phone_in_hand, rooms.cartoon),
}  # fmt: skip


_OWN_FILM: Final = (
    "slow_pan", "fixed_camera", "camera_watches", "night", "whip_pan", "busy_",
    "lecture_head", "lecture_interview", "lecture_stage", "lecture_board",
)  # fmt: skip
"""kinds of film that are not made of the base takes: what befalls those takes befalls them afterwards"""
STOPPED: Final = {"text": 0.25, "screenshot": 0.12, "lecture": 0.06}
"""how often a film of that kind stands still or stutters"""


def clean(base: Base, rng: Random) -> Made:
    """One of the base takes as it is."""
    return Made(base.one if rng.random() < 0.7 else base.two, "clean", answers())


def faulty(base: Base, rng: Random) -> Made:
    """A clean take, or the trap of another label, made unclear or shaky."""
    labels = list(NEGATIVES)
    made = clean(base, rng)
    if rng.random() < 0.35:
        some = NEGATIVES[labels[int(rng.integers(len(labels)))]]
        made = some[int(rng.integers(len(some)))](base, rng)
    return quality.degraded(made, rng)


def variants(base: Base, seed: Sequence[int]) -> Iterator[Made]:
    """Yield the files of a source one after another; the first is clean."""
    for number, wanted in enumerate(plan(np.random.default_rng([*seed, 0]))):
        yield doubted(_variant(base, np.random.default_rng([*seed, 1 + number]), wanted))


class Wanted(NamedTuple):
    """What a file is to be."""

    label: str
    """the label whose cue it has or seems to have; "" of the clean one"""
    positive: bool
    """it has the cue"""
    uncommon: bool = False
    """the cue is one of `UNCOMMON`"""


def plan(rng: Random) -> list[Wanted]:
    """Return what the files of a source are to be."""
    wanted = [Wanted("", False), *(Wanted(label, True) for label in ("low_quality", "editing", "static"))]
    wanted += [Wanted(label, True) for label in ("lecture", "text", "screenshot") for _ in range(2)]
    wanted.append(Wanted(str(rng.choice(["low_quality", "editing", "static"])), True))
    wanted += [Wanted(str(label), False) for label in rng.choice(list(NEGATIVES), 3, replace=False)]
    # No other label has as many kinds of cue, nor as many that only seem to be.
    edited, seeming = Wanted("editing", True, uncommon=True), Wanted("editing", False)
    return [*wanted, Wanted("editing", True), seeming, *[edited, seeming] * 3]


def _variant(base: Base, rng: Random, wanted: Wanted) -> Made:
    """Return one file, camera and codec noise included."""
    label, positive, uncommon = wanted
    frozen = positive and label == "static"
    calm = 0.0 if frozen and rng.random() < 0.75 else None
    if not frozen:
        base = Base(carried(base.one, rng), carried(base.two, rng))
    base = Base(recorded(base.one, rng, grain=calm), recorded(base.two, rng, grain=calm))
    if not label:
        return clean(base, rng)
    if label == "low_quality" and positive:
        return faulty(base, rng)
    some = UNCOMMON if uncommon else (POSITIVES if positive else NEGATIVES)[label]
    made = some[int(rng.integers(len(some)))](base, rng)
    if made.kind.startswith(_OWN_FILM):
        made = made.with_take(carried(made.take, rng))
    if label in ("lecture", "text", "screenshot"):
        made = made.with_take(recorded(made.take, rng, grain=0.0 if rng.random() < 0.5 else None))
    return _layered(made, rng, label) if positive else made


def _layered(made: Made, rng: Random, label: str) -> Made:
    """Return a positive with the cues of other labels on top, at random."""
    if rng.random() < STOPPED.get(label, 0.0):
        made = _stopped(made, rng)
    if label != "editing" and rng.random() < 0.24:
        made = _edited(made, rng)
    if rng.random() < 0.28:
        made = quality.degraded(made, rng, steady=label in ("static", "screenshot"))
    return made


def _stopped(made: Made, rng: Random) -> Made:
    """Return one frame of a film for all of it, or a few frames a second."""
    take = made.take
    if rng.random() < 0.5:
        still = stills.stutter(Base(take, take), rng)
    else:
        # Late: by then everything has come into the picture.
        held = take.frames[int(len(take.frames) * rng.uniform(0.6, 0.9))]
        still = Made(take.of([held] * len(take.frames)), "static_held", answers(static="yes"))
    # A person who does not move does not talk: annotators differ.
    talk = answers(lecture="unsure") if made.answers.get("lecture") == "yes" else {}
    return Made(still.take, f"{made.kind}+{still.kind}", {**merged(made.answers, still.answers), **talk})


def _edited(made: Made, rng: Random) -> Made:
    """Return a film with graphics over it, or framed."""
    base = Base(made.take, made.take)
    some: Sequence[Generator] = (
        overlays.stickers, overlays.lower_third, overlays.captions, overlays.captions,
        overlays.blurred_border,
    )  # fmt: skip
    edited = some[int(rng.integers(len(some)))](base, rng)
    # What was edited before stays so, whether or not one sees the graphics.
    plain = None if made.answers.get("editing") == "yes" else edited.plain
    return Made(edited.take, f"{made.kind}+{edited.kind}", merged(made.answers, edited.answers), plain)
