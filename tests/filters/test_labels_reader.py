"""The network that reads maps: what it learns that places tell, and what it must not depend on."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from filters.labels.reader import Maps, Reader, fit_reader, fit_readers, read  # noqa: E402

CHANNELS, FRAMES, HEIGHT, WIDTH = 4, 3, 5, 6


def films(count: int, seed: int) -> tuple[Maps, np.ndarray]:
    """Return maps of noise; in some, two neighbours stand out in one frame: only side by side it is a yes.

    All sums and greatest values are alike, so nothing but their places tells.
    """
    rng = np.random.default_rng(seed)
    maps = rng.normal(2, 0.3, (count, FRAMES, CHANNELS, HEIGHT, WIDTH)).astype(np.float16)
    yes = rng.random(count) < 0.4
    for number in range(count):
        frame, y = rng.integers(FRAMES), rng.integers(HEIGHT)
        x = rng.integers(WIDTH - 1)
        maps[number, frame, 0, y, x] += 3
        other = (y, x + 1) if yes[number] else ((y + 2) % HEIGHT, (x + 3) % WIDTH)
        maps[number, frame, 1, *other] += 3
    told = Maps(torch.from_numpy(maps), torch.ones(count, FRAMES, dtype=torch.bool))
    return told, yes[:, None].astype(np.float32)


def fitted(maps: Maps, yes: np.ndarray, epochs: int = 25) -> Reader:
    has = np.concatenate([yes, 1 - yes], axis=1)
    return fit_reader(maps, yes, np.nan_to_num(has), width=12, epochs=epochs, seed=0)


@pytest.fixture(scope="module")
def learned() -> tuple[Reader, Maps, np.ndarray]:
    maps, yes = films(700, 0)
    yes[:30] = np.nan
    return fitted(maps, yes), maps, yes


def test_it_learns_what_is_next_to_what(learned: tuple[Reader, Maps, np.ndarray]) -> None:
    maps, yes = films(300, 1)
    said = read(learned[0], maps)
    assert said.shape == (300, 1)
    assert said.dtype == np.float32
    right = (said > 0) == (yes == 1)
    assert min(right[yes == 1].mean(), right[yes == 0].mean()) > 0.85


def test_the_same_seed_learns_the_same() -> None:
    maps, yes = films(64, 2)
    one, two = fitted(maps, yes, 2), fitted(maps, yes, 2)
    assert (read(one, maps) == read(two, maps)).all()


def test_frames_that_are_missing_change_nothing(learned: tuple[Reader, Maps, np.ndarray]) -> None:
    reader, maps, _ = learned
    some = maps.of(np.arange(8))
    filled = torch.full((8, 2, CHANNELS, HEIGHT, WIDTH), 9.0, dtype=torch.float16)
    longer = Maps(
        torch.cat([some.maps_NTCHW, filled], dim=1),
        torch.cat([some.present_NT, torch.zeros(8, 2, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(reader(longer), reader(some))
    single = Maps(some.maps_NTCHW[:, :1], some.present_NT[:, :1])
    alone = Maps(longer.maps_NTCHW, longer.present_NT & (torch.arange(FRAMES + 2) < 1))
    torch.testing.assert_close(reader(alone), reader(single))


def test_what_it_has_not_seen_it_knows_less_of() -> None:
    """Answers by chance are learned by heart, and not told of other clips."""
    maps, _ = films(60, 3)
    yes = (np.random.default_rng(4).random((60, 1)) < 0.5).astype(np.float32)
    fold = np.arange(60) % 3
    none = np.zeros((60, 0), np.float32)
    fit = partial(fit_reader, width=24, epochs=400, seed=0)
    heart = (read(fit(maps, yes, none), maps) > 0) == (yes == 1)
    readers, said = fit_readers(fit, maps, yes, none, fold, 3)
    assert heart.mean() > 0.8
    assert ((said > 0) == (yes == 1)).mean() < 0.7
    np.testing.assert_array_equal(said[fold == 1], read(readers[1], maps.of(fold == 1)))


def test_clips_of_one_source_teach_every_reader() -> None:
    maps, yes = films(40, 8)
    none = np.zeros((40, 0), np.float32)
    fit = partial(fit_reader, width=8, epochs=2, seed=0)
    readers, said = fit_readers(fit, maps, yes, none, np.zeros(40, np.intp), 3)
    assert not said.any()
    assert len(readers) == 3
    assert all((read(one, maps) == read(readers[0], maps)).all() for one in readers)


def test_a_channel_that_is_the_same_everywhere_says_nothing() -> None:
    maps, yes = films(64, 5)
    maps.maps_NTCHW[:, :, 3] = 1.0
    reader = fitted(maps, yes, 1)
    assert reader.get_buffer("scale")[3] == 0
    other = Maps(maps.maps_NTCHW.clone(), maps.present_NT)
    other.maps_NTCHW[:, :, 3] = 50.0
    assert (read(reader, other) == read(reader, maps)).all()
