"""What a compressed packet says of itself: can a decoder start here and lose nothing that follows?

A container's key flag is a hint only: muxers set it on intra-refresh recovery points and on I-pictures whose
followers reach back. So the first bytes of key-flagged packets are read. Pure functions on bytes; cost: a few
microseconds for each key-flagged packet.

Sources: ITU-T H.264 7.3.1, 7.4.1 and D.2.8 (recovery point SEI); ITU-T H.265 table 7-1; AV1 bitstream
specification 5.3 to 5.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "NalFraming",
    "NalUnit",
    "is_random_access",
    "is_referenced",
    "is_skipped_leading",
    "with_sei",
    "x264_sei",
]

_H264_SLICE, _H264_IDR, _H264_SEI = 1, 5, 6
_H264_PICTURE = (1, 2, 5)
"""NAL units that begin a slice"""
_HEVC_RASL = (8, 9)
_HEVC_IRAP = range(16, 22)
_SEI_USER_DATA, _SEI_RECOVERY_POINT = 5, 6
_X264_UUID = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")
_AV1_SEQUENCE_HEADER, _AV1_FRAME_HEADER, _AV1_FRAME = 1, 3, 6


@dataclass(frozen=True, slots=True)
class NalFraming:
    """How NAL units are laid out in a packet: lengths of `length_bytes`, or start codes where that is 0."""

    length_bytes: int

    @classmethod
    def of(cls, codec: str, extradata: bytes | None) -> NalFraming:
        """Read it from the avcC or hvcC record; anything else is Annex B (start codes)."""
        if extradata and extradata[0] == 1:
            at = {"h264": 4, "hevc": 21}.get(codec, len(extradata))
            if at < len(extradata):
                return cls((extradata[at] & 3) + 1)
        return cls(0)

    def split(self, data: bytes) -> Iterator[NalUnit]:
        """Yield the NAL units of a packet in order; stops at the first that does not fit."""
        if self.length_bytes:
            yield from self._split_by_length(data)
        else:
            yield from _split_by_start_code(data)

    def wrap(self, payload: bytes) -> bytes:
        """Return a NAL unit as it stands in a packet."""
        if self.length_bytes:
            return len(payload).to_bytes(self.length_bytes, "big") + payload
        return b"\0\0\0\1" + payload

    def _split_by_length(self, data: bytes) -> Iterator[NalUnit]:
        at, width = 0, self.length_bytes
        while at + width < len(data):
            size = int.from_bytes(data[at : at + width], "big")
            start = at + width
            if size == 0 or start + size > len(data):
                return
            yield NalUnit(at, data[start : start + size])
            at = start + size


@dataclass(frozen=True, slots=True)
class NalUnit:
    """One NAL unit: where its framing starts in the packet, and its bytes from the header on."""

    offset: int
    payload: bytes

    @property
    def h264_type(self) -> int:
        """`nal_unit_type` by H.264."""
        return self.payload[0] & 0x1F

    @property
    def hevc_type(self) -> int:
        """`nal_unit_type` by H.265."""
        return (self.payload[0] >> 1) & 0x3F


def _split_by_start_code(data: bytes) -> Iterator[NalUnit]:
    at = data.find(b"\0\0\1")
    while at >= 0:
        start = at + 3
        following = data.find(b"\0\0\1", start)
        # no NAL unit ends in a zero byte: they belong to the next start code
        payload = data[start : following if following >= 0 else len(data)].rstrip(b"\0")
        if payload:
            yield NalUnit(at, payload)
        at = following


def is_random_access(codec: str, framing: NalFraming, data: bytes) -> bool:
    """Return whether decoding can start at this key-flagged packet and be exact from its picture on.

    True for an IDR picture or a recovery point that needs no further frames (H.264), any IRAP picture (HEVC),
    a shown key frame (AV1), and what the container flags for the other codecs. False for intra refresh
    (`recovery_frame_cnt` > 0) and for plain I-pictures of H.264.
    """
    if codec == "h264":
        return _h264_random_access(framing, data)
    if codec == "hevc":
        return any(nal.hevc_type in _HEVC_IRAP for nal in framing.split(data))
    if codec == "av1":
        return _av1_shown_key_frame(data)
    return True


def is_referenced(framing: NalFraming, packet: memoryview) -> bool:
    """Return whether other pictures may be built on that of an H.264 packet.

    By `nal_ref_idc` of its first slice, False where there is none. Reads headers only: 1 us a packet.
    """
    header = _h264_slice_header(framing.length_bytes, packet)
    return header is not None and header & 0x60 != 0


def is_skipped_leading(codec: str, framing: NalFraming, data: bytes) -> bool:
    """Return whether a decoder that starts at the packet's random-access point skips it (HEVC RASL)."""
    if codec != "hevc":
        return False
    first = next((nal.hevc_type for nal in framing.split(data) if nal.hevc_type < 32), None)
    return first in _HEVC_RASL


def _h264_slice_header(length_bytes: int, data: memoryview) -> int | None:
    """Return the first byte of a packet's first slice; None where there is none."""
    if not length_bytes:
        slices = (
            nal.payload[0] for nal in _split_by_start_code(bytes(data)) if nal.h264_type in _H264_PICTURE
        )
        return next(slices, None)
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if data[at] & 0x1F in _H264_PICTURE:
            return data[at]
        at += size
    return None


def _h264_random_access(framing: NalFraming, data: bytes) -> bool:
    recovers_at_once = False
    for nal in framing.split(data):
        kind = nal.h264_type
        if kind == _H264_IDR:
            return True
        if kind == _H264_SEI:
            for sei_type, payload in _sei_messages(nal.payload[1:]):
                if sei_type == _SEI_RECOVERY_POINT:
                    recovers_at_once = _first_exp_golomb(payload) == 0
        elif kind == _H264_SLICE:
            return recovers_at_once
    return False


def _sei_messages(rbsp: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (payload type, payload) of an SEI NAL unit (H.264 7.3.2.3.1)."""
    data = rbsp.replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 <= len(data):
        values = []
        for _ in range(2):
            value = 0
            while at < len(data) and data[at] == 0xFF:
                value += 255
                at += 1
            if at >= len(data):
                return
            value += data[at]
            at += 1
            values.append(value)
        yield values[0], data[at : at + values[1]]
        at += values[1]


def _first_exp_golomb(data: bytes) -> int | None:
    """Return the first ue(v) of `data`, None where it is cut short (H.264 9.1)."""
    bits = "".join(f"{byte:08b}" for byte in data[:9])
    zeros = len(bits) - len(bits.lstrip("0"))
    code = bits[zeros : 2 * zeros + 1]
    return int(code, 2) - 1 if len(code) == zeros + 1 else None


def x264_sei(framing: NalFraming, data: bytes) -> bytes | None:
    """Return the NAL unit in which x264 names its version; None where the packet holds none.

    FFmpeg's decoder works around old x264's faults by that version, so a clip without it may decode
    differently (seen with 4:4:4).
    """
    for nal in framing.split(data):
        if nal.h264_type == _H264_SEI and any(
            kind == _SEI_USER_DATA and payload.startswith(_X264_UUID)
            for kind, payload in _sei_messages(nal.payload[1:])
        ):
            return nal.payload
    return None


def with_sei(framing: NalFraming, data: bytes, sei: bytes) -> bytes:
    """Return the packet with `sei` before its first slice or SEI, after delimiter and parameter sets."""
    for nal in framing.split(data):
        if nal.h264_type in (_H264_SLICE, _H264_IDR, _H264_SEI):
            return data[: nal.offset] + framing.wrap(sei) + data[nal.offset :]
    return data


def _av1_shown_key_frame(data: bytes) -> bool:
    """Return whether the first frame header is a key frame shown at once (AV1 5.9.2)."""
    for kind, payload in _av1_obus(data):
        if kind == _AV1_SEQUENCE_HEADER and payload and payload[0] & 0x08:
            return True  # reduced_still_picture_header: every frame is a shown key frame
        if kind in (_AV1_FRAME_HEADER, _AV1_FRAME) and payload:
            show_existing, frame_type, show = payload[0] >> 7, payload[0] >> 5 & 3, payload[0] >> 4 & 1
            return not show_existing and frame_type == 0 and show == 1
    return False


def _av1_obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        header = data[at]
        at += 1 + (header >> 2 & 1)
        size = len(data) - at
        if header & 2:
            size, shift = 0, 0
            while at < len(data):
                byte = data[at]
                at += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
        yield header >> 3 & 15, data[at : at + size]
        at += size
