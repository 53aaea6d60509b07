"""Our videos are those of diffusers' pipelines, from the same folder and seed, in every form."""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from small_pipelines import FORMS, LENGTH, pipeline, t5

from shards.errors import ConfigError, InputError
from train.sampling import Request, generate, load_pipeline, save_pipeline

SIZE = {"frames": 9, "height": 32, "width": 48}


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


def request(form: str, **more: object) -> Request:
    image = picture() if "i2v" in form else None
    return Request("a red ball", **{**SIZE, "steps": 4, "seed": 5, "image_HW3": image, **more})  # type: ignore[arg-type]


def made(form: str, asked: Request) -> np.ndarray:
    return np.concatenate(list(generate(pipeline(form, t5()), asked)))


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_video_is_that_of_diffusers_pipeline(tmp_path: Path, form: str, changing: bool) -> None:
    ours = pipeline(form, t5())
    save_pipeline(ours, tmp_path / "model")
    kind = diffusers.CogVideoXImageToVideoPipeline if "i2v" in form else diffusers.CogVideoXPipeline
    theirs = kind.from_pretrained(tmp_path / "model")
    theirs.set_progress_bar_config(disable=True)
    asked = request(form, negative="blurred", dynamic=changing)
    image = {"image": Image.fromarray(picture())} if "i2v" in form else {}
    expected = theirs(
        prompt=asked.prompt, negative_prompt=asked.negative, num_frames=9, height=32, width=48,
        num_inference_steps=4, guidance_scale=asked.guidance, use_dynamic_cfg=changing,
        generator=torch.Generator().manual_seed(5), max_sequence_length=LENGTH, output_type="np", **image,
    ).frames[0]  # fmt: skip
    found = np.concatenate(list(generate(ours, asked)))
    assert found.shape == (9, 32, 48, 3)
    assert found.std() > 5
    # Rounding to levels, and what last bits come to on random weights.
    assert np.abs(found - expected * 255).max() < 0.6
    loaded = np.concatenate(list(generate(load_pipeline(tmp_path / "model"), asked)))
    assert (loaded == found).all()


@pytest.mark.parametrize(
    "more", [{"prompt": "a blue ball"}, {"seed": 6}, {"negative": "dark"}, {"guidance": 2.0}]
)
def test_what_is_asked_for_matters(more: dict[str, object]) -> None:
    plain = {"prompt": "a red ball", "steps": 3, **SIZE}
    one, two = (made("cogvideox-5b", Request(**{**plain, **change})) for change in ({}, more))  # type: ignore[arg-type]
    again = made("cogvideox-5b", Request(**plain))  # type: ignore[arg-type]
    assert (one == again).all()
    assert (one != two).any()


def test_steps_are_told() -> None:
    seen: list[int] = []
    asked = request("cogvideox-2b", steps=3)
    list(generate(pipeline("cogvideox-2b"), asked, lambda step: seen.append(step.done)))
    assert seen == [1, 2, 3]


def test_tiles_give_the_whole_picture() -> None:
    asked = Request("a ball", frames=9, height=64, width=96, steps=2, tiled=True)
    (tiled, whole) = (
        np.concatenate(list(generate(pipeline("cogvideox-5b"), one)))
        for one in (asked, Request("a ball", frames=9, height=64, width=96, steps=2))
    )
    assert tiled.shape == whole.shape == (9, 64, 96, 3)
    assert (tiled != whole).any()


@pytest.mark.parametrize(
    ("form", "more", "words"),
    [
        ("cogvideox-5b", {"image_HW3": picture()}, "takes no image"),
        ("cogvideox-5b-i2v", {"image_HW3": None}, "needs an image"),
        ("cogvideox-5b-i2v", {"image_HW3": picture()[:16]}, r"\(16, 48, 3\)"),
        ("cogvideox-5b", {"frames": 10}, "4k\\+1"),
        ("cogvideox-5b", {"width": 50}, "multiples of 8"),
        ("cogvideox-5b", {"width": 56}, "multiples of 16"),
        ("cogvideox-5b", {"steps": 0}, "0 steps"),
    ],
)
def test_what_does_not_fit_is_refused(form: str, more: dict[str, object], words: str) -> None:
    with pytest.raises((ConfigError, InputError), match=words) as caught:
        list(generate(pipeline(form), request(form, **more)))
    assert "\n" not in str(caught.value)
