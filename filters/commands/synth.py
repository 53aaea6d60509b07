"""`curate filters synth`: films with known answers to the six labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from filters.labels.questions import LABELS

__all__ = ["synth"]


def synth(
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="gets clips/ and labels.csv; made if need be")
    ],
    *,
    sources: Annotated[int, typer.Option(min=1, help="base films; each gives 22 files")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="another seed, other films")] = 0,
    footage: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="base films of your own: videos that none of the labels holds for"
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="the result does not depend on it")] = 2,
) -> int:
    """Render training films for the six negative labels, with their answers in OUT/labels.csv.

    From each clean base film come the clean one, films with the cue of each label, and films that only seem
    to have one. `source` in labels.csv names the base film: a split must not divide it. docs/labels.md says
    what each label means. Needs the extra `synth` (fonts).
    """
    # The command line imports this module: here it is whole.
    from curate.cli.bars import counting
    from filters.labels.synthesis import render_labels

    with counting("rendering sources") as advance:
        files = render_labels(
            output, sources, seed=seed, footage=footage, processes=processes, progress=advance
        )
    frames = sum(file.frames for file in files)
    typer.echo(f"{len(files)} files, {frames} frames: {output / 'labels.csv'}")
    for index, label in enumerate(LABELS):
        said = Counter(file.answers[index] for file in files)
        typer.echo(f"  {label:12} {said['yes']:6} yes {said['no']:6} no {said['unsure']:6} unsure")
    return 0
