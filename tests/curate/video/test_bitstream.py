"""Random-access points are read from the bits, not from the container's flag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.video.bitstream import (
    NalFraming,
    is_random_access,
    is_referenced,
    is_skipped_leading,
    with_sei,
    x264_sei,
)

ANNEX_B, AVCC = NalFraming(0), NalFraming(4)
IDR, SLICE, SPS, PPS = b"\x65\x88", b"\x41\x9a", b"\x67\x42", b"\x68\xce"
UUID = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")
VERSION_SEI = b"\x06\x05\x18" + UUID + b"x264 - 9" + b"\x80"


def recovery_sei(code: int) -> bytes:
    """ue(v) of 0 is the bit 1, of 1 is 010, of 6 is 00111."""
    return b"\x06\x06\x01" + bytes([code]) + b"\x80"


def packet(framing: NalFraming, *units: bytes) -> bytes:
    return b"".join(framing.wrap(unit) for unit in units)


@pytest.mark.parametrize("framing", [ANNEX_B, AVCC])
@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ((SPS, PPS, IDR), True),
        ((recovery_sei(0b1100_0000), SLICE), True),
        ((recovery_sei(0b0100_0000), SLICE), False),
        ((recovery_sei(0b0011_1000), SLICE), False),
        ((VERSION_SEI, SLICE), False),
        ((SPS, PPS, SLICE), False),
        ((SPS, PPS), False),
    ],
)
def test_h264(framing: NalFraming, units: tuple[bytes, ...], expected: bool) -> None:
    assert is_random_access("h264", framing, packet(framing, *units)) is expected


@pytest.mark.parametrize(
    ("kind", "expected"), [(1, False), (9, False), (16, True), (19, True), (21, True), (22, False)]
)
def test_hevc(kind: int, expected: bool) -> None:
    data = packet(AVCC, bytes([32 << 1, 1, 0]), bytes([kind << 1, 1, 0]))
    assert is_random_access("hevc", AVCC, data) is expected
    assert is_skipped_leading("hevc", AVCC, data) is (kind == 9)


@pytest.mark.parametrize(
    ("header", "expected"),
    [(0b0001_0000, True), (0b0000_0000, False), (0b0011_0000, False), (0b1000_0000, False)],
)
def test_av1(header: int, expected: bool) -> None:
    delimiter, frame = bytes([2 << 3 | 2, 0]), bytes([6 << 3 | 2, 1, header])
    assert is_random_access("av1", ANNEX_B, delimiter + frame) is expected


def test_other_codecs_trust_the_container() -> None:
    assert is_random_access("vp9", ANNEX_B, b"\x82")


@pytest.mark.parametrize("framing", [ANNEX_B, AVCC])
def test_x264_version_moves_along(framing: NalFraming) -> None:
    first = packet(framing, SPS, VERSION_SEI, IDR)
    sei = x264_sei(framing, first)
    assert sei == VERSION_SEI
    moved = with_sei(framing, packet(framing, SPS, PPS, IDR), sei)
    assert [nal.payload for nal in framing.split(moved)] == [SPS, PPS, VERSION_SEI, IDR]
    assert x264_sei(framing, packet(framing, SPS, recovery_sei(0b1100_0000), IDR)) is None


@pytest.mark.parametrize("framing", [ANNEX_B, AVCC, NalFraming(2)])
def test_pictures_that_others_build_on(framing: NalFraming) -> None:
    for header, expected in ((0x01, False), (0x21, True), (0x41, True), (0x65, True), (0x02, False)):
        slices = packet(framing, VERSION_SEI, bytes([header, 0x9A, 0x12]), b"\x41\x9a")
        assert is_referenced(framing, memoryview(slices)) is expected
    assert not is_referenced(framing, memoryview(packet(framing, SPS, PPS)))


@given(data=st.binary(max_size=60), length_bytes=st.sampled_from([0, 1, 2, 4]))
def test_any_bytes_are_referenced_or_not(data: bytes, length_bytes: int) -> None:
    assert is_referenced(NalFraming(length_bytes), memoryview(data)) in (True, False)


def test_framing_from_extradata() -> None:
    assert NalFraming.of("h264", b"\x01\x64\x00\x1f\xff\xe1") == NalFraming(4)
    assert NalFraming.of("hevc", b"\x01" + bytes(20) + b"\xfd") == NalFraming(2)
    assert NalFraming.of("h264", b"\0\0\0\1\x67") == ANNEX_B
    assert NalFraming.of("h264", None) == ANNEX_B


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\xff\x65", b"\0\0\0\0\0\0\0\0", b"\xff" * 40])
@pytest.mark.parametrize("framing", [ANNEX_B, AVCC])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_garbage_is_no_start(codec: str, framing: NalFraming, data: bytes) -> None:
    assert is_random_access(codec, framing, data) is False
