"""A model that knows nothing learns to draw moving shapes, by the product's own commands, on a laptop's CPU.

    python benchmarks/learn_to_draw.py OUT [--count 4000] [--set stages.0.steps=…]

footage → linear codec → latents → `curate train dit` on all sentences but a part (the recipe's `where`) →
videos of sentences that it never read → the judge (`shapes_judge.py`), which knows the pixels alone.
`OUT/result.json` has the figures, `OUT/sheet.png` the videos. Ends with 1 where a figure falls short. Run
again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as pads
import torch
from shapes_judge import judge

from shards.condition import matching_ids
from shards.reader import ManifestReader
from train.data.decode import decode
from train.data.decoders import decoder
from train.diffusion import Schedule
from train.dit import Clip, pack_clips
from train.plan import View
from train.recipe_file import load_recipe
from train.sampling import Pipeline, Request, contact_sheet, generate, load_pipeline, write_png

Video = npt.NDArray[np.uint8]

RECIPE: Final = "shapes"
SIDE_PX, FRAMES, FPS = 64, 17, 8
TEST_CLIPS: Final = 400
LOSS_CLIPS: Final = 128
WANTED: Final = {
    "judge_color": 0.98, "judge_direction": 0.98, "judge_color_codec": 0.98, "judge_direction_codec": 0.98,
    "color": 0.95, "direction": 0.9, "loss_below": 0.2,
}  # fmt: skip
MOST_CPU_S: Final = 20 * 60


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip of the test set: its sentence, what it shows, and its pixels."""

    clip_id: str
    caption: str
    color: str
    direction: str
    video_THW3: Video


def curate(*words: str | Path) -> float:
    """Run a command of curate in one thread; return its CPU seconds. Its failure ends this."""
    print("$ curate", *words, flush=True)
    command = [Path(sys.executable).with_name("curate"), *map(str, words)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code := subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode:
        sys.exit(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"  {cpu_s:.0f} CPU s", flush=True)
    return cpu_s


def footage(folder: Path, count: int, seed: int) -> Path:
    """Render plain shapes; return their manifest."""
    manifest = folder / "manifest.parquet"
    if not manifest.exists():
        curate("footage", folder, "--set", "shapes", "--plain", "--count", str(count), "--seed", str(seed))
    return manifest


def read(manifest: Path) -> list[Shown]:
    """Return the clips of a manifest, decoded."""
    view = View(start_s=0.0, fps=FPS, frames=FRAMES, height=SIDE_PX, width=SIDE_PX)
    columns = ["clip_id", "caption", "color", "direction"]
    return [
        Shown(
            *(str(sample.row[name]) for name in columns),
            decode(sample.media, view, (SIDE_PX, SIDE_PX), decoder("av")),
        )
        for sample in ManifestReader(str(manifest), columns=columns)
    ]


def as_tensor(video_THW3: Video) -> torch.Tensor:
    """Return a video (3, T, H, W) in -1 … 1."""
    return torch.from_numpy(video_THW3).permute(3, 0, 1, 2).float() / 127.5 - 1


def as_levels(video_CTHW: torch.Tensor) -> Video:
    """Return the reverse of `as_tensor`."""
    levels = ((video_CTHW / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 3, 0).numpy()


def shares_right(clips: Sequence[Shown], videos: Sequence[Video]) -> tuple[float, float]:
    """Return the shares of videos in which the judge sees the colour, and the way, that the clips have."""
    seen = [judge(video) for video in videos]
    right = [
        (one.color == clip.color, one.direction == clip.direction)
        for one, clip in zip(seen, clips, strict=True)
    ]
    color, direction = np.mean(right, axis=0)
    return float(color), float(direction)


def losses(pipeline: Pipeline, clips: Sequence[Shown]) -> tuple[float, float]:
    """Return the mean loss over clips, each at a timestep of its own, with its sentence and with another's.

    The other has another colour and another way. Noise is the same for both.
    """
    generator = torch.Generator().manual_seed(0)
    schedule, model, config = (
        Schedule.of(pipeline.diffusion),
        pipeline.transformer,
        pipeline.transformer.config,
    )
    errors = [0.0, 0.0]
    for number, clip in enumerate(clips):
        others = [one for one in clips if one.color != clip.color and one.direction != clip.direction]
        wrong = others[int(torch.randint(len(others), (), generator=generator))]
        x0 = pipeline.vae.encode(as_tensor(clip.video_THW3)[None]).mean * pipeline.vae.config.scaling_factor
        noise = torch.randn(x0.shape, generator=generator)
        time = torch.tensor([int(1000 * (number + 0.5) / len(clips))])
        noisy, wanted = schedule.add_noise(x0, noise, time), schedule.velocity(x0, noise, time)
        texts = pipeline.text.encode([clip.caption, wrong.caption])
        with torch.no_grad():
            pack = pack_clips([Clip(noisy[0], text, float(time)) for text in texts], config)
            for at, velocity in enumerate(pack.latents(model(pack))):
                errors[at] += float((velocity - wanted[0]).square().mean()) / len(clips)
    return errors[0], errors[1]


def sampled(pipeline: Pipeline, clips: Sequence[Shown], steps: int, guidance: float) -> list[Video]:
    """Return a video for each clip's sentence."""
    videos = []
    for seed, clip in enumerate(clips):
        request = Request(clip.caption, FRAMES, SIDE_PX, SIDE_PX, steps=steps, guidance=guidance, seed=seed)
        videos.append(np.concatenate(list(generate(pipeline, request))))
    return videos


def prompts(clips: Sequence[Shown], count: int) -> list[Shown]:
    """Return a clip of each sentence, again from the first sentence until there are `count`."""
    first = {clip.caption: clip for clip in reversed(clips)}
    different = [first[caption] for caption in sorted(first)]
    return [different[number % len(different)] for number in range(count)]


def never_read(manifest: Path, where: str) -> list[Shown]:
    """Return the clips that a recipe's condition keeps from training."""
    kept = set(matching_ids(pads.dataset(str(manifest)), f"not ({where})"))
    return [clip for clip in read(manifest) if clip.clip_id in kept]


def main() -> None:
    """Learn, and show what was learned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=4000, help="clips to learn from")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="of sampling")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--set", action="append", default=[], help="changes of the recipe")
    told = parser.parse_args()
    output: Path = told.output
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    learning, test = footage(output / "set", told.count, seed=1), footage(output / "test", TEST_CLIPS, seed=2)
    cpu_s = learn(learning, output, told.set)
    result = measure(load_pipeline(output / "model" / "model"), test, output, told) | {"cpu_s": cpu_s}
    (output / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    short = [name for name, least in WANTED.items() if result[name] < least]
    if cpu_s["train"] > MOST_CPU_S:
        short.append("train: CPU seconds")
    print("falls short: " + ", ".join(short) if short else "all as wanted")
    sys.exit(bool(short))


def learn(learning: Path, output: Path, changes: Sequence[str]) -> dict[str, int]:
    """Fit the codec, fill the cache, train; return the CPU seconds of each, kept in `cpu.json`."""
    kept = output / "cpu.json"
    cpu_s: dict[str, int] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    same = ("--data", learning, "--recipe", RECIPE, *(word for one in changes for word in ("--set", one)))
    vae = ("--vae", output / "vae", "--cache", output / "cache")
    for name, words in {
        "vae": ("vae", *same, "--output", output / "vae"),
        "cache": ("cache", *same, *vae),
        "train": ("dit", *same, *vae, "--output", output / "model", "--resume"),
    }.items():
        if name not in cpu_s:
            cpu_s[name] = round(curate("train", *words))
            kept.write_text(json.dumps(cpu_s) + "\n", encoding="utf-8")
    return cpu_s


def measure(pipeline: Pipeline, test: Path, output: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Return the figures, and write the sheet."""
    clips = never_read(test, load_recipe(RECIPE, told.set).stages[0].where)
    true = [clip.video_THW3 for clip in clips]
    vae = pipeline.vae
    again = [as_levels(vae.decode(vae.encode(as_tensor(video)[None]).mean)[0]) for video in true]
    names = ("judge_color", "judge_direction")
    result: dict[str, Any] = dict(zip(names, shares_right(clips, true), strict=True))
    result |= zip((f"{name}_codec" for name in names), shares_right(clips, again), strict=True)
    asked = prompts(clips, told.prompts)
    videos = sampled(pipeline, asked, told.steps, told.guidance)
    result |= zip(("color", "direction"), shares_right(asked, videos), strict=True)
    right, wrong = losses(pipeline, clips[:LOSS_CLIPS])
    result |= {"loss_right": right, "loss_wrong": wrong, "loss_below": 1 - right / wrong}
    result = {name: round(value, 4) for name, value in result.items()}
    rows = [(clip.caption, list(video[::2])) for clip, video in zip(asked, videos, strict=True)]
    write_png(output / "sheet.png", contact_sheet(rows, height_px=SIDE_PX))
    parameters = sum(value.numel() for value in pipeline.transformer.parameters())
    return result | {
        "test_clips": len(clips),
        "prompts": len(asked),
        "sentences": len({clip.caption for clip in asked}),
        "sampling_steps": told.steps,
        "guidance": told.guidance,
        "parameters": parameters,
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
