"""One source from its first packet to its last: the loop of the split pass.

Frames come once, in display order. Each is shrunk at once and, 64 at a time, shown small to the signals and
the detector; on a grid of the source's clock one becomes a JPEG. When a shot is certain it is trimmed,
cut, measured and yielded, and what only it needed is dropped: memory is bounded by the longest clip (and the
detector's delay), not by the source. Cost: about half a bare decode on top of the decode.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from time import perf_counter

from curate.frames import Boundary, SmallFrame, gather
from curate.records import Failure, Row, Sample
from curate.split.events import ClipCut, ClipLost, Event, Heartbeat, SourceScanned, Stopwatch
from curate.split.shots import Clock, Shot, ShotBuilder
from curate.split.stage import Eyes, SplitOptions
from curate.video import Frame, VideoReader, open_video
from curate.video.source import open_source
from shards.errors import ClipError, SourceError
from shards.ids import clip_id, source_id
from shards.run import NO_CLIP
from shards.storage import sha256_of

__all__ = ["BATCH_FRAMES", "Scan", "hash_file", "scan_source"]

_HEARTBEAT_S = 1.0
_UNFINISHED_S = 0.1
"""where no picture is deblocked for so long, one that was not will do"""
BATCH_FRAMES = 64
"""Shown at once: a decoder empties the processor's caches of all else, and all else those of the decoder."""


def hash_file(path: str) -> str:
    """Return the hex SHA-256 of a file; raises SourceError when it cannot be read."""
    try:
        with open_source(path) as file:
            return sha256_of(file)
    except OSError as exc:
        raise SourceError(f"cannot be read: {exc.strerror}") from exc


def scan_source(options: SplitOptions, eyes: Eyes, uri: str, path: str) -> Iterator[Event]:
    """Yield the clips of the file at `path` as they are cut, heartbeats, and last the source itself.

    `eyes` are new for every source. Raises SourceError where nothing of it can be read.
    """
    watch = Stopwatch()
    content = source_id(hash_file(path))
    watch.lap("hash")
    with open_video(path, backend=options.decoder, deblock=options.deblock, together=BATCH_FRAMES) as reader:
        watch.lap("open")
        yield from Scan(options, eyes, reader, uri, content, watch).run()


class Scan:
    """The state of one source's scan."""

    def __init__(
        self, options: SplitOptions, eyes: Eyes, reader: VideoReader, uri: str, content: str, watch: Stopwatch
    ) -> None:
        self._options = options
        self._reader = reader
        self._info = reader.info
        self._uri = uri
        self._content = content
        self._watch = watch
        self._detector = eyes.detector
        self._signals = eyes.signals
        self._at_once = [signal for signal in eyes.signals if getattr(signal, "native", False)]
        self._later = [signal for signal in eyes.signals if signal not in self._at_once]
        self._clock = Clock()
        trim_s = self._options.trim_s
        longest_s = self._options.max_s + self._options.min_s + 2 * trim_s
        self._shots = ShotBuilder(self._clock, max_s=self._options.max_s, longest_s=longest_s)
        self._shot_rows: list[Row] = []
        self._samples: deque[tuple[int, Sample]] = deque()
        self._next_sample_s = float("-inf")
        self._gaps: deque[int] = deque()
        self._seen: list[SmallFrame] = []
        self._frames = 0
        self._frame_s = 0.0
        self._finished_s = float("-inf")
        self._first_s = 0.0
        self._clips = 0

    def run(self) -> Iterator[Event]:
        """Yield clips, heartbeats and the end."""
        watch, beat_s = self._watch, perf_counter()
        for frame in self._reader:
            watch.lap("decode")
            self._see(frame)
            if len(self._seen) == BATCH_FRAMES:
                yield from self._look()
            if (now := perf_counter()) - beat_s > _HEARTBEAT_S:
                beat_s = now
                yield Heartbeat(self._frames)
        watch.lap("decode")
        yield from self._look()
        boundaries = self._detector.finish()
        watch.lap("detect")
        yield from self._close(self._merge(boundaries, self._frames + 1))
        # The end of the last frame: as long after it as it came after the one before.
        self._clock.push(self._end_pts(), self._end_s())
        yield from self._cut(self._shots.finish(self._frames))
        yield self._scanned()

    def _see(self, frame: Frame) -> None:
        """Keep of a frame what is wanted of it, while its picture is at hand."""
        watch = self._watch
        if frame.after_gap:
            self._gaps.append(frame.index)
            self._clock.gap(self._end_pts(), self._end_s())
        elif self._frames:
            self._frame_s = frame.time_s - self._clock.time_s(self._frames - 1)
        else:
            self._first_s = frame.time_s
        self._clock.push(frame.pts, frame.time_s)
        self._frames = frame.index + 1
        small = frame.small()
        self._seen.append(small)
        watch.lap("shrink")
        if frame.finished:
            self._finished_s = frame.time_s
        elif frame.time_s - self._finished_s < _UNFINISHED_S:
            return  # full size can wait for the next that is finished
        for signal in self._at_once:
            signal.push((small,))
        watch.lap("signals")
        if frame.time_s >= self._next_sample_s:
            jpeg = frame.jpeg(self._options.sample_px, self._options.sample_quality)
            self._samples.append((frame.index, Sample(frame.time_s, jpeg)))
            every_s = self._options.sample_every_s
            self._next_sample_s = (frame.time_s // every_s + 1) * every_s
            watch.lap("samples")

    def _look(self) -> Iterator[Event]:
        """Show the frames seen to the detector and the signals; cut what has become certain."""
        seen, self._seen = self._seen, []
        if not seen:
            return
        gather(seen)
        for signal in self._later:
            signal.push(seen)
        self._watch.lap("signals")
        boundaries = self._detector.push(seen)
        self._watch.lap("detect")
        yield from self._close(self._merge(boundaries, self._detector.settled))
        yield from self._cut(self._shots.settle(self._bound(self._detector.settled)))

    def _bound(self, settled: int) -> int:
        return min(settled, self._gaps[0]) if self._gaps else settled

    def _merge(self, boundaries: Sequence[Boundary], settled: int) -> Iterator[Boundary]:
        """Put the gaps left by damage among the detector's boundaries."""
        for boundary in boundaries:
            end, start = boundary.end_frame, boundary.start_frame
            while self._gaps and self._gaps[0] < end:
                yield Boundary(self._gaps[0], self._gaps.popleft(), "hard")
            while self._gaps and self._gaps[0] <= start:
                self._gaps.popleft()
            yield boundary
        while self._gaps and self._gaps[0] < settled:
            yield Boundary(self._gaps[0], self._gaps.popleft(), "hard")

    def _close(self, boundaries: Iterator[Boundary]) -> Iterator[Event]:
        for boundary in boundaries:
            yield from self._cut(self._shots.boundary(boundary))

    def _cut(self, shots: Iterator[Shot]) -> Iterator[Event]:
        for shot in shots:
            self._shot_rows.append(self._shot_row(shot))
            clip = self._clip(shot)
            if clip is not None:
                self._clips += 1
                yield clip
            self._release(shot.end_frame)

    def _clip(self, shot: Shot) -> ClipCut | ClipLost | None:
        """Trim and cut a shot; None where it is too short."""
        clock, options = self._clock, self._options
        start, end = self._trimmed(shot)
        start_s, end_s = clock.time_s(start), clock.end_s(end)
        if start >= end or (end_s - start_s < options.min_s - 1e-6 and not self._info.is_image):
            return None
        samples = tuple(sample for index, sample in self._samples if start <= index < end)
        start_pts, end_pts = clock.pts(start), clock.end_pts(end)
        ident = clip_id(self._content, self._info.stream_index, start_pts, end_pts)
        self._watch.lap("shots")
        try:
            cut = self._reader.cut(start_pts, end_pts, options.cut)
        except ClipError as exc:
            return ClipLost(ident, Failure.of(exc))
        self._watch.lap("cut" if cut.cut == "copy" else "transcode")
        signals: dict[str, object] = {"clip_id": ident}
        for signal in self._signals:
            signals |= signal.summary(start, end)
        self._watch.lap("signals")
        row: Row = {
            "clip_id": ident,
            "source_id": self._content,
            "source_uri": self._uri,
            "stream": self._info.stream_index,
            "shot": shot.shot,
            "start_frame": start,
            "end_frame": end,
            "start_pts": start_pts,
            "end_pts": end_pts,
            "time_base": f"{self._info.time_base.numerator}/{self._info.time_base.denominator}",
            "start_s": start_s,
            "duration_s": end_s - start_s,
            "frames": end - start,
            "fps": (end - start) / (end_s - start_s),
            "width": self._info.width,
            "height": self._info.height,
            "cut": cut.cut,
            "cut_reason": cut.reason,
            "preroll_frames": cut.preroll_frames,
            "postroll_frames": cut.postroll_frames,
            "sha256": hashlib.sha256(cut.data).hexdigest(),
        }
        self._watch.lap("hash")
        return ClipCut(row, cut.data, samples, signals)

    def _trimmed(self, shot: Shot) -> tuple[int, int]:
        """Return the frames of a shot without `trim_s` at each transition, in whole frames, rounded up."""
        clock, trim_s = self._clock, self._options.trim_s
        start, end = shot.start_frame, shot.end_frame
        if trim_s and shot.transition_in not in ("start", "split"):
            start = clock.frame_at(clock.time_s(start) + trim_s - 1e-6)
        if trim_s and shot.transition_out not in ("end", "split"):
            end = min(end, clock.frame_at(clock.end_s(end) - trim_s + 1e-6) - 1)
        return start, end

    def _release(self, before_frame: int) -> None:
        """Drop what no later clip needs."""
        self._reader.release(self._clock.pts(before_frame))
        for signal in self._signals:
            signal.forget(before_frame)
        while self._samples and self._samples[0][0] < before_frame:
            self._samples.popleft()
        self._clock.forget(before_frame)

    def _end_pts(self) -> int:
        step = max(1, round(self._frame_length_s() / self._info.time_base))
        return self._clock.pts(self._frames - 1) + step

    def _end_s(self) -> float:
        return float(self._clock.time_s(self._frames - 1) + self._frame_length_s())

    def _frame_length_s(self) -> float:
        return self._frame_s or (1 / self._info.fps if self._info.fps else 0.04)

    def _shot_row(self, shot: Shot) -> Row:
        return {
            "source_id": self._content,
            "shot": shot.shot,
            "start_frame": shot.start_frame,
            "end_frame": shot.end_frame,
            "start_s": self._clock.time_s(shot.start_frame),
            "end_s": self._clock.end_s(shot.end_frame),
            "transition_in": shot.transition_in,
            "transition_out": shot.transition_out,
        }

    def _scanned(self) -> SourceScanned:
        damage = self._reader.error
        error = damage
        if error is None and not self._clips:
            longest_s = max((r["end_s"] - r["start_s"] for r in self._shot_rows), default=0.0)
            error = (
                f"{NO_CLIP}: the longest of {len(self._shot_rows)} shots lasts {longest_s:.2f} s, "
                f"min_s is {self._options.min_s:g}"
            )
        row: Row = {
            "source_id": self._content,
            "container": self._info.container,
            "codec": self._info.codec,
            "width": self._info.width,
            "height": self._info.height,
            "fps": self._info.fps,
            "frames": self._frames,
            "duration_s": self._end_s() - self._first_s if self._frames else 0.0,
            "error": error,
        }
        return SourceScanned(row, tuple(self._shot_rows), damage, dict(self._watch.seconds))
