"""Containers, codecs and their corners: small films of two shots with one hard cut."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

from curate.footage.corpus.entries import AV1, HEVC, VP9, Entry, Rendered, pair, x264
from curate.footage.encode import Encoding
from curate.footage.film import Film, Shot

FORMATS: Final[tuple[Entry, ...]] = (
    Rendered(
        "closed-gop.mp4",
        pair("street", "reef", seed=21),
        "editing format",
        "H.264, closed GOPs, no B-frames",
        x264("bframes=0:scenecut=0"),
    ),
    Rendered(
        "open-gop.mp4",
        pair("sea", "hands", seed=22),
        "editing format",
        "H.264, open GOPs",
        x264("open-gop=1:bframes=3:b-pyramid=2:scenecut=0:keyint=24:min-keyint=24", gop=24),
    ),
    Rendered(
        "open-gop.ts",
        pair("clockwork", "drive", seed=23),
        "editing format",
        "H.264, open GOPs, MPEG-TS",
        x264(
            "open-gop=1:bframes=3:b-pyramid=2:scenecut=0:keyint=24:min-keyint=24",
            gop=24,
            audio="libmp3lame",
            start_s=Fraction(7, 5),
        ),
    ),
    Rendered(
        "b-frames.mkv",
        pair("talker", "cloth", seed=24),
        "editing format",
        "H.264, up to eight B-frames in a row",
        x264("bframes=8:b-adapt=2:b-pyramid=2:scenecut=0"),
    ),
    Rendered(
        "intra-refresh.mp4",
        pair("forest", "fire", seed=25),
        "editing format",
        "H.264, intra-refresh: no key frame after the first",
        x264("intra-refresh=1:bframes=0:keyint=30:scenecut=0"),
    ),
    Rendered(
        "h264.avi",
        pair("balls", "city", seed=26),
        "editing format",
        "H.264 without B-frames in AVI",
        x264("bframes=0"),
    ),
    Rendered(
        "hevc.mp4",
        pair("birds", "street", seed=27),
        "editing format",
        "HEVC, closed GOPs",
        replace(
            HEVC,
            options=(
                *HEVC.options,
                (
                    "x265-params",
                    "pools=none:frame-threads=1:wpp=0:log-level=none:open-gop=0:keyint=25:min-keyint=25",
                ),
            ),
        ),
    ),
    Rendered(
        "hevc-open-gop.mkv",
        pair("lake", "balls", seed=28),
        "editing format",
        "HEVC, open GOPs",
        replace(
            HEVC,
            options=(
                *HEVC.options,
                (
                    "x265-params",
                    "pools=none:frame-threads=1:wpp=0:log-level=none:open-gop=1:keyint=25:min-keyint=25:bframes=4",
                ),
            ),
        ),
    ),
    Rendered(
        "hevc-10-bit.mp4",
        pair("sea", "forest", seed=29),
        "editing format",
        "HEVC, 10 bits",
        replace(HEVC, pix_fmt="yuv420p10le"),
    ),
    Rendered(
        "vp9.webm",
        pair("cloth", "aerial", seed=30),
        "editing format",
        "VP9 and Opus in WebM",
        replace(VP9, audio="libopus"),
    ),
    Rendered("vp9.mp4", pair("talker", "meadow", seed=31), "editing format", "VP9 in mp4", VP9),
    Rendered(
        "vp8.webm",
        pair("city", "reef", seed=32),
        "editing format",
        "VP8",
        Encoding("libvpx", options=(("crf", "20"),), bit_rate=700_000),
    ),
    Rendered("av1.mp4", pair("hands", "lake", seed=33), "editing format", "AV1 in mp4", AV1),
    Rendered("av1.mkv", pair("drive", "talker", seed=34), "editing format", "AV1 in Matroska", AV1),
    Rendered(
        "mpeg4.mp4",
        pair("reef", "hills", seed=35),
        "editing format",
        "MPEG-4 part 2 in mp4",
        Encoding("mpeg4", options=(), gop=12, bit_rate=900_000),
    ),
    Rendered(
        "mpeg4-b-frames.avi",
        pair("meadow", "clockwork", seed=36),
        "editing format",
        "MPEG-4 part 2 with B-frames in AVI: no reliable times",
        Encoding("mpeg4", options=(("bf", "2"),), gop=12, bit_rate=900_000),
    ),
    Rendered(
        "h264-444.mkv",
        pair("fire", "balls", seed=37),
        "editing format",
        "H.264 4:4:4",
        x264(pix_fmt="yuv444p"),
    ),
    Rendered(
        "odd-size.mp4",
        pair("street", "sea", seed=38, size=(321, 181)),
        "editing format",
        "321x181, H.264 4:4:4",
        x264(pix_fmt="yuv444p"),
    ),
    Rendered(
        "odd-size.webm",
        pair("aerial", "hands", seed=39, size=(319, 179)),
        "editing format",
        "319x179, VP9 4:2:0",
        VP9,
    ),
    Rendered(
        "anamorphic.mp4",
        pair("forest", "street", seed=40, size=(240, 180)),
        "editing format",
        "240x180 stored, shown 320x180",
        x264(sar=Fraction(4, 3)),
    ),
    Rendered(
        "rotated-90.mov",
        pair("talker", "sea", seed=41),
        "editing format",
        "a player turns it by 90 degrees",
        x264(rotation=90),
    ),
    Rendered(
        "rotated-180.mp4",
        pair("cloth", "drive", seed=42),
        "editing format",
        "a player turns it upside down",
        x264(rotation=180),
    ),
    Rendered(
        "portrait.mp4",
        pair("talker", "city", seed=43, size=(180, 320)),
        "editing format",
        "taller than wide",
        x264(),
    ),
    Rendered(
        "variable-rate.mp4",
        pair("balls", "birds", seed=44, rhythm=(1, 1, 3, 1, 2), fps=Fraction(30)),
        "editing format",
        "frames last 1, 1, 3, 1 and 2 thirtieths of a second",
        x264(time_base=Fraction(1, 90000)),
    ),
    Rendered(
        "variable-rate.mkv",
        pair("hands", "fire", seed=45, rhythm=(2, 1, 1, 5), fps=Fraction(24)),
        "editing format",
        "frames last 2, 1, 1 and 5 twenty-fourths",
        x264(time_base=Fraction(1, 1000)),
    ),
    Rendered(
        "delayed-start.ts",
        pair("clockwork", "lake", seed=46),
        "editing format",
        "the first frame is shown at 37.5 s",
        x264("bframes=0", start_s=Fraction(75, 2), time_base=Fraction(1, 90000)),
    ),
    Rendered(
        "delayed-start.mkv",
        pair("drive", "reef", seed=47),
        "editing format",
        "the first frame is shown at 2.4 s",
        x264(start_s=Fraction(12, 5)),
    ),
    Rendered(
        "several-streams.mkv",
        pair("sea", "talker", seed=48),
        "editing format",
        "two video streams and sound",
        x264(audio="libopus", second_video=True),
    ),
    Rendered(
        "10-fps.mp4",
        pair("city", "forest", at=19, total=40, seed=49, fps=Fraction(10)),
        "editing format",
        "10 frames a second",
        x264(),
    ),
    Rendered(
        "ntsc-film.mov",
        pair("fire", "hands", seed=50, fps=Fraction(24000, 1001)),
        "editing format",
        "24000/1001 frames a second, with sound",
        x264(audio="aac"),
    ),
    Rendered(
        "60-fps.mp4",
        pair("balls", "street", at=71, total=150, seed=51, fps=Fraction(60)),
        "editing format",
        "60 frames a second",
        x264(),
    ),
    Rendered(
        "hd.mp4",
        pair("sea", "hands", at=22, total=44, seed=52, size=(1280, 720), fps=Fraction(24)),
        "editing format",
        "1280x720",
        x264(crf=27),
    ),
    Rendered(
        "name with spaces.mp4",
        pair("reef", "cloth", at=20, total=45, seed=53),
        "editing format",
        "spaces in its name",
        x264(),
    ),
    Rendered(
        "käse-日本-🎬.mkv",
        pair("birds", "hands", at=25, total=45, seed=54),
        "editing format",
        "letters beyond ASCII in its name",
        x264(),
    ),
    Rendered(
        'it\'s 100%25 "odd" #1 [a]{b}.mp4',
        pair("talker", "drive", at=18, total=45, seed=55),
        "editing format",
        "quotes, percent, hash, brackets in its name",
        x264(),
    ),
    Rendered("photo.jpg", Film((Shot("street", 1, seed=60),), size=(960, 540)), "clean", "an image"),
    Rendered(
        "photo.png", Film((Shot("forest", 1, seed=61, light="dawn"),), size=(640, 360)), "clean", "an image"
    ),
    Rendered("photo.webp", Film((Shot("reef", 1, seed=62),), size=(640, 360)), "clean", "an image"),
)
