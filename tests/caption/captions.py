"""Captions to test the checks with, one a line of the files in `sentences`.

good.txt: none may be accused. They have what a rule of thumb stumbles over: pictures that hang, windows that
have frames, people who film videos, quoted text, words said twice with reason, one word and nearly 100.
bad.tsv: the code that each must get, and the text as JSON. things.txt and medium.txt: written when the rules
of wording stood, to see how they do on sentences that they were not drawn from; then kept.
languages.tsv: code, and a sentence.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["BAD", "GOOD", "MEDIUM", "OTHER_LANGUAGES", "THINGS"]

_FOLDER = Path(__file__).parent / "sentences"


def _lines(name: str) -> list[str]:
    return (_FOLDER / name).read_text(encoding="utf-8").splitlines()


def _pairs(name: str) -> list[tuple[str, str]]:
    pairs = (line.partition("\t") for line in _lines(name))
    return [(text, code) for code, _, text in pairs]


GOOD = _lines("good.txt")
THINGS = _lines("things.txt")
MEDIUM = _lines("medium.txt")
BAD = [(str(json.loads(text)), code) for text, code in _pairs("bad.tsv")]
BAD.append((" ".join(f"Boat {number} passes." for number in range(34)), "too_long"))
OTHER_LANGUAGES = _pairs("languages.tsv")
