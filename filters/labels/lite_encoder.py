"""Frame tokens from the encoder that is shipped, and sights of the same pictures.

The network is that of `filters.labels.efficientnet`. A picture's tokens are its grid's cells, from the top
left to the bottom right, and the mean of the widest layer in two halves. A cell holds what three depths of
the network say there: how sharp and rough it is (an eighth of the picture's size), shapes (a sixteenth),
things (a thirty-second). The greatest value of a cell stands beside the mean, because a small sign in a large
cell is lost in a mean.

A clip's pictures pass together, in two thirds of the time that one by one take; clips never do, so that what
is said of one does not depend on its company. Cost: 55 CPU ms a clip of five samples and a close look.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from filters.clip.weights import file_digest
from filters.labels.config import EncoderConfig
from filters.labels.efficientnet import HEAD, STAGES, EfficientNetLite
from filters.labels.encoders import Features
from filters.labels.pictures import close_look, small_picture
from filters.labels.sights import sights
from filters.spread import spread

__all__ = ["MAPS", "LiteEncoder", "lite_digest"]

_WEIGHTS: Final = Path(__file__).parent / "lite0" / "model.safetensors"
_PICTURE_PX: Final = (128, 224)
"""height, width that the encoder sees; the aspect ratio is given up"""
_SIGHTS_PX: Final = (96, 160)
_ROUGH, _SHAPES, _THINGS = 2, 4, 6
"""stages"""
MAPS: Final = (2 * STAGES[_ROUGH].width + STAGES[_SHAPES].width, 8, 14)
"""channels, height, width of a sample's map"""
_TOLD: Final = 2 * STAGES[_ROUGH].width + 2 * STAGES[_SHAPES].width + STAGES[_THINGS].width
_WIDTH: Final = HEAD // 2


def lite_digest() -> str:
    """Return the SHA-256 of the weights."""
    return file_digest(_WEIGHTS)


class LiteEncoder:
    """Holds the network on its device."""

    width = _WIDTH

    def __init__(self, config: EncoderConfig, device: Any) -> None:
        """Load the weights."""
        import torch
        from safetensors.torch import load_file

        self.digest = lite_digest()
        self._grid, self._looks, self._device = config.grid, config.looks, device
        network = EfficientNetLite()
        network.load_state_dict({name: value.float() for name, value in load_file(_WEIGHTS).items()})
        network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        self._network: EfficientNetLite | None = network

    def close(self) -> None:
        """Let go of it."""
        self._network = None

    def encode(self, jpegs: Sequence[bytes]) -> Features:
        """Return a clip's features, close looks first. Raises PictureError for what is no JPEG."""
        import torch

        looks = [close_look(jpeg, _PICTURE_PX) for jpeg in spread(jpegs, self._looks)]
        pictures = [small_picture(jpeg, _PICTURE_PX) for jpeg in jpegs]
        height, width = _SIGHTS_PX
        small = [cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in pictures]
        with torch.inference_mode():
            stages = self._stages(_pixels([*looks, *pictures]).to(self._device))
            tokens_TKE, maps_TCHW = self._tokens(stages), _mapped([one[len(looks) :] for one in stages])
            present = torch.ones(1, len(small), dtype=torch.bool)
            told = sights(_pixels(small)[None], present, _pixels(looks)[None])
        return Features(
            tokens_TKE.half().cpu().numpy(), told[0].numpy(), maps_TCHW.half().contiguous().cpu().numpy()
        )

    def _stages(self, pictures_TCHW: Any) -> Any:
        import torch

        if self._network is None:
            raise RuntimeError("LiteEncoder.encode after close")
        return self._network(pictures_TCHW.to(memory_format=torch.channels_last))

    def _tokens(self, maps: Any) -> Any:
        import torch
        from torch.nn import functional

        parts = []
        for stage in (_ROUGH, _SHAPES, _THINGS):
            parts.append(functional.adaptive_avg_pool2d(maps[stage], self._grid))
            if stage != _THINGS:
                parts.append(functional.adaptive_max_pool2d(maps[stage], self._grid))
        cells_TKE = torch.cat(parts, dim=1).flatten(2).transpose(1, 2)
        whole_T2E = maps[-1].mean((2, 3)).unflatten(1, (2, _WIDTH))
        return torch.cat([functional.pad(cells_TKE, (0, _WIDTH - _TOLD)), whole_T2E], dim=1)


def _mapped(stages: Any) -> Any:
    """Return (T, *MAPS) of what the stages say: the rough one's means and greatest values, and shapes."""
    import torch
    from torch.nn import functional

    rough, size = stages[_ROUGH], MAPS[1:]
    parts = [functional.adaptive_avg_pool2d(rough, size), functional.adaptive_max_pool2d(rough, size)]
    return torch.cat([*parts, stages[_SHAPES]], dim=1)


def _pixels(pictures: Sequence[Any]) -> Any:
    """Return RGB pictures, uint8 (H, W, 3), as float32 (N, 3, H, W), 0 to 255."""
    import torch

    if not pictures:
        return torch.empty(0, 3, *_PICTURE_PX)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
