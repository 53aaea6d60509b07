"""`curate train vae`: the linear codec, fitted to what a recipe shows of a manifest's clips."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import track

from shards.errors import InputError, SourceError
from train.commands.options import Changes, DecoderName, Manifests, Preset

if TYPE_CHECKING:
    from torch import Tensor

    from train.data.clips import Clips
    from train.data.decoders import Decoder
    from train.plan import PlannedClip, PlannedStep, Planner
    from train.recipe import ManifestSource, Recipe

__all__ = ["run", "vae"]

CLIPS: Final = 500
"""fitted to where nothing else is said: the linear codec has some thousands of numbers to learn"""


def run(
    recipe: Recipe,
    sources: Sequence[ManifestSource],
    output: Path,
    *,
    mix_aesthetics: bool = False,
    clips: int = CLIPS,
    decoder: str = "av",
    console: Console | None = None,
) -> dict[str, Any]:
    """Fit the codec to the clips that the recipe draws first, write it, and return what its `fit.json` says.

    `psnr_db`: mean and least over the recipe's held-out clips, in the views that validation has. Raises
    InputError where `output` is there already or too little can be read, and as recipe and planner do.
    """
    import torch

    from train.data.clips import Clips
    from train.data.decoders import decoder as named_decoder
    from train.plan import Planner, read_manifest, validation_steps
    from train.vae import Fit, LinearConfig, save_vae

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: exists already; name a new folder")
    planner = Planner(recipe, read_manifest(sources, recipe, mix_aesthetics=mix_aesthetics))
    rows, decode_by = Clips([source.path for source in sources]), named_decoder(decoder)
    console = console or Console(quiet=True)
    try:
        held_out = [step for stage in range(len(recipe.stages)) for step in validation_steps(planner, stage)]
        fit, count = Fit(LinearConfig()), 0
        planned = _first(_steps(planner), clips)
        for video_CTHW in track(_videos(rows, planned, decode_by), "fitting", total=clips, console=console):
            fit.add(video_CTHW)
            count += 1
        codec = fit.codec()
        psnr = [
            _psnr(video_CTHW, codec.decode(codec.encode(video_CTHW[None]).mean)[0])
            for video_CTHW in _videos(rows, _first(held_out, clips), decode_by)
        ]
    finally:
        rows.close()
    said = {
        "data": [source.path for source in sources],
        "recipe": recipe.name,
        "fitted_to": count,
        "held_out": len(psnr),
        "psnr_db": {"mean": round(sum(psnr) / len(psnr), 2), "least": round(min(psnr), 2)} if psnr else None,
        "torch": torch.__version__,
    }
    save_vae(codec, output)
    (output / "fit.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return said


def _steps(planner: Planner) -> Iterator[PlannedStep]:
    return (planner.step(number) for number in range(planner.steps))


def _first(steps: Iterable[PlannedStep], count: int) -> Iterator[PlannedClip]:
    """Yield the first clips of steps; of each row one view."""
    seen: set[int] = set()
    for step in steps:
        for clip in step.clips:
            if clip.row not in seen:
                seen.add(clip.row)
                yield clip
            if len(seen) == count or clip.visit > 1:  # by then every clip was drawn
                return


def _videos(rows: Clips, planned: Iterable[PlannedClip], decode_by: Decoder) -> Iterator[Tensor]:
    """Yield what is seen of clips, (3, T, H, W) in -1 … 1; those that cannot be read are left out."""
    from train.data.decode import decode
    from train.data.encode import video_of

    for clip in planned:
        row = rows.row(clip.row)
        try:
            frames_THWC = decode(rows.read(row), clip.view, row.shown, decode_by, row.rolls)
        except SourceError:
            continue
        yield video_of(frames_THWC, "cpu")[0]


def _psnr(video_CTHW: Tensor, other_CTHW: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of videos in -1 … 1; what is beyond is cut off."""
    error = (video_CTHW - other_CTHW.clamp(-1, 1)).square().mean() / 4
    return float(-10 * error.clamp_min(1e-10).log10())


def vae(
    data: Manifests,
    output: Annotated[Path, typer.Option(help="a new folder, for `curate train dit --vae`")],
    recipe: Preset = "tiny",
    changes: Changes = None,
    clips: Annotated[int, typer.Option(min=1, help="how many to fit to")] = CLIPS,
    decoder: DecoderName = "av",
) -> None:
    """Fit the *linear* codec to clips, in seconds: principal components, no network.

    It has the latent shapes of CogVideoX's VAE (8 x 8 x 4 fewer points, 16 channels) and stands in for it
    where there are no weights: it blurs texture and shows its blocks. Prints its error on held-out clips.
    """
    from train.plan.sources import manifest_source
    from train.recipe_file import load_recipe

    console = Console(stderr=True)
    said = run(
        load_recipe(recipe, changes or ()),
        [manifest_source(one) for one in data],
        output,
        clips=clips,
        decoder=decoder,
        console=console,
    )
    shown = Console(highlight=False, soft_wrap=True)
    found = said["psnr_db"]
    error = (
        f"{found['mean']} dB on {said['held_out']} held-out clips, {found['least']} at least"
        if found
        else "no clips are held out to measure it by"
    )
    shown.print(f"{output}: linear codec, fitted to {said['fitted_to']} clips; {error}")
