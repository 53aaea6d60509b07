"""`curate caption`: the caption pass alone, over a run cut earlier, and what belongs to captioners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from caption.commands.eval import evaluate
from caption.commands.export_sft import export_sft
from caption.commands.finetune import finetune
from caption.commands.upsample import upsample
from curate.cli.run import run
from curate.executors.place import ExecutorName

__all__ = ["app"]


class _RunOrCommand(TyperGroup):
    """A group whose first word may also be a run: `curate caption runs/1` is `curate caption run runs/1`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what names no subcommand."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer(cls=_RunOrCommand, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Caption a run that was cut earlier (`curate caption RUN`), and train and compare captioners."""


app.command("export-sft")(export_sft)
app.command("finetune")(finetune)
app.command("eval")(evaluate)
app.command("upsample")(upsample)


@app.command("run")
def caption_run(
    output: Annotated[str, typer.Argument(metavar="RUN", help="a run; its clips and samples are read")],
    pipeline: Annotated[
        str, typer.Option(help="whose caption pass; every pass before it stays as the run has it")
    ] = "gpu",
    *,
    pipelines: Annotated[Path | None, typer.Option(help="another pipelines.yaml")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="override a value, e.g. caption.seed=3")
    ] = None,
    executor: Annotated[
        ExecutorName | None, typer.Option(help="where the workers run; ray inside a Ray job, else local")
    ] = None,
    ray_address: Annotated[str | None, typer.Option(metavar="ADDRESS", help="as for `curate run`")] = None,
    wait_for_nodes: Annotated[
        float, typer.Option(min=0, metavar="S", help="Ray: how long a cluster may take to grow")
    ] = 0.0,
    workers: Annotated[int | None, typer.Option(min=1, help="at most so many")] = None,
    retry_failures: Annotated[
        str | None, typer.Option(metavar="CLASS", help="try failures of this class again, or `all`")
    ] = None,
    max_failures: Annotated[
        str, typer.Option(help="failed sources that still make a success: a number or a percentage")
    ] = "5%",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print units and what would run")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="progress as JSON lines")] = False,
) -> int:
    """Write captions of a run's clips, beside those that it has.

    The run may lie in object storage, the workers on Ray. Units are committed one by one: run it again, and
    only what is missing is asked for. Other prompts or another model give other captions; the old ones stay
    until `curate gc`, for `curate caption eval` to compare.
    """
    return run(
        output,
        pipeline,
        pipelines=pipelines,
        only="caption",
        settings=settings,
        executor=executor,
        ray_address=ray_address,
        wait_for_nodes=wait_for_nodes,
        workers=workers,
        retry_failures=retry_failures,
        max_failures=max_failures,
        dry_run=dry_run,
        log_json=log_json,
    )
