"""Shot boundaries from small frames: hard cuts and gradual transitions, with a bounded delay."""

from filters.shots.detector import ShotDetector, ShotOptions

__all__ = ["ShotDetector", "ShotOptions"]
