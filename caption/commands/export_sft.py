"""`curate caption export-sft`: pairs to train a captioner on, as chat with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caption.captioned import CaptionedRun
from caption.exporting import Exported, ExportOptions, export_pairs
from shards.errors import ConfigError

__all__ = ["export_sft", "run"]

_KINDS = ("dense", "summary")


def run(run_path: str, output: Path, options: ExportOptions) -> Exported:
    """Write the pairs of the run at `run_path` to the folder `output`."""
    return export_pairs(CaptionedRun(run_path), output, options)


def export_sft(
    run_path: Annotated[
        str, typer.Argument(metavar="RUN", help="a captioned run; RUN@FINGERPRINT for earlier captions of it")
    ],
    *,
    output: Annotated[Path, typer.Option(metavar="DIR", help="where to; what an export left is replaced")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="dense|summary", help="which pairs; both, or dense with --captions"),
    ] = None,
    variant: Annotated[str, typer.Option(help="whose captions are the answers")] = "dense",
    captions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON lines of clip_id, source_id or source, and caption; instead of the run's",
        ),
    ] = None,
    template: Annotated[str, typer.Option(help="that will ask for the dense caption")] = "dense",
    summary_template: Annotated[str, typer.Option(help="that will ask for the summary")] = "summary",
    prompts: Annotated[Path | None, typer.Option(help="a folder of templates of your own")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="which clips, over the run's index")
    ] = None,
    val: Annotated[float, typer.Option(min=0, max=1, help="share of the sources for validation")] = 0.05,
    test: Annotated[float, typer.Option(min=0, max=1, help="share of the sources for tests")] = 0.05,
) -> int:
    """Write pairs to train a captioner on, as chat in JSON lines with pictures.

    `dense` pairs ask for a clip's caption from its samples, so that one model learns what a chain of them
    wrote; `summary` pairs ask for it from the answers that it was made of, so that a small model learns to
    sum up. The questions are those that `curate caption run` asks, to the byte. Only captions that are ok
    are written. Which split a source is in depends on the source alone. The layout is that of TRL's
    SFTTrainer: `messages`, and `images` by paths from DIR.
    """
    chosen = tuple(dict.fromkeys(kinds or (_KINDS[:1] if captions else _KINDS)))
    if unknown := [kind for kind in chosen if kind not in _KINDS]:
        raise ConfigError(f"--kind {unknown[0]}: expected one of {', '.join(_KINDS)}")
    if captions and "summary" in chosen:
        raise ConfigError("--kind summary: captions of a file are made of no other answers")
    options = ExportOptions(
        chosen,
        variant,
        {"dense": template, "summary": summary_template},
        prompts,
        captions,
        where,
        val,
        test,
    )
    exported = run(run_path, output, options)
    for kind, splits in exported.pairs.items():
        typer.echo(f"{kind}: " + ", ".join(f"{number} {split}" for split, number in splits.items()))
    for why, number in exported.skipped.items():
        typer.echo(f"left out: {number} ({why})")
    typer.echo(str(exported.manifest))
    return 0
