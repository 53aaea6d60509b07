"""`curate train dit`: train a transformer, on one process or under torchrun."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from shards.errors import ConfigError
from train.commands.options import Changes, DecoderName, Device, Manifests, MixAesthetics, Preset, Workers

if TYPE_CHECKING:
    from train.loop import Outcome
    from train.loop.assemble import Sources
    from train.recipe import Recipe

__all__ = ["Options", "dit", "run"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a process trains; nothing here changes what is learned."""

    output: Path
    fit_vae: bool = False
    """fit the linear codec where the VAE's folder is not there"""
    resume: bool = False
    other_manifest: bool = False
    export: bool = True
    device: str | None = None
    wandb: str | None = None
    trace_steps: int = 0
    hang_s: float = 1800.0


def run(recipe: Recipe, sources: Sources, options: Options) -> Outcome:
    """Train to the recipe's last step, or until SIGTERM; then write the model's folder.

    Errors as of planning, loading and `train.loop.train`.
    """
    import torch

    from train.checkpoints import free_bytes
    from train.loop import Settings, joined, train
    from train.loop.assemble import (
        load_vae,
        make_data,
        make_model,
        make_sampler,
        make_text,
        starting_point,
    )
    from train.loop.export import export
    from train.plan import transformer_config
    from train.plan.memory import check_memory

    config = transformer_config(recipe)
    start = starting_point(options.output, options.resume)
    with joined(options.device) as world:
        free = free_bytes(world.device)
        if free is not None:
            check_memory(recipe, config, world.size, free)
        if options.fit_vae and world.first and not sources.vae.exists():
            _fit(recipe, sources)
        world.wait()
        vae = load_vae(sources.vae, world.device)
        text = make_text(sources.text, config, sources.cache, world.device)
        allowed = options.other_manifest
        with make_data(recipe, sources, vae, text, world, start, other_manifest=allowed) as data:
            model = make_model(recipe, sources.init, world.device)
            if world.first:
                count = sum(value.numel() for value in model.parameters())
                _LOG.info(
                    "%s: %s parameters, %d processes, %s", recipe.name, f"{count:,}", world.size, world.device
                )
            settings = Settings(
                output=options.output,
                resume=start,
                other_manifest=allowed,
                sampler=make_sampler(recipe, vae, text),
                wandb=options.wandb,
                trace_steps=options.trace_steps,
                hang_s=options.hang_s,
                shown=True,
            )
            outcome = train(model, recipe, data, settings, world)
        if options.export and not outcome.stopped and world.first:
            # In float32, whatever this device computes in.
            cpu = torch.device("cpu")
            whole, words = load_vae(sources.vae, cpu), make_text(sources.text, config, None, cpu)
            export(outcome.checkpoint, options.output / "model", vae=whole, text=words, replace=True)
    return outcome


def _fit(recipe: Recipe, sources: Sources) -> None:
    from train.commands.vae import run as fit

    _LOG.info("%s: the linear codec is fitted to the first clips", sources.vae)
    mixed, decoder = sources.mix_aesthetics, sources.decoder
    fit(recipe, sources.manifests, sources.vae, mix_aesthetics=mixed, decoder=decoder)


def dit(
    data: Manifests,
    recipe: Preset = "tiny",
    output: Annotated[
        Path | None, typer.Option(help="folder of the run [default: runs/train/ and the recipe's name]")
    ] = None,
    change: Changes = None,
    vae: Annotated[
        Path | None,
        typer.Option(help="folder of a VAE, or of a pipeline [default: what the recipe says, or none]"),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="`words`, or a pipeline's folder with its text encoder [default: likewise]"),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="folder of a transformer or pipeline to begin with")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="folder that keeps latents and embeddings")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on from the newest checkpoint, where there is one")
    ] = False,
    other_manifest: Annotated[
        bool, typer.Option("--other-manifest", help="go on although the manifests are others")
    ] = False,
    mix_aesthetics: MixAesthetics = False,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="write OUTPUT/model at the end, for `train sample`")
    ] = True,
    workers: Workers = 4,
    decoder: DecoderName = "av",
    device: Device = None,
    wandb: Annotated[str | None, typer.Option(help="project of W&B to log to, too")] = None,
    profile: Annotated[int, typer.Option(min=0, help="steps that torch's profiler traces")] = 0,
    hang: Annotated[
        float, typer.Option(min=0, help="seconds without a step after which the process ends; 0: never")
    ] = 1800,
) -> None:
    """Train a transformer on curated clips.

    On several GPUs: torchrun --no-python --nproc-per-node 8 curate train dit … SIGTERM or Ctrl-C saves a
    checkpoint and leaves with exit code 75; a step that hangs ends the process with 70. OUTPUT holds
    log.jsonl, checkpoints, losses of each clip, samples, and at the end `model`.
    """
    from train.loop import STOP_EXIT
    from train.loop.assemble import Sources
    from train.plan.sources import manifest_source
    from train.recipe_file import load_recipe

    read = load_recipe(recipe, change or ())
    folder = output or Path("runs/train") / read.name
    if vae is None and read.vae == "given":
        raise ConfigError(f"{read.name}: give --vae, the folder of a VAE or of a pipeline")
    if text is None and read.text == "given":
        raise ConfigError(f"{read.name}: give --text, the folder of a pipeline with its text encoder")
    sources = Sources(
        manifests=tuple(manifest_source(one) for one in data),
        vae=vae or folder / "vae",
        text=text or "words",
        cache=cache,
        init=init,
        mix_aesthetics=mix_aesthetics,
        decoder=decoder,
        workers=workers,
    )
    options = Options(
        output=folder,
        fit_vae=vae is None,
        resume=resume,
        other_manifest=other_manifest,
        export=export,
        device=device,
        wandb=wandb,
        trace_steps=profile,
        hang_s=hang,
    )
    outcome = run(read, sources, options)
    if outcome.stopped:
        _LOG.warning("stopped after %d steps; --resume goes on from %s", outcome.steps, outcome.checkpoint)
        raise typer.Exit(STOP_EXIT)
    if export and os.environ.get("RANK", "0") == "0":
        Console(highlight=False, soft_wrap=True).print(
            f"model: {folder / 'model'}   log: {folder / 'log.jsonl'}"
        )
