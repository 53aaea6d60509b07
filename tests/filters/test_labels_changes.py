"""What the trace tells of editing: each number on a film that has what it is about, and on one without."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from filters.labels.changes import CHANGES, LEAST_STEPS, change_numbers, levels_of
from filters.labels.clips import columns_of, signals_of
from filters.trace import BLOCKS, TAIL_BYTES, pack

Levels = npt.NDArray[np.float64]
STEPS = 36


def scene(seed: int = 0, steps: int = STEPS) -> Levels:
    """Return (steps, 64) of a landscape that a camera pans over, evenly."""
    rng = np.random.default_rng(seed)
    wide = np.cumsum(rng.normal(0, 9, (BLOCKS, BLOCKS + steps)), axis=1) + rng.normal(0, 20, (BLOCKS, 1))
    wide += 128 - wide.mean()
    at = 0.4 * np.arange(steps)
    whole = at.astype(int)
    part = (at - whole)[:, None, None]
    near = np.stack([wide[:, n : n + BLOCKS] for n in whole])
    next_ = np.stack([wide[:, n + 1 : n + 1 + BLOCKS] for n in whole])
    levels: Levels = np.clip((1 - part) * near + part * next_, 0, 255).reshape(steps, -1)
    return levels


def packed(levels: Levels) -> bytes:
    return pack(levels, np.zeros(TAIL_BYTES, np.uint8))


def told(levels: Levels) -> dict[str, float]:
    return dict(zip(CHANGES, change_numbers(packed(levels)).tolist(), strict=True))


@pytest.fixture(scope="module")
def plain() -> dict[str, float]:
    return told(scene())


def test_every_number_is_finite_and_none_is_said_of_a_short_clip(plain: dict[str, float]) -> None:
    assert np.isfinite(list(plain.values())).all()
    assert np.isfinite(list(told(np.full((STEPS, 64), 90.0)).values())).all(), "a still of one colour"
    assert np.isfinite(list(told(scene(steps=LEAST_STEPS)).values())).all()
    assert np.isnan(change_numbers(packed(scene(steps=LEAST_STEPS - 1)))).all()
    assert np.isnan(change_numbers(None)).all()


def test_levels_are_the_traces() -> None:
    levels = scene()
    assert np.abs(levels_of(packed(levels)) - levels).mean() < 4


def test_a_long_clip_is_told_as_its_parts_are() -> None:
    film = scene(1, 41)
    turned = np.concatenate([film, film[::-1], film, film[::-1]])
    for name, value in told(turned).items():
        if name not in ("trace_edge", "trace_uneven"):  # quiet blocks are told less finely beside loud ones
            assert value == pytest.approx(told(film)[name], rel=0.3, abs=0.05), name
    once = scene(1, 164)
    once[80] = 250
    assert told(once)["trace_flash"] < 10, "one flash in twenty seconds is not most of the time"


def test_a_cut_is_a_jump_and_another_scene(plain: dict[str, float]) -> None:
    cut = told(np.concatenate([scene(1)[:18], scene(2)[18:]]))
    assert cut["trace_jump"] > 3 * plain["trace_jump"]
    assert cut["trace_scene_like"] < 0.6
    assert cut["trace_parts"] > plain["trace_parts"]


def test_a_flash_is_undone_and_a_lamp_stays_on(plain: dict[str, float]) -> None:
    flash, lamp = scene(), scene() * 0.5
    flash[20] = 250
    lamp[20:] *= 2
    assert told(flash)["trace_spike"] > 5 * max(plain["trace_spike"], 0.1)
    assert told(flash)["trace_flash"] > 30
    assert told(lamp)["trace_spike"] < 0.5 * told(flash)["trace_spike"]
    assert told(lamp)["trace_light_range"] > 2 * plain["trace_light_range"]


def test_time_that_loops_or_turns_round_comes_back(plain: dict[str, float]) -> None:
    film = scene()
    assert told(film[np.arange(STEPS) % 12])["trace_loop"] < 0.25 * plain["trace_loop"]
    turned = told(film[np.minimum(np.arange(STEPS), STEPS - 1 - np.arange(STEPS))])
    assert turned["trace_reversal"] < 0.3 < plain["trace_reversal"]


def test_stills_stop_and_ramps_are_uneven(plain: dict[str, float]) -> None:
    film = scene()
    held = told(film[np.minimum(np.arange(STEPS), 8)])
    assert held["trace_still"] > 0.6 > plain["trace_still"]
    ramp = told(film[np.cumsum(np.repeat([0.2, 1.8], STEPS // 2)).astype(int).clip(0, STEPS - 1)])
    assert ramp["trace_pace"] > 2 * plain["trace_pace"]


def test_what_pops_up_or_stays_in_a_corner_is_seen() -> None:
    quiet = np.tile(scene()[:1], (STEPS, 1)) + np.linspace(0, 3, STEPS)[:, None]
    popped = quiet.copy()
    for start in (6, 14, 22):
        popped[start : start + 4, 26:30] += 60
    assert told(popped)["trace_pop"] > 0.03 > told(quiet)["trace_pop"]
    marked = scene()
    marked[:, :4] = 220.0
    assert told(marked)["trace_fixed"] > 0.04 > told(scene())["trace_fixed"]


def test_mirrors_and_split_screens_have_their_lines(plain: dict[str, float]) -> None:
    grid = scene().reshape(STEPS, BLOCKS, BLOCKS)
    mirrored = np.concatenate([grid[..., :4], grid[..., 3::-1]], axis=2)
    found = told(mirrored.reshape(STEPS, -1))
    assert found["trace_mirror"] > 0.95 > plain["trace_mirror"]
    assert found["trace_symmetry"] > 0.9
    other = scene(5)[::-1].reshape(STEPS, BLOCKS, BLOCKS)
    split = np.concatenate([grid[..., :4], other[..., 4:]], axis=2).reshape(STEPS, -1)
    assert told(split)["trace_seam_x"] > plain["trace_seam_x"] + 0.2


def test_signals_are_made_of_the_column_trace_and_others_are_read() -> None:
    assert columns_of(["shake", "trace_jump", "trace_flash"]) == ["shake", "trace"]
    assert columns_of(["shake"]) == ["shake"]
    trace = packed(scene())
    found = signals_of(
        [{"shake": 0.5, "trace": trace}, {"shake": None, "trace": None}], ["trace_jump", "shake"]
    )
    assert found[0].tolist() == [told(scene())["trace_jump"], 0.5]
    assert np.isnan(found[1]).all()


def joined(how: str) -> Levels:
    """Return one scene that gives way to another in the middle."""
    one, two = (film[:1] + 0.2 * (film - film[:1]) for film in (scene(5), scene(6)))
    x = np.tile(np.arange(BLOCKS), BLOCKS)
    at = np.arange(STEPS)[:, None] - STEPS / 2
    match how:
        case "cut":
            share = np.repeat(at >= 0, BLOCKS * BLOCKS, axis=1)
        case "dissolve":
            share = np.repeat(np.clip(at / 8 + 0.5, 0, 1), BLOCKS * BLOCKS, axis=1)
        case _:
            share = np.clip(at + BLOCKS / 2 - x, 0, 1)
    mixed: Levels = (1 - share) * one + share * two
    return mixed


def test_a_wipe_travels_and_a_cut_does_not(plain: dict[str, float]) -> None:
    wipe, cut = told(joined("wipe")), told(joined("cut"))
    assert wipe["trace_travel_x"] > 0.5
    assert cut["trace_travel_x"] < 0.2
    assert wipe["trace_travel_y"] < 0.2
    assert cut["trace_once"] > plain["trace_once"]


def test_a_dissolve_is_a_mixture_and_a_cut_a_step(plain: dict[str, float]) -> None:
    dissolve, cut = told(joined("dissolve")), told(joined("cut"))
    assert dissolve["trace_unmixed"] < plain["trace_unmixed"]
    assert cut["trace_mix_step"] > 0.7
    assert dissolve["trace_mix_step"] < 0.5
    assert dissolve["trace_mix_between"] > cut["trace_mix_between"]


def test_a_lamp_lights_and_a_laid_over_flash_covers() -> None:
    lit, covered = scene(7), scene(7)
    lit[20] = np.clip(1.5 * lit[20], 0, 255)
    covered[20] = 0.2 * covered[20] + 0.8 * 255
    assert told(lit)["trace_flash_flat"] > 0.1
    assert told(covered)["trace_flash_flat"] < -0.3


def test_flashes_on_a_beat_keep_it() -> None:
    beaten, stray = scene(8), scene(8)
    for film, steps in ((beaten, range(3, STEPS, 5)), (stray, (4, 7, 15, 21, 23, 32))):
        for step in steps:
            film[step] = 0.5 * film[step] + 0.5 * 255
    assert told(beaten)["trace_beat"] > told(stray)["trace_beat"] + 0.15
