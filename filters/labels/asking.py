"""What a network says of clips whose features and signals lie in arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from filters.labels.clips import Pack

if TYPE_CHECKING:
    from filters.videollama import VideoLlama

__all__ = ["ask"]


def ask(
    network: VideoLlama, clips: Pack, signals_BS: npt.NDArray[np.float32], device: Any
) -> npt.NDArray[np.float64]:
    """Return the log-odds of clips (B, L); float32, so what is said on a CPU and on a GPU agree closely."""
    import torch

    from filters.videollama import Glances

    with torch.inference_mode():
        odds_BL = network(
            torch.from_numpy(clips.tokens_BTKE).to(device),
            torch.from_numpy(clips.present_BT).to(device),
            torch.from_numpy(signals_BS).to(device) if signals_BS.shape[1] else None,
            Glances(
                torch.from_numpy(clips.sights_BV).to(device), torch.from_numpy(clips.maps_BTCHW).to(device)
            ),
        )
    said: npt.NDArray[np.float64] = odds_BL.double().cpu().numpy()
    return said
