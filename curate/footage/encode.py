"""Frames into files, the same bytes every time: one thread an encoder, no times, no random ids.

Cost: x264 at its fast presets takes less time than rendering; HEVC, VP9 and AV1 take two to five times
that, so the corpus gives them small and short films.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from curate.footage.canvas import Size
from curate.footage.planes import to_frame
from curate.footage.textures import Image

__all__ = ["Encoding", "encode", "encode_audio", "open_svt"]

AUDIO_HZ: Final = 48_000
TONES_HZ: Final = (196.0, 294.0, 440.0)
_DETERMINISTIC: Final = {"fflags": "+bitexact"}
_ONE_THREAD: Final = {
    # With macroblock trees, x264's AVX-512 code gives other bytes in every other process.
    "libx264": {"mbtree": "0"},
    "libx265": {"x265-params": "pools=none:frame-threads=1:wpp=0:log-level=none"},
    "libsvtav1": {"svtav1-params": "lp=1"},
    "libvpx-vp9": {"row-mt": "0", "deadline": "realtime", "cpu-used": "7"},
    "libvpx": {"deadline": "good", "cpu-used": "5"},
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a film is written. The container follows from the file's name."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = (("preset", "veryfast"), ("crf", "22"))
    gop: int = 60
    bit_rate: int | None = None
    time_base: Fraction | None = None
    """finer than 1/fps where frames don't lie on that grid"""
    rotation: int = 0
    """degrees clockwise that a player turns the picture by"""
    sar: Fraction = Fraction(1)
    start_s: Fraction = Fraction(0)
    audio: str | None = None
    second_video: bool = False
    """also a smaller picture, in a video stream of its own after the main one"""
    fast_start: bool = False
    """the index at the file's beginning (mp4 and mov)"""


def encode(
    path: Path, images: Iterable[Image], size: Size, ticks: list[int], fps: Fraction, how: Encoding
) -> None:
    """Write `images` of `size` to `path`; frame n is shown from `ticks[n]` to `ticks[n + 1]`, by 1/fps.

    Raises what PyAV raises: an encoder that is missing, a disk that is full.
    """
    muxing = dict(_DETERMINISTIC)
    if how.fast_start:
        muxing["movflags"] = "+faststart"
    with av.open(str(path), "w", options=muxing) as output:
        streams = [_video(output, size, fps, how)]
        if how.second_video:
            small = Encoding(options=(("preset", "ultrafast"), ("crf", "34")), gop=how.gop)
            streams.append(_video(output, (size[0] // 4 * 2, size[1] // 4 * 2), fps, small))
        sound = _Sound(output, how.audio, how.start_s) if how.audio else None
        for number, image in enumerate(images):
            at_s = ticks[number] / fps + how.start_s
            lasts_s = (ticks[number + 1] - ticks[number]) / fps
            for stream in streams:
                output.mux(_push(stream, image, at_s, lasts_s))
            if sound:
                sound.fill(ticks[number] / fps)
        for stream in streams:
            output.mux(stream.encode(None))
        if sound:
            sound.finish()


def encode_audio(path: Path, duration_s: float, codec: str = "aac") -> None:
    """Write a file that holds sound and no picture."""
    with av.open(str(path), "w", options=dict(_DETERMINISTIC)) as output:
        sound = _Sound(output, codec, Fraction(0))
        sound.fill(Fraction(duration_s))
        sound.finish()


def open_svt(context: VideoCodecContext) -> None:
    """Open SVT-AV1 without its banner, and leave the calling thread as it was.

    Its log level comes from the environment. Run by root, it makes the thread that opens it a real-time one
    (SCHED_FIFO, priority 99), and every process that this one starts later: with two of them on two cores,
    nothing else runs.
    """
    os.environ.setdefault("SVT_LOG", "1")
    if sys.platform != "linux":
        context.open()
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        context.open()
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _video(output: OutputContainer, size: tuple[int, int], fps: Fraction, how: Encoding) -> VideoStream:
    options = {**_ONE_THREAD.get(how.codec, {}), **dict(how.options)}
    stream = output.add_stream(how.codec, rate=fps, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt = how.pix_fmt
    context.thread_count = 1
    context.gop_size = how.gop
    context.time_base = how.time_base or 1 / fps
    stream.time_base = context.time_base
    if how.bit_rate:
        context.bit_rate = how.bit_rate
    context.sample_aspect_ratio = how.sar
    if how.rotation:
        stream.set_display_rotation(-how.rotation)
    if how.codec == "libsvtav1":
        open_svt(context)
    return stream


def _push(
    stream: VideoStream, image: Image, at_s: Fraction, lasts_s: Fraction
) -> list[av.Packet[VideoStream]]:
    context = stream.codec_context
    if (context.width, context.height) != (image.shape[1], image.shape[0]):
        image = cv2.resize(image, (context.width, context.height), interpolation=cv2.INTER_AREA)
    picture = to_frame(image, str(context.pix_fmt))
    base = context.time_base
    assert base is not None
    picture.pts, picture.time_base = round(at_s / base), base
    picture.duration = round(lasts_s / base)
    return stream.encode(picture)


class _Sound:
    """An audio stream that is filled as far as the picture has come: drifting tones over noise."""

    def __init__(self, output: OutputContainer, codec: str, start_s: Fraction) -> None:
        stream = output.add_stream(codec, rate=AUDIO_HZ, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.codec_context.bit_rate = 48_000
        stream.codec_context.thread_count = 1
        stream.codec_context.open()
        self._stream = stream
        self._output = output
        self._start = round(start_s * AUDIO_HZ)
        self._sent = 0

    def fill(self, upto_s: Fraction) -> None:
        """Encode and write the sound up to `upto_s` after its start."""
        block = self._stream.codec_context.frame_size or 1024
        while self._sent < upto_s * AUDIO_HZ:
            t = np.arange(self._sent, self._sent + block) / AUDIO_HZ
            tones = [
                np.sin(2 * np.pi * hz * t + 2 * np.sin(0.7 * t * k)) / k for k, hz in enumerate(TONES_HZ, 1)
            ]
            noise = np.random.default_rng(self._sent).normal(0, 0.15, block)
            wave = np.sum(tones, axis=0) * (0.5 + 0.5 * np.sin(1.3 * t)) + noise
            samples = np.clip(wave * 3000, -32768, 32767).astype(np.int16)[None, :]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = AUDIO_HZ, Fraction(1, AUDIO_HZ)
            frame.pts = self._start + self._sent
            self._output.mux(self._stream.encode(frame))
            self._sent += block

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._output.mux(self._stream.encode(None))
