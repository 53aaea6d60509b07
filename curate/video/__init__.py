"""Decode, shrink, cut: everything that touches a video stream."""

from curate.video.reader import CutClip, Frame, VideoReader, open_video
from curate.video.source import SourceInfo

__all__ = ["CutClip", "Frame", "SourceInfo", "VideoReader", "open_video"]
