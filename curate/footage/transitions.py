"""How one shot gives way to the next: pure functions of the two frames and the part done (0..1)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import cv2
import numpy as np

from curate.footage.textures import Image
from curate.frames import Transition

__all__ = ["KINDS", "JoinKind", "mix"]

JoinKind: TypeAlias = Literal["cut", "dissolve", "black", "white", "wipe", "iris"]

KINDS: Final[dict[JoinKind, Transition]] = {
    "cut": "hard",
    "dissolve": "dissolve",
    "black": "fade",
    "white": "fade",
    "wipe": "wipe",
    "iris": "wipe",
}
"""what the shots table calls each join"""

REST: Final = 0.12
"""share of a fade that rests on the plain colour, each side of its middle"""


def mix(kind: JoinKind, old_HW3: Image, new_HW3: Image, part: float) -> Image:
    """Return the frame `part` (0..1, exclusive) of the way from `old_HW3` to `new_HW3`.

    A fade goes down to black or up to white in its first half and comes back in its second.
    """
    match kind:
        case "dissolve":
            made: Image = cv2.addWeighted(old_HW3, 1 - part, new_HW3, part, 0)
            return made
        case "black" | "white":
            source = old_HW3 if part < 0.5 else new_HW3
            left = float(np.clip(abs(part - 0.5) - REST, 0, 0.5 - REST) / (0.5 - REST))
            plain: Image = cv2.convertScaleAbs(
                source, alpha=left, beta=0 if kind == "black" else 255 * (1 - left)
            )
            return plain
        case "wipe":
            edge = np.clip((part * 1.1 - np.linspace(0, 1, old_HW3.shape[1])) / 0.1, 0, 1)[None, :, None]
        case "iris":
            height, width = old_HW3.shape[:2]
            y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
            far = np.hypot(x * width / height, y) / np.hypot(width / height, 1)
            edge = np.clip((part * 1.06 - far) / 0.06, 0, 1)[..., None]
        case "cut":
            raise ValueError("a hard cut has no frames between its shots")
    return (old_HW3 * (1 - edge) + new_HW3 * edge + 0.5).astype(np.uint8)
