"""Six negative labels: what they are, the classifiers that give them, their training and evaluation."""

from filters.labels.questions import LABELS, QUESTIONS

__all__ = ["LABELS", "QUESTIONS"]
