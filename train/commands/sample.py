"""`curate train sample`: videos from text by a checkpoint, and a contact sheet of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shards.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from train.sampling import Pipeline, Request

__all__ = ["Settings", "run", "sample"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What all videos of a call share; None: the model's own."""

    negative: str = ""
    frames: int | None = None
    height: int | None = None
    width: int | None = None
    steps: int = 50
    guidance: float = 6.0
    dynamic: bool | None = None
    seed: int = 0
    fps: float | None = None
    tiled: bool = False
    device: str | None = None
    dtype: str | None = None


def run(
    checkpoint: Path,
    prompts: Sequence[str],
    output: Path,
    settings: Settings,
    *,
    image: Path | None = None,
    lora: Path | None = None,
    text_cache: Path | None = None,
    console: Console | None = None,
) -> list[Path]:
    """Write a video a prompt, `sheet.png` and `samples.json` into a new folder, and return the videos.

    Raises InputError and ConfigError as loading and sampling do, before anything is written.
    """
    import torch

    from train.dit import load_lora
    from train.sampling import load_pipeline
    from train.text import CachedText

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output}: is not an empty folder")
    device = torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = _dtype(settings.dtype or ("float32" if device.type == "cpu" else "bfloat16"))
    pipeline = load_pipeline(checkpoint, device=device, dtype=dtype)
    if lora is not None:
        load_lora(pipeline.transformer, lora)
    if text_cache is not None:
        pipeline = replace(pipeline, text=CachedText(pipeline.text, text_cache))
    if (image is not None) != pipeline.takes_image:
        wanted = "makes videos from an image: give --image" if pipeline.takes_image else "takes no --image"
        raise ConfigError(f"{checkpoint}: this model {wanted}")
    requests = _requests(pipeline, prompts, settings, image)
    fps = settings.fps or (16.0 if _is_newer(pipeline) else 8.0)
    output.mkdir(parents=True, exist_ok=True)
    videos = _videos(pipeline, requests, output, fps, console or Console(stderr=True))
    first = requests[0]
    said = {
        "checkpoint": str(checkpoint),
        "image": image and str(image),
        "lora": lora and str(lora),
        **asdict(settings),
        "frames": first.frames,
        "height": first.height,
        "width": first.width,
        "dynamic": first.dynamic,
        "fps": fps,
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "videos": [
            {"file": path.name, "prompt": one.prompt, "seed": one.seed}
            for path, one in zip(videos, requests, strict=True)
        ],
    }
    (output / "samples.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return videos


def _dtype(name: str) -> torch.dtype:
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise ConfigError(f"--dtype {name}: one of {', '.join(known)} is wanted")
    return known[name]


def _is_newer(pipeline: Pipeline) -> bool:
    return pipeline.transformer.config.patch_frames is not None


def _requests(
    pipeline: Pipeline, prompts: Sequence[str], settings: Settings, image: Path | None
) -> list[Request]:
    """Return what is asked for, of the size asked for or that the model was trained at."""
    from train.sampling import Request, read_image

    config = pipeline.transformer.config
    # The 300 x 300 latents of 1.5 bound its positions; it was trained at 768 x 1360.
    own = (768, 1360) if _is_newer(pipeline) else (8 * config.sample_height, 8 * config.sample_width)
    height, width = settings.height or own[0], settings.width or own[1]
    frames = settings.frames or config.sample_frames
    pipeline.vae.config.latent_shape(frames, height, width)
    dynamic = pipeline.diffusion.sampler == "dpm" if settings.dynamic is None else settings.dynamic
    picture = None if image is None else read_image(image, height, width)
    return [
        Request(
            prompt=prompt,
            frames=frames,
            height=height,
            width=width,
            negative=settings.negative,
            steps=settings.steps,
            guidance=settings.guidance,
            dynamic=dynamic,
            seed=settings.seed + number,
            image_HW3=picture,
            tiled=settings.tiled,
        )
        for number, prompt in enumerate(prompts)
    ]


def _videos(
    pipeline: Pipeline, requests: Sequence[Request], output: Path, fps: float, console: Console
) -> list[Path]:
    from train.diffusion import Step
    from train.sampling import contact_sheet, generate, write_png, write_video

    videos, rows = [], []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        for number, request in enumerate(requests):
            task = progress.add_task(request.prompt[:40], total=request.steps)

            def show(step: Step, task: int = task) -> None:
                progress.update(task, completed=step.done)  # type: ignore[arg-type]  # TaskID is an int

            path = output / f"{number:03d}-{_slug(request.prompt)}.mp4"
            shown = write_video(path, generate(pipeline, request, show), fps)
            videos.append(path)
            rows.append((f"{request.prompt} (seed {request.seed})", shown))
    write_png(output / "sheet.png", contact_sheet(rows))
    return videos


def _slug(prompt: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40] or "video"


def sample(
    checkpoint: Annotated[Path, typer.Argument(help="a model's folder, laid out as diffusers does")],
    prompt: Annotated[list[str], typer.Option(help="what to show; may be given several times")],
    output: Annotated[Path, typer.Option(help="a new folder")],
    image: Annotated[Path | None, typer.Option(help="the first frame, for image-to-video models")] = None,
    lora: Annotated[Path | None, typer.Option(help="folder of a LoRA to use")] = None,
    text_cache: Annotated[Path | None, typer.Option(help="folder that keeps embeddings of texts")] = None,
    negative: Annotated[str, typer.Option(help="text to lead away from")] = "",
    frames: Annotated[int | None, typer.Option(min=1, help="4k+1 [default: the model's]")] = None,
    height: Annotated[int | None, typer.Option(min=16, help="in px, a multiple of 16")] = None,
    width: Annotated[int | None, typer.Option(min=16, help="in px, a multiple of 16")] = None,
    steps: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    guidance: Annotated[float, typer.Option(help="1: none")] = 6.0,
    dynamic: Annotated[
        bool | None,
        typer.Option("--dynamic/--constant", help="guidance by timestep [default: with DPM++]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the first prompt; one more for each after it")] = 0,
    fps: Annotated[float | None, typer.Option(min=1, help="[default: 8; 16 of 1.5]")] = None,
    tiled: Annotated[bool, typer.Option("--tiled", help="decode in tiles: less memory")] = False,
    device: Annotated[str | None, typer.Option(help="[default: cuda where it is]")] = None,
    dtype: Annotated[str | None, typer.Option(help="[default: bfloat16, on a CPU float32]")] = None,
) -> None:
    """Sample videos from a checkpoint: an mp4 a prompt, and sheet.png of all."""
    settings = Settings(
        negative, frames, height, width, steps, guidance, dynamic, seed, fps, tiled, device, dtype
    )
    console = Console(stderr=True)
    more = {"image": image, "lora": lora, "text_cache": text_cache}
    videos = run(checkpoint, prompt, output, settings, **more, console=console)
    shown = Console(highlight=False, soft_wrap=True)
    for path in [*videos, output / "sheet.png"]:
        shown.print(str(path))
