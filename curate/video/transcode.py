"""Encode a span anew where it cannot be copied: H.264, a key frame a second, no reordering.

Decoded pictures are not kept, so the file is decoded a second time by a decoder that follows behind: it opens
at the first transcoded span, only ever goes forward, and gives the same pictures at the same times as the
first. One thread, so that the same input gives the same bytes. Cost: a second decode of the source, and the
encoding.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil

import av
from av.codec.context import Flags
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from curate.video.decode import LinearDecoder, Picture
from curate.video.geometry import Orientation
from curate.video.mp4 import movie_clock
from curate.video.source import SourceInfo
from shards.errors import CutError

__all__ = ["Transcoder"]

_CRF, _IMAGE_CRF = 17, 10
_PRESET = "ultrafast"
_KEY_EVERY_S = 1.0
# With its macroblock tree, x264 core 165 gives other bytes for the same input now and then, even on one
# thread. With CABAC and transforms of 8 x 8, the fastest preset needs half the time of `veryfast` for
# pictures as near to the source, in some more bytes.
_X264_PARAMS = "mbtree=0:rc-lookahead=0:cabac=1:8x8dct=1:subme=1"


class Transcoder:
    """Encodes spans of one source, in rising order."""

    def __init__(self, info: SourceInfo, reopen: Callable[[], LinearDecoder]) -> None:
        self._info = info
        self._reopen = reopen
        self._decoder: LinearDecoder | None = None
        self._pictures: Iterator[Picture] | None = None
        self._ahead: Picture | None = None
        self._reformatter = VideoReformatter()

    def encode(self, start_pts: int, end_pts: int, frames: int, last_duration: int) -> bytes:
        """Return an mp4 of the `frames` pictures in [start_pts, end_pts), with their own timing.

        Raises CutError where the second decode does not give as many, or the encoder fails.
        """
        info = self._info
        scale, factor = movie_clock(info.time_base)
        buffer = io.BytesIO()
        options = {"movie_timescale": str(scale), "video_track_timescale": str(scale), "fflags": "+bitexact"}
        count = 0
        try:
            with av.open(buffer, mode="w", format="mp4", container_options=options) as output:
                stream: VideoStream | None = None
                key_pts: int | None = None
                for picture in self._span(start_pts, end_pts):
                    frame = self._prepare(picture)
                    if stream is None:
                        stream = self._add_stream(output, frame)
                    is_key = key_pts is None or (picture.pts - key_pts) * info.time_base >= _KEY_EVERY_S
                    if is_key:
                        key_pts = picture.pts
                    frame.pict_type = PictureType.I if is_key else PictureType.NONE
                    frame.time_base = Fraction(1, scale)
                    frame.pts = (picture.pts - start_pts) * factor
                    frame.duration = last_duration * factor
                    output.mux(stream.encode(frame))
                    count += 1
                if stream is not None:
                    output.mux(stream.encode(None))
        except av.error.FFmpegError as exc:
            raise CutError(f"encoding {frames} frames failed: {exc.strerror}") from exc
        if count != frames:
            raise CutError(f"decoded again, the span has {count} frames, not {frames}")
        return buffer.getvalue()

    def close(self) -> None:
        """Close the second decoder; safe at any time."""
        if self._decoder is not None:
            self._decoder.close()

    def _span(self, start_pts: int, end_pts: int) -> Iterator[Picture]:
        if self._decoder is None:
            self._decoder = self._reopen()
            self._pictures = iter(self._decoder)
        assert self._pictures is not None
        while True:
            picture = self._ahead or next(self._pictures, None)
            self._ahead = None
            if picture is None:
                return
            if picture.pts >= end_pts:
                self._ahead = picture
                return
            if picture.pts >= start_pts:
                yield picture

    def _prepare(self, picture: Picture) -> av.VideoFrame:
        """Return the picture in a pixel format that H.264 has, odd sizes included."""
        source = picture.picture
        wanted = _encoder_format(source)
        if wanted == source.format.name:
            return source
        is_yuv = source.format.name.startswith(("yuv", "nv", "p0", "gray", "uyvy", "yuyv"))
        return self._reformatter.reformat(
            source,
            format=wanted,
            dst_colorspace=None if is_yuv else Colorspace.ITU709,
            dst_color_range=source.color_range if is_yuv else ColorRange.MPEG,
        )

    def _add_stream(self, output: av.container.OutputContainer, frame: av.VideoFrame) -> VideoStream:
        info = self._info
        rate = Fraction(info.fps).limit_denominator(1001) if info.fps else Fraction(25)
        stream = output.add_stream("libx264", rate=rate)
        context = stream.codec_context
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = frame.format.name
        context.time_base = Fraction(1, movie_clock(info.time_base)[0])
        context.thread_count = 1
        context.gop_size = max(1, ceil(rate * Fraction(_KEY_EVERY_S)))
        context.max_b_frames = 0
        context.flags |= Flags.bitexact
        context.sample_aspect_ratio = info.pixel_aspect
        context.color_range = frame.color_range
        context.colorspace = frame.colorspace
        context.color_primaries = frame.color_primaries
        context.color_trc = frame.color_trc
        context.options = {
            "preset": _PRESET,
            "crf": str(_IMAGE_CRF if info.is_image else _CRF),
            "forced-idr": "1",
            "x264-params": _X264_PARAMS,
        }
        if info.orientation != Orientation():
            stream.set_display_matrix(info.orientation.matrix())
        return stream


def _encoder_format(frame: av.VideoFrame) -> str:
    """Return the nearest format of libx264: the same sampling and depth (8 or 10 bit), no alpha."""
    source = frame.format
    if source.is_rgb or source.has_palette:
        return "yuv444p"
    wide = source.components[0].bits > 8
    chroma = source.components[1:3]
    whole = bool(chroma) and chroma[0].width == source.width
    tall = bool(chroma) and chroma[0].height == source.height
    if (whole and tall) or frame.width % 2 or frame.height % 2:
        sampling = "yuv444p"
    elif tall:
        sampling = "yuv422p"
    else:
        sampling = "yuv420p"
    if wide:
        return sampling + "10le"
    return sampling.replace("yuv", "yuvj") if source.name.startswith("yuvj") else sampling
