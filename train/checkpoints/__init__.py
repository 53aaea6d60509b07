"""Models in diffusers' folders, in and out: any module of torch, every key accounted for."""

from train.checkpoints.folder import STEM, WeightFiles, read_config
from train.checkpoints.keys import Joined
from train.checkpoints.load import load_weights
from train.checkpoints.memory import free_bytes, require_memory, tensor_bytes
from train.checkpoints.save import MAX_SHARD_BYTES, save_folder

__all__ = [
    "MAX_SHARD_BYTES",
    "STEM",
    "Joined",
    "WeightFiles",
    "free_bytes",
    "load_weights",
    "read_config",
    "require_memory",
    "save_folder",
    "tensor_bytes",
]
