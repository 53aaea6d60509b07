"""A transformer that knows nothing learns what colour a sentence names, by the commands that a user has.

The short form of `benchmarks/learn_to_draw.py`: smaller and shorter clips, a smaller model, fewer steps.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curate.footage import render_shapes
from shards.reader import ManifestReader
from train.commands.dit import Options
from train.commands.dit import run as train_dit
from train.commands.vae import run as fit_vae
from train.data.decode import decode
from train.data.decoders import decoder
from train.data.encode import video_of
from train.diffusion import Schedule
from train.dit import Clip, build_transformer, pack_clips
from train.loop.assemble import Sources
from train.plan import View
from train.recipe import ManifestSource
from train.recipe_file import load_recipe
from train.sampling import Pipeline, Request, generate, load_pipeline
from train.vae import LinearVae

SIDE_PX, FRAMES, STEPS = 32, 5, 300
CHANGES = (
    "model_changes={heads: 2, layers: 2, text_length: 8, time_dim: 64, positions: sincos, space_scale: 1.0}",
    "stages.0.where=true",
    f"stages.0.steps={STEPS}",
    "stages.0.tokens=768",  # 48 clips of 8 text and 2 x 2 x 2 video tokens
    f"stages.0.short_side={SIDE_PX}",
    "stages.0.max_seconds=0.6",
    f"stages.0.min_frames={FRAMES}",
    "optimizer.learning_rate=4e-3",
    f"saving.every={STEPS}",
    f"saving.validate_every={STEPS}",
    "precision=float32",
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    return render_shapes(folder, 800, seed=1, size_px=SIDE_PX, plain=True, processes=1)


@pytest.fixture(scope="module")
def vae(manifest: Path) -> Path:
    said = fit_vae(
        load_recipe("shapes", CHANGES),
        [ManifestSource(path=str(manifest))],
        manifest.parent / "vae",
        clips=80,
    )
    assert said["fitted_to"] == 80
    assert said["psnr_db"]["least"] > 20  # clips that it was not fitted to
    return manifest.parent / "vae"


@pytest.fixture(scope="module")
def learned(manifest: Path, vae: Path) -> Pipeline:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    sources = Sources(
        manifests=(ManifestSource(path=str(manifest)),),
        vae=vae,
        text="words",
        cache=manifest.parent / "cache",
    )
    try:
        train_dit(
            load_recipe("shapes", CHANGES), sources, Options(output=manifest.parent / "run", device="cpu")
        )
    finally:
        torch.set_num_threads(before)
    return load_pipeline(manifest.parent / "run" / "model")


def losses(pipeline: Pipeline, manifest: Path, model: Any) -> np.ndarray:
    """Return the losses (clips, 2) with a clip's own sentence, and with one of another colour."""
    view = View(start_s=0.0, fps=8.0, frames=FRAMES, height=SIDE_PX, width=SIDE_PX)
    samples = list(islice(ManifestReader(str(manifest), columns=["caption", "color"]), 96))
    schedule, generator = Schedule.of(pipeline.diffusion), torch.Generator().manual_seed(0)
    found = np.zeros((len(samples), 2))
    for number, sample in enumerate(samples):
        frames = decode(sample.media, view, (SIDE_PX, SIDE_PX), decoder("av"))
        x0 = (
            pipeline.vae.encode(video_of(frames, torch.device("cpu"))).mean
            * pipeline.vae.config.scaling_factor
        )
        others = [one.row["caption"] for one in samples if one.row["color"] != sample.row["color"]]
        texts = pipeline.text.encode([sample.row["caption"], others[number % len(others)]])
        noise = torch.randn(x0.shape, generator=generator)
        time = torch.tensor([number * 1000 // len(samples)])
        noisy, wanted = schedule.add_noise(x0, noise, time), schedule.velocity(x0, noise, time)
        pack = pack_clips([Clip(noisy[0], text, float(time)) for text in texts], model.config)
        with torch.no_grad():
            for at, velocity in enumerate(pack.latents(model(pack))):
                found[number, at] = float((velocity - wanted[0]).square().mean())
    return found


def test_a_sentence_tells_it_the_colour(learned: Pipeline, manifest: Path) -> None:
    right, wrong = losses(learned, manifest, learned.transformer).T
    assert right.mean() < 0.99 * wrong.mean()
    gained = wrong - right
    assert gained.mean() > 4 * gained.std() / len(gained) ** 0.5
    nothing, neither = losses(learned, manifest, build_transformer(learned.transformer.config, seed=0)).T
    assert nothing.tolist() == pytest.approx(neither.tolist())
    assert right.mean() < 0.85 * nothing.mean()


def test_what_was_trained_makes_videos(learned: Pipeline) -> None:
    assert isinstance(learned.vae, LinearVae)
    request = Request("A red circle stays still.", FRAMES, SIDE_PX, SIDE_PX, steps=4, guidance=2.0)
    chunks = list(generate(learned, request))
    assert sum(len(chunk) for chunk in chunks) == FRAMES
    assert all(chunk.shape[1:] == (SIDE_PX, SIDE_PX, 3) for chunk in chunks)
