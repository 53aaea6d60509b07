"""A captioner that is to learn the plain shapes: Qwen2.5-VL of 0.8 million parameters, untrained.

The vision tower is real, and so is the processor; the tokenizer knows the words of the captions. Patches are
of 7 px: of 14, a shape is three of them across and is hardly told from another after as many steps. The
rotary base is small, since positions are: with 1e6 the slow pairs, which tell left from right, hardly turn
over the six columns of a picture of 84 px.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_models import Size, make_vlm
from transformers import AutoProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from curate.footage.drawing import COLORS, SHAPES
from curate.footage.plain_shapes import WAYS

__all__ = ["SIZE", "make_shape_model"]

SIZE = Size(128, 3, 4, 2, 256, 640, 64, 3, context=1024)
_PATCH_PX = 7
_ROTARY_BASE = 10.0
_SPREAD = 0.08


def make_shape_model(directory: Path, seed: int = 0) -> Path:
    """Save the untrained captioner to `directory`, and return it."""
    text = [
        f"What moves? {article} {color} {shape} {told}. system user assistant"
        for article in ("A", "An")
        for color in COLORS
        for shape in SHAPES
        for _, _, told in WAYS.values()
    ]
    make_vlm(directory, SIZE, text=text)
    config = Qwen2_5_VLConfig.from_pretrained(directory)
    config.text_config.rope_parameters["rope_theta"] = _ROTARY_BASE
    config.text_config.initializer_range = config.vision_config.initializer_range = _SPREAD
    config.vision_config.patch_size = _PATCH_PX
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    # The answer ends at <|im_end|>, as make_vlm has it.
    model.generation_config = model.generation_config.from_pretrained(directory)
    model.save_pretrained(directory)
    processor = AutoProcessor.from_pretrained(directory)
    for part in (processor.image_processor, processor.video_processor):
        part.patch_size = _PATCH_PX
    processor.save_pretrained(directory)
    return directory
