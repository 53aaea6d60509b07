"""Videos of the recipe's prompts while a model trains, and a contact sheet: `OUTPUT/samples/step-00000500/`.

The first rank makes them, by averaged parameters where there is an average, on a copy of the model; the
others wait. The seed of a prompt is the same at each step, so pictures of two steps may be compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from shards.errors import ConfigError
from train.diffusion import DiffusionConfig
from train.dit import TransformerConfig
from train.loop.weights import model_of_weights
from train.recipe import Recipe, Stage
from train.sampling import Pipeline, Request, contact_sheet, generate, read_image, write_png, write_video
from train.text import TextEncoder
from train.vae import AnyVae

__all__ = ["Sampler", "request_of"]

_STEPS: Final = 25
_FPS: Final = 8.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """What makes videos, but for the transformer."""

    vae: AnyVae
    text: TextEncoder
    diffusion: DiffusionConfig

    def write(
        self,
        folder: Path,
        config: TransformerConfig,
        weights: dict[str, Tensor],
        recipe: Recipe,
        stage: Stage,
        device: torch.device,
        on_step: Callable[[], None],
    ) -> list[Path]:
        """Write a video a prompt and `sheet.png`; nothing, with a word in the log, where av is missing."""
        dtype = torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32
        model = model_of_weights(config, weights, recipe.lora_rank, device=device, dtype=dtype)
        pipeline = Pipeline(model, self.vae, self.diffusion, self.text)
        folder.mkdir(parents=True, exist_ok=True)
        videos, rows = [], []
        images = recipe.saving.images or (None,) * len(recipe.saving.prompts)
        for number, (prompt, image) in enumerate(zip(recipe.saving.prompts, images, strict=True)):
            path = folder / f"{number:03d}.mp4"
            request = request_of(prompt, number, config, stage)
            if image is not None:
                shown = read_image(Path(image), request.height, request.width)
                request = replace(request, image_HW3=shown)
            frames = generate(pipeline, request, lambda _: on_step())
            try:
                rows.append((prompt, write_video(path, frames, _FPS)))
            except ConfigError as error:
                _LOG.warning("no samples: %s", error)
                return []
            videos.append(path)
        write_png(folder / "sheet.png", contact_sheet(rows))
        return videos


def request_of(prompt: str, number: int, config: TransformerConfig, stage: Stage) -> Request:
    """Return what is asked for: the stage's short side in the model's aspect, at most its seconds long."""
    aspect = max(config.sample_width / config.sample_height, 1.0)
    most = min(config.sample_frames, int(stage.max_seconds * _FPS) + 1)
    return Request(
        prompt=prompt,
        frames=max((most - 1) // 4 * 4, 0) + 1,
        height=stage.short_side,
        width=round(stage.short_side * aspect / 16) * 16,
        steps=_STEPS,
        seed=number,
    )
