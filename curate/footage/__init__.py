"""Footage that is rendered, not filmed: the gold corpus with its truth, and the learning set of shapes."""

from curate.footage.render import render_gold
from curate.footage.shapes import render_shapes

__all__ = ["render_gold", "render_shapes"]
