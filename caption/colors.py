"""Names for the colours of pictures: the eleven basic terms of English and a few beside them, in CIELAB.

A pixel's name follows from its lightness, chroma and hue by the rules of `name_colors`, drawn so that the CSS
colours called by these names get them. Basic terms: Berlin and Kay, "Basic Color Terms" (1969). Shares are of
the area of all pictures together.

Cost: about 1 ms a sample, most of it decoding the JPEG at an eighth of its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ColorShare", "decode_reduced", "dominant_colors", "is_gray", "name_colors", "without_margins"]

Picture = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.intp]

# Names, most specific of a family together; a family is called by its last word.
NAMES = (
    "black", "dark gray", "gray", "light gray", "white",
    "dark red", "red", "pink", "magenta", "orange", "dark brown", "brown", "beige", "yellow",
    "olive green", "dark green", "green", "light green", "teal", "turquoise",
    "dark blue", "blue", "light blue", "purple", "light purple",
)  # fmt: skip
_NEUTRALS = frozenset(NAMES[:5])
_CODE = {name: code for code, name in enumerate(NAMES)}

_NEUTRAL_CHROMA, _NEUTRAL_CHROMA_BLUE = 9.0, 13.0
_GRAY_CHROMA = 7.0
# Of 255: what JPEG leaves of black.
_BLACK = 24


@dataclass(frozen=True, slots=True)
class ColorShare:
    """A colour and the share of the area that has it, 0 to 1."""

    name: str
    share: float

    @property
    def neutral(self) -> bool:
        """Whether it is black, white or a gray."""
        return self.name in _NEUTRALS


def decode_reduced(jpeg: bytes) -> Picture | None:
    """Return the picture (height, width, BGR) at an eighth of its size; None if it is no picture."""
    if not jpeg:
        return None
    picture: Picture | None = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_8)
    return picture


def _lab(picture_HWC: Picture) -> npt.NDArray[np.float32]:
    """Return CIELAB (D65), shape (N, 3): L 0 to 100, a and b about -128 to 127."""
    lab: npt.NDArray[np.float32] = cv2.cvtColor(
        picture_HWC.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2Lab
    )
    return lab.reshape(-1, 3)


def name_colors(picture_HWC: Picture) -> Labels:
    """Return the number in NAMES of each pixel's colour, flat; `picture_HWC` is BGR, uint8, sRGB."""
    lab = _lab(picture_HWC)
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    conditions, codes = [], []

    def rule(condition: npt.NDArray[np.bool_], name: str) -> None:
        conditions.append(condition)
        codes.append(_CODE[name])

    # The first rule that holds names the pixel. Dark pixels have little colour whatever their chroma.
    # CIELAB makes much of the blue in a slate gray.
    neutral = chroma < np.where((hue >= 222) & (hue < 309), _NEUTRAL_CHROMA_BLUE, _NEUTRAL_CHROMA)
    rule((light < 16) & (chroma < 20), "black")
    rule(neutral & (light < 38), "dark gray")
    rule(neutral & (light < 68), "gray")
    rule(neutral & (light < 90), "light gray")
    rule(neutral, "white")
    rosy = (hue < 20) | (hue >= 345)
    rule(rosy & (light >= 42), "pink")
    rule(rosy, "dark red")
    reddish = hue < 50
    rule(reddish & (light >= 58) & (hue >= 40) & (chroma >= 55), "orange")
    rule(reddish & (light >= 62), "pink")
    faded = (chroma < 26) | ((hue >= 42) & (chroma < 40))
    rule(reddish & faded & (light < 25), "dark brown")
    rule(reddish & faded, "brown")
    rule(reddish & (light < 38), "dark red")
    rule(reddish, "red")
    tawny = hue < 85
    rule(tawny & (chroma < 45) & (light >= 62), "beige")
    rule(tawny & ((light >= 58) | ((light >= 48) & (chroma >= 55))), "orange")
    rule(tawny & (light < 25), "dark brown")
    rule(tawny, "brown")
    golden = hue < 112
    rule(golden & (chroma < 35) & (light >= 70), "beige")
    rule(golden & (light >= 65), "yellow")
    rule(golden & (hue < 96) & (chroma < 35), "brown")
    rule(golden | ((hue < 122) & (light < 65)), "olive green")
    greenish = hue < 168
    rule(greenish & (light < 32), "dark green")
    rule(greenish & (light >= 78) & (chroma < 90), "light green")
    rule(greenish, "green")
    sea = hue < 222
    rule(sea & (light < 62), "teal")
    rule(sea, "turquoise")
    bluish = hue < 309
    rule(bluish & (light < 27), "dark blue")
    rule(bluish & (light >= 66), "light blue")
    rule(bluish, "blue")
    rule((light >= 50) & (chroma >= 70), "magenta")
    rule(light >= 66, "light purple")
    return np.select(conditions, codes, default=_CODE["purple"]).astype(np.intp)


def dominant_colors(pictures: Sequence[Picture]) -> list[ColorShare]:
    """Return the colours of the pictures together, largest share first, one a family.

    Shades of one family (dark green, green) are counted together, under the shade that makes up two thirds of
    it, or else the family's own name. Pictures count alike whatever their size.
    """
    shares = np.zeros(len(NAMES))
    for picture in pictures:
        shares += np.bincount(name_colors(picture), minlength=len(NAMES)) / picture[..., 0].size
    shares /= max(1, len(pictures))
    families: dict[str, list[int]] = {}
    for code, name in enumerate(NAMES):
        families.setdefault(name.split()[-1], []).append(code)
    merged = []
    for family, codes in families.items():
        share = float(shares[codes].sum())
        largest = max(codes, key=lambda code: float(shares[code]))
        name = NAMES[largest] if shares[largest] * 3 >= share * 2 else family
        merged.append(ColorShare(name, share))
    return sorted(
        (color for color in merged if color.share > 0), key=lambda color: (-color.share, color.name)
    )


def is_gray(pictures: Sequence[Picture]) -> bool:
    """Return whether the pictures are black and white: hardly a pixel's chroma (CIELAB) exceeds 7."""
    chroma = np.concatenate([np.hypot(lab[:, 1], lab[:, 2]) for lab in map(_lab, pictures)])
    return bool(np.quantile(chroma, 0.99) <= _GRAY_CHROMA)


def without_margins(pictures: Sequence[Picture]) -> list[Picture]:
    """Return the pictures (of one clip) without the rows and columns at their edges that are black in all.

    They come back whole where all is black, or their sizes differ.
    """
    if len({picture.shape for picture in pictures}) != 1:
        return list(pictures)
    lit = np.max([picture.max(axis=2) for picture in pictures], axis=0) > _BLACK
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if rows.size == 0:
        return list(pictures)
    # A line more: where bar and picture meet, a reduced pixel is of both.
    box = np.s_[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]]
    return [picture[box] if picture[box].size else picture for picture in pictures]
