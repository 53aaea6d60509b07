"""From planned packs to tensors: reading, decoding, encoding, and the caches of latents and texts."""

from train.data.batches import Batches, LoadedClip, LoadedPack
from train.data.clips import ClipRow, Clips
from train.data.decode import decode
from train.data.decoders import DECODERS
from train.data.encode import LatentEncoder, vae_digest
from train.data.first_frames import FirstFrames
from train.data.latents import LatentCache, Space, entry_key
from train.data.loader import Loader, LoadingStats, caption_of

__all__ = [
    "DECODERS",
    "Batches",
    "ClipRow",
    "Clips",
    "FirstFrames",
    "LatentCache",
    "LatentEncoder",
    "LoadedClip",
    "LoadedPack",
    "Loader",
    "LoadingStats",
    "Space",
    "caption_of",
    "decode",
    "entry_key",
    "vae_digest",
]
