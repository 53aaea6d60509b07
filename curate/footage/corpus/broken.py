"""Duplicates and near-duplicates, and files that are not what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from curate.footage import damage
from curate.footage.corpus.entries import VP9, Copy, Derived, Entry, Rendered, Sound, one, x264
from curate.footage.faults import Crop, Mirror, Watermark

REEF: Final = one("reef", 90, seed=5)

DUPLICATES: Final[tuple[Entry, ...]] = (
    Rendered("fish.mp4", REEF, "clean", "the original of the near-duplicates"),
    Copy("fish-copy.mp4", "fish.mp4"),
    Rendered("fish-reencoded.webm", REEF, "clean", "re-encoded as VP9", VP9, near_duplicate_of="fish.mp4"),
    Rendered(
        "fish-cropped.mp4",
        replace(REEF, post=(Crop(0.86),)),
        "clean",
        "86 % of each side",
        near_duplicate_of="fish.mp4",
    ),
    Rendered(
        "fish-mirrored.mp4",
        replace(REEF, post=(Mirror(),)),
        "clean",
        "left and right exchanged",
        near_duplicate_of="fish.mp4",
    ),
    Rendered(
        "fish-watermarked.mp4",
        replace(REEF, post=(Watermark("BLUE REEF"),)),
        "clean",
        "a name in the corner",
        near_duplicate_of="fish.mp4",
    ),
    Rendered(
        "fish-trimmed.mp4",
        one("reef", 55, seed=5, start_s=0.8),
        "clean",
        "frames 20 to 75",
        near_duplicate_of="fish.mp4",
    ),
)

BROKEN: Final[tuple[Entry, ...]] = (
    Rendered(
        "streamable.mp4",
        one("street", 75, seed=63, light="dawn"),
        "clean",
        "the index stands first: what the truncated file was made of",
        x264(fast_start=True),
    ),
    Derived(
        "truncated.mp4",
        "streamable.mp4",
        damage.truncated(0.55),
        "ends in the middle; the index is there",
        "partial",
    ),
    Derived("truncated-no-index.mp4", "hard-cuts.mp4", damage.truncated(0.7), "ends before its index"),
    Derived("truncated.mkv", "b-frames.mkv", damage.truncated(0.6), "ends in the middle", "partial"),
    Derived(
        "corrupted.mp4",
        "streamable.mp4",
        damage.flipped(0.3, 0.6, 41),
        "a byte in 41 inverted in the middle",
        "partial",
    ),
    Derived(
        "corrupted.ts",
        "open-gop.ts",
        damage.flipped(0.4, 0.6, 97),
        "a byte in 97 inverted in the middle",
        "partial",
    ),
    Derived("empty.mp4", "streamable.mp4", damage.empty, "no bytes"),
    Derived("not-a-video.mp4", "streamable.mp4", damage.text, "a text"),
    Derived("garbage.avi", "h264.avi", damage.garbage, "random bytes"),
    Derived(
        "lying-header.mp4",
        "closed-gop.mp4",
        damage.lying_duration,
        "declares centuries of 65535x65535; the frames are sound",
        "clips",
    ),
    Derived("lying-size.png", "photo.png", damage.huge_png, "declares 60000x60000"),
    Derived("header-only.webm", "vp9.webm", damage.truncated(0.01), "a header and nothing else"),
    Sound("sound-only.mp4", 3.0),
)
