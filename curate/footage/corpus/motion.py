"""What moves: the camera, things, both, or nothing at all."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from curate.footage.camera import Camera
from curate.footage.canvas import View
from curate.footage.corpus.entries import Entry, Rendered, one, pan
from curate.footage.faults import Look
from curate.footage.film import Film, Join, Shot

MOTION: Final[tuple[Entry, ...]] = (
    Rendered(
        "moved-still-pan.mp4",
        one("street", 100, seed=8, still=True, camera=pan(0.05, x=-0.2)),
        "static (trap)",
        "a photograph panned over",
    ),
    Rendered(
        "moved-still-zoom.mp4",
        one("hills", 100, seed=10, light="dawn", still=True, camera=Camera("zoom", 0.09, start=View(y=0.16))),
        "static (trap)",
        "a photograph zoomed into",
    ),
    Rendered("object-motion.mp4", one("balls", 100, seed=5), "clean", "balls before a fixed camera"),
    Rendered(
        "camera-motion.mp4",
        one("hills", 100, seed=11, camera=pan(0.08)),
        "clean",
        "a pan over hills; only clouds move by themselves",
    ),
    Rendered(
        "camera-and-objects.mp4",
        one("street", 100, seed=9, light="overcast", camera=pan(-0.06)),
        "clean",
        "traffic, and the camera pans",
    ),
    Rendered("zoom.mp4", one("aerial", 90, seed=6, camera=Camera("zoom", 0.12)), "clean", "zoom over fields"),
    Rendered(
        "tilt.mp4",
        one("clockwork", 75, seed=7, camera=Camera("tilt", -0.04)),
        "clean",
        "tilt over turning gears",
    ),
    Rendered(
        "roll.mp4",
        one("aerial", 75, seed=8, light="dusk", camera=Camera("roll", 0.25)),
        "clean",
        "the camera turns about its axis over fields",
    ),
    Rendered("swell.mp4", one("sea", 75, seed=7, light="dusk"), "clean", "the open sea from a fixed camera"),
    Rendered("drive.mp4", one("drive", 120, seed=6, light="dawn"), "clean", "a road from a moving car"),
    Rendered("dolly.mp4", one("forest", 90, seed=10, camera=Camera("dolly", 0.12)), "clean", "into a forest"),
    Rendered(
        "handheld.mp4",
        one("hands", 90, seed=4, camera=Camera("handheld", 0.025)),
        "clean",
        "steady hands hold the camera",
    ),
    Rendered(
        "rain.mp4", one("street", 80, seed=11, light="overcast", weather="rain"), "clean", "rain on a street"
    ),
    Rendered(
        "snow.mp4",
        one("hills", 80, seed=9, light="winter", weather="snow"),
        "clean",
        "falling snow before hills",
    ),
    Rendered("fire.mp4", one("fire", 80, seed=9, light="night"), "clean (trap)", "flickering light: no cut"),
    Rendered("frozen.mp4", one("meadow", 100, seed=6, hold=(0, 100)), "static", "one frame, over and over"),
    Rendered("half-frozen.mp4", one("reef", 100, seed=9, hold=(40, 100)), "static", "freezes at frame 40"),
    Rendered(
        "slideshow.mp4",
        Film(
            tuple(
                Shot(scene, 45, seed=seed, light=light, hold=(0, 45))
                for scene, seed, light in (
                    ("lake", 9, "noon"),
                    ("street", 12, "noon"),
                    ("forest", 11, "noon"),
                    ("cloth", 6, "dusk"),
                )
            )
        ),
        "editing static",
        "stills, hard cuts",
    ),
    Rendered(
        "slideshow-dissolves.mp4",
        Film(
            tuple(
                Shot(scene, 36, seed=seed, hold=(0, 60))
                for scene, seed in (("hills", 13), ("reef", 11), ("balls", 7))
            ),
            (Join("dissolve", 12), Join("dissolve", 12)),
        ),
        "editing static",
        "stills, dissolves",
    ),
    Rendered(
        "surveillance.mp4",
        Film(
            (Shot("aerial", 60, seed=7, light="overcast", speed=0.6, look=Look(grain=1.0)),), fps=Fraction(10)
        ),
        "static",
        "a crossroads from above, hardly anything moves",
    ),
)
