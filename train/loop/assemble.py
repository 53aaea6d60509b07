"""From what a person asks for to what the loop takes: model, planner, loader, held-out clips, sampler."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypedDict, cast

import torch

from shards.errors import ConfigError, InputError
from train.data import Clips, FirstFrames, LatentCache, LatentEncoder, Loader
from train.dit import (
    KERNELS,
    Kernel,
    Transformer,
    TransformerConfig,
    add_channels,
    add_lora,
    build_transformer,
    load_transformer,
)
from train.loop.export import diffusion_of
from train.loop.parallel import World
from train.loop.resume import check_record
from train.loop.samples import Sampler
from train.loop.saving import latest, read_record
from train.loop.settings import Data
from train.loop.validation import Deal, HeldOut
from train.plan import (
    PlannedStep,
    Planner,
    deal,
    pack_cost,
    read_manifest,
    transformer_config,
    validation_steps,
)
from train.recipe import ManifestSource, Recipe
from train.text import CachedText, TextEncoder, WordEncoder, load_text_encoder
from train.vae import AnyVae
from train.vae import load_vae as read_vae

__all__ = [
    "Sources",
    "caches",
    "dealer",
    "load_vae",
    "make_data",
    "make_model",
    "make_sampler",
    "make_text",
    "starting_point",
]

_HELD_OUT_CLIPS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a run's data and models lie."""

    manifests: tuple[ManifestSource, ...]
    vae: Path
    """a VAE's folder, or a pipeline's"""
    text: str
    """`words`, or a pipeline's folder"""
    cache: Path | None = None
    """folder of latents and embeddings that are kept; None: made each time"""
    init: Path | None = None
    """a transformer's folder, or a pipeline's; None: untrained"""
    mix_aesthetics: bool = False
    decoder: str = "av"
    workers: int = 4


def starting_point(output: Path, resume: bool) -> Path | None:
    """Return the checkpoint to go on from; None: begin.

    Raises InputError where a run lies there and `resume` is not asked for.
    """
    newest = latest(output)
    if newest is not None and not resume:
        raise InputError(
            f"{output}: has checkpoints, the newest {newest.name}: give --resume, or a new folder"
        )
    return newest


def make_model(recipe: Recipe, init: Path | None, device: torch.device) -> Transformer:
    """Return the recipe's transformer on a device, float32, its LoRA around it.

    Extra channels that the folder's does not read are added to it: step 0 is the parent.
    Raises ConfigError where the folder's is another, as for LoRA without a folder.
    """
    config = transformer_config(recipe)
    if init is None:
        if recipe.lora_rank:
            raise ConfigError("lora_rank: a LoRA is added to trained weights: give --init")
        return build_transformer(config, seed=recipe.seed, device=device, attention=kernel_of(recipe, device))
    folder = init / "transformer" if (init / "transformer").is_dir() else init
    model = load_transformer(folder, device=device, attention=kernel_of(recipe, device))
    if config.extra_channels and not model.config.extra_channels:
        add_channels(model, config.extra_channels)
    _check_same(config, model.config, folder)
    if recipe.lora_rank:
        add_lora(model, recipe.lora_rank, torch.Generator(device).manual_seed(recipe.seed))
    return model


def kernel_of(recipe: Recipe, device: torch.device) -> Kernel | Literal["auto"]:
    """Return the recipe's attention kernel.

    Raises ConfigError for one that there isn't, and for compiled blocks with a loop of SDPA, which would be
    compiled anew for each combination of lengths.
    """
    name = recipe.attention
    if name not in ("auto", *KERNELS):
        raise ConfigError(f"attention {name!r}: there are auto, {', '.join(KERNELS)}")
    if recipe.compile and name == "auto" and device.type == "cpu":
        # The operator that reads lengths from a tensor has a form for the CPU.
        return "cudnn"
    plain = name == "auto" and recipe.precision == "float32"
    if recipe.compile and (name == "sdpa" or plain):
        raise ConfigError(
            "compile: SDPA would be compiled anew for each pack: set attention to flex or cudnn"
        )
    return cast(Kernel | Literal["auto"], name)


def _check_same(wanted: TransformerConfig, found: TransformerConfig, folder: Path) -> None:
    pairs = [
        (field.name, getattr(wanted, field.name), getattr(found, field.name))
        for field in dataclasses.fields(wanted)
    ]
    if wrong := [f"{name} {there!r}, not {here!r}" for name, here, there in pairs if here != there]:
        raise ConfigError(f"{folder}: is not the recipe's model: {', '.join(wrong[:3])}; see model_changes")


def load_vae(folder: Path, device: torch.device) -> AnyVae:
    """Return the VAE of a folder, or of a pipeline's: float32 on a CPU, bfloat16 on a GPU."""
    folder = folder / "vae" if (folder / "vae").is_dir() else folder
    return read_vae(folder, device=device, dtype=torch.float32 if device.type == "cpu" else torch.bfloat16)


def make_text(given: str, config: TransformerConfig, cache: Path | None, device: torch.device) -> TextEncoder:
    """Return the text encoder: of words, or of a pipeline's folder; what it gives is kept in the cache."""
    if given == "words":
        return WordEncoder(config.text_length, config.text_dim)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    encoder = load_text_encoder(Path(given), config.text_length, device=device, dtype=dtype)
    return encoder if cache is None else CachedText(encoder, cache / "texts")


def make_sampler(recipe: Recipe, vae: AnyVae, text: TextEncoder) -> Sampler:
    """Return what makes samples while the recipe's model trains."""
    return Sampler(vae, text, diffusion_of(recipe.diffusion))


@contextlib.contextmanager
def make_data(
    recipe: Recipe,
    sources: Sources,
    vae: AnyVae,
    text: TextEncoder,
    world: World,
    resume: Path | None,
    *,
    other_manifest: bool = False,
) -> Iterator[Data]:
    """Plan, and open the loader; both are let go of at the end.

    The loader has a planner of its own, which runs ahead of the loop's: it reads what will be asked for.
    Raises as planning and reading do, before a step is made.
    """
    manifest = read_manifest(sources.manifests, recipe, mix_aesthetics=sources.mix_aesthetics)
    planner = Planner(recipe, manifest)
    dealt = dealer(transformer_config(recipe))
    ahead = Planner(recipe, manifest)
    first = 0
    if resume is not None:
        record = read_record(resume)
        config = transformer_config(recipe)
        check_record(resume, record, recipe, config, manifest.digest, other_manifest=other_manifest)
        first = record.step
        ahead.restore(record.planner, other_manifest=other_manifest)
    clips = Clips([source.path for source in sources.manifests])
    latents = LatentEncoder(vae)
    keeping = caches(recipe, latents, sources.cache)
    coming = _coming(ahead, first, dealt, world)
    with Loader(
        clips,
        text,
        latents,
        coming=coming,
        decoder_name=sources.decoder,
        workers=sources.workers,
        **keeping,
    ) as loader:
        stages = tuple(
            tuple(validation_steps(planner, stage, _HELD_OUT_CLIPS)) for stage in range(len(recipe.stages))
        )
        held_out = HeldOut(stages, loader) if any(stages) else None
        yield Data(planner=planner, batches=loader, deal=dealt, digest=manifest.digest, held_out=held_out)


class Keeping(TypedDict):
    """What a loader takes to keep latents, and to make those of first frames."""

    cache: LatentCache | None
    first_frames: FirstFrames | None
    image_cache: LatentCache | None


def caches(recipe: Recipe, latents: LatentEncoder, folder: Path | None) -> Keeping:
    """Return the caches in a folder, one of first frames where the recipe's model reads them."""
    first = None if recipe.first_frame is None else FirstFrames(latents, recipe.first_frame)
    return Keeping(
        cache=None if folder is None else LatentCache(folder, latents.space),
        first_frames=first,
        image_cache=None if folder is None or first is None else LatentCache(folder, first.space),
    )


def _coming(
    planner: Planner, first: int, dealt: Deal, world: World
) -> Iterator[tuple[PlannedStep, Sequence[int]]]:
    for number in range(first, planner.steps):
        step = planner.step(number)
        yield step, dealt(step, world.size)[world.rank]


def dealer(config: TransformerConfig) -> Deal:
    """Return how a step's packs are dealt to ranks: by what they cost."""
    cost = pack_cost(config)
    return lambda step, ranks: deal([cost(pack) for pack in step.packs], ranks)
