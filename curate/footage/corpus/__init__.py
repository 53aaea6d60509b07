"""The gold corpus as a list: every file, what is in it, and what a pipeline should make of it.

One hard case a file, named for what it is. Editing, motion and faults are in 480x270 H.264; containers and
codecs are in small short films with one hard cut each. Changing an entry changes the rendered bytes of
that file and of those made from it, and of no other.
"""

from __future__ import annotations

from typing import Final

from curate.footage.corpus.broken import BROKEN, DUPLICATES
from curate.footage.corpus.editing import EDITING
from curate.footage.corpus.entries import Copy, Derived, Entry, Rendered, Sound
from curate.footage.corpus.faults import FAULTS
from curate.footage.corpus.formats import FORMATS
from curate.footage.corpus.motion import MOTION

__all__ = ["CORPUS", "Copy", "Derived", "Entry", "Rendered", "Sound"]

CORPUS: Final[tuple[Entry, ...]] = (*EDITING, *MOTION, *FAULTS, *DUPLICATES, *FORMATS, *BROKEN)
