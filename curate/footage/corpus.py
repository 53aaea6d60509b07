"""The gold corpus as a list: every file, what is in it, and what a pipeline should make of it.

One hard case a file, named for what it is. Editing, motion and faults are in 480x270 H.264; containers and
codecs are in small short films with one hard cut each. Changing a line here changes the rendered bytes of
that file and of those made from it, and of no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, TypeAlias

from curate.footage import damage
from curate.footage.camera import Camera
from curate.footage.canvas import View
from curate.footage.damage import Damage
from curate.footage.encode import Encoding
from curate.footage.faults import (
    Blur,
    Crop,
    Flash,
    Flicker,
    Lamp,
    Letterbox,
    Look,
    Mirror,
    Noise,
    Pixelate,
    Subtitle,
    Watermark,
)
from curate.footage.film import Film, Join, Shot
from curate.footage.truth import Outcome

__all__ = ["CORPUS", "Copy", "Derived", "Entry", "Rendered", "Sound"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A film, encoded; or an image, where the film has one frame and the name says so."""

    file: str
    film: Film
    labels: str
    notes: str = ""
    how: Encoding = Encoding()
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
REEF: Final = one("reef", 90, seed=5)

EDITING: Final[tuple[Entry, ...]] = (
    Rendered("hard-cuts.mp4", Film((
        Shot("street", 42, seed=1, camera=pan(0.05)), Shot("reef", 33, seed=2), Shot("fire", 30, seed=3, light="night"),
        Shot("lake", 45, seed=2, light="dawn", camera=pan(-0.04)), Shot("clockwork", 28, seed=4), Shot("forest", 40, seed=5, camera=Camera("dolly", 0.15)),
    )), "editing", "six unlike scenes"),
    Rendered("fast-cuts.mp4", Film(tuple(
        Shot(scene, frames, seed=seed, light=light, camera=Camera("handheld", 0.02))
        for scene, frames, seed, light in (
            ("drive", 14, 2, "noon"), ("cloth", 9, 1, "noon"), ("street", 11, 7, "overcast"), ("fire", 8, 2, "night"),
            ("balls", 16, 1, "noon"), ("talker", 12, 3, "noon"), ("aerial", 10, 1, "noon"), ("sea", 18, 1, "noon"),
            ("meadow", 13, 1, "noon"), ("city", 12, 1, "night"),
        ))), "editing", "ten shots of 8 to 18 frames"),
    Rendered("dissolves.mp4", Film((
        Shot("sea", 45, seed=3), Shot("forest", 40, seed=2, camera=pan(0.04)), Shot("city", 42, seed=2, light="night"), Shot("cloth", 40, seed=3, light="dawn"),
    ), (Join("dissolve", 8), Join("dissolve", 24), Join("dissolve", 48))), "editing", "dissolves of 8, 24 and 48 frames"),
    Rendered("dissolve-alike.mp4", Film((
        Shot("hills", 45, seed=4, light="dawn"), Shot("hills", 45, seed=4, light="overcast"), Shot("lake", 45, seed=4, light="overcast"),
    ), (Join("dissolve", 30), Join("dissolve", 16))), "editing", "the same hills at another hour, then a lake of the same colours"),
    Rendered("fade-black.mp4", Film((
        Shot("hills", 40, seed=7, camera=pan(0.05)), Shot("hands", 40, seed=2), Shot("birds", 45, seed=5, light="dusk"),
    ), (Join("black", 16), Join("black", 40)), opening=Join("black", 14), closing=Join("black", 20)), "editing", "from black, two dips, to black"),
    Rendered("fade-white.mp4", Film((
        Shot("meadow", 40, seed=3), Shot("street", 40, seed=3, light="overcast"), Shot("balls", 40, seed=3),
    ), (Join("white", 18), Join("white", 36)), opening=Join("white", 12), closing=Join("white", 16)), "editing", "from white, two dips, to white"),
    Rendered("wipes.mp4", Film((
        Shot("aerial", 40, seed=3, camera=pan(0.03)), Shot("fire", 36, seed=5, light="night"), Shot("reef", 40, seed=7),
    ), (Join("wipe", 15), Join("iris", 22))), "editing", "a soft wipe to the right, an opening circle"),
    Rendered("flashes.mp4", Film((
        Shot("talker", 75, seed=6, faults=(Flash((21, 48, 52), 2),)), Shot("street", 60, seed=4, light="night", faults=(Flash((30,), 3),)),
    )), "editing (trap)", "photographers' flashes at 21, 48, 52 and 105; the only cut is at 75"),
    Rendered("whip-pans.mp4", Film((
        Shot("street", 70, seed=5, camera=Camera("whip", 0.9, at_s=1.1)), Shot("forest", 60, seed=3, camera=Camera("whip", -0.7, at_s=0.9)),
    )), "editing (trap)", "the camera is thrown round at 27 and 92; the only cut is at 70"),
    Rendered("match-cuts.mp4", Film((
        Shot("talker", 40, seed=1), Shot("talker", 36, seed=4), Shot("talker", 44, seed=7), Shot("lake", 40, seed=3), Shot("lake", 40, seed=3, light="dusk"),
    )), "editing", "the same framing on both sides of every cut but one"),
    Rendered("jump-cuts.mp4", Film(tuple(
        Shot("hands", frames, seed=1, start_s=start) for frames, start in ((48, 0.0), (40, 3.4), (55, 5.6), (36, 10.3), (45, 12.4))
    )), "editing", "one table, fixed camera, 0.5 to 3 s left out at each cut"),
    Rendered("jump-cuts-talker.mp4", Film(tuple(
        Shot("talker", frames, seed=5, start_s=start) for frames, start in ((60, 0.0), (44, 3.3), (52, 7.2), (40, 9.8))
    )), "editing lecture", "an interview with its pauses cut out"),
    Rendered("jump-cuts-street.mp4", Film(tuple(
        Shot("street", frames, seed=6, start_s=start) for frames, start in ((50, 0.0), (42, 3.1), (60, 7.6))
    )), "editing", "one street, fixed camera"),
    Rendered("stray-frame.mp4", Film((
        Shot("cloth", 1, seed=4), Shot("drive", 70, seed=4, light="dawn"), Shot("reef", 2, seed=3),
    )), "editing", "one frame of another shot at the beginning, two at the end"),
    Rendered("montage.mp4", Film((
        Shot("city", 50, seed=5, light="night", camera=pan(0.03)), Shot("aerial", 48, seed=5, camera=Camera("zoom", 0.08)),
        Shot("forest", 36, seed=6, light="dawn"), Shot("lake", 50, seed=6, light="dusk"), Shot("balls", 44, seed=8),
    ), (Join(), Join("dissolve", 20), Join("black", 24), Join()), size=(640, 360), fps=Fraction(30), closing=Join("black", 20)), "editing", "cuts, a dissolve and a dip in one film"),
    Rendered("lamp-switched-on.mp4", one("talker", 90, seed=9, faults=(Lamp(41),)), "clean (trap)", "a lamp is switched on at frame 41: no cut"),
    Rendered("near-and-fast.mp4", one("forest", 90, seed=8, camera=pan(0.45)), "clean (trap)", "trunks fly past close by: no cut"),
)  # fmt: skip

MOTION: Final[tuple[Entry, ...]] = (
    Rendered("moved-still-pan.mp4", one("street", 100, seed=8, still=True, camera=pan(0.05, x=-0.2)), "static (trap)", "a photograph panned over"),
    Rendered("moved-still-zoom.mp4", one("hills", 100, seed=10, light="dawn", still=True, camera=Camera("zoom", 0.09, start=View(y=0.16))), "static (trap)", "a photograph zoomed into"),
    Rendered("object-motion.mp4", one("balls", 100, seed=5), "clean", "balls before a fixed camera"),
    Rendered("camera-motion.mp4", one("hills", 100, seed=11, camera=pan(0.08)), "clean", "a pan over hills; only clouds move by themselves"),
    Rendered("camera-and-objects.mp4", one("street", 100, seed=9, light="overcast", camera=pan(-0.06)), "clean", "traffic, and the camera pans"),
    Rendered("zoom.mp4", one("aerial", 90, seed=6, camera=Camera("zoom", 0.12)), "clean", "zoom over fields"),
    Rendered("tilt.mp4", one("clockwork", 75, seed=7, camera=Camera("tilt", -0.04)), "clean", "tilt over turning gears"),
    Rendered("roll.mp4", one("aerial", 75, seed=8, light="dusk", camera=Camera("roll", 0.25)), "clean", "the camera turns about its axis over fields"),
    Rendered("swell.mp4", one("sea", 75, seed=7, light="dusk"), "clean", "the open sea from a fixed camera"),
    Rendered("drive.mp4", one("drive", 120, seed=6, light="dawn"), "clean", "a road from a moving car"),
    Rendered("dolly.mp4", one("forest", 90, seed=10, camera=Camera("dolly", 0.12)), "clean", "into a forest"),
    Rendered("handheld.mp4", one("hands", 90, seed=4, camera=Camera("handheld", 0.025)), "clean", "steady hands hold the camera"),
    Rendered("rain.mp4", one("street", 80, seed=11, light="overcast", weather="rain"), "clean", "rain on a street"),
    Rendered("snow.mp4", one("hills", 80, seed=9, light="winter", weather="snow"), "clean", "falling snow before hills"),
    Rendered("fire.mp4", one("fire", 80, seed=9, light="night"), "clean (trap)", "flickering light: no cut"),
    Rendered("frozen.mp4", one("meadow", 100, seed=6, hold=(0, 100)), "static", "one frame, over and over"),
    Rendered("half-frozen.mp4", one("reef", 100, seed=9, hold=(40, 100)), "static", "freezes at frame 40"),
    Rendered("slideshow.mp4", Film(tuple(
        Shot(scene, 45, seed=seed, light=light, hold=(0, 45))
        for scene, seed, light in (("lake", 9, "noon"), ("street", 12, "noon"), ("forest", 11, "noon"), ("cloth", 6, "dusk"))
    )), "editing static", "stills, hard cuts"),
    Rendered("slideshow-dissolves.mp4", Film(tuple(
        Shot(scene, 36, seed=seed, hold=(0, 60)) for scene, seed in (("hills", 13), ("reef", 11), ("balls", 7))
    ), (Join("dissolve", 12), Join("dissolve", 12))), "editing static", "stills, dissolves"),
    Rendered("surveillance.mp4", Film((Shot("aerial", 60, seed=7, light="overcast", speed=0.6, look=Look(grain=1.0)),), fps=Fraction(10)), "static", "a crossroads from above, hardly anything moves"),
)  # fmt: skip

FAULTS: Final[tuple[Entry, ...]] = (
    Rendered("blurred.mp4", one("street", 80, seed=13, camera=pan(0.03), faults=(Blur(4.0),)), "low_quality", "out of focus"),
    Rendered("focus-hunting.mp4", one("talker", 80, seed=10, faults=(Blur(2.6, hunt=0.9),)), "low_quality", "the focus comes and goes"),
    Rendered("shaky.mp4", one("forest", 90, seed=12, camera=Camera("shake", 0.09)), "low_quality", "strong shake"),
    Rendered("noisy-dark.mp4", one("hands", 70, seed=6, look=Look(gain=0.22), faults=(Noise(9.0),)), "low_quality", "a dark room, much noise", x264(crf=30)),
    Rendered("overcompressed.mp4", one("meadow", 80, seed=8, camera=pan(0.05)), "low_quality", "blocks and smears", x264(crf=46)),
    Rendered("pixelated.mp4", one("clockwork", 70, seed=9, faults=(Pixelate(6),)), "low_quality", "80x45 grown to 480x270"),
    Rendered("underexposed.mp4", one("street", 70, seed=14, look=Look(gain=0.16)), "low_quality", "nearly black"),
    Rendered("overexposed.mp4", one("sea", 70, seed=9, look=Look(gain=3.2, gamma=0.8)), "low_quality", "burnt out"),
    Rendered("flicker.mp4", one("balls", 75, seed=10, faults=(Flicker(7.3, 0.28),)), "low_quality (trap)", "the light pulses: no cut"),
    Rendered("text-page.mp4", one("page", 100, seed=1, look=Look(grain=0.8, vignette=0.1)), "text", "a printed page scrolls by"),
    Rendered("slides.mp4", Film((Shot("slides", 150, seed=2, look=Look(grain=0, vignette=0, soft_px=0)),), fps=Fraction(15)), "text lecture static", "a new slide at 45, 90 and 135 (a cut or not is a matter of taste: not scored)"),
    Rendered("screen-recording.mp4", Film((Shot("desktop", 180, seed=1, look=Look(grain=0, vignette=0, soft_px=0)),), size=(640, 360), fps=Fraction(30)), "screenshot", "cursor, typing, scrolling, a window pops up"),
    Rendered("talking-head.mp4", one("talker", 125, seed=11), "lecture", "somebody talks to the camera", Encoding(audio="aac")),
    Rendered("subtitles.mp4", one("drive", 100, seed=9, light="overcast", faults=(Subtitle(("We left before dawn,", "and the road was ours.", "Nobody spoke for an hour.")),)), "text", "burnt-in subtitles that change: no cut"),
    Rendered("letterbox.mp4", one("lake", 80, seed=12, light="dusk", camera=pan(0.04), faults=(Letterbox(0.12),)), "clean", "black bars above and below"),
)  # fmt: skip

DUPLICATES: Final[tuple[Entry, ...]] = (
    Rendered("fish.mp4", REEF, "clean", "the original of the near-duplicates"),
    Copy("fish-copy.mp4", "fish.mp4"),
    Rendered("fish-reencoded.webm", REEF, "clean", "re-encoded as VP9", VP9, near_duplicate_of="fish.mp4"),
    Rendered("fish-cropped.mp4", replace(REEF, post=(Crop(0.86),)), "clean", "86 % of each side", near_duplicate_of="fish.mp4"),
    Rendered("fish-mirrored.mp4", replace(REEF, post=(Mirror(),)), "clean", "left and right exchanged", near_duplicate_of="fish.mp4"),
    Rendered("fish-watermarked.mp4", replace(REEF, post=(Watermark("BLUE REEF"),)), "clean", "a name in the corner", near_duplicate_of="fish.mp4"),
    Rendered("fish-trimmed.mp4", one("reef", 55, seed=5, start_s=0.8), "clean", "frames 20 to 75", near_duplicate_of="fish.mp4"),
)  # fmt: skip

FORMATS: Final[tuple[Entry, ...]] = (
    Rendered("closed-gop.mp4", pair("street", "reef", seed=21), "editing format", "H.264, closed GOPs, no B-frames", x264("bframes=0:scenecut=0")),
    Rendered("open-gop.mp4", pair("sea", "hands", seed=22), "editing format", "H.264, open GOPs", x264("open-gop=1:bframes=3:b-pyramid=2:scenecut=0:keyint=24:min-keyint=24", gop=24)),
    Rendered("open-gop.ts", pair("clockwork", "drive", seed=23), "editing format", "H.264, open GOPs, MPEG-TS", x264("open-gop=1:bframes=3:b-pyramid=2:scenecut=0:keyint=24:min-keyint=24", gop=24, audio="libmp3lame", start_s=Fraction(7, 5))),
    Rendered("b-frames.mkv", pair("talker", "cloth", seed=24), "editing format", "H.264, up to eight B-frames in a row", x264("bframes=8:b-adapt=2:b-pyramid=2:scenecut=0")),
    Rendered("intra-refresh.mp4", pair("forest", "fire", seed=25), "editing format", "H.264, intra-refresh: no key frame after the first", x264("intra-refresh=1:bframes=0:keyint=30:scenecut=0")),
    Rendered("h264.avi", pair("balls", "city", seed=26), "editing format", "H.264 without B-frames in AVI", x264("bframes=0")),
    Rendered("hevc.mp4", pair("birds", "street", seed=27), "editing format", "HEVC, closed GOPs", replace(HEVC, options=(*HEVC.options, ("x265-params", "pools=none:frame-threads=1:wpp=0:log-level=none:open-gop=0:keyint=25:min-keyint=25")))),
    Rendered("hevc-open-gop.mkv", pair("lake", "balls", seed=28), "editing format", "HEVC, open GOPs", replace(HEVC, options=(*HEVC.options, ("x265-params", "pools=none:frame-threads=1:wpp=0:log-level=none:open-gop=1:keyint=25:min-keyint=25:bframes=4")))),
    Rendered("hevc-10-bit.mp4", pair("sea", "forest", seed=29), "editing format", "HEVC, 10 bits", replace(HEVC, pix_fmt="yuv420p10le")),
    Rendered("vp9.webm", pair("cloth", "aerial", seed=30), "editing format", "VP9 and Opus in WebM", replace(VP9, audio="libopus")),
    Rendered("vp9.mp4", pair("talker", "meadow", seed=31), "editing format", "VP9 in mp4", VP9),
    Rendered("vp8.webm", pair("city", "reef", seed=32), "editing format", "VP8", Encoding("libvpx", options=(("crf", "20"),), bit_rate=700_000)),
    Rendered("av1.mp4", pair("hands", "lake", seed=33), "editing format", "AV1 in mp4", AV1),
    Rendered("av1.mkv", pair("drive", "talker", seed=34), "editing format", "AV1 in Matroska", AV1),
    Rendered("mpeg4.mp4", pair("reef", "hills", seed=35), "editing format", "MPEG-4 part 2 in mp4", Encoding("mpeg4", options=(), gop=12, bit_rate=900_000)),
    Rendered("mpeg4-b-frames.avi", pair("meadow", "clockwork", seed=36), "editing format", "MPEG-4 part 2 with B-frames in AVI: no reliable times", Encoding("mpeg4", options=(("bf", "2"),), gop=12, bit_rate=900_000)),
    Rendered("h264-444.mkv", pair("fire", "balls", seed=37), "editing format", "H.264 4:4:4", x264(pix_fmt="yuv444p")),
    Rendered("odd-size.mp4", pair("street", "sea", seed=38, size=(321, 181)), "editing format", "321x181, H.264 4:4:4", x264(pix_fmt="yuv444p")),
    Rendered("odd-size.webm", pair("aerial", "hands", seed=39, size=(319, 179)), "editing format", "319x179, VP9 4:2:0", VP9),
    Rendered("anamorphic.mp4", pair("forest", "street", seed=40, size=(240, 180)), "editing format", "240x180 stored, shown 320x180", x264(sar=Fraction(4, 3))),
    Rendered("rotated-90.mov", pair("talker", "sea", seed=41), "editing format", "a player turns it by 90 degrees", x264(rotation=90)),
    Rendered("rotated-180.mp4", pair("cloth", "drive", seed=42), "editing format", "a player turns it upside down", x264(rotation=180)),
    Rendered("portrait.mp4", pair("talker", "city", seed=43, size=(180, 320)), "editing format", "taller than wide", x264()),
    Rendered("variable-rate.mp4", pair("balls", "birds", seed=44, rhythm=(1, 1, 3, 1, 2), fps=Fraction(30)), "editing format", "frames last 1, 1, 3, 1 and 2 thirtieths of a second", x264(time_base=Fraction(1, 90000))),
    Rendered("variable-rate.mkv", pair("hands", "fire", seed=45, rhythm=(2, 1, 1, 5), fps=Fraction(24)), "editing format", "frames last 2, 1, 1 and 5 twenty-fourths", x264(time_base=Fraction(1, 1000))),
    Rendered("delayed-start.ts", pair("clockwork", "lake", seed=46), "editing format", "the first frame is shown at 37.5 s", x264("bframes=0", start_s=Fraction(75, 2), time_base=Fraction(1, 90000))),
    Rendered("delayed-start.mkv", pair("drive", "reef", seed=47), "editing format", "the first frame is shown at 2.4 s", x264(start_s=Fraction(12, 5))),
    Rendered("several-streams.mkv", pair("sea", "talker", seed=48), "editing format", "two video streams and sound", x264(audio="libopus", second_video=True)),
    Rendered("10-fps.mp4", pair("city", "forest", at=19, total=40, seed=49, fps=Fraction(10)), "editing format", "10 frames a second", x264()),
    Rendered("ntsc-film.mov", pair("fire", "hands", seed=50, fps=Fraction(24000, 1001)), "editing format", "24000/1001 frames a second, with sound", x264(audio="aac")),
    Rendered("60-fps.mp4", pair("balls", "street", at=71, total=150, seed=51, fps=Fraction(60)), "editing format", "60 frames a second", x264()),
    Rendered("hd.mp4", pair("lake", "aerial", at=22, total=48, seed=52, size=(1280, 720), fps=Fraction(24)), "editing format", "1280x720", x264(crf=27)),
    Rendered("name with spaces.mp4", pair("reef", "cloth", at=20, total=45, seed=53), "editing format", "spaces in its name", x264()),
    Rendered("käse-日本-🎬.mkv", pair("birds", "hands", at=25, total=45, seed=54), "editing format", "letters beyond ASCII in its name", x264()),
    Rendered("it's 100%25 \"odd\" #1 [a]{b}.mp4", pair("talker", "drive", at=18, total=45, seed=55), "editing format", "quotes, percent, hash, brackets in its name", x264()),
    Rendered("photo.jpg", Film((Shot("street", 1, seed=60),), size=(960, 540)), "clean", "an image"),
    Rendered("photo.png", Film((Shot("forest", 1, seed=61, light="dawn"),), size=(640, 360)), "clean", "an image"),
    Rendered("photo.webp", Film((Shot("reef", 1, seed=62),), size=(640, 360)), "clean", "an image"),
)  # fmt: skip

BROKEN: Final[tuple[Entry, ...]] = (
    Rendered("streamable.mp4", one("street", 75, seed=63, light="dawn"), "clean", "the index stands first: what the truncated file was made of", x264(fast_start=True)),
    Derived("truncated.mp4", "streamable.mp4", damage.truncated(0.55), "ends in the middle; the index is there", "partial"),
    Derived("truncated-no-index.mp4", "hard-cuts.mp4", damage.truncated(0.7), "ends before its index"),
    Derived("truncated.mkv", "b-frames.mkv", damage.truncated(0.6), "ends in the middle", "partial"),
    Derived("corrupted.mp4", "streamable.mp4", damage.flipped(0.3, 0.6, 41), "a byte in 41 inverted in the middle", "partial"),
    Derived("corrupted.ts", "open-gop.ts", damage.flipped(0.4, 0.6, 97), "a byte in 97 inverted in the middle", "partial"),
    Derived("empty.mp4", "streamable.mp4", damage.empty, "no bytes"),
    Derived("not-a-video.mp4", "streamable.mp4", damage.text, "a text"),
    Derived("garbage.avi", "h264.avi", damage.garbage, "random bytes"),
    Derived("lying-header.mp4", "closed-gop.mp4", damage.lying_duration, "declares centuries of 65535x65535; the frames are sound", "clips"),
    Derived("lying-size.png", "photo.png", damage.huge_png, "declares 60000x60000"),
    Derived("header-only.webm", "vp9.webm", damage.truncated(0.01), "a header and nothing else"),
    Sound("sound-only.mp4", 3.0),
)  # fmt: skip

CORPUS: Final[tuple[Entry, ...]] = (*EDITING, *MOTION, *FAULTS, *DUPLICATES, *FORMATS, *BROKEN)
