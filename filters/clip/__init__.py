"""CLIP features of clips, the LAION aesthetic rating made of them, and how well captions fit them."""

from filters.clip.stage import ClipFeatures, ClipOptions
from filters.clip.text import TextAligner, TextOptions

__all__ = ["ClipFeatures", "ClipOptions", "TextAligner", "TextOptions"]
