"""What a view shows is decided by time stamps, and every decoder shows the same."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered_clips import FILMS, Cut, Film, cut, number_of, picture, render

from shards.errors import ConfigError, SourceError
from train.data.decode import decode
from train.data.decoders import DECODERS, decoder
from train.data.fitting import covering, fitted
from train.data.times import CLOCK_S, asked_times, shown
from train.plan import View


def usable(name: str) -> str | None:
    """Return why a decoder cannot be used here."""
    try:
        list(DECODERS[name](b"no video", [0.0], (0, 0)))
    except SourceError:
        return None
    except ConfigError as exc:
        return str(exc)
    return None


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cut]:
    folder = tmp_path_factory.mktemp("films")
    return {film.name: cut(render(folder, film), 8, len(film.pts) - 5) for film in FILMS}


def expected(clip: Cut, view: View) -> list[int]:
    """Return the numbers of the frames that are on screen at the asked times."""
    return [clip.first + bisect_right(clip.times_s, time_s + CLOCK_S) - 1 for time_s in asked_times(view)]


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("film", FILMS, ids=lambda film: film.name)
def test_decoders_show_the_same_frames(name: str, film: Film, cuts: dict[str, Cut]) -> None:
    if why := usable(name):
        pytest.skip(why)
    clip = cuts[film.name]
    length_s = clip.times_s[-1]
    for start_s, fps in ((0.0, 8.0), (0.0, 16.0), (0.3, 8.0), (length_s * 0.6, 16.0)):
        frames = int((length_s - start_s) * fps - 0.01) // 4 * 4 + 1
        view = View(start_s, fps, frames, 32, 64)
        frames_THWC = decode(clip.data, view, clip.shown, DECODERS[name], clip.rolls)
        assert frames_THWC.shape == (frames, 32, 64, 3)
        if film.aspect == 1:
            assert [number_of(frame) for frame in frames_THWC] == expected(clip, view)


def test_the_cuts_hide_frames(cuts: dict[str, Cut]) -> None:
    """Else the test above would not meet what decoders differ in."""
    assert sum(clip.rolls[0] > 0 for clip in cuts.values()) >= 6
    assert sum(clip.rolls[1] > 0 for clip in cuts.values()) >= 2


def test_thirty_becomes_eight_and_not_ten() -> None:
    frames = [(n / 30, 1 / 30, n) for n in range(90)]
    seen = [n for count, n in shown(frames, asked_times(View(0, 8, 9, 16, 16))) for _ in range(count)]
    assert seen == [0, 3, 7, 11, 15, 18, 22, 26, 30]


@given(
    lengths=st.lists(st.integers(3, 400), min_size=1, max_size=60),
    start=st.integers(0, 2000),
    fps=st.sampled_from([8.0, 16.0, 23.976]),
    frames=st.integers(1, 40),
)
def test_any_clock(lengths: list[int], start: int, fps: float, frames: int) -> None:
    """A view of a clip of any rhythm shows what brute force finds, or says that the clip is too short."""
    times = np.concatenate([[0], np.cumsum(lengths)]) / 1000
    film = [(float(a), float(b - a), n) for n, (a, b) in enumerate(pairwise(times))]
    asked = asked_times(View(start / 1000, fps, frames, 16, 16))
    wanted = [int(np.searchsorted(times, time_s + CLOCK_S, side="right")) - 1 for time_s in asked]
    taken: list[int] = []
    if asked[-1] > times[-1] - CLOCK_S and not (len(lengths) == 1 and asked[-1] <= CLOCK_S):
        with pytest.raises(SourceError, match="it ends at"):
            list(shown(film, asked))
        return
    for count, number in shown(film, asked):
        taken += [number] * count
    assert taken == wanted


def test_pixels_that_are_not_square(cuts: dict[str, Cut]) -> None:
    """Stored 128 x 64 and shown 256 x 64: a view of 32 x 64 is the middle half of it."""
    clip = cuts["wide-pixels.mp4"]
    assert clip.shown == (64, 256)
    (frame,) = decode(clip.data, View(0, 8, 1, 32, 64), clip.shown, DECODERS["av"], clip.rolls)
    middle = picture(clip.first)[:, 32:96][:, ::1]
    whole = fitted(np.ascontiguousarray(middle), (64, 128), 32, 64)
    assert np.abs(frame.astype(int) - whole).mean() < 4


def test_a_picture_alone_is_seen_once(tmp_path: Path) -> None:
    still = render(tmp_path, Film("still.mp4", range(1), FILMS[0].time_base)).read_bytes()
    assert number_of(decode(still, View(0, 1, 1, 32, 64), (64, 128), DECODERS["av"])[0]) == 0
    with pytest.raises(SourceError, match="it ends at"):
        decode(still, View(0, 1, 5, 32, 64), (64, 128), DECODERS["av"])


@pytest.mark.parametrize("name", DECODERS)
def test_what_does_not_decode_says_so(name: str, cuts: dict[str, Cut]) -> None:
    if why := usable(name):
        pytest.skip(why)
    clip = cuts["b-frames.mp4"]
    for broken in (b"", b"nothing", clip.data[: len(clip.data) // 3]):
        with pytest.raises(SourceError):
            decode(broken, View(0, 8, 9, 32, 64), clip.shown, DECODERS[name], clip.rolls)
    with pytest.raises(SourceError, match="ends at"):
        decode(clip.data, View(0, 8, 41, 32, 64), clip.shown, DECODERS[name], clip.rolls)


def test_another_decoder() -> None:
    with pytest.raises(ConfigError, match="av, torchcodec, decord"):
        decoder("opencv")


@given(st.integers(8, 4000), st.integers(8, 4000), st.integers(1, 60), st.integers(1, 60))
def test_scaled_to_cover_and_no_more(height: int, width: int, rows: int, columns: int) -> None:
    wanted = 16 * rows, 16 * columns
    scaled, (top, left) = covering((height, width), *wanted)
    spare = scaled[0] - wanted[0], scaled[1] - wanted[1]
    assert min(spare) == 0
    assert (top, left) == (spare[0] // 2, spare[1] // 2)
    share = max(wanted[0] / height, wanted[1] / width)
    assert abs(scaled[0] - height * share) <= 1
    assert abs(scaled[1] - width * share) <= 1


def test_scaling_down_is_antialiased() -> None:
    """A checkerboard of single pixels becomes gray; without antialias it would stay black and white."""
    board = np.indices((256, 256)).sum(0) % 2 * 255
    small = fitted(np.stack([board] * 3, -1).astype(np.uint8), (256, 256), 48, 48)
    assert np.abs(small.astype(int) - 127).max() < 8
