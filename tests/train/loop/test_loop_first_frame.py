"""Image-to-video: what is shown of the first frame, that it is used, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from loop_parts import CONFIG, Numbers, change, deal, one_thread, recipe

from shards.errors import ConfigError
from train.data import LoadedClip, LoadedPack
from train.data.first_frames import noisy_pixels
from train.diffusion import PRESETS, Schedule
from train.dit import TransformerConfig, build_transformer, unpatchify
from train.loop import Data, HeldOut, Settings, joined, train
from train.loop.packs import PackMaker
from train.loop.validation import validate
from train.plan import PlannedStep, transformer_config
from train.recipe import FirstFrame
from train.recipe_file import recipe_from

I2V = dataclasses.replace(CONFIG, extra_channels=4)
SCHEDULE = Schedule.of(PRESETS["tiny"])


class Stills:
    """Clips that are one random picture all along, with it as the image; or with another clip's."""

    def __init__(self, *, right: bool = True) -> None:
        self.right = right

    def load(self, step: PlannedStep, packs: Sequence[int]) -> list[LoadedPack]:
        return [LoadedPack(step.packs[at], tuple(self._clips(step, at))) for at in packs]

    def _clips(self, step: PlannedStep, at: int) -> Iterator[LoadedClip]:
        for clip in step.packs[at].clips:
            view = clip.view
            shape = (4, 1, view.height // 8, view.width // 8)
            picture, other = (
                torch.randn(shape, generator=torch.Generator().manual_seed(row))
                for row in (clip.row, clip.row + 1000)
            )
            video = picture.expand(-1, (view.frames - 1) // 4 + 1, -1, -1).contiguous()
            text = torch.zeros(CONFIG.text_length, CONFIG.text_dim)
            yield LoadedClip(f"clip-{clip.row}", video, None, text, (picture if self.right else other, None))

    def close(self) -> None:
        pass


def test_it_learns_to_use_the_image(tmp_path: Path) -> None:
    given = recipe(
        steps=150,
        model_changes={"extra_channels": 4},
        first_frame=FirstFrame(dropout=0.1),
        optimizer={"learning_rate": 1e-2, "ema": None},
        saving={"every": 1000},
    )
    data = Data(planner=Numbers(4), batches=Stills(), deal=deal, digest="0", held_out=None)
    steps = (Numbers(8, seed=9).step(0),)
    with one_thread(), joined("cpu") as world:
        model = build_transformer(I2V, seed=0)
        train(model, given, data, Settings(output=tmp_path, hang_s=0), world)
        maker = PackMaker(I2V, SCHEDULE, 0, fixed=False)
        right, wrong = (
            validate(model, None, HeldOut((steps,), Stills(right=one)), 0, deal, maker, given, world)["loss"]
            for one in (True, False)
        )
    assert right < 0.8 * wrong


@pytest.mark.parametrize("patch_frames", [None, 2])
def test_the_image_stands_first_and_is_dropped_as_often_as_asked(patch_frames: int | None) -> None:
    config = dataclasses.replace(I2V, patch_frames=patch_frames, ofs_dim=None if patch_frames is None else 16)
    maker = PackMaker(config, SCHEDULE, 0, fixed=False, image_dropout=0.25)
    numbers, clips, shown = Numbers(), 0, 0
    for number in range(40):
        step = numbers.step(number)
        loaded = Stills().load(step, range(4))
        for pack, ready in zip(loaded, maker.make(step, range(4), loaded, 96, 4), strict=True):
            assert (ready.pack.ofs_N is None) == (patch_frames is None)
            for clip, (start, end), grid in zip(
                pack.clips, ready.pack.patch_spans, ready.pack.grids, strict=True
            ):
                assert clip is not None
                assert clip.image is not None
                extra = read_beside(ready.pack.patches_VP[start:end], grid, config)
                assert not extra[:, 1:].any()
                clips += 1
                if extra.any():
                    shown += 1
                    assert torch.equal(extra[:, :1], clip.image[0])
    assert abs(shown / clips - 0.75) < 4 * (0.75 * 0.25 / clips) ** 0.5
    # Held-out clips always have it.
    (pack,) = Stills().load(step, [0])
    (ready,) = PackMaker(config, SCHEDULE, 0, fixed=False, image_dropout=1.0).make(
        dataclasses.replace(step, number=-1), [0], [pack], 96, 1
    )
    assert all(
        read_beside(ready.pack.patches_VP[start:end], grid, config).any()
        for (start, end), grid in zip(ready.pack.patch_spans, ready.pack.grids, strict=True)
    )


def read_beside(
    patches_VP: torch.Tensor, grid: tuple[int, int, int], config: TransformerConfig
) -> torch.Tensor:
    """Return the channels that are read beside the latents."""
    return unpatchify(patches_VP, grid, dataclasses.replace(config, extra_channels=0))[4:]


def test_noise_is_the_views_and_as_strong_as_asked() -> None:
    gray = np.full((64, 64, 3), 128, np.uint8)
    given = FirstFrame(noise_mean=-3.0, noise_deviation=0.5)
    level = 128 / 127.5 - 1
    drawn = [noisy_pixels(gray, str(key), given) - level for key in range(200)]
    logs = torch.stack([one.std().log() for one in drawn])
    assert abs(float(logs.mean()) + 3.0) < 0.15
    assert abs(float(logs.std()) - 0.5) < 0.1
    assert torch.equal(drawn[7], noisy_pixels(gray, "7", given) - level)
    still = noisy_pixels(gray, "7", FirstFrame(noise_mean=-50.0, noise_deviation=0.0))
    assert torch.allclose(still, torch.full_like(still, level), atol=1e-6)


def test_what_does_not_go_together_is_refused() -> None:
    plain = recipe()
    shown = FirstFrame()
    extra = {"extra_channels": 16}
    for changes, words in (
        ({"model_changes": extra}, "reads a first frame: say how"),
        ({"first_frame": shown}, "first_frame: model tiny reads none"),
        ({"model_changes": {"extra_channels": 3}, "first_frame": shown}, "reads 19 channels and predicts 16"),
    ):
        with pytest.raises(ConfigError, match=words):
            transformer_config(change(plain, **changes))
    body = dataclasses.asdict(change(plain, model_changes=extra, first_frame=shown))
    for part, words in (
        ({"saving": {"prompts": ["a", "b"], "images": ["a.png"]}}, "saving.images: 1 for 2 prompts"),
        ({"first_frame": {"dropout": 1.5}}, "first_frame.dropout: 1.5 is no share"),
        ({"first_frame": {"noise_deviation": -1}}, "first_frame.noise_deviation: -1.0 is below 0"),
        ({"lora_rank": 4}, "lora_rank: the projection of the first frame would never learn"),
        ({"first_frame": None, "saving": {"images": ["a.png"]}}, "saving.images: there is no `first_frame`"),
    ):
        with pytest.raises(ConfigError, match=words):
            recipe_from({**body, **part})
