"""Captioning: engines, prompts and the caption pass."""
