"""`curate bench train`: how long training waits for data, and what loading costs without a cache."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from shards.errors import ConfigError
from train.commands.options import Changes, Device, Preset, Workers

if TYPE_CHECKING:
    from train.loop.assemble import Sources
    from train.recipe import Recipe

__all__ = ["bench", "measure_loading", "measure_wait"]

_WARM: Final = 3
"""steps that are not counted: the first is waited for by any loader"""


def measure_wait(recipe: Recipe, sources: Sources, steps: int, device: str | None = None) -> dict[str, Any]:
    """Train so many steps of the recipe's first stage from cached latents; return how long they waited.

    What is missing in the cache is made first and not counted. Raises as `train cache` and `train dit` do.
    """
    from train.commands.cache import fill_caches
    from train.loop import Settings, joined, train
    from train.loop.assemble import load_vae, make_data, make_model, make_text
    from train.plan import transformer_config

    total = steps + _WARM
    stage = dataclasses.replace(recipe.stages[0], steps=total)
    never = dataclasses.replace(recipe.saving, every=10 * total, validate_every=10 * total, sample_every=0)
    short = dataclasses.replace(recipe, stages=(stage,), saving=never)
    made = fill_caches(short, sources, device=device)
    with tempfile.TemporaryDirectory() as folder, joined(device) as world:
        output = Path(folder) / "run"
        vae = load_vae(sources.vae, world.device)
        text = make_text(sources.text, transformer_config(short), sources.cache, world.device)
        with make_data(short, sources, vae, text, world, None) as data:
            model = make_model(short, sources.init, world.device)
            train(model, short, data, Settings(output=output), world)
        lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines][_WARM:]
    seconds = sum(record["step_s"] for record in records)
    waited = sum(record["data_wait_share"] * record["step_s"] for record in records)
    return {
        "recipe": recipe.name,
        "device": str(world.device),
        "steps": len(records),
        "clips": sum(record["clips"] for record in records),
        "step_s": seconds / len(records),
        "data_wait_share": waited / seconds,
        "views_made_before": made["made"],
    }


def measure_loading(
    manifests: Sequence[str], decoders: Sequence[str], workers: int, fps: float, height: int, width: int
) -> list[dict[str, Any]]:
    """Load every clip once with each decoder, on one thread and on `workers`, and with webdataset."""
    from shards.storage import beside
    from shards.tables import read_table
    from train.data.bench import measure_ours, measure_webdataset, record, views_of
    from train.data.clips import Clips

    clips = Clips(manifests)
    durations_s = [
        value
        for path in manifests
        for value in read_table(*beside(path), ["duration_s"]).column(0).to_pylist()
    ]
    views = views_of(durations_s, fps, height, width)
    found = [measure_ours(clips, views, name, count) for name in decoders for count in sorted({1, workers})]
    found.append(measure_webdataset(clips, views))
    return [dict(record(one)) for one in found]


def bench(
    data: Annotated[list[str], typer.Option(help="a manifest.parquet; may be given often")],
    vae: Annotated[
        Path | None, typer.Option(help="folder of the VAE; without it, waiting is not measured")
    ] = None,
    recipe: Preset = "tiny",
    change: Changes = None,
    text: Annotated[str, typer.Option(help="`words`, or a pipeline's folder")] = "words",
    cache: Annotated[Path | None, typer.Option(help="folder of the caches [default: a passing one]")] = None,
    steps: Annotated[int, typer.Option(min=1, help="that are counted")] = 20,
    decoder: Annotated[list[str] | None, typer.Option(help="av, torchcodec, decord [default: av]")] = None,
    workers: Workers = 4,
    fps: Annotated[float, typer.Option(min=1, help="of the frames that are loaded")] = 8.0,
    height: Annotated[int, typer.Option(min=16, help="of the frames, in px")] = 256,
    width: Annotated[int, typer.Option(min=16, help="of the frames, in px")] = 384,
    device: Device = None,
    output: Annotated[Path | None, typer.Option(help="a JSON file for the figures")] = None,
) -> None:
    """Share of time that training waits for cached latents, and the cost of loading without a cache."""
    from train.loop.assemble import Sources
    from train.plan.sources import manifest_source
    from train.recipe_file import load_recipe

    if output is not None and not output.parent.is_dir():
        raise ConfigError(f"--output {output}: no such folder")
    manifests = tuple(manifest_source(one) for one in data)
    figures: dict[str, Any] = {"wait": None}
    if vae is not None:
        with tempfile.TemporaryDirectory() as passing:
            sources = Sources(
                manifests=manifests, vae=vae, text=text, cache=cache or Path(passing), workers=workers
            )
            figures["wait"] = measure_wait(load_recipe(recipe, change or ()), sources, steps, device)
    paths = [source.path for source in manifests]
    figures["view"] = {"fps": fps, "height": height, "width": width}
    figures["loading"] = measure_loading(paths, decoder or ["av"], workers, fps, height, width)
    _show(figures, Console(highlight=False))
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _show(figures: dict[str, Any], console: Console) -> None:
    if wait := figures["wait"]:
        console.print(
            f"{wait['recipe']} on {wait['device']}: {wait['steps']} steps of {wait['step_s']:.3f} s and "
            f"{wait['clips']} clips from cached latents; waited for data {wait['data_wait_share']:.2%}"
        )
    table = Table("without a cache", "workers", "clips", "unreadable", "clips/s", "CPU s/clip")
    for one in figures["loading"]:
        numbers = (one["workers"], one["clips"], one["failed"])
        costs = (f"{one['clips_a_second']:.2f}", f"{one['cpu_seconds_a_clip']:.3f}")
        table.add_row(one["by"], *map(str, numbers), *costs)
    console.print(table)
