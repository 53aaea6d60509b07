"""CogVideoX's expert transformer, over packs of clips."""

from train.dit.adapters import add_channels, merge_rules
from train.dit.config import PRESETS, TransformerConfig, preset
from train.dit.files import build_transformer, load_transformer, save_transformer
from train.dit.flops import attention_flops, forward_flops, training_flops
from train.dit.initial import initialise
from train.dit.lora import add_lora, load_lora, merge_lora, save_lora
from train.dit.model import Transformer
from train.dit.packs import RELEASED_OFS, Clip, Pack, pack_clips
from train.dit.patches import even_frames, grid_of, patchify, unpatchify
from train.dit.segments import KERNELS, Kernel, Segments

__all__ = [
    "KERNELS",
    "PRESETS",
    "RELEASED_OFS",
    "Clip",
    "Kernel",
    "Pack",
    "Segments",
    "Transformer",
    "TransformerConfig",
    "add_channels",
    "add_lora",
    "attention_flops",
    "build_transformer",
    "even_frames",
    "forward_flops",
    "grid_of",
    "initialise",
    "load_lora",
    "load_transformer",
    "merge_lora",
    "merge_rules",
    "pack_clips",
    "patchify",
    "preset",
    "save_lora",
    "save_transformer",
    "training_flops",
    "unpatchify",
]
