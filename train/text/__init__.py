"""Text → what the transformer reads of it."""

from train.text.base import TextEncoder
from train.text.cache import CachedText
from train.text.files import load_text_encoder, save_text_encoder
from train.text.t5 import T5Encoder
from train.text.words import WordEncoder

__all__ = ["CachedText", "T5Encoder", "TextEncoder", "WordEncoder", "load_text_encoder", "save_text_encoder"]
