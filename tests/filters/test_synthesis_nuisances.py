"""What befalls rendered films without making a label, and real film that only seems edited."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from curate.footage.textures import Image
from filters.labels.synthesis import nuisances, ruses
from filters.labels.synthesis.base import Base, Format, live
from filters.labels.synthesis.takes import Random, Take

FORM = Format((128, 72), Fraction(12), 40)


def _rng(*seed: int) -> Random:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def take() -> Take:
    return live(_rng(1), FORM, scenes=("street",))


def _plain(level: int = 100) -> Take:
    return Take([np.full((72, 128, 3), level, np.uint8)] * FORM.frames, FORM.fps)


def _means(frames: list[Image]) -> np.ndarray:
    return np.array([float(frame.mean()) for frame in frames])


def test_some_takes_stay_as_they_are_and_most_do_not(take: Take) -> None:
    made = [nuisances.carried(take, _rng(2, n)) for n in range(60)]
    as_is = sum(one is take for one in made)
    assert 10 < as_is < 32
    assert all(len(one.frames) == FORM.frames and one.size == take.size for one in made)


def test_a_carried_take_is_mildly_changed_and_the_given_one_is_not(take: Take) -> None:
    before = [frame.copy() for frame in take.frames]
    changed = 0
    for n in range(20):
        made = nuisances.carried(take, _rng(3, n))
        apart = np.array([np.abs(a.astype(int) - b).mean() for a, b in zip(made.frames, before, strict=True)])
        changed += apart.max() > 1
        # A flash or somebody close may hide a few frames, never most of them.
        assert np.median(apart) < 45
    assert changed >= 10
    assert all((a == b).all() for a, b in zip(take.frames, before, strict=True))


def test_light_changes_the_whole_of_a_plain_picture_alike() -> None:
    for n in range(12):
        change = nuisances._light(_plain(), _rng(4, n))
        made = [change(frame, index) for index, frame in enumerate(_plain().frames)]
        assert max(float(frame[..., 0].std()) for frame in made) == 0
        assert np.ptp(_means(made)) > 0.5


def test_a_sway_moves_a_mark_by_a_few_percent_at_most() -> None:
    frame = np.zeros((72, 128, 3), np.uint8)
    frame[34:38, 62:66] = 255
    marked = Take([frame] * FORM.frames, FORM.fps)
    for n in range(12):
        change = nuisances._sway(marked, _rng(5, n))
        rows = []
        for index in range(FORM.frames):
            y, x = np.nonzero(change(frame, index)[..., 0] > 60)
            rows.append((y.mean(), x.mean()))
        assert 0 < np.ptp(np.array(rows), axis=0).max() < 0.08 * 72


def test_a_lens_finds_its_focus_again(take: Take) -> None:
    change = nuisances._hunt(take, _rng(6))
    made = [change(frame, index) for index, frame in enumerate(take.frames)]
    kept = [a.std() / max(float(b.std()), 1e-6) for a, b in zip(made, take.frames, strict=True)]
    assert min(kept) < 0.995
    assert max(kept) == pytest.approx(1.0, abs=1e-6)


def test_somebody_goes_by_and_is_gone() -> None:
    for n in range(8):
        change = nuisances._passer_by(_plain(255), _rng(7, n))
        means = _means([change(frame, index) for index, frame in enumerate(_plain(255).frames)])
        hidden = means < 250
        assert hidden.any()
        assert hidden.mean() < 0.8


def test_deliveries_keep_the_time_of_the_film() -> None:
    plain = 0
    for n in range(300):
        sent = nuisances.delivery(40, (480, 270), _rng(8, n))
        assert len(sent.ticks) == len(sent.shown) + 1
        assert sent.ticks[0] == 0
        assert sent.ticks[-1] == 40
        assert np.diff(sent.ticks).min() >= 1
        assert np.diff(sent.ticks).max() <= 6
        late = np.array(sent.ticks[:-1]) - np.array(sent.shown)
        assert late.min() >= 0, "no frame before its time"
        assert late.max() <= 5
        assert sent.size[0] % 2 == sent.size[1] % 2 == 0
        assert 480 <= sent.size[0] <= 960
        assert sent.frame(np.zeros((270, 480, 3), np.uint8)).shape[1::-1] == sent.size
        plain += list(sent.shown) == list(range(40)) and sent.size == (480, 270)
    assert 100 < plain < 220


def test_a_large_film_is_not_made_larger_than_the_limit() -> None:
    assert max(max(nuisances.delivery(20, (1280, 720), _rng(9, n)).size) for n in range(60)) == 1280


def test_a_whip_stays_in_one_place_and_smears(take: Take) -> None:
    made = ruses.whip_pan(Base(take, take), _rng(10)).take
    views = np.array([view.x for view in made.views])
    assert np.ptp(views) > 0.2
    assert (np.abs(np.diff(views)) < 1e-9).mean() > 0.5, "it rests before and after"


def test_water_mirrors_the_shore_darker() -> None:
    frame = np.zeros((72, 128, 3), np.uint8)
    frame[:20], frame[20:] = 40, 220
    still = Take([frame] * 6, FORM.fps)
    made = ruses.reflection(Base(still, still), _rng(11)).take.frames[3].astype(float)
    assert (made[:30] == frame[:30]).all()
    assert made[-4:].mean() < made[40:50].mean()


def test_lightning_lights_and_does_not_cover() -> None:
    frame = np.full((72, 128, 3), 12, np.uint8)
    frame[:, 64:] = 24
    still = Take([frame] * FORM.frames, FORM.fps)
    made = ruses.lightning(Base(still, still), _rng(12)).take.frames
    brightest = max(made, key=lambda one: float(one.mean())).astype(float)
    darkest = min(made, key=lambda one: float(one.mean())).astype(float)
    assert brightest.mean() > 1.3 * darkest.mean()
    for one in (brightest, darkest):
        assert one[:, 64:].mean() / one[:, :64].mean() > 1.5
