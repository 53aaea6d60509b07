"""Shots joined in every way, and what looks like a cut and is none."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from curate.footage.camera import Camera
from curate.footage.corpus.entries import Entry, Rendered, one, pan
from curate.footage.faults import Flash, Lamp
from curate.footage.film import Film, Join, Shot

EDITING: Final[tuple[Entry, ...]] = (
    Rendered(
        "hard-cuts.mp4",
        Film(
            (
                Shot("street", 42, seed=1, camera=pan(0.05)),
                Shot("reef", 33, seed=2),
                Shot("fire", 30, seed=3, light="night"),
                Shot("lake", 45, seed=2, light="dawn", camera=pan(-0.04)),
                Shot("clockwork", 28, seed=4),
                Shot("forest", 40, seed=5, camera=Camera("dolly", 0.15)),
            )
        ),
        "editing",
        "six unlike scenes",
    ),
    Rendered(
        "fast-cuts.mp4",
        Film(
            tuple(
                Shot(scene, frames, seed=seed, light=light, camera=Camera("handheld", 0.02))
                for scene, frames, seed, light in (
                    ("drive", 14, 2, "noon"),
                    ("cloth", 9, 1, "noon"),
                    ("street", 11, 7, "overcast"),
                    ("fire", 8, 2, "night"),
                    ("balls", 16, 1, "noon"),
                    ("talker", 12, 3, "noon"),
                    ("aerial", 10, 1, "noon"),
                    ("sea", 18, 1, "noon"),
                    ("meadow", 13, 1, "noon"),
                    ("city", 12, 1, "night"),
                )
            )
        ),
        "editing",
        "ten shots of 8 to 18 frames",
    ),
    Rendered(
        "dissolves.mp4",
        Film(
            (
                Shot("sea", 45, seed=3),
                Shot("forest", 40, seed=2, camera=pan(0.04)),
                Shot("city", 42, seed=2, light="night"),
                Shot("cloth", 40, seed=3, light="dawn"),
            ),
            (Join("dissolve", 8), Join("dissolve", 24), Join("dissolve", 48)),
        ),
        "editing",
        "dissolves of 8, 24 and 48 frames",
    ),
    Rendered(
        "dissolve-alike.mp4",
        Film(
            (
                Shot("hills", 45, seed=4, light="dawn"),
                Shot("hills", 45, seed=4, light="overcast"),
                Shot("lake", 45, seed=4, light="overcast"),
            ),
            (Join("dissolve", 30), Join("dissolve", 16)),
        ),
        "editing",
        "the same hills at another hour, then a lake of the same colours",
    ),
    Rendered(
        "fade-black.mp4",
        Film(
            (
                Shot("hills", 40, seed=7, camera=pan(0.05)),
                Shot("hands", 40, seed=2),
                Shot("birds", 45, seed=5, light="dusk"),
            ),
            (Join("black", 16), Join("black", 40)),
            opening=Join("black", 14),
            closing=Join("black", 20),
        ),
        "editing",
        "from black, two dips, to black",
    ),
    Rendered(
        "fade-white.mp4",
        Film(
            (
                Shot("meadow", 40, seed=3),
                Shot("street", 40, seed=3, light="overcast"),
                Shot("balls", 40, seed=3),
            ),
            (Join("white", 18), Join("white", 36)),
            opening=Join("white", 12),
            closing=Join("white", 16),
        ),
        "editing",
        "from white, two dips, to white",
    ),
    Rendered(
        "wipes.mp4",
        Film(
            (
                Shot("aerial", 40, seed=3, camera=pan(0.03)),
                Shot("fire", 36, seed=5, light="night"),
                Shot("reef", 40, seed=7),
            ),
            (Join("wipe", 15), Join("iris", 22)),
        ),
        "editing",
        "a soft wipe to the right, an opening circle",
    ),
    Rendered(
        "flashes.mp4",
        Film(
            (
                Shot("talker", 75, seed=6, faults=(Flash((21, 48, 52), 2),)),
                Shot("street", 60, seed=4, light="night", faults=(Flash((30,), 3),)),
            )
        ),
        "editing (trap)",
        "photographers' flashes at 21, 48, 52 and 105; the only cut is at 75",
    ),
    Rendered(
        "whip-pans.mp4",
        Film(
            (
                Shot("street", 70, seed=5, camera=Camera("whip", 0.9, at_s=1.1)),
                Shot("forest", 60, seed=3, camera=Camera("whip", -0.7, at_s=0.9)),
            )
        ),
        "editing (trap)",
        "the camera is thrown round at 27 and 92; the only cut is at 70",
    ),
    Rendered(
        "match-cuts.mp4",
        Film(
            (
                Shot("talker", 40, seed=1),
                Shot("talker", 36, seed=3),
                Shot("talker", 44, seed=5),
                Shot("lake", 40, seed=3),
                Shot("lake", 40, seed=3, light="dusk"),
            )
        ),
        "editing",
        "the same framing on both sides of every cut but one",
    ),
    Rendered(
        "jump-cuts.mp4",
        Film(
            tuple(
                Shot("hands", frames, seed=1, start_s=start)
                for frames, start in ((48, 0.0), (40, 3.4), (55, 5.6), (36, 10.3), (45, 12.4))
            )
        ),
        "editing",
        "one table, fixed camera, 0.5 to 3 s left out at each cut",
    ),
    Rendered(
        "jump-cuts-talker.mp4",
        Film(
            tuple(
                Shot("talker", frames, seed=5, start_s=start)
                for frames, start in ((60, 0.0), (44, 3.3), (52, 7.2), (40, 9.8))
            )
        ),
        "editing lecture",
        "an interview with its pauses cut out",
    ),
    Rendered(
        "jump-cuts-street.mp4",
        Film(
            tuple(
                Shot("street", frames, seed=6, start_s=start)
                for frames, start in ((50, 0.0), (42, 3.1), (60, 7.6))
            )
        ),
        "editing",
        "one street, fixed camera",
    ),
    Rendered(
        "stray-frame.mp4",
        Film(
            (
                Shot("cloth", 1, seed=4),
                Shot("drive", 70, seed=4, light="dawn"),
                Shot("reef", 2, seed=3),
            )
        ),
        "editing",
        "one frame of another shot at the beginning, two at the end",
    ),
    Rendered(
        "montage.mp4",
        Film(
            (
                Shot("city", 50, seed=5, light="night", camera=pan(0.03)),
                Shot("aerial", 48, seed=5, camera=Camera("zoom", 0.08)),
                Shot("clockwork", 36, seed=6, light="dawn"),
                Shot("lake", 50, seed=6, light="dusk"),
                Shot("balls", 44, seed=8),
            ),
            (Join(), Join("dissolve", 20), Join("black", 24), Join()),
            size=(640, 360),
            fps=Fraction(30),
            closing=Join("black", 20),
        ),
        "editing",
        "cuts, a dissolve and a dip in one film",
    ),
    Rendered(
        "lamp-switched-on.mp4",
        one("talker", 90, seed=9, faults=(Lamp(41),)),
        "clean (trap)",
        "a lamp is switched on at frame 41: no cut",
    ),
    Rendered(
        "near-and-fast.mp4",
        one("forest", 90, seed=8, camera=pan(0.45)),
        "clean (trap)",
        "trunks fly past close by: no cut",
    ),
)
