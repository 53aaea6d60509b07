from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from curate.video.geometry import Orientation, display_size, fit_short_side
from curate.video.mp4 import movie_clock, set_presented_duration

PICTURE = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90, -180])
def test_rotation_is_counterclockwise(degrees: int) -> None:
    turned = Orientation.from_rotation(degrees).apply(PICTURE)
    np.testing.assert_array_equal(turned, np.rot90(PICTURE, degrees // 90))


@pytest.mark.parametrize(("transpose", "x", "y"), list(product((False, True), repeat=3)))
def test_matrix_round_trip(transpose: bool, x: bool, y: bool) -> None:
    orientation = Orientation(transpose, x, y)
    matrix = np.array(orientation.matrix(), np.int32)
    assert Orientation.from_matrix(matrix.tobytes()) == orientation


def test_display_size() -> None:
    assert display_size(704, 576, Fraction(16, 11), False) == (1024, 576)
    assert display_size(704, 576, Fraction(16, 11), True) == (576, 1024)
    assert display_size(1, 9, Fraction(1, 9), False) == (1, 9)


def test_short_side_never_grows() -> None:
    assert fit_short_side(1920, 1080, 448) == (796, 448)
    assert fit_short_side(320, 240, 448) == (320, 240)
    assert fit_short_side(5000, 2, 1) == (2500, 1)


def test_movie_clock() -> None:
    assert movie_clock(Fraction(1, 90_000)) == (90_000, 1)
    assert movie_clock(Fraction(1001, 30_000)) == (30_000, 1001)
    assert movie_clock(Fraction(1, 25)) == (1_000, 40)


def box(kind: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def movie(version: int, edits: int) -> bytearray:
    width = 8 if version else 4
    times = bytes(2 * width)
    full = bytes([version, 0, 0, 0])
    mvhd = box(b"mvhd", full, times, bytes(4), b"\xaa" * width, bytes(8))
    tkhd = box(b"tkhd", full, times, bytes(8), b"\xbb" * width, bytes(8))
    elst = box(b"elst", full, edits.to_bytes(4, "big"), (b"\xcc" * width + b"\x11" * (width + 4)) * edits)
    return bytearray(box(b"ftyp") + box(b"moov", mvhd, box(b"trak", tkhd, box(b"edts", elst))))


@pytest.mark.parametrize("version", [0, 1])
def test_duration_is_set_in_all_three_places(version: int) -> None:
    media = movie(version, 1)
    size = len(media)
    assert set_presented_duration(media, 77)
    width = 8 if version else 4
    assert len(media) == size
    assert media.count((77).to_bytes(width, "big")) == 3
    assert not any(media.count(bytes([value])) for value in (0xAA, 0xBB, 0xCC))
    assert media.count(b"\x11" * (width + 4)) == 1


@pytest.mark.parametrize(
    "media", [movie(0, 2), bytearray(box(b"ftyp")), bytearray(b"\0\0\0\1moov"), bytearray()]
)
def test_other_files_are_left_alone(media: bytearray) -> None:
    before = bytes(media)
    assert not set_presented_duration(media, 77)
    assert media == before
