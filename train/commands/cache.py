"""`curate train cache`: latents and texts of the steps to come, made before a GPU waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shards.errors import ConfigError
from train.commands.options import Changes, DecoderName, Device, Manifests, MixAesthetics, Preset, Workers

if TYPE_CHECKING:
    from train.loop.assemble import Sources
    from train.plan import PlannedClip, PlannedStep, Planner
    from train.recipe import Recipe

__all__ = ["cache", "fill_caches"]


def fill_caches(
    recipe: Recipe,
    sources: Sources,
    *,
    steps: int | None = None,
    rank: int = 0,
    ranks: int = 1,
    device: str | None = None,
    console: Console | None = None,
) -> Counter[str]:
    """Fill the caches for the first steps of a recipe's plan, and for its held-out clips.

    Returns how many views were `made`, were `there`, and `failed`. Raises ConfigError without a cache, and as
    planning and loading do.
    """
    import torch

    from train.data import Clips, LatentEncoder, Loader
    from train.data.filling import fill, share_of
    from train.loop.assemble import caches, load_vae, make_text
    from train.plan import Planner, read_manifest, transformer_config

    if sources.cache is None:
        raise ConfigError("--cache: a folder is wanted")
    if not 0 <= rank < ranks:
        raise ConfigError(f"--rank {rank} of {ranks}: a rank is at least 0 and below --ranks")
    manifest = read_manifest(sources.manifests, recipe, mix_aesthetics=sources.mix_aesthetics)
    planner = Planner(recipe, manifest)
    last = planner.steps if steps is None else min(steps, planner.steps)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    latents = LatentEncoder(load_vae(sources.vae, where))
    text = make_text(sources.text, transformer_config(recipe), sources.cache, where)
    clips = Clips([source.path for source in sources.manifests])
    keeping = caches(recipe, latents, sources.cache)
    counts: Counter[str] = Counter()
    with (
        Loader(clips, text, latents, decoder_name=sources.decoder, workers=1, **keeping) as loader,
        _progress(console or Console(stderr=True)) as progress,
    ):
        task = progress.add_task("steps", total=last)

        def planned() -> Iterator[PlannedClip]:
            for step, mine in share_of(_steps(planner, last), rank, ranks):
                progress.update(task, completed=max(step.number, 0))
                yield from mine

        for _, kept in fill(loader, planned(), sources.workers):
            counts[kept] += 1
            said = ", ".join(f"{counts[key]} {key}" for key in ("made", "there", "failed"))
            progress.update(task, description=said)
        progress.update(task, completed=last)
    return counts


def _steps(planner: Planner, last: int) -> Iterator[PlannedStep]:
    """Yield the held-out steps of the stages that are reached, and the first `last` of training."""
    from train.plan import validation_steps

    begin = 0
    for stage, plan in enumerate(planner.recipe.stages):
        if begin < last:
            yield from validation_steps(planner, stage)
        begin += plan.steps
    for number in range(last):
        yield planner.step(number)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def cache(
    data: Manifests,
    vae: Annotated[Path, typer.Option(help="folder of the VAE, or of a pipeline that has one")],
    cache: Annotated[Path, typer.Option(help="folder that keeps latents and embeddings")],
    recipe: Preset = "tiny",
    change: Changes = None,
    text: Annotated[
        str, typer.Option(help="`words`, or a pipeline's folder with its text encoder")
    ] = "words",
    steps: Annotated[
        int | None, typer.Option(min=1, help="of the plan, from its first [default: all]")
    ] = None,
    rank: Annotated[int, typer.Option(min=0, help="which share of the work")] = 0,
    ranks: Annotated[int, typer.Option(min=1, help="processes that share the work")] = 1,
    mix_aesthetics: MixAesthetics = False,
    workers: Workers = 4,
    decoder: DecoderName = "av",
    device: Device = None,
) -> None:
    """Make the latents and embeddings that `curate train dit` will read, for the steps of its plan.

    Give what `train dit` is given. Stopped, it goes on where it was; several processes, on one machine or
    many, share the work by --rank and --ranks and one folder.
    """
    from train.loop.assemble import Sources
    from train.plan.sources import manifest_source
    from train.recipe_file import load_recipe

    sources = Sources(
        manifests=tuple(manifest_source(one) for one in data),
        vae=vae, text=text, cache=cache,
        mix_aesthetics=mix_aesthetics, decoder=decoder, workers=workers,
    )  # fmt: skip
    read = load_recipe(recipe, change or ())
    counts = fill_caches(read, sources, steps=steps, rank=rank, ranks=ranks, device=device)
    shown = Console(highlight=False, soft_wrap=True)
    shown.print(
        f"views: {counts['made']} made, {counts['there']} there already, {counts['failed']} unreadable"
    )
