"""`curate train plan`: what a run will take, stage by stage, before any of it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from shards.errors import ConfigError
from train.commands.options import Changes, Manifests, MixAesthetics, Preset

if TYPE_CHECKING:
    from train.plan.estimate import StageEstimate
    from train.plan.memory import Memory
    from train.recipe import Stage

__all__ = ["plan", "run"]

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class _Column:
    """A stage of the table."""

    stage: Stage
    found: StageEstimate
    memory: Memory
    hours: float | None


def run(
    data: Sequence[str],
    recipe: str,
    changes: Sequence[str] = (),
    *,
    ranks: int = 1,
    device_tflops: float | None = None,
    mfu: float = 0.4,
    device_gib: float | None = None,
    mix_aesthetics: bool = False,
    console: Console | None = None,
) -> None:
    """Print the plan of a run.

    Raises ConfigError and InputError as the recipe, the manifests and the planner do, and, with the plan
    printed, ConfigError where memory does not suffice.
    """
    from train.plan import Planner, deal, read_manifest
    from train.plan.estimate import estimate_stages
    from train.plan.memory import check_memory, training_memory
    from train.plan.sources import manifest_source
    from train.recipe_file import load_recipe

    console = console or _console()
    loaded = load_recipe(recipe, changes)
    for stage in loaded.stages:
        deal([0.0] * stage.packs, ranks)
    manifest = read_manifest([manifest_source(text) for text in data], loaded, mix_aesthetics=mix_aesthetics)
    planner = Planner(loaded, manifest)
    lacking: ConfigError | None = None
    if device_gib is not None:
        try:
            check_memory(loaded, planner.config, ranks, int(device_gib * _GIB))
        except ConfigError as error:
            lacking = error
            console.print(str(error))
    held = int(manifest.held_out_N.sum())
    console.print(
        f"{loaded.name}: {len(manifest):,} clips of {len(manifest.sources)} manifest(s), "
        f"{held:,} held out; manifests {manifest.digest[:12]}"
    )
    columns = []
    for found in estimate_stages(planner, 2 if loaded.precision == "bfloat16" else 4):
        stage = planner.stages[found.stage]
        memory = training_memory(loaded, planner.config, ranks, stage.tokens)
        rate = None if device_tflops is None else ranks * device_tflops * 1e12 * mfu
        columns.append(_Column(stage, found, memory, None if rate is None else found.flops / rate / 3600))
    console.print(_table(columns, _rows(columns, loaded.block_steps)))
    if any(column.found.planned_steps < column.stage.steps for column in columns):
        console.print("Of longer stages, the steps named in `planned` stand for all.")
    if device_tflops is None:
        console.print("Hours: say --device-tflops, and --mfu.")
    if lacking is not None:
        raise lacking


def _console() -> Console:
    """Return the terminal; where there is none, lines as long as the table needs."""
    terminal = Console(highlight=False, soft_wrap=True)
    return terminal if terminal.is_terminal else Console(highlight=False, soft_wrap=True, width=200)


def _table(columns: Sequence[_Column], rows: Sequence[tuple[str, Callable[[_Column], str]]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column.stage.name, justify="right")
    for name, text in rows:
        table.add_row(name, *(text(column) for column in columns))
    return table


def _rows(columns: Sequence[_Column], block_steps: int) -> list[tuple[str, Callable[[_Column], str]]]:
    """Return the table's lines: a name, and what stands there for a stage."""
    from train.plan.thresholds import bound_at

    def count(reason: str) -> Callable[[_Column], str]:
        def text(column: _Column) -> str:
            first, last = column.found.first.get(reason), column.found.last.get(reason)
            return "" if first is None else f"{first:,}" if first == last else f"{first:,} → {last:,}"

        return text

    def bounds(column: _Column) -> str:
        last = (column.stage.steps - 1) // block_steps * block_steps
        said = []
        for threshold in column.stage.thresholds:
            ends = [bound_at(threshold, step) for step in (0, last)]
            values = " → ".join(f"{value:.4g}" for value in dict.fromkeys(ends))
            said.append(f"{threshold.column} {'≥' if threshold.bound == 'min' else '≤'} {values}")
        return "\n".join(said)

    reasons = dict.fromkeys(
        reason
        for column in columns
        for reason in column.found.first
        if reason != "kept" and (column.found.first[reason] or column.found.last[reason])
    )
    memory: list[tuple[str, Callable[[_Column], str]]] = [
        ("memory a rank", lambda one: _bytes(one.memory.total)),
        ("  parameters, optimizer", lambda one: _bytes(one.memory.states)),
        ("  whole blocks", lambda one: _bytes(one.memory.gathered)),
        ("  activations", lambda one: _bytes(one.memory.activations)),
    ]
    return [
        ("thresholds", bounds),
        ("clips admitted", count("kept")),
        *((f"  dropped: {reason}", count(reason)) for reason in reasons),
        ("steps", lambda one: f"{one.stage.steps:,}"),
        ("  planned", lambda one: f"{one.found.planned_steps:,}"),
        ("packs a step", lambda one: f"{one.stage.packs:,} x {one.stage.tokens:,}"),
        ("fill", lambda one: f"{one.found.fill:.1%}"),
        ("  of the emptiest pack", lambda one: f"{one.found.least_fill:.1%}"),
        ("clips a step", lambda one: f"{one.found.clips / one.stage.steps:,.1f}"),
        ("  shortened", lambda one: f"{one.found.shortened:.1%}"),
        ("tokens", lambda one: _short(one.found.tokens)),
        ("video shown", lambda one: f"{one.found.seconds / 3600:,.1f} h"),
        ("epochs", lambda one: f"{one.found.epochs:,.2f}"),
        ("PFLOP", lambda one: f"{one.found.flops / 1e15:,.4g}"),
        ("hours", lambda one: "" if one.hours is None else _hours(one.hours)),
        *memory,
        ("cache: latents", lambda one: _at_most(one, one.found.latent_bytes)),
        ("cache: texts", lambda one: _at_most(one, one.found.text_bytes)),
    ]


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.3g}"


def _at_most(column: _Column, number: float) -> str:
    return f"{'' if column.found.planned_steps == column.stage.steps else '≤ '}{_bytes(number)}"


def _short(number: float) -> str:
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 1000:
            return f"{number:.4g} {unit}".rstrip()
        number /= 1000
    return f"{number:,.4g} P"


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:,.2f} TiB"


def plan(
    data: Manifests,
    recipe: Preset = "tiny",
    change: Changes = None,
    ranks: Annotated[int, typer.Option(min=1, help="processes that share the packs")] = 1,
    device_tflops: Annotated[
        float | None, typer.Option(min=0.001, help="of a rank's device, at its best: 989 of an H200")
    ] = None,
    mfu: Annotated[float, typer.Option(min=0.001, max=1, help="share of it that training reaches")] = 0.4,
    device_memory: Annotated[
        float | None, typer.Option(min=0, help="GiB of a rank's device: is it enough?")
    ] = None,
    mix_aesthetics: MixAesthetics = False,
) -> None:
    """Say what a training run will take: clips, tokens, fill, operations, memory, cache and hours."""
    run(
        data,
        recipe,
        change or (),
        ranks=ranks,
        device_tflops=device_tflops,
        mfu=mfu,
        device_gib=device_memory,
        mix_aesthetics=mix_aesthetics,
    )
