"""A page of every score over a run: its distribution, and the clips at both ends of it, to be looked at.

One PNG a column and an index.html beside them. The columns are the numbers, yes-or-no answers and kinds that
the signals and the scores have written; each clip is shown by three of its samples.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.clips_unit import read_samples
from shards.errors import ConfigError
from shards.index import build_index
from shards.run import RunFiles
from shards.schemas import CAPTIONS, CLIPS
from shards.tables import read_table

__all__ = ["score_columns", "write_page"]

Image = npt.NDArray[np.uint8]

_CLIPS_SHOWN = 6
_SAMPLES_SHOWN = 3
_CELL_PX = (208, 117)
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1320px;padding:0 1rem}"
    "img{max-width:100%}td,th{padding:.15rem .8rem .15rem 0;text-align:right}td:first-child,th:first-child"
    "{text-align:left}section{border-top:1px solid #ccc;margin-top:2rem}.doc{color:#555}"
)


def score_columns(index: pa.Schema) -> list[pa.Field]:
    """Return the columns that a page shows: numbers, booleans and short texts that are not about the file."""
    known = {*CLIPS.names, *CAPTIONS.names, "captions"}
    return [
        field
        for field in index
        if field.name not in known
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type) or _is_kind(field.type))
    ]


def _is_kind(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind) or pa.types.is_string(kind))


def write_page(run: RunFiles, folder: Path) -> Path:
    """Write the page of a run into `folder` and return the path of its index.html.

    Raises ConfigError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise ConfigError(f"plots: {exc}; install them with `pip install 'cogcurate[plots]'`") from exc
    folder.mkdir(parents=True, exist_ok=True)
    table = read_table(run.storage, build_index(run))
    rows = table.to_pylist()
    sections = []
    for field in score_columns(table.schema):
        values = [row[field.name] for row in rows]
        if not any(value is not None for value in values):
            sections.append(_section(field, "null for every clip", None))
            continue
        figure = Figure(figsize=(12.8, 2.6), layout="constrained")
        axes = figure.add_subplot()
        present = [value for value in values if value is not None]
        if _is_kind(field.type):
            names, counts = np.unique(list(map(str, present)), return_counts=True)
            if len(names) > 24:
                continue  # a name of each clip's own: a model's, a group's
            axes.barh(names, counts)
            sheet = _sheet(run, list(_of_each_kind(rows, field.name)))
        else:
            axes.hist(present, bins=min(60, max(10, len(present) // 3)))
            ordered = sorted((r for r in rows if r[field.name] is not None), key=lambda r: r[field.name])
            ends = {"lowest": ordered[:_CLIPS_SHOWN], "highest": ordered[-_CLIPS_SHOWN:][::-1]}
            sheet = _sheet(run, [(name, field.name, found) for name, found in ends.items()])
        axes.set_title(f"{field.name} ({_unit(field)})" if _unit(field) else field.name, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / f"{field.name}.png", dpi=100)
        cv2.imwrite(str(folder / f"{field.name}-clips.png"), sheet)
        sections.append(_section(field, _figures(field, table[field.name]), field.name))
    title = html.escape(f"{len(rows)} clips of {run.storage.root}")
    text = (
        f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1>{''.join(sections)}\n"
    )
    path = folder / "index.html"
    path.write_text(text, encoding="utf-8")
    return path


def _of_each_kind(
    rows: Sequence[dict[str, Any]], name: str
) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    for kind in sorted({str(row[name]) for row in rows if row[name] is not None}):
        yield kind, name, [row for row in rows if str(row[name]) == kind][:_CLIPS_SHOWN]


def _sheet(run: RunFiles, lines: Sequence[tuple[str, str, list[dict[str, Any]]]]) -> Image:
    """Return lines of clips, each clip with its value and three samples under one another."""
    width, height = _CELL_PX
    blocks = []
    for title, name, rows in lines:
        block = np.full((24 + _SAMPLES_SHOWN * height, _CLIPS_SHOWN * width, 3), 255, np.uint8)
        for place, row in enumerate(rows):
            value = row[name]
            text = f"{title}: {value:.4g}" if isinstance(value, float) else f"{title}: {value}"
            left = place * width
            cv2.putText(
                block, text, (left + 4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA
            )
            for number, image in enumerate(_pictures(run, row)):
                top = 24 + number * height
                block[top : top + height, left : left + width] = image
        blocks.append(block)
    return np.concatenate(blocks)


def _pictures(run: RunFiles, row: dict[str, Any]) -> Iterator[Image]:
    """Yield up to three of a clip's samples, from its first to its last, fitted into a cell."""
    width, height = _CELL_PX
    samples = read_samples(run.storage, row)
    steps = range(_SAMPLES_SHOWN if samples else 0)
    for place in sorted({round(step * (len(samples) - 1) / (_SAMPLES_SHOWN - 1)) for step in steps}):
        image = cv2.imdecode(np.frombuffer(samples[place].jpeg, np.uint8), cv2.IMREAD_COLOR)
        scale = min((width - 4) / image.shape[1], (height - 2) / image.shape[0])
        size = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
        cell = np.full((height, width, 3), 255, np.uint8)
        cell[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        yield cell


def _section(field: pa.Field, figures: str, name: str | None) -> str:
    doc = html.escape((field.metadata or {}).get(b"doc", b"").decode())
    images = f'<img src="{name}.png" alt=""><img src="{name}-clips.png" alt="">' if name else ""
    return (
        f"<section><h2>{html.escape(field.name)}</h2><p class=doc>{doc}</p><p>{figures}</p>{images}</section>"
    )


def _figures(field: pa.Field, values: pa.ChunkedArray) -> str:
    empty = f"{values.null_count} of {len(values)} null"
    if _is_kind(field.type):
        return empty
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    quantiles = pc.quantile(values.cast(pa.float64()), q=list(shares)).to_pylist()
    head = "".join(f"<th>{share:.0%}</th>" for share in shares)
    cells = "".join(f"<td>{value:.4g}</td>" for value in quantiles)
    return f"<table><tr><th>quantile</th>{head}</tr><tr><td>{empty}</td>{cells}</tr></table>"


def _unit(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"unit", b""), "utf-8")
