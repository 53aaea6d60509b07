"""Noise, blocks, softness and combing: each fault made step by step, and what the other columns do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from curate.footage.camera import STILL, Camera
from curate.footage.encode import Encoding, encode
from curate.footage.faults import Look
from curate.footage.film import Film, Shot, frames
from curate.footage.planes import to_frame
from curate.footage.textures import Image
from curate.frames import NativeLuma, Plane, SmallFrame
from curate.video import open_video
from curate.video.geometry import Orientation
from curate.video.planes import Shrinker
from filters.blockiness import blockiness, grid_steps
from filters.combing import combing
from filters.fidelity import FidelitySignal
from filters.noise import noise_sigma
from filters.tiles import cut_tiles, lively_tiles
from filters.track import Cadence

SIZE = (960, 540)
SCENES = ["city", "hills", "talker"]


@cache
def footage(
    scene: str, camera: Camera = STILL, fps: Fraction = Fraction(1, 3), count: int = 3
) -> tuple[Image, ...]:
    """Frames without grain."""
    shot = Shot(scene, count, camera=camera, look=Look(grain=0))
    return tuple(frame.copy() for frame in frames(Film((shot,), size=SIZE, fps=fps)))


def columns(small: Iterable[SmallFrame]) -> dict[str, float]:
    """Columns of all frames; missing where null."""
    signal = FidelitySignal(FidelitySignal.Options(every_s=0.01))
    count = 0
    for frame in small:
        signal.push([frame])
        count += 1
    return {name: value for name, value in signal.summary(0, count).items() if isinstance(value, float)}


def plain(images: Sequence[Image], pix_fmt: str = "yuv420p") -> dict[str, float]:
    """Columns of images that no codec has touched."""
    shrinker = Shrinker(Orientation())
    return columns(shrinker.small(to_frame(image, pix_fmt), n, float(n)) for n, image in enumerate(images))


def coded(path: Path, images: Sequence[Image], how: Encoding) -> dict[str, float]:
    """Columns of images that went through an encoder."""
    size = (images[0].shape[1], images[0].shape[0])
    encode(path, images, size, list(range(len(images) + 1)), Fraction(10), how)
    with open_video(str(path)) as video:
        return columns(frame.small() for frame in video)


def noisy(images: Sequence[Image], sigma: float) -> list[Image]:
    """Add white noise to the luma."""
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, sigma, (*image.shape[:2], 1)) for image in images]
    return [
        np.clip(np.rint(image + n), 0, 255).astype(np.uint8) for image, n in zip(images, noise, strict=True)
    ]


def enlarged(images: Sequence[Image], factor: float) -> list[Image]:
    """Shrink and scale up again: an upscaled source."""
    small = (round(SIZE[0] / factor), round(SIZE[1] / factor))
    return [
        np.asarray(
            cv2.resize(
                cv2.resize(image, small, interpolation=cv2.INTER_AREA), SIZE, interpolation=cv2.INTER_CUBIC
            )
        )
        for image in images
    ]


def woven(images: Sequence[Image], apart: int) -> list[Image]:
    """Take every second line from a later moment."""
    made = [image.copy() for image in images[: len(images) - apart]]
    for image, later in zip(made, images[apart:], strict=True):
        image[1::2] = later[1::2]
    return made


@pytest.mark.parametrize("scene", SCENES)
def test_noise_is_its_standard_deviation(scene: str) -> None:
    rows = [plain(noisy(footage(scene), sigma)) for sigma in (0, 1, 2, 4, 8)]
    noise = [row["noise"] for row in rows]
    assert noise[0] < 0.4
    for value, sigma in zip(noise[1:], (1, 2, 4, 8), strict=True):
        assert value == pytest.approx(sigma, rel=0.2)
    # The others: blocks drown, sharpness is feigned, nothing is combed.
    assert all(row["blockiness"] <= rows[0]["blockiness"] + 0.02 for row in rows)
    assert all(np.diff([row["sharpness_native"] for row in rows]) > 0)
    assert all(row["interlaced"] == 0 for row in rows)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(
    ("codec", "name", "steps"),
    [
        (
            "libx264",
            "a.mp4",
            [(("crf", str(crf)), ("x264-params", "no-deblock=1")) for crf in (20, 28, 36, 44)],
        ),
        ("mpeg4", "a.avi", [(("qmin", str(q)), ("qmax", str(q))) for q in (2, 6, 12, 24)]),
        ("mpeg2video", "a.ts", [(("qmin", str(q)), ("qmax", str(q))) for q in (2, 6, 12, 24)]),
    ],
)
def test_coarser_coding_is_blockier(
    tmp_path: Path, scene: str, codec: str, name: str, steps: list[tuple[tuple[str, str], ...]]
) -> None:
    images = footage(scene)
    before = plain(images)
    rows = [coded(tmp_path / name, images, Encoding(codec, options=options)) for options in steps]
    values = [before["blockiness"], *(row["blockiness"] for row in rows)]
    assert all(np.diff(values) > 0.03)
    assert values[-1] > 1
    for row in rows:
        # MPEG-2 scatters single coefficients.
        assert row["noise"] <= before["noise"] + (0.5 if codec == "mpeg2video" else 0.05)
        assert row["sharpness_native"] == pytest.approx(before["sharpness_native"], abs=0.25)
        assert row["interlaced"] == 0


def test_deblocking_takes_blocks_away(tmp_path: Path) -> None:
    images = footage("hills")
    with_, without = (
        coded(
            tmp_path / "a.mp4", images, Encoding(options=(("crf", "36"), ("x264-params", f"no-deblock={n}")))
        )
        for n in (0, 1)
    )
    assert with_["blockiness"] < 0.5 * without["blockiness"]


@pytest.mark.parametrize("shift", [0, 1, 3, 5])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0])
def test_the_grid_is_found_at_any_offset_and_scale(shift: int, factor: float) -> None:
    image = cv2.cvtColor(footage("hills")[0], cv2.COLOR_RGB2GRAY)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 12])
    assert done
    coarse = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    values = []
    for plane in (image, coarse):
        size = (round(SIZE[0] * factor), round(SIZE[1] * factor))
        grown = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[shift:, shift:]
        steps = grid_steps(lively_tiles(NativeLuma(grown, 1.0, 0.0)))
        assert steps is not None
        values.append(blockiness([steps]))
    assert values[1] > 2.5 * values[0]  # type: ignore[operator]


@pytest.mark.parametrize("scene", SCENES)
def test_scaling_up_is_soft_at_full_size(scene: str) -> None:
    rows = [plain(enlarged(footage(scene), factor)) for factor in (1, 2, 3, 4, 6)]
    sharp = [row["sharpness_native"] for row in rows]
    assert all(np.diff(sharp[1:]) < -0.01)
    assert sharp[1] < sharp[0] + 0.01
    assert sharp[-1] < sharp[0] - 0.08
    for row in rows:
        assert row["noise"] == pytest.approx(rows[0]["noise"], abs=0.1)
        assert row["blockiness"] == pytest.approx(rows[0]["blockiness"], abs=0.15)
        assert row["interlaced"] == 0


@pytest.mark.parametrize("scene", SCENES)
def test_fields_apart_are_combed(scene: str) -> None:
    images = footage(scene, Camera("pan", 0.2), Fraction(50), 10)
    native = [
        Shrinker(Orientation()).small(to_frame(image, "yuv420p"), 0, 0.0).native_luma() for image in images
    ]
    assert all(one is not None and combing(one) == 0 for one in native)
    before, after = plain(images), plain(woven(images, 2))
    assert (before["interlaced"], after["interlaced"]) == (0, 1)
    assert after["noise"] == pytest.approx(before["noise"], abs=0.25)
    assert after["blockiness"] == pytest.approx(before["blockiness"], abs=0.1)
    assert after["sharpness_native"] == pytest.approx(before["sharpness_native"], abs=0.15)


def test_more_frames_combed_are_more() -> None:
    images = footage("city", Camera("pan", 0.2), Fraction(50), 10)
    combed = woven(images, 2)
    shares = [plain([*combed[:n], *images[n:8]])["interlaced"] for n in (0, 2, 4, 8)]
    assert shares == [0, 0.25, 0.5, 1]


def test_two_of_five_telecined_frames_are_combed() -> None:
    film = footage("city", Camera("pan", 0.2), Fraction(24), 4)
    fields = [(0, 0), (1, 1), (1, 2), (2, 3), (3, 3)]
    shown = []
    for top, bottom in fields:
        frame = film[top].copy()
        frame[1::2] = film[bottom][1::2]
        shown.append(frame)
    assert plain(shown)["interlaced"] == pytest.approx(0.4)


def test_the_interval_meets_every_phase_of_telecine() -> None:
    cadence = Cadence(FidelitySignal.Options().every_s)
    due = [n for n in range(900) if cadence.due(n * 1001 / 30000)]
    assert {n % 5 for n in due} == {0, 1, 2, 3, 4}


def test_combing_survives_a_codec(tmp_path: Path) -> None:
    images = woven(footage("city", Camera("pan", 0.2), Fraction(50), 10), 2)
    assert coded(tmp_path / "a.mp4", images, Encoding())["interlaced"] == 1


def test_ten_bits_are_as_eight() -> None:
    images = noisy(footage("hills"), 3)
    eight, ten = plain(images), plain(images, "yuv420p10le")
    assert ten == {name: pytest.approx(value, abs=0.05) for name, value in eight.items()}


def test_nothing_is_said_of_black_and_burnt_out_frames() -> None:
    for level in (0, 255):
        row = plain([np.full((540, 960, 3), level, np.uint8)] * 3)
        assert row == {}


def test_flat_colour_has_no_noise_and_no_blocks() -> None:
    assert plain([np.full((540, 960, 3), 120, np.uint8)]) == {"noise": 0, "blockiness": 0, "interlaced": 0}


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (7, 2), (47, 200), (48, 48), (50, 50), (97, 53)])
def test_any_size_is_measured(size: tuple[int, int]) -> None:
    width, height = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    row = plain([image])
    assert ("noise" in row) == (min(size) >= 48)
    assert ("interlaced" in row) == (min(size) >= 48)


def test_a_frame_of_small_planes_is_null() -> None:
    gray: Plane = np.full((20, 20), 128, np.uint8)
    assert columns([SmallFrame(0, 0.0, gray, gray, gray)]) == {}


def test_tiles_begin_on_the_grid() -> None:
    for height, width in ((48, 48), (100, 500), (270, 480), (1080, 1920)):
        y, x = np.mgrid[:height, :width]
        tiles = cut_tiles((y % 48) * 48 + x % 48)
        assert tiles.shape[1] == min(96, height // 48 * 48)
        assert (tiles[:, 0, 0] == 0).all()
        assert len(tiles) == min(2, max(1, height // 96)) * min(3, max(1, width // 96))


def test_white_noise_on_gray_is_measured_exactly() -> None:
    plane = np.rint(np.random.default_rng(0).normal(128, 5, (400, 400))).astype(np.uint8)
    measured = noise_sigma(lively_tiles(NativeLuma(plane, 1.0, 0.0)))
    assert measured == pytest.approx(5, rel=0.15)
