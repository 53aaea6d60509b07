"""Words in many typefaces, scripts and colours, as sprites and pages.

Faces come with matplotlib (DejaVu, STIX, Computer Modern), set by Pillow; a script of strokes in squares
stands in for East Asian writing, for which no free font comes with a package. The words mean little.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from curate.footage.canvas import blend
from curate.footage.textures import Color, Image
from filters.labels.synthesis.takes import Random, floats
from shards.errors import ConfigError

__all__ = [
    "FACES",
    "any_face",
    "bright",
    "card",
    "check_fonts",
    "ink",
    "paste",
    "paste_over",
    "phrase",
    "put",
    "sentences",
]

FACES: Final = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSansMono", "DejaVuSansMono-Bold", "STIXGeneral",
    "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmb10", "cmtt10", "squares",
)  # fmt: skip
"""`squares` is the script of strokes"""
PLAIN: Final = tuple(face for face in FACES if not face.startswith(("cm", "squares")))
_SCRIPTS: Final = (
    "the of and to a in is you that it he was for on are as with his they at be this have from or one had by "
    "word but not what all were we when your can said there use an each which she do how their if will up "
    "other about out many then them these so some her would make like him into time has look two more write "
    "go see number no way could people my than first water been call who oil its now find long down day did "
    "get come made may part market morning river garden winter engine summer letter window yellow station",
    "это что как она для все был так его они быть мой время год дело жизнь день рука работа слово место "
    "вопрос лицо друг глаз дом сторона страна мир случай голова ребенок сила конец вид система часть город",
    "και το να της ο από με για που είναι στο μια δεν ένα θα οι τα στα χρόνια ζωή μέρα νερό σπίτι δρόμος",
    "être à la où déjà même après ça français garçon élève été leçon hôtel forêt naïve über größe straße "
    "fünf mädchen señor niño año mañana corazón também não você irmã ação łódź świat żółty český říjen",
)
_EASTERN_EVERY: Final = 6


@cache
def _folder() -> Path:
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None or find_spec("PIL") is None:
        raise ConfigError("synthetic labels need pillow and matplotlib's fonts; install cogcurate[synth]")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


def check_fonts() -> None:
    """Raise ConfigError where there are no fonts."""
    missing = [face for face in FACES if face != "squares" and not (_folder() / f"{face}.ttf").is_file()]
    if missing:
        raise ConfigError(f"matplotlib has no {missing[0]}.ttf: install cogcurate[synth]")


@lru_cache(maxsize=256)
def _font(face: str, height_px: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(str(_folder() / f"{face}.ttf"), height_px, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=2048)
def ink(text: str, height_px: int, face: str) -> npt.NDArray[np.uint8]:
    """Return the coverage (h, w), 0 to 255, of one line whose letters are `height_px` to the em."""
    height_px = max(5, height_px)
    if face == "squares":
        return _squares(text, height_px)
    from PIL import Image as Pictures
    from PIL import ImageDraw

    font = _font(face, height_px)
    left, _, right, _ = font.getbbox(text or " ")
    canvas = Pictures.new("L", (max(1, int(right - min(left, 0)) + 2), int(height_px * 1.35) + 1))
    ImageDraw.Draw(canvas).text((1 - min(left, 0), 0), text, fill=255, font=font)
    return np.asarray(canvas).copy()


def _squares(text: str, height_px: int) -> npt.NDArray[np.uint8]:
    """Return a line of signs made of strokes in squares, one for each two letters of `text`."""
    up, side = 2, max(6, height_px) * 2
    count = max(1, len(text) // 2)
    canvas = np.zeros((int(1.35 * side), count * side), np.uint8)
    thick = max(1, round(side / 15))
    for number in range(count):
        rng = np.random.default_rng([ord(c) for c in (text[2 * number : 2 * number + 2] or "x")])
        x0, low, high = number * side, 0.12, 0.9
        for _ in range(int(rng.integers(5, 10))):
            a, b = np.sort(rng.uniform(low, high, 2))
            c = rng.choice(np.linspace(0.15, 0.88, 5))
            way = rng.random()
            one, two = (
                ((a, c), (b, c)) if way < 0.5 else (((c, a), (c, b)) if way < 0.85 else ((a, c), (c, b)))
            )
            ends = [(int(x0 + p[0] * side), int((p[1] + 0.12) * side)) for p in (one, two)]
            cv2.line(canvas, ends[0], ends[1], 255, thick, cv2.LINE_AA)
    small: npt.NDArray[np.uint8] = cv2.resize(
        canvas, (max(1, canvas.shape[1] // up), canvas.shape[0] // up), interpolation=cv2.INTER_AREA
    )
    return small


def phrase(rng: Random, count: int, *, plain: bool = False) -> str:
    """Return `count` words of one script, capitals in one of the usual ways; now and then figures."""
    script = _SCRIPTS[0 if plain or rng.random() < 0.7 else int(rng.integers(1, len(_SCRIPTS)))].split()
    words = [str(word) for word in rng.choice(script, count)]
    if rng.random() < 0.2:
        words[int(rng.integers(count))] = str(
            rng.choice(["2019", "24/7", "100%", "#1", "$9.99", "10:45", "v2"])
        )
    text = " ".join(words)
    way = rng.random()
    if way < 0.25:
        return text.upper()
    return text.title() if way < 0.5 else text[:1].upper() + text[1:]


def bright(rng: Random) -> Color:
    """Return a strong colour, as graphics have."""
    hue = np.array([[[rng.integers(180), rng.integers(140, 256), rng.integers(170, 256)]]], np.uint8)
    red, green, blue = (float(v) / 255 for v in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue


def any_face(rng: Random) -> str:
    """Return a typeface; one in six is not Latin at all."""
    return "squares" if rng.random() < 1 / _EASTERN_EVERY else str(rng.choice(PLAIN))


def sentences(rng: Random, letters: int, lines: int) -> list[str]:
    """Return `lines` lines of running text of up to `letters` letters, an empty one between paragraphs."""
    script = _SCRIPTS[0 if rng.random() < 0.75 else int(rng.integers(1, len(_SCRIPTS)))].split()
    made: list[str] = []
    while len(made) < lines:
        left = int(rng.integers(2, 8))
        line = ""
        while left:
            word = str(rng.choice(script))
            if len(line) + len(word) + 1 > letters:
                made.append(line)
                line, left = word, left - 1
            else:
                line = f"{line} {word}".strip()
        made += [line[: letters // 2] + ".", ""]
    return made[:lines]


def put(
    image: Image,
    text: str,
    at: tuple[float, float],
    height_px: float,
    color: Color,
    face: str,
    *,
    anchor: float = 0.0,
) -> int:
    """Write one line with its top at `at` (px), in place; return its width.

    `anchor` is the share of the width that lies left of `at`: 0 for left, 0.5 for centred.
    """
    mask = ink(text, round(height_px), face)
    height, width = mask.shape
    x, y = round(at[0] - anchor * width), round(at[1])
    x0, y0, x1, y1 = max(0, x), max(0, y), min(image.shape[1], x + width), min(image.shape[0], y + height)
    if x0 < x1 and y0 < y1:
        cover = mask[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
        part = image[y0:y1, x0:x1].astype(np.float32)
        image[y0:y1, x0:x1] = (part + (floats(color) * 255 - part) * cover + 0.5).astype(np.uint8)
    return int(width)


def card(
    lines: Sequence[str],
    height_px: float,
    face: str,
    color: Color,
    *,
    plate: tuple[float, float, float, float] | None = None,
    outline: Color | None = None,
    pad: float = 0.4,
) -> Image:
    """Return centred lines as a premultiplied RGBA picture, on a `plate` (RGBA) or with an `outline`."""
    masks = [ink(line, round(height_px), face) for line in lines]
    margin = round(pad * height_px) + 2
    width = max(mask.shape[1] for mask in masks) + 2 * margin
    rows = [mask.shape[0] for mask in masks]
    cover = np.zeros((sum(rows) + 2 * margin, width), np.uint8)
    top = margin
    for mask in masks:
        left = (width - mask.shape[1]) // 2
        cover[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        top += mask.shape[0]
    ground = (0.0, 0.0, 0.0, 0.0) if plate is None else (*(plate[3] * v for v in plate[:3]), plate[3])
    made: npt.NDArray[Any] = np.broadcast_to(floats(ground) * 255, (*cover.shape, 4))
    if outline is not None:
        reach = 2 * max(1, round(height_px / 14)) + 1
        around = cv2.dilate(cover, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        made = _over(made, around, outline)
    return (_over(made, cover, color) + 0.5).astype(np.uint8)


def _over(under_HW4: npt.NDArray[Any], cover_HW: npt.NDArray[np.uint8], color: Color) -> npt.NDArray[Any]:
    alpha = cover_HW[..., None].astype(np.float32) / 255
    paint = floats([*(255 * v for v in color), 255])
    made: npt.NDArray[Any] = under_HW4 * (1 - alpha) + paint * alpha
    return made


def paste(frame_HW3: Image, over_HW4: Image, at: tuple[float, float], opacity: float = 1.0) -> None:
    """Lay a premultiplied picture with its top left at `at` (px) over a frame, in place; it may hang out."""
    x, y = round(at[0]), round(at[1])
    height, width = over_HW4.shape[:2]
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(frame_HW3.shape[1], x + width), min(frame_HW3.shape[0], y + height)
    if x0 < x1 and y0 < y1:
        part = over_HW4[y0 - y : y1 - y, x0 - x : x1 - x]
        if opacity < 1:
            part = cv2.convertScaleAbs(part, alpha=opacity)
        blend(frame_HW3[y0:y1, x0:x1], part)


def paste_over(under_HW4: Image, over_HW4: Image, at: tuple[float, float]) -> None:
    """Lay one premultiplied picture over another, in place."""
    x, y = max(0, round(at[0])), max(0, round(at[1]))
    part = under_HW4[y : y + over_HW4.shape[0], x : x + over_HW4.shape[1]]
    over = over_HW4[: part.shape[0], : part.shape[1]].astype(np.float32)
    part[:] = np.clip(part * (1 - over[..., 3:] / 255) + over, 0, 255).astype(np.uint8)
