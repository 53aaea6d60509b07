"""Make edited footage with known boundaries out of single shots, on the small planes that detectors see.

Real edits that a person has marked are few; single shots are many. Joining them by every kind of cut and
transition, and disturbing them by what is not a cut (flashes, lamps, captions, occluders, whip pans, repeated
frames), gives thousands of boundaries in seconds, because nothing is encoded or decoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from shot_disturbances import disturb
from shot_planes import Planes, Random, Shot, crop, look, map_planes, masked, mix, take, wear

from curate.frames import SmallFrame

__all__ = ["Edited", "Shot", "edit"]


@dataclass(slots=True)
class Edited:
    """Frames and truth: `hard` first frames of new shots, `gradual` [first mixed, first clean) ranges.

    `unsure` are frames where an edit was made that may not be visible: no detection there is right or wrong.
    """

    fps: float
    frames: list[Planes] = field(default_factory=list)
    hard: list[int] = field(default_factory=list)
    gradual: list[tuple[int, int, str]] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)

    def small_frames(self) -> list[SmallFrame]:
        """Return what a detector is shown."""
        return [SmallFrame(i, i / self.fps, *planes) for i, planes in enumerate(self.frames)]


def _wipe_mask(shape: tuple[int, ...], share: float, kind: int, angle: float) -> npt.NDArray[np.float32]:
    height, width = shape
    gy, gx = np.mgrid[:height, :width].astype(np.float32)
    gy, gx = gy / height - 0.5, gx / width - 0.5
    if kind == 0:
        along = gx * np.cos(angle) + gy * np.sin(angle)
        reach = 0.5 * (abs(np.cos(angle)) + abs(np.sin(angle)))
        value = (along + reach) / (2 * reach)
    elif kind == 1:
        value = np.sqrt(gx**2 + gy**2) / np.sqrt(0.5)
    else:
        value = np.abs(gx) * 2
    return np.clip((share - value) / 0.02 + 0.5, 0, 1).astype(np.float32)


def _transition(rng: Random, a: list[Planes], b: list[Planes], kind: str) -> list[Planes]:
    """Mix the running frames of both shots; every returned frame is mixed."""
    n = len(a)
    shares = (np.arange(n) + 1) / (n + 1)
    if rng.random() < 0.4:
        shares = (1 - np.cos(shares * np.pi)) / 2
    if kind == "dissolve":
        return [mix(x, y, s) for x, y, s in zip(a, b, shares.tolist(), strict=True)]
    wipe, angle = int(rng.integers(3)), rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        angle = round(angle / (np.pi / 2)) * np.pi / 2
    masks = [_wipe_mask(a[0][0].shape, s, wipe, angle) for s in shares.tolist()]
    return [masked(x, y, m) for x, y, m in zip(a, b, masks, strict=True)]


def _blend_cut(rng: Random, old: list[Planes], new: list[Planes]) -> None:
    """Mix the frame beside a cut, or both, as conversions of frame rates by blending do."""
    share = rng.uniform(0.2, 0.8)
    a, b = old[-1], new[0]
    if rng.random() < 0.6:
        new[0] = mix(a, b, share)
    else:
        old[-1], new[0] = mix(a, b, 0.6 * share), mix(a, b, 0.4 + 0.6 * share)


def _swish(rng: Random, old: list[Planes], new: list[Planes]) -> None:
    """Hide a cut in a fast zoom or slide: the old shot speeds up into it, the new one slows down from it."""
    n = min(int(rng.integers(2, 9)), len(old), len(new))
    reach, zoom, left = rng.uniform(0.1, 0.6), rng.random() < 0.5, rng.uniform(-1, 1) > 0
    for k in range(n):
        amount = reach * ((n - k) / n) ** 2
        for frames, i, sign in ((old, -1 - k, 1), (new, k, -1)):
            if zoom:
                size = 1 - amount if sign > 0 else 1 - 0.7 * amount
                frame = crop(frames[i], (1 - size) / 2, (1 - size) / 2, size)
            else:
                frame = crop(frames[i], 0, sign * amount * (1 if left else -1), 1)
            blur = max(1, int(amount / n * frames[i][0].shape[1]))
            frames[i] = map_planes(frame, partial(cv2.blur, ksize=(blur, blur if zoom else 1)))


def _difference(a: Planes, b: Planes) -> float:
    return float(sum(cv2.absdiff(x, y).mean() for x, y in zip(a, b, strict=True)))


_JOINS = ("hard", "jump", "punch", "dissolve", "fade", "wipe")
_STYLES = ((0.4, 0.4, 0.1, 0.04, 0.03, 0.03), (0.1, 0.1, 0.02, 0.45, 0.2, 0.13), (0.1, 0.85, 0.05, 0, 0, 0))
"""mostly cuts; mostly transitions; one shot with gaps"""


class _Editor:
    """Grows an edit piece by piece."""

    def __init__(self, rng: Random, shots: Sequence[Shot]) -> None:
        self._rng = rng
        self._shots = shots
        self._shot = shots[int(rng.integers(len(shots)))]
        self._like: Planes = (self._shot.luma_THW[0], self._shot.u_Thw[0], self._shot.v_Thw[0])
        self._at, self._step = 0, 1.0
        self._montage = rng.random() < 0.15
        self._weights = np.array(_STYLES[int(rng.choice(3, p=(0.4, 0.4, 0.2)))])
        self._tail: list[Planes] = []
        self.out = Edited(self._shot.fps)

    def next_join(self) -> str:
        """Choose how the next piece follows; a transition keeps the end of the last piece for itself."""
        rng, out = self._rng, self.out
        join = _JOINS[int(rng.choice(len(_JOINS), p=self._weights))]
        if join in _JOINS[3:]:
            # The outgoing shot runs on under the transition, or stands still where it has no more frames.
            n = int(rng.choice([rng.uniform(5, 16), rng.uniform(6, 61)]))
            last = max([0, *out.hard, *(end for _, end, _ in out.gradual), *out.unsure])
            keep = max(min(last + 12, len(out.frames)), len(out.frames) - n)
            self._tail = (out.frames[keep:] + [out.frames[-1]] * n)[:n]
            del out.frames[keep:]
        return join

    def piece(self, join: str) -> list[Planes]:
        """Take the next piece of footage."""
        rng, shot = self._rng, self._shot
        last = max(1, len(shot) - 8)
        if join in {"jump", "punch"}:
            skip = int(rng.uniform(0.3, 5) * shot.fps)
            self._at = self._at + skip if self._at + skip < last else int(rng.integers(last))
        elif join != "start":
            self._shot = shot = self._shots[int(rng.integers(len(self._shots)))]
            self._at = int(rng.integers(max(1, len(shot) - 8)))
            self._step = float(rng.choice([1, 1, 1, 1, 2, 0.5, 0.8, rng.uniform(3, 12)]))
        seconds = rng.choice([rng.uniform(0.3, 1.0), rng.uniform(1, 4), rng.uniform(1, 4)])
        length = max(
            8,
            int(
                (rng.uniform(0.15, 0.6) if self._montage and join not in _JOINS[3:] else seconds)
                * self.out.fps
            ),
        )
        frames = take(shot, self._like, self._at, length, self._step)
        self._at = min(len(shot) - 1, self._at + int(length * self._step))
        if join not in {"jump", "start"}:
            frames = look(rng, frames)
        if join == "punch":
            size = rng.uniform(0.6, 0.9)
            frames = [crop(f, (1 - size) / 2, (1 - size) / 2, size) for f in frames]
        return disturb(rng, frames, self.out.fps) if join != "jump" or rng.random() < 0.3 else frames

    def cut_to(self, frames: list[Planes], join: str) -> None:
        """Append after a cut; where the cut changes little, the truth stays open."""
        rng, out = self._rng, self.out
        if join == "hard" and rng.random() < 0.15:
            _swish(rng, out.frames, frames)
        usual = [_difference(x, y) for x, y in pairwise(out.frames[-4:])]
        usual += [_difference(x, y) for x, y in pairwise(frames[:4])]
        seen = _difference(out.frames[-1], frames[0]) > max(2.0, 1.5 * max(usual, default=0.0))
        (out.hard if seen else out.unsure).append(len(out.frames))
        if rng.random() < 0.15:
            _blend_cut(rng, out.frames, frames)
        out.frames += frames

    def mix_to(self, frames: list[Planes], join: str) -> None:
        """Append after a dissolve or wipe."""
        n = min(len(self._tail), len(frames) - 4)
        at = len(self.out.frames)
        self.out.gradual.append((at, at + n, join))
        self.out.frames += _transition(self._rng, self._tail[:n], frames[:n], join) + frames[n:]

    def fade_to(self, frames: list[Planes]) -> None:
        """Append after a fade out, a fade in, or both, with a blank between."""
        rng, out = self._rng, self.out
        n = min(len(self._tail), len(frames) - 4)
        value = float(rng.choice([0, 0, 0, 12, 255]))
        blank: Planes = (np.full_like(frames[0][0], value), *(np.full_like(c, 128) for c in frames[0][1:]))
        form = int(rng.choice(4, p=(0.5, 0.2, 0.2, 0.1)))  # dip, out and in, in alone, out alone
        hold = int(rng.integers(0, 5)) if form == 0 else int(rng.uniform(0.1, 1.5) * out.fps) + 3
        leave = [] if form == 2 else [mix(f, blank, (i + 1) / (n + 1)) for i, f in enumerate(self._tail[:n])]
        enter = [] if form == 3 else [mix(blank, f, (i + 1) / (n + 1)) for i, f in enumerate(frames[:n])]
        a = len(out.frames)
        b, c = a + len(leave), a + len(leave) + hold
        d = c + len(enter)
        if form == 0 or (form == 1 and hold < 0.5 * out.fps):
            out.gradual.append((a, d, "fade"))
        else:
            out.gradual += [(x, y, "fade") for x, y in ((a, b), (c, d)) if y > x]
        if form == 2:
            out.hard.append(a)
        elif form == 3:
            out.hard.append(c)
        out.frames += leave + [blank] * hold + enter + frames[len(enter) :]


def edit(rng: Random, shots: Sequence[Shot], pieces: int) -> Edited:
    """Return footage of so many pieces joined by random transitions, disturbed and worn."""
    editor = _Editor(rng, shots)
    editor.out.frames += editor.piece("start")
    for _ in range(pieces - 1):
        join = editor.next_join()
        frames = editor.piece(join)
        if join == "fade":
            editor.fade_to(frames)
        elif join in {"dissolve", "wipe"}:
            editor.mix_to(frames, join)
        else:
            editor.cut_to(frames, join)
    out = editor.out
    out.frames = wear(rng, out.frames)
    if rng.random() < 0.25:
        _repeat(rng, out)
    return out


def _repeat(rng: Random, edited: Edited) -> None:
    """Show frames more than once, as conversions of frame rates do; moves the truth along."""
    kind = int(rng.integers(3))
    times = [
        2 if kind == 0 else (2 if i % 5 == 4 else 1) if kind == 1 else (2 + i % 2)
        for i in range(len(edited.frames))
    ]
    place = np.concatenate([[0], np.cumsum(times)]).astype(int).tolist()
    edited.frames = [f for f, n in zip(edited.frames, times, strict=True) for _ in range(n)]
    edited.fps *= sum(times) / len(times)
    edited.hard = [place[i] for i in edited.hard]
    edited.unsure = [place[i] for i in edited.unsure]
    edited.gradual = [(place[a], place[b], kind) for a, b, kind in edited.gradual]
