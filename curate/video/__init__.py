"""Decode, shrink, cut: everything that touches a video stream."""
