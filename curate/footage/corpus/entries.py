"""What the corpus is a list of, and the short forms that its lists are written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from curate.footage.camera import Camera
from curate.footage.canvas import View
from curate.footage.damage import Damage
from curate.footage.encode import Encoding
from curate.footage.film import Film, Shot
from curate.footage.truth import Outcome

__all__ = [
    "AV1",
    "HEVC",
    "VP9",
    "Copy",
    "Derived",
    "Entry",
    "Rendered",
    "Sound",
    "one",
    "pair",
    "pan",
    "x264",
]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A film, encoded; or an image, where the film has one frame and the name says so."""

    file: str
    film: Film
    labels: str
    notes: str = ""
    how: Encoding = field(default_factory=Encoding)
    outcome: Outcome = "clips"
    near_duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """The bytes of another file under another name."""

    file: str
    of: str
    notes: str = "byte for byte the same"


@dataclass(frozen=True, slots=True)
class Derived:
    """Another file, damaged."""

    file: str
    of: str
    how: Damage
    notes: str
    outcome: Outcome = "failure"


@dataclass(frozen=True, slots=True)
class Sound:
    """A file without a picture."""

    file: str
    duration_s: float
    notes: str = "sound only"


Entry: TypeAlias = Rendered | Copy | Derived | Sound

SMALL: Final = (320, 180)


def pan(rate: float, x: float = 0.0) -> Camera:
    """Return a pan that starts at `x`."""
    return Camera("pan", rate, start=View(x=x))


def one(scene: str, frames: int = 100, **shot: object) -> Film:
    """Return a film of one shot."""
    return Film((Shot(scene, frames, **shot),))  # type: ignore[arg-type]


def pair(first: str, second: str, at: int = 32, total: int = 62, seed: int = 1, **film: object) -> Film:
    """Return a small film of two shots with a hard cut at frame `at`."""
    shots = (
        Shot(first, at, seed=seed, camera=Camera("handheld", 0.02)),
        Shot(second, total - at, seed=seed + 1, light=("dawn", "overcast", "noon", "dusk")[seed % 4]),
    )
    return Film(shots, **{"size": SMALL, **film})  # type: ignore[arg-type]


def x264(params: str = "", *, gop: int = 25, crf: int = 25, **more: object) -> Encoding:
    """Return an H.264 encoding with encoder parameters of its own."""
    options = (("preset", "veryfast"), ("crf", str(crf)))
    extra = (("x264-params", params),) if params else ()
    return Encoding(options=options + extra, gop=gop, **more)  # type: ignore[arg-type]


VP9: Final = Encoding("libvpx-vp9", options=(("crf", "36"),), bit_rate=0)
HEVC: Final = Encoding("libx265", options=(("preset", "ultrafast"), ("crf", "27")), gop=25)
AV1: Final = Encoding("libsvtav1", options=(("preset", "12"), ("crf", "40")), gop=50)
