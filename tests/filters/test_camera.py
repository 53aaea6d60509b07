"""The camera's motion on numbers and on rendered shots whose camera is known."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from curate.footage.moves import (
    LIVELY,
    LIVELY_FPS,
    PHOTO_FPS,
    PHOTOGRAPHED,
    MovedShot,
    lively_shots,
    photograph_shots,
)
from curate.frames import Plane, SmallFrame
from filters.camera import (
    FlowSamples,
    Similarity,
    amounts,
    classify_camera,
    fit_camera,
    sample_flow,
    shake,
    support_of,
    velocities,
)
from filters.motion import MotionOptions, MotionSignal

HEIGHT, WIDTH = 90, 160
DIAGONAL = float(np.hypot(HEIGHT, WIDTH))
GRAY = np.full((2, 2), 128, np.uint8)


def busy() -> Plane:
    noise: Plane = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    return noise


def flow_of(move: Similarity) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    matrix = move.matrix(WIDTH, HEIGHT)
    moved = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return (moved - np.stack([x.ravel(), y.ravel()])).T.reshape(HEIGHT, WIDTH, 2).astype(np.float32)


def near(one: Similarity | None, two: Similarity, tolerance: float = 2e-4) -> bool:
    assert one is not None
    return all(
        abs(getattr(one, name) - getattr(two, name)) < tolerance for name in ("x", "y", "zoom", "roll")
    )


@pytest.mark.parametrize(
    "move",
    [
        Similarity(0.02, -0.01, 0.0, 0.0),
        Similarity(0.0, 0.0, 0.05, 0.0),
        Similarity(0.0, 0.0, 0.0, -0.04),
        Similarity(-0.01, 0.004, -0.02, 0.03),
    ],
)
@pytest.mark.parametrize("thing", [0.0, 0.3, 0.4])
def test_the_camera_is_found_behind_things(move: Similarity, thing: float) -> None:
    """Up to two fifths of the picture go elsewhere."""
    flow = flow_of(move)
    flow[:, : round(WIDTH * thing)] += (7.0, 3.0)
    (found,) = fit_camera([sample_flow(flow, busy())])
    assert near(found, move)


def test_a_large_thing_before_a_fixed_camera_is_no_pan() -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[:, 70:] = (6.0, 0.0)
    flow[:40, 70:] = (0.0, 6.0)
    (found,) = fit_camera([sample_flow(flow, busy())])
    assert near(found, Similarity(0, 0, 0, 0))


def test_disorder_is_no_camera() -> None:
    flow = np.random.default_rng(3).normal(0, 12, (HEIGHT, WIDTH, 2)).astype(np.float32)
    samples = sample_flow(flow, busy())
    (found,) = fit_camera([samples])
    assert found is not None
    (camera,), (objects,) = amounts([samples], [found])
    assert camera < 0.1 * objects


def test_blank_areas_do_not_count() -> None:
    """Flow over a blank sky is made up, here: none."""
    picture, flow = busy(), flow_of(Similarity(0.03, 0, 0, 0))
    picture[:55], flow[:50] = 200, 0
    samples = sample_flow(flow, picture)
    (found,) = fit_camera([samples])
    assert near(found, Similarity(0.03, 0, 0, 0), 1e-3)
    assert found is not None
    assert amounts([samples], [found])[1][0] < 0.002


def test_a_blank_picture_says_nothing() -> None:
    blank = np.full((HEIGHT, WIDTH), 90, np.uint8)
    samples = sample_flow(flow_of(Similarity(0, 0, 0, 0)), blank)
    assert fit_camera([samples]) == [None]
    assert fit_camera([]) == []
    assert amounts([], []) == ([], [])


def test_a_fit_does_not_depend_on_its_company() -> None:
    rng = np.random.default_rng(4)
    fields = [flow_of(Similarity(*rng.normal(0, 0.02, 4).tolist())) for _ in range(7)]
    samples = [
        sample_flow(field + rng.normal(0, 0.5, field.shape).astype(np.float32), busy()) for field in fields
    ]
    assert fit_camera(samples) == [fit_camera([one])[0] for one in samples]


def test_amounts_are_means_over_the_picture() -> None:
    flow = flow_of(Similarity(0.05, 0, 0, 0))
    flow[:, 80:] += (0.0, 0.02 * DIAGONAL)
    samples = sample_flow(flow, busy())
    (camera,), (objects,) = amounts([samples], [Similarity(0.05, 0, 0, 0)])
    assert camera == pytest.approx(0.05, rel=1e-3)
    assert objects == pytest.approx(0.01, rel=0.01)


def moving(rows: list[tuple[float, float, float, float]]) -> npt.NDArray[np.float64]:
    return velocities([Similarity(*row) for row in rows], [0.1] * len(rows))


def test_kinds_on_numbers() -> None:
    assert classify_camera(moving([])) is None
    assert classify_camera(moving([(0.0001, 0, 0, 0)] * 5)) == "static"
    assert classify_camera(moving([(0.005, 0, 0, 0)] * 5)) == "pan"
    assert classify_camera(moving([(0.005, 0, 0, 0)] * 5 + [(-0.005, 0, 0, 0)] * 5)) == "pan"
    assert classify_camera(moving([(0, 0.005, 0.001, 0)] * 5)) == "tilt"
    assert classify_camera(moving([(0.001, 0, 0.02, 0)] * 5)) == "zoom"
    assert classify_camera(moving([(0, 0.001, 0, 0.02)] * 5)) == "roll"
    assert classify_camera(moving([(0.005, 0, 0.019, 0)] * 5)) == "mixed"
    assert classify_camera(moving([(0.005, 0, 0, 0), (-0.005, 0.005, 0, 0)] * 4)) == "handheld"


def test_shake_is_the_unsteady_part() -> None:
    assert shake(moving([(0.01, 0, 0, 0)] * 2)) is None
    assert shake(moving([(0.01, 0, 0, 0)] * 8)) == pytest.approx(0, abs=1e-9)
    assert shake(moving([(0.01 * n, 0, 0.01 * n, 0) for n in range(8)])) == pytest.approx(0, abs=1e-9)
    white = np.random.default_rng(1).normal(0, 0.02, (4000, 4)) * [1, 1, 0, 0]
    assert shake(white) == pytest.approx(0.02 * np.sqrt(2), rel=0.2)


def named(shot: MovedShot, fps: Fraction) -> object:
    signal = MotionSignal(MotionOptions())
    for n, plane in enumerate(shot.luma_THW):
        signal.push([SmallFrame(n, float(n / fps), plane, GRAY, GRAY)])
    return signal.summary(0, len(shot.luma_THW))["camera"]


@pytest.mark.slow
def test_kinds_of_rendered_shots() -> None:
    """At least 95 % of 72 photographs that a camera moves over."""
    wrong: list[tuple[object, ...]] = []
    shots = 0
    for scene in PHOTOGRAPHED:
        for shot in photograph_shots(scene, 3):
            shots += 1
            kind = named(shot, PHOTO_FPS)
            if kind != shot.kind:
                wrong.append((scene, shot.kind, kind))
    assert shots == 72
    assert len(wrong) <= 0.05 * shots, wrong


@pytest.mark.slow
def test_kinds_in_lively_scenes() -> None:
    """Nine in ten of 88 shots of scenes in which much moves, a null not counted as right."""
    wrong: list[tuple[object, ...]] = []
    shots = 0
    for scene in LIVELY:
        for shot in lively_shots(scene, 5):
            shots += 1
            kind = named(shot, LIVELY_FPS)
            if kind != shot.kind:
                wrong.append((scene, shot.kind, kind))
    assert shots == 88
    assert len(wrong) <= 0.1 * shots, wrong


@pytest.mark.slow
def test_what_moves_by_itself_is_mostly_not_named() -> None:
    """Cloth fills the picture: hardly any part of it agrees with a move."""
    kinds = [named(shot, LIVELY_FPS) for shot in lively_shots("cloth", 5)]
    assert kinds.count(None) >= 6, kinds


def test_a_move_that_little_follows_is_not_named() -> None:
    pan, shaky = moving([(0.005, 0, 0, 0)] * 5), moving([(0.005, 0, 0, 0), (-0.005, 0.005, 0, 0)] * 4)
    assert classify_camera(pan, 0.16) == classify_camera(pan, 0.0, 0.35) == "pan"
    assert classify_camera(pan, 0.14, 0.29) is None
    assert classify_camera(shaky, 0.25) == classify_camera(shaky, 0.0, 0.5) == "handheld"
    assert classify_camera(shaky, 0.2, 0.4) is None


def test_support_is_that_of_a_usual_pair() -> None:
    assert support_of([]) == 0
    assert support_of([Similarity(0, 0, 0, 0, support) for support in (0.1, 0.9, 0.4)]) == 0.4


def test_a_fit_knows_its_support() -> None:
    flow = flow_of(Similarity(0.02, 0, 0, 0))
    flow[:, :48] = (0.0, 8.0)
    (found,) = fit_camera([sample_flow(flow, busy())])
    assert found is not None
    assert found.support == pytest.approx(0.7, abs=0.05)


def test_a_sample_is_a_picture_reduced() -> None:
    samples = sample_flow(np.zeros((HEIGHT, WIDTH, 2), np.float32), busy())
    assert isinstance(samples, FlowSamples)
    assert samples.shift_2N.shape == samples.at_2N.shape == (2, 9 * 16)
    assert samples.texture_N.min() == 1
    assert np.abs(samples.at_2N.mean(axis=1)).max() < 0.01
