"""The evaluation as a page (one file that needs no other) and the worst mistakes as a contact sheet."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from filters.labels.evaluation import Evaluation, Mistake, figures
from filters.spread import spread

__all__ = ["contact_sheet", "render_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0 2rem; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem 1.2rem .2rem 0; text-align: left; }
tr { border-bottom: 1px solid var(--line); }
article { border-top: 1px solid var(--line); padding: 1rem 0; }
div { display: flex; gap: 4px; overflow-x: auto; }
img { height: 128px; border-radius: 3px; }
small { opacity: .65; }
"""
_TILE_PX: Final = (96, 170)
_TILES: Final = 5
_CAPTION_PX: Final = 20


def render_page(found: Evaluation, pictures: Mapping[str, Sequence[bytes]]) -> str:
    """Return the page; `pictures` are the JPEGs of the clips told wrong, by clip."""
    mistakes = "".join(_article(mistake, pictures[mistake.clip_id]) for mistake in found.mistakes)
    sources = "".join(
        f"<h3>{html.escape(label)}</h3>"
        + _table(
            [
                ["source", "clips", "wrong", "mean probability"],
                *(
                    [s.source, str(s.clips), str(s.wrong), f"{s.mean_probability:.3f}"]
                    for s in result.by_source
                ),
            ]
        )
        for label, result in found.labels.items()
        if result is not None
    )
    title = f"Labels by {found.model}: {found.clips} clips of {found.sources} sources"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p>In brackets: 95 % intervals over resampled sources.</p>"
        f"{_table(figures(found))}<h2>Worst mistakes</h2>{mistakes}<h2>By source</h2>{sources}</html>\n"
    )


def contact_sheet(found: Evaluation, pictures: Mapping[str, Sequence[bytes]]) -> bytes:
    """Return the worst mistakes as a PNG, a row of samples each."""
    rows = [_strip(mistake, pictures[mistake.clip_id]) for mistake in found.mistakes]
    if not rows:
        rows = [_written("no mistakes")]
    return bytes(cv2.imencode(".png", np.concatenate(rows))[1])


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rest
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _article(mistake: Mistake, jpegs: Sequence[bytes]) -> str:
    images = "".join(
        f"<img alt='' src='data:image/jpeg;base64,{b64encode(jpeg).decode()}'>" for jpeg in jpegs
    )
    return (
        f"<article><b>{html.escape(_said(mistake))}</b><div>{images}</div>"
        f"<small>{html.escape(mistake.clip_id)} · {html.escape(mistake.source_uri)}</small></article>"
    )


def _said(mistake: Mistake) -> str:
    return f"{mistake.label}: people say {mistake.answer}, probability of yes {mistake.probability:.3f}"


def _strip(mistake: Mistake, jpegs: Sequence[bytes]) -> npt.NDArray[Any]:
    height, width = _TILE_PX
    tiles = np.zeros((height, _TILES * width, 3), np.uint8)
    for number, jpeg in enumerate(spread(jpegs, _TILES)):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        scale = min(height / image.shape[0], width / image.shape[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
        tiles[: small.shape[0], number * width : number * width + small.shape[1]] = small
    name = mistake.source_uri.rpartition("/")[2]
    return np.concatenate([_written(f"{_said(mistake)}  {name}"), tiles])


def _written(text: str) -> npt.NDArray[Any]:
    line = np.full((_CAPTION_PX, _TILES * _TILE_PX[1], 3), 255, np.uint8)
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(line, plain, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return line
