"""`curate caption eval`: two captioners on the same clips, in figures and side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from caption.captioned import CaptionedRun
from caption.comparison import Captions, Nearness, Side, by_group, describe, nearness
from caption.comparison_page import Shown, render_page
from caption.truth import Truth
from shards.errors import ConfigError, InputError

__all__ = ["Evaluation", "evaluate", "run"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found, over the clips that every captioner (and the truth, if any) has."""

    clips: int
    sides: Sequence[Side]
    against: str
    """what `near` compares with: `truth`, or the first captioner's name; empty: nothing"""
    near: Mapping[str, Nearness]
    """captioner → how near it is to that"""
    groups: Mapping[str, Mapping[str, Mapping[str, tuple[int, float]]]]
    """field of the truth → captioner → its value → (clips, share exact)"""


def run(
    runs: Sequence[str],
    *,
    variants: Sequence[str] = ("dense",),
    truth: Path | None = None,
    by: Sequence[str] = (),
    where: str | None = None,
    output: Path | None = None,
    pairs: int = 40,
) -> Evaluation:
    """Compare the captions of `runs` (one or two; RUN or RUN@FINGERPRINT), and write a page to `output`.

    `variants` has one name for all of them, or one each. Raises InputError where no clip has captions of
    all.
    """
    opened = [CaptionedRun(name) for name in runs]
    chosen = [variants[0]] * len(runs) if len(variants) == 1 else list(variants)
    if len(chosen) != len(runs):
        raise ConfigError("variants: one for all runs, or one for each")
    names = _names(runs, chosen)
    clips = opened[0].clips(where)
    captions = [run.captions() for run in opened]
    for name, rows, variant in zip(names, captions, chosen, strict=True):
        if (there := sorted({own for of_clip in rows.values() for own in of_clip})) and variant not in there:
            raise InputError(f"{name}: no captions of variant {variant!r}; there are {', '.join(there)}")
    told = [
        {clip: of_clip[variant] for clip, of_clip in rows.items() if variant in of_clip}
        for rows, variant in zip(captions, chosen, strict=True)
    ]
    lines = {}
    if truth is not None:
        known = Truth(truth)
        lines = {clip: line for clip, row in clips.items() if (line := known.of(row)) is not None}
    common = [
        clip for clip in clips if all(clip in rows for rows in told) and (truth is None or clip in lines)
    ]
    if not common:
        raise InputError(
            f"{' and '.join(names)}: no clip has captions of all" + (" and a truth" * bool(lines))
        )
    sides = [{clip: rows[clip] for clip in common} for rows in told]
    evaluation = _compared(names, sides, lines, by, common)
    if output is not None:
        shown = [
            Shown(
                clip,
                str(clips[clip]["source_uri"]),
                [(s.time_s - clips[clip]["start_s"], s.jpeg) for s in opened[0].samples(clips[clip])],
                [(name, rows[clip]) for name, rows in zip(names, sides, strict=True)],
                lines[clip]["caption"] if lines else None,
            )
            for clip in _picked(common, sides, lines, pairs)
        ]
        output.mkdir(parents=True, exist_ok=True)
        page = render_page("Captions side by side", _figures(evaluation), shown)
        (output / "index.html").write_text(page, encoding="utf-8")
        (output / "eval.json").write_text(json.dumps(asdict(evaluation), indent=1) + "\n", encoding="utf-8")
    return evaluation


def _names(runs: Sequence[str], variants: Sequence[str]) -> list[str]:
    """Return what tells the captioners apart, and no more."""
    if len(set(runs)) == len(runs):
        return list(runs)
    named = [f"{run}:{variant}" for run, variant in zip(runs, variants, strict=True)]
    if len(set(named)) < len(named):
        raise ConfigError(f"{runs[0]} is compared with itself; name other captions of it, as RUN@FINGERPRINT")
    return named


def _text(row: Mapping[str, Any]) -> str:
    return (row["caption"] or "").strip()


def _compared(
    names: Sequence[str],
    sides: Sequence[Captions],
    lines: Mapping[str, Mapping[str, Any]],
    by: Sequence[str],
    common: Sequence[str],
) -> Evaluation:
    near: dict[str, Nearness] = {}
    against = "truth" if lines else names[0] if len(names) > 1 else ""
    if lines:
        wanted = [lines[clip]["caption"] for clip in common]
        near = {
            name: nearness([_text(rows[clip]) for clip in common], wanted)
            for name, rows in zip(names, sides, strict=True)
        }
    elif len(names) > 1:
        near = {
            names[1]: nearness(*([_text(rows[clip]) for clip in common] for rows in (sides[1], sides[0])))
        }
    groups: dict[str, dict[str, dict[str, tuple[int, float]]]] = {}
    for field in by:
        values = {clip: str(line[field]) for clip, line in lines.items() if field in line}
        if not values:
            raise ConfigError(f"--by {field}: no line of the truth has it")
        groups[field] = {
            name: by_group({c: _text(rows[c]) == lines[c]["caption"].strip() for c in common}, values)
            for name, rows in zip(names, sides, strict=True)
        }
    described = [describe(name, rows) for name, rows in zip(names, sides, strict=True)]
    return Evaluation(len(common), described, against, near, groups)


def _picked(
    common: Sequence[str], sides: Sequence[Captions], lines: Mapping[str, Mapping[str, Any]], pairs: int
) -> list[str]:
    """Return clips to show: those that differ first, else in an order that means nothing."""

    def order(clip: str) -> tuple[bool, str]:
        texts = {_text(rows[clip]) for rows in sides} | ({lines[clip]["caption"].strip()} if lines else set())
        return len(texts) == 1, hashlib.sha256(clip.encode()).hexdigest()

    return sorted(common, key=order)[:pairs]


def _figures(found: Evaluation) -> list[list[str]]:
    """Return the table: a head, and a row a figure."""
    rows = [["", *(side.name for side in found.sides)]]
    rows.append(["model", *(", ".join(side.models) for side in found.sides)])
    rows.append(["clips", *(str(side.clips) for side in found.sides)])
    rows.append(["ok", *(_percent(side.ok) for side in found.sides)])
    spreads = [side.words for side in found.sides]
    rows.append(["words, 10–50–90 %", *("–".join(f"{n:g}" for n in s) if s else "—" for s in spreads)])
    rows.append(["said of one clip only", *(_percent(side.distinct) for side in found.sides)])
    rows.append(["asked again", *(str(side.asked_again) for side in found.sides)])
    if any(side.alignment is not None for side in found.sides):
        rows.append(["alignment", *(_number(side.alignment, 3) for side in found.sides)])
    for problem in sorted({problem for side in found.sides for problem in side.problems}):
        rows.append([f"  {problem}", *(str(side.problems.get(problem, 0)) for side in found.sides)])
    if found.near:
        nears = [found.near.get(side.name) for side in found.sides]
        rows.append([f"exactly as {found.against}", *(_percent(n.exact) if n else "" for n in nears)])
        rows.append([f"chrF to {found.against}", *(_number(n.chrf, 1) if n else "" for n in nears)])
        rows.append([f"BLEU to {found.against}", *(_number(n.bleu, 1) if n else "" for n in nears)])
    for field, sides in found.groups.items():
        for value in sorted({value for groups in sides.values() for value in groups}):
            cells = [sides[side.name].get(value) for side in found.sides]
            rows.append([f"exact, {field} {value}", *(f"{c[1]:.0%} of {c[0]}" if c else "—" for c in cells)])
    return rows


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"


def _number(value: float | None, digits: int) -> str:
    return "—" if value is None else f"{value:.{digits}f}"


def evaluate(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN [RUN]", help="RUN, or RUN@FINGERPRINT for earlier captions of it"),
    ],
    *,
    variants: Annotated[
        list[str] | None, typer.Option("--variant", help="which captions; give it twice for one a run")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON lines of captions that are right, by clip or source"),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="FIELD", help="exact captions by a field of --truth")
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="which clips, over the first run's index")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="where a page (index.html) and eval.json are written")
    ] = None,
    pairs: Annotated[
        int, typer.Option(min=0, help="clips on the page; those told differently come first")
    ] = 40,
) -> int:
    """Compare captioners on the same clips: two runs, two captions of one run, or one against the truth.

    Lengths, share that is ok, problems, alignment, and how near the texts are to each other or to the truth
    (exact; chrF and BLEU, which need the extra `compare`). The page shows captions side by side with the
    pictures.
    """
    if len(runs) > 2:
        raise ConfigError("one run or two are compared")
    if len(runs) == 1 and len(variants or ()) == 2:
        runs = [runs[0], runs[0]]
    if by and truth is None:
        raise ConfigError("--by: of which --truth?")
    found = run(
        runs,
        variants=variants or ("dense",),
        truth=truth,
        by=by or (),
        where=where,
        output=output,
        pairs=pairs,
    )
    head, *rows = _figures(found)
    table = Table(*head, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if output is not None:
        typer.echo(str(output / "index.html"))
    return 0
