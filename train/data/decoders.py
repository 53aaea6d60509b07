"""The pictures of a clip from PyAV, torchcodec or decord: the same frames at the same times.

A clip that was copied from its source holds frames before its first and after its last one, which an edit
list hides. PyAV hides them; torchcodec does when it seeks exactly; decord hides them when it reads in order,
but counts them, and gives others than were asked for when it seeks: so it reads in order, and they are
counted off by what the manifest says. Each package is imported where it is asked for. They decode in one
thread: a loader has many clips to decode at once.

Each takes (media, asked times in seconds from the clip's first frame, frames before it) and yields (how many
of the asked times the picture is shown at, picture (H, W, 3) uint8 as it is displayed, pixels apart). Each
raises SourceError for what does not decode, and ConfigError where its package is missing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from shards.errors import ConfigError, SourceError
from train.data.times import CLOCK_S, shown

__all__ = ["DECODERS", "Decoder", "Pictures", "Rolls", "decoder"]

Picture: TypeAlias = npt.NDArray[np.uint8]
Pictures: TypeAlias = Iterator[tuple[int, Picture]]
Rolls: TypeAlias = tuple[int, int]
"""frames that are stored before the clip's first and after its last, and hidden"""
Decoder: TypeAlias = Callable[[bytes, list[float], Rolls], Pictures]

_SEEK_S: Final = 1.0
"""from here on it is sooner to seek than to decode"""
_AT_ONCE: Final = 8
"""pictures of full size that torchcodec holds when it reads in order; else all that are asked for"""


def _pyav(media: bytes, asked_s: list[float], _rolls: Rolls) -> Pictures:
    try:
        import av
    except ImportError as exc:
        raise _missing("av") from exc
    try:
        for seek in (True, False):
            with av.open(io.BytesIO(media), options={"protocol_whitelist": ""}) as container:
                frames = _AvFrames(container, asked_s[0] if seek else 0.0)
                if not frames.early:
                    continue  # what it went to lies behind what is asked for
                yield from ((count, frames.rgb(frame)) for count, frame in shown(frames, asked_s))
                return
    except av.error.FFmpegError as exc:
        raise SourceError(f"PyAV: {exc.strerror or exc}") from exc


class _AvFrames:
    """The frames of a container, from the last key frame before `start_s` on where that lies far in."""

    def __init__(self, container: Any, start_s: float) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        streams = [s for s in container.streams.video if s.codec_context is not None]
        if not streams:
            raise SourceError("no video in it")
        (stream, *_) = streams
        stream.codec_context.thread_count = 1
        self._base = float(stream.time_base)
        self._begin = stream.start_time or 0
        self._reformatter = VideoReformatter()
        sought = start_s > _SEEK_S
        if sought:
            container.seek(self._begin + int(start_s / self._base), stream=stream)
        try:
            self._frames = container.decode(stream)
            self._first = next(self._frames, None)
        except av.error.FFmpegError:
            if not sought:
                raise
            self._first = None
        self.early = not sought or (
            self._first is not None and self._first.pts is not None and self._time(self._first) <= start_s
        )

    def _time(self, frame: Any) -> float:
        if frame.pts is None:
            raise SourceError("a frame of it has no time")
        return float((frame.pts - self._begin) * self._base)

    def __iter__(self) -> Iterator[tuple[float, float, Any]]:
        held = self._first
        if held is None:
            return
        for frame in self._frames:
            yield self._time(held), 0.0, held
            held = frame
        yield self._time(held), float((held.duration or 0) * self._base), held

    def rgb(self, frame: Any) -> Picture:
        """Return a frame as it is displayed."""
        if frame.is_corrupt:
            raise SourceError(f"damaged at {self._time(frame):.3f} s")
        made: Any = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return _displayed(made, _display_matrix(frame))


def _display_matrix(frame: Any) -> bytes | None:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV 18.1 does not know the side data of pictures with EXIF
        return None
    return None if matrix is None else bytes(matrix)


def _displayed(picture_HWC: Picture, matrix: bytes | None) -> Picture:
    """Return a picture turned by quarters and mirrored as FFmpeg's display matrix says.

    Nine int32 (a b u, c d v, x y w): a pixel at (x, y) is shown at (ax + cy, bx + dy), up to a shift.
    """
    if matrix is None:
        return picture_HWC
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, np.int32, 5))
    mirror_x, mirror_y = a < 0, d < 0
    if abs(b) > abs(a):
        picture_HWC, mirror_x, mirror_y = np.swapaxes(picture_HWC, 0, 1), c < 0, b < 0
    return picture_HWC[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1]


def _torchcodec(media: bytes, asked_s: list[float], _rolls: Rolls) -> Pictures:
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as exc:
        raise _missing("torchcodec") from exc
    try:
        reader = VideoDecoder(media, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
    except (OSError, RuntimeError, ValueError) as exc:
        if "libtorchcodec" in str(exc):  # loaded with the first video: FFmpeg's libraries are not there
            raise _missing("torchcodec") from exc
        raise SourceError(f"torchcodec: {_line(exc)}") from exc
    try:
        yield from _at_times(reader, asked_s) or shown(_in_order(reader), asked_s)
    except (RuntimeError, IndexError, ValueError) as exc:
        raise SourceError(f"torchcodec: {_line(exc)}") from exc


def _at_times(reader: Any, asked_s: list[float]) -> list[tuple[int, Picture]] | None:
    """Return the pictures at the asked times by seeking; None where it did not find them.

    Where pictures that a key frame follows in decoding order are shown before it (open groups of pictures),
    torchcodec 0.17 may go to that key frame and give it in their place: only its time tells.
    """
    begin_s, end_s = reader.metadata.begin_stream_seconds, reader.metadata.end_stream_seconds
    # A hair after the asked time, as a frame's own time may be rounded up.
    seconds = [time_s + begin_s + CLOCK_S for time_s in asked_s]
    if seconds[-1] >= end_s:
        return None
    batch = reader.get_frames_played_at(seconds)
    starts_s, lasts_s = batch.pts_seconds.tolist(), batch.duration_seconds.tolist()
    for second, start_s, last_s in zip(seconds, starts_s, lasts_s, strict=True):
        if not start_s <= second < start_s + last_s + CLOCK_S:
            return None
    changes = [n for n in range(1, len(starts_s)) if starts_s[n] != starts_s[n - 1]]
    pictures_NHWC = batch.data.numpy()
    return [(end - start, pictures_NHWC[start]) for start, end in pairwise([0, *changes, len(seconds)])]


def _in_order(reader: Any) -> Iterator[tuple[float, float, Picture]]:
    """Yield (time, seconds to the next one, picture) of all pictures of a clip."""
    for start in range(0, len(reader), _AT_ONCE):
        batch = reader.get_frames_in_range(start, min(start + _AT_ONCE, len(reader)))
        times_s = (batch.pts_seconds - reader.metadata.begin_stream_seconds).tolist()
        yield from zip(times_s, batch.duration_seconds.tolist(), batch.data.numpy(), strict=True)


def _decord(media: bytes, asked_s: list[float], rolls: Rolls) -> Pictures:
    try:
        import decord
    except ImportError as exc:
        raise _missing("decord") from exc
    before, after = rolls
    try:
        reader = decord.VideoReader(io.BytesIO(media), ctx=decord.cpu(0), num_threads=1)
        spans = reader.get_frame_timestamp(range(len(reader)))[before : len(reader) - after].tolist()
        if not spans:
            raise SourceError(f"{len(reader)} frames, of which {before} and {after} are hidden")
        begin_s = spans[0][0]
        numbered = (
            (start_s - begin_s, end_s - start_s, number) for number, (start_s, end_s) in enumerate(spans)
        )
        # One after the other, never by number and without `skip_frames`: decord numbers the hidden frames
        # too, but does not give them, so all that seeks goes astray.
        pictures = enumerate(iter(reader.next, None))
        for count, number in list(shown(numbered, asked_s)):
            yield count, next(picture for at, picture in pictures if at == number).asnumpy()
    except (decord.DECORDError, RuntimeError) as exc:
        raise SourceError(f"decord: {_line(exc)}") from exc


def _missing(package: str) -> ConfigError:
    return ConfigError(
        f"the decoder {package!r} cannot be used: install the package {package} (torchcodec needs FFmpeg's "
        f"libraries too), or choose another of {', '.join(DECODERS)}"
    )


def _line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:150]


DECODERS: Final[Mapping[str, Decoder]] = {"av": _pyav, "torchcodec": _torchcodec, "decord": _decord}


def decoder(name: str) -> Decoder:
    """Return the decoder of that name; ConfigError for another."""
    if name not in DECODERS:
        raise ConfigError(f"decoder {name!r}: one of {', '.join(DECODERS)} is wanted")
    return DECODERS[name]
