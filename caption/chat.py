"""From a request to what models take: a conversation for the chat template, and decoded pictures.

Order: instructions, pictures or video, question, so that the prefix that requests share comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from caption.engine import Picture, Request
from caption.models import Sees

__all__ = ["Frames", "Seen", "UnreadableError", "chat_of", "look_at", "spoken"]

Frames: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) RGB, or (T, H, W, 3) of a video"""


class UnreadableError(ValueError):
    """A picture of a request cannot be decoded, or is not one for this model."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a request is not text."""

    pictures: tuple[Frames, ...] = ()
    video_THWC: Frames | None = None
    fps: float = 1.0
    """frames of the video a second, on average"""

    def video_metadata(self) -> dict[str, Any]:
        """Return what Qwen's and GLM's processors need to know to place the frames in time."""
        frames = 0 if self.video_THWC is None else len(self.video_THWC)
        return {
            "fps": self.fps,
            "duration": frames / self.fps,
            "total_num_frames": frames,
            "frames_indices": list(range(frames)),
            "video_backend": "samples",
            "do_sample_frames": False,
        }


def look_at(request: Request, sees: Sees, image_px: int | None) -> Seen:
    """Decode the pictures of `request`, none larger than `image_px`; a video where asked for and possible.

    A video of one frame is a picture. Raises UnreadableError. Cost: 2 ms a picture of 448x796.
    """
    if not request.pictures:
        return Seen()
    frames = tuple(_decode(picture, image_px) for picture in request.pictures)
    if not (request.video and sees == "video" and len(frames) > 1):
        return Seen(frames)
    if len({frame.shape for frame in frames}) > 1:
        raise UnreadableError("the pictures of a video differ in size")
    times_s = [picture.time_s for picture in request.pictures]
    span_s = times_s[-1] - times_s[0]
    return Seen((), np.stack(frames), (len(frames) - 1) / span_s if span_s > 0 else 1.0)


def _decode(picture: Picture, image_px: int | None) -> Frames:
    data = np.frombuffer(picture.jpeg, np.uint8)
    image_HWC = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    if image_HWC is None:
        raise UnreadableError(f"the picture at {picture.time_s:.2f} s cannot be decoded")
    height, width = image_HWC.shape[:2]
    if image_px is not None and max(height, width) > image_px:
        scale = image_px / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image_HWC = cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA)
    return np.asarray(image_HWC, np.uint8)


def chat_of(request: Request, seen: Seen) -> list[dict[str, Any]]:
    """Return the conversation; its content is a string where there are no pictures."""
    kinds = ["image"] * len(seen.pictures) if seen.video_THWC is None else ["video"]
    question: Any = request.prompt
    system: Any = request.system
    if kinds:
        question = [*({"type": kind} for kind in kinds), {"type": "text", "text": request.prompt}]
        system = [{"type": "text", "text": request.system}]
    turns = [{"role": "system", "content": system}] if request.system else []
    return [*turns, {"role": "user", "content": question}]


def spoken(text: str, answer_after: str | None, ends: Sequence[str] = ("</answer>", "<|end_of_box|>")) -> str:
    """Return the answer proper of a model that thinks aloud; nothing where it did not come to one."""
    if answer_after is None:
        return text
    _, found, answer = text.rpartition(answer_after)
    if not found:
        return ""
    for end in ends:
        answer = answer.partition(end)[0]
    return answer.strip()
