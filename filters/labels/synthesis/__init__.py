"""Synthetic labels: films rendered, or made of clean footage, whose six answers are known."""

from filters.labels.synthesis.render import render_labels

__all__ = ["render_labels"]
