"""The six labels of CogVideoX (arXiv 2408.06072, section 3.4 and appendix J) and the question asked for each.

`docs/labels.md` defines them with examples of both sides. The order is that of columns, outputs and
checkpoints; a checkpoint made for another order or another wording is refused.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LABELS", "QUESTIONS", "column_name"]

QUESTIONS: Final = {
    "editing": "Does the video show obvious editing or special effects?",
    "static": "Is the video made of stills or spliced pieces without connected motion?",
    "low_quality": "Is the video unclear or shaky?",
    "lecture": "Is the video a person talking with little motion?",
    "text": "Is the video dominated by text?",
    "screenshot": "Is the video captured from the screen of a phone or computer?",
}
LABELS: Final = tuple(QUESTIONS)


def column_name(label: str) -> str:
    """Return the column of the labels table that holds a label's probability."""
    return f"label_{label}"
