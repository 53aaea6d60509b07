"""Footage that is rendered, not filmed: the gold corpus with its truth, and the learning set of shapes."""

from curate.footage.render import Progress, render_gold

__all__ = ["Progress", "render_gold"]
