"""What a filter for quality, text, lectures and screens has to find."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from curate.footage.camera import Camera
from curate.footage.corpus.entries import Entry, Rendered, one, pan, x264
from curate.footage.encode import Encoding
from curate.footage.faults import Blur, Flicker, Letterbox, Look, Noise, Pixelate, Subtitle
from curate.footage.film import Film, Shot

FAULTS: Final[tuple[Entry, ...]] = (
    Rendered(
        "blurred.mp4",
        one("street", 80, seed=13, camera=pan(0.03), faults=(Blur(4.0),)),
        "low_quality",
        "out of focus",
    ),
    Rendered(
        "focus-hunting.mp4",
        one("talker", 80, seed=10, faults=(Blur(2.6, hunt=0.9),)),
        "low_quality",
        "the focus comes and goes",
    ),
    Rendered(
        "shaky.mp4", one("forest", 90, seed=12, camera=Camera("shake", 0.09)), "low_quality", "strong shake"
    ),
    Rendered(
        "noisy-dark.mp4",
        one("hands", 70, seed=6, look=Look(gain=0.22), faults=(Noise(9.0),)),
        "low_quality",
        "a dark room, much noise",
        x264(crf=30),
    ),
    Rendered(
        "overcompressed.mp4",
        one("meadow", 80, seed=8, camera=pan(0.05)),
        "low_quality",
        "blocks and smears",
        x264(crf=46),
    ),
    Rendered(
        "pixelated.mp4",
        one("clockwork", 70, seed=9, faults=(Pixelate(6),)),
        "low_quality",
        "80x45 grown to 480x270",
    ),
    Rendered(
        "underexposed.mp4", one("street", 70, seed=14, look=Look(gain=0.16)), "low_quality", "nearly black"
    ),
    Rendered(
        "overexposed.mp4", one("sea", 70, seed=9, look=Look(gain=3.2, gamma=0.8)), "low_quality", "burnt out"
    ),
    Rendered(
        "flicker.mp4",
        one("balls", 75, seed=10, faults=(Flicker(7.3, 0.28),)),
        "low_quality (trap)",
        "the light pulses: no cut",
    ),
    Rendered(
        "text-page.mp4",
        one("page", 100, seed=1, look=Look(grain=0.8, vignette=0.1)),
        "text",
        "a printed page scrolls by",
    ),
    Rendered(
        "slides.mp4",
        Film((Shot("slides", 150, seed=2, look=Look(grain=0, vignette=0, soft_px=0)),), fps=Fraction(15)),
        "text lecture static",
        "a new slide at 45, 90 and 135 (a cut or not is a matter of taste: not scored)",
    ),
    Rendered(
        "screen-recording.mp4",
        Film(
            (Shot("desktop", 180, seed=1, look=Look(grain=0, vignette=0, soft_px=0)),),
            size=(640, 360),
            fps=Fraction(30),
        ),
        "screenshot",
        "cursor, typing, scrolling, a window pops up",
    ),
    Rendered(
        "talking-head.mp4",
        one("talker", 125, seed=11),
        "lecture",
        "somebody talks to the camera",
        Encoding(audio="aac"),
    ),
    Rendered(
        "subtitles.mp4",
        one(
            "drive",
            100,
            seed=9,
            light="overcast",
            faults=(
                Subtitle(("We left before dawn,", "and the road was ours.", "Nobody spoke for an hour.")),
            ),
        ),
        "text",
        "burnt-in subtitles that change: no cut",
    ),
    Rendered(
        "letterbox.mp4",
        one("lake", 80, seed=12, light="dusk", camera=pan(0.04), faults=(Letterbox(0.12),)),
        "clean",
        "black bars above and below",
    ),
)
