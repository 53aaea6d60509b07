"""Open a file and pick its video stream: what a source is, before any of it is decoded.

Files are opened as files (`file:`): a name that looks like an address or a pattern is a name. Playlists,
which make a reader open other files, are refused.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import av
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from curate.transfer import clip_error
from curate.video.geometry import Orientation, display_size
from shards.errors import InputError, SourceError, StorageError
from shards.storage import beside, is_remote

__all__ = ["SourceInfo", "describe", "open_container"]

# Demuxers of single pictures, or of files whose one picture makes them images.
_IMAGE_DEMUXERS = ("image2", "ico")
_MAYBE_IMAGE_DEMUXERS = ("gif", "apng", "webp")
_IMAGE_BRANDS = ("avif", "heic", "heix", "mif1")
# Demuxers that follow references to other files.
_REFERRING = frozenset(
    {"hls", "dash", "concat", "concatf", "imf", "lavfi", "sdp", "rtsp", "webm_dash_manifest"}
)
_COPIES_INTO_MP4 = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once its first frame has been decoded."""

    container: str
    """the demuxer's name"""
    codec: str
    width: int
    """of the display, px: after rotation and pixel aspect"""
    height: int
    fps: float | None
    """mean; null for an image"""
    duration_s: float | None
    """declared by the container"""
    time_base: Fraction
    stream_index: int
    is_image: bool
    coded_width: int
    """as stored, px"""
    coded_height: int
    pixel_format: str
    color_matrix: int
    """FFmpeg's AVColorSpace of the first frame; 2 is unspecified"""
    pixel_aspect: Fraction
    orientation: Orientation
    frames_declared: int | None
    reliable_pts: bool
    """false when the container's timestamps say nothing (AVI with B-frames, raw streams): frames are then
    spaced evenly, and clips are transcoded"""
    transcode_reason: str | None
    """why no clip of this source can be a copy; null where copies can be tried"""


def open_source(path: str) -> BinaryIO:
    """Open a local file, or an object that is read by range; raises OSError, SourceError, TransferError."""
    if not is_remote(path):
        return open(path, "rb")
    storage, name = beside(path)
    try:
        return _Remote(storage.open_read(name))  # type: ignore[return-value]
    except (InputError, StorageError) as exc:
        raise clip_error(exc) from exc


class _Remote(io.RawIOBase):
    """An object that is read by range; what its store says becomes the source's failure."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(buffer))
        except (InputError, StorageError) as exc:
            raise clip_error(exc) from exc
        buffer[: len(data)] = data
        return len(data)


def open_container(path: str) -> tuple[InputContainer, VideoStream]:
    """Open the file and return it with its best video stream, decoding in one thread.

    Raises SourceError: empty, not a media file, or without video. Raises OSError where it cannot be read.
    """
    try:
        if is_remote(path):
            file = open_source(path)
            if not file.seek(0, os.SEEK_END):
                raise SourceError("the file is empty (0 bytes)")
            file.seek(0)
            container = av.open(file, mode="r", options={"protocol_whitelist": ""})
        else:
            if os.stat(path).st_size == 0:
                raise SourceError("the file is empty (0 bytes)")
            container = av.open(
                f"file:{path}", mode="r", options={"protocol_whitelist": "file", "pattern_type": "none"}
            )
    except av.error.FFmpegError as exc:
        raise SourceError(f"not a readable media file: {exc.strerror}") from exc
    try:
        if _REFERRING.intersection(container.format.name.split(",")):
            raise SourceError(f"a list of other files ({container.format.name}), not a media file")
        stream = _best_stream(container)
    except BaseException:
        container.close()
        raise
    stream.thread_count = 1
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return container, stream


def _best_stream(container: InputContainer) -> VideoStream:
    """Return FFmpeg's choice among the streams that are video and not attached pictures."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        kinds = {str(stream.type) for stream in container.streams if stream.type != "video"}
        if container.streams.video:
            kinds.add("cover art")
        raise SourceError(f"no video stream: only {', '.join(sorted(kinds)) or 'nothing'}")
    best = container.streams.best("video")
    chosen = best if best in videos else max(videos, key=lambda s: s.width * s.height)
    if not isinstance(chosen, VideoStream) or chosen.codec_context is None:
        raise SourceError("no decoder for its video")
    return chosen


def describe(
    container: InputContainer, stream: VideoStream, first: av.VideoFrame, alone: bool, reliable_pts: bool
) -> SourceInfo:
    """Return what is known once `first` has been decoded; `alone` when it is the only frame."""
    time_base = stream.time_base or Fraction(1, 90_000)
    orientation = _orientation(first)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = display_size(first.width, first.height, aspect, orientation.transpose)
    is_image = _is_image(container, alone)
    rate = stream.average_rate or stream.guessed_rate
    duration_s = None
    if stream.duration is not None:
        duration_s = float(stream.duration * time_base)
    elif container.duration is not None:
        duration_s = container.duration / 1_000_000
    codec = stream.codec_context.codec.canonical_name
    return SourceInfo(
        container=container.format.name,
        codec=codec,
        width=width,
        height=height,
        fps=None if is_image or not rate else float(rate),
        duration_s=duration_s,
        time_base=time_base,
        stream_index=stream.index,
        is_image=is_image,
        coded_width=first.width,
        coded_height=first.height,
        pixel_format=first.format.name,
        color_matrix=first.colorspace,
        pixel_aspect=aspect,
        orientation=orientation,
        frames_declared=stream.frames or None,
        reliable_pts=reliable_pts,
        transcode_reason=_transcode_reason(stream, codec, is_image, reliable_pts),
    )


def declared_end_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Return when the video ends by its header; None where the container says nothing of its own.

    Matroska writers leave a tag for each track; the duration of the file is that of its longest track.
    """
    name = container.format.name
    if "matroska" in name:
        tag = stream.metadata.get("DURATION")
        if tag is not None:
            try:
                hours, minutes, seconds = tag.split(":")
                return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            except ValueError:
                return None
        alone = len(container.streams) == 1
        return container.duration / 1_000_000 if alone and container.duration is not None else None
    if name == "avi" and stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _transcode_reason(stream: VideoStream, codec: str, is_image: bool, reliable_pts: bool) -> str | None:
    if is_image:
        return "image"
    if codec not in _COPIES_INTO_MP4:
        return f"{codec} does not copy into mp4"
    if not reliable_pts:
        return "no reliable timestamps"
    if stream.metadata.get("alpha_mode") == "1":
        return "alpha"
    return None


def _is_image(container: InputContainer, alone: bool) -> bool:
    name = container.format.name
    if name in _IMAGE_DEMUXERS or name.endswith("_pipe"):
        return True
    if not alone:
        return False
    return name in _MAYBE_IMAGE_DEMUXERS or container.metadata.get("major_brand", "") in _IMAGE_BRANDS


def _orientation(first: av.VideoFrame) -> Orientation:
    try:
        matrix = first.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV 18.1 does not know the side data of pictures with EXIF: take what it reads without a list.
        return Orientation.from_rotation(first.rotation)
    return Orientation.from_matrix(bytes(matrix)) if isinstance(matrix, Buffer) else Orientation()
