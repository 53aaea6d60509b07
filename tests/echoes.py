"""What a server without a model answers: proofs of what it was asked, and sentences that follow from them."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence

import cv2
import numpy as np

__all__ = ["digest", "proof", "proof_of", "prose"]


def digest(jpeg: bytes) -> str:
    """Return what a proof says of a picture: twelve hex digits and its size."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    size = "undecodable" if picture is None else f"{picture.shape[1]}x{picture.shape[0]}"
    return f"{hashlib.sha256(jpeg).hexdigest()[:12]} {size}"


def proof(request_id: str, jpegs: Sequence[bytes], prompt: str, seed: int | None) -> str:
    """Return the echo: who asked about which pictures at which seconds, with what words and which seed."""
    return proof_of(request_id, [digest(jpeg) for jpeg in jpegs], prompt, seed)


def proof_of(request_id: str, digests: Sequence[str], prompt: str, seed: int | None) -> str:
    """Return the proof of a request whose pictures are known by their digests alone, as in the log."""
    pictures = ", ".join(digests) or "none"
    seconds = ", ".join(re.findall(r"\d+\.\d+", prompt)) or "none"
    words = hashlib.sha256(prompt.encode()).hexdigest()[:12]
    return f"{request_id} | pictures {pictures} | seconds {seconds} | prompt {words} | seed {seed}"


_SUBJECTS = (
    "a brown dog",
    "an old man",
    "a red bus",
    "a young woman",
    "two children",
    "a gray horse",
    "a cyclist",
)
_COLORS = ("blue", "yellow", "green", "white", "golden", "purple", "dark red", "pale gray")
_PLACES = (
    "beach",
    "street",
    "forest path",
    "market hall",
    "mountain road",
    "station",
    "garden",
    "river bank",
)
_DEEDS = (
    "moves slowly from left to right",
    "turns around",
    "stops for a moment",
    "comes closer",
    "goes away",
)
_LIGHTS = (
    "soft morning light",
    "hard noon light",
    "low evening sun",
    "the light of street lamps",
    "gray daylight",
)
_CAMERAS = (
    "pans to the left",
    "follows from behind",
    "stands still",
    "moves forward",
    "tilts up",
    "rises slowly",
)


def prose(echo: str) -> str:
    """Return a caption of about 55 words that follows from a proof, and from hardly any other."""
    draw = random.Random(echo)
    subject, other = draw.sample(_SUBJECTS, 2)
    colors, deeds = [draw.sample(choices, 3) for choices in (_COLORS, _DEEDS)]
    place, light, camera = (draw.choice(choices) for choices in (_PLACES, _LIGHTS, _CAMERAS))
    return (
        f"{subject.capitalize()} with a {colors[0]} ribbon {deeds[0]} near a {place}, where "
        f"{draw.randint(3, 99)} {colors[1]} flags hang from a rope. After {draw.randint(2, 9)} steps "
        f"{subject} {deeds[1]}, while {other} behind a {colors[2]} fence {deeds[2]}. House number "
        f"{draw.randint(100, 999)} can be read on the wall in {light}. The camera {camera} at a distance of "
        f"{draw.randint(2, 60)} meters."
    )
