"""CLIP features of clips, and the LAION aesthetic rating made of them."""

from filters.clip.stage import ClipFeatures, ClipOptions

__all__ = ["ClipFeatures", "ClipOptions"]
