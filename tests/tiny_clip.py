"""An open_clip encoder of few weights, random but the same every time, saved as a folder that it loads."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.records import Clip, Sample

__all__ = ["MEAN", "clip_of", "jpeg", "make_encoder", "make_head", "picture"]

MEAN = (0.5, 0.4, 0.3)
"""unlike open_clip's own, so that a folder's preprocessing is seen to be used"""


def make_encoder(folder: Path, width: int = 512, seed: int = 0, *, context: int = 8) -> Path:
    """Write config and weights of a ViT of two layers, 224 px, patches of 32, and a text tower of one."""
    import open_clip
    import torch

    config: dict[str, Any] = {
        "embed_dim": width,
        "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "patch_size": 32},
        "text_cfg": {"context_length": context, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    torch.manual_seed(seed)
    model = open_clip.CLIP(**config)
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    whole = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": (0.25, 0.25, 0.25)}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    return folder


def make_head(path: Path, width: int = 512, seed: int = 1) -> Path:
    """Write a linear head as LAION's are saved."""
    import torch

    torch.manual_seed(seed)
    torch.save({"weight": torch.randn(1, width), "bias": torch.tensor([5.0])}, path)
    return path


def picture(seed: int, size: tuple[int, int] = (796, 448)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return smooth noise, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 16, 3), np.uint8))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC))


def jpeg(pixels_HW3: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Return the picture as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels_HW3).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def clip_of(name: str, jpegs: Sequence[bytes]) -> Clip:
    """Return a clip of these samples that has nothing else."""
    samples = tuple(Sample(float(number), data) for number, data in enumerate(jpegs))

    def media() -> bytes:
        raise AssertionError("no media are asked for")

    return Clip({"clip_id": name}, lambda: samples, media)
