"""The pure parts of footage: planes, cameras, transitions, damage, noise."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.footage import damage
from curate.footage.camera import Camera, mean_speed
from curate.footage.canvas import View
from curate.footage.faults import Flash, Lamp, Look, Mirror, finisher
from curate.footage.film import SCENES, Film, Join, Shot, build_scene, frames, spans
from curate.footage.planes import to_frame
from curate.footage.textures import fractal, tile
from curate.footage.transitions import mix

SIZE = (160, 90)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_scenes_are_textured_and_functions_of_time(name: str) -> None:
    scene = build_scene(name, SIZE, 3, "noon", "")
    still = Camera().view(0, SIZE)
    first = scene(0.4, still)
    assert first.shape == (90, 160, 3)
    assert first.dtype == np.uint8
    assert first.std() > 12
    scene(2.5, still)
    assert np.array_equal(scene(0.4, still), first)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_scenes_go_on_wherever_the_camera_looks(name: str) -> None:
    scene = build_scene(name, SIZE, 3, "noon", "")
    for x, y, zoom in ((0, 0.7, 1), (0, -0.7, 1), (0.7, 0, 1), (0, 0.39, 1), (0, 0.05, 4), (0.1, 2, 2)):
        assert scene(0.4, View(x, y, 0.0, zoom)).shape == (90, 160, 3)


def test_water_goes_with_the_horizon_as_the_camera_tilts() -> None:
    scene = build_scene("sea", (160, 100), 3, "noon", "")
    level, down = (scene(0.4, View(y=y)).astype(int) for y in (0.0, 0.2))
    assert np.abs(down[20:80] - level[40:]).mean() < 1
    assert np.abs(down[20:80] - level[20:80]).mean() > 10


@pytest.mark.parametrize(
    ("camera", "speed"),
    [
        (Camera("pan", 0.1), 0.1),
        (Camera("tilt", -0.2), 0.2),
        (Camera(), 0.0),
        (Camera("roll", 0.4), 0.4 * 0.265),
    ],
)
def test_camera_speed_is_in_diagonals_a_second(camera: Camera, speed: float) -> None:
    assert mean_speed(camera, (480, 270), 2.0) == pytest.approx(speed, rel=0.06, abs=1e-9)


def test_a_pan_moves_the_picture_as_fast_as_it_says() -> None:
    size = (320, 180)
    film = Film(
        (Shot("aerial", 11, seed=2, camera=Camera("pan", 0.1), look=Look(grain=0, vignette=0, soft_px=0)),),
        size=size,
    )
    first, *_, last = frames(film)
    shift = round(0.1 * math.hypot(*size) * 10 / 25)
    moved = np.abs(last[:, :-shift].astype(int) - first[:, shift:]).mean()
    assert moved < 0.35 * np.abs(last.astype(int) - first).mean()


def test_dips_reach_the_plain_colour_and_dissolves_never_do() -> None:
    one, two = np.full((4, 6, 3), 90, np.uint8), np.full((4, 6, 3), 200, np.uint8)
    assert mix("black", one, two, 0.5).max() == 0
    assert mix("white", one, two, 0.5).min() == 255
    assert mix("dissolve", one, two, 0.5).max() == pytest.approx(145, abs=1)
    assert mix("wipe", one, two, 0.5)[0, 0, 0] == 200
    assert mix("wipe", one, two, 0.5)[0, -1, 0] == 90
    with pytest.raises(ValueError, match="hard cut"):
        mix("cut", one, two, 0.5)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.lists(st.sampled_from([0, 3, 8]), min_size=4, max_size=4),
    st.integers(0, 4),
)
def test_spans_tile_every_film(lengths: list[int], gaps: list[int], opening: int) -> None:
    joins = tuple(Join("dissolve", gap) if gap else Join() for gap in gaps[: len(lengths) - 1])
    film = Film(tuple(Shot("hills", length) for length in lengths), joins, opening=Join("black", opening))
    layout = spans(film)
    assert layout[0].start_frame == opening
    assert layout[-1].end_frame == film.total()
    for one, two, join in zip(layout, layout[1:], joins, strict=False):
        assert two.start_frame - one.end_frame == join.frames


def test_variable_rhythm_adds_up() -> None:
    film = Film((Shot("hills", 5),), fps=Fraction(30), rhythm=(1, 3))
    assert film.ticks() == [0, 1, 4, 5, 8, 9]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_planes_give_the_colours_back(pix_fmt: str, size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), (180, 90, 40), np.uint8)
    frame = to_frame(image, pix_fmt)
    assert (frame.width, frame.height, frame.format.name) == (*size, pix_fmt)
    back = frame.to_ndarray(format="rgb24")
    assert np.abs(back.astype(int) - image).max() <= 4
    with pytest.raises(ValueError, match="nv12"):
        to_frame(image, "nv12")


def test_noise_is_seeded_and_tiles_wrap() -> None:
    assert np.array_equal(fractal((40, 60), 5), fractal((40, 60), 5))
    assert not np.array_equal(fractal((40, 60), 5), fractal((40, 60), 6))
    wrapped = tile(64, 2, cell=16)
    inside = np.abs(np.diff(wrapped, axis=1)).max()
    assert np.abs(wrapped[:, 0] - wrapped[:, -1]).max() <= inside * 1.2


def test_faults_do_what_they_are_named_for() -> None:
    frame = np.random.default_rng(0).integers(40, 120, (90, 160, 3)).astype(np.uint8)
    flash, lamp = Flash((5,), 2), Lamp(10)
    assert flash(frame.copy(), 5, 0.2).mean() > 2 * frame.mean()
    assert np.array_equal(flash(frame.copy(), 7, 0.3), frame)
    assert lamp(frame.copy(), 9, 0.3).mean() < 0.5 * frame.mean()
    assert np.array_equal(lamp(frame.copy(), 10, 0.4), frame)
    assert np.array_equal(Mirror()(frame.copy(), 0, 0.0), frame[:, ::-1])
    dark = finisher(Look(gain=0.2), SIZE, 0)(frame, 0)
    assert dark.mean() < 0.3 * frame.mean()


def test_damage_is_where_it_should_be() -> None:
    data = bytes(range(256)) * 8
    assert damage.truncated(0.25)(data) == data[:512]
    assert damage.empty(data) == b""
    bent = damage.flipped(0.5, 0.75, 16)(data)
    assert bent[:1024] == data[:1024]
    assert bent[1536:] == data[1536:]
    assert sum(a != b for a, b in zip(bent, data, strict=True)) == 32
