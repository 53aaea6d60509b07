"""EfficientNet-Lite0: the image encoder that is shipped for `nano`, frozen.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (ICML 2019), in the
form for small machines (no squeeze and excitation, ReLU6), trained on ImageNet; filters/labels/lite0 says
where the weights come from. Batch normalization is folded into the convolutions, which all have a bias then.
Pads as TensorFlow does ("same"): where a step of two does not fit, the odd pixel is added below and right.

3.4 million parameters, 0.39 thousand million multiplications a picture of 224 x 224. Shape letters: N
pictures, C channels, H, W size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["HEAD", "STAGES", "EfficientNetLite", "Stage", "folded"]


class Stage(NamedTuple):
    """Blocks of one width."""

    kernel: int
    stride: int
    """of the first block"""
    expansion: int
    width: int
    blocks: int


STEM: Final = 32
STAGES: Final[Sequence[Stage]] = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
HEAD: Final = 1280


class _Block(nn.Module):
    """An inverted residual (Sandler et al., "MobileNetV2", 2018): widen, filter each channel, narrow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.widen = nn.Conv2d(inputs, inner, 1) if expansion > 1 else None
        self.filter = nn.Conv2d(inner, inner, kernel, stride, groups=inner)
        self.narrow = nn.Conv2d(inner, outputs, 1)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x_NCHW: Tensor) -> Tensor:
        inner = x_NCHW if self.widen is None else functional.relu6(self.widen(x_NCHW), inplace=True)
        inner = functional.relu6(_same(self.filter, inner), inplace=True)
        out: Tensor = self.narrow(inner)
        return out + x_NCHW if self._adds else out


class EfficientNetLite(nn.Module):
    """Pictures → maps of features after each stage, and after the widest layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, 2)
        inputs, stages = STEM, []
        for stage in STAGES:
            blocks = []
            for number in range(stage.blocks):
                stride = 1 if number else stage.stride
                blocks.append(_Block(inputs, stage.width, stage.kernel, stride, stage.expansion))
                inputs = stage.width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = nn.Conv2d(inputs, HEAD, 1)

    def forward(self, pictures_NCHW: Tensor) -> list[Tensor]:
        """Return eight maps, the head's last, of RGB pictures from 0 to 255; halved 1, 2, 3, 4, 4,
        5, 5, 5 times.
        """
        x_NCHW = functional.relu6(_same(self.stem, (pictures_NCHW - 127) / 128), inplace=True)
        maps = []
        for stage in self.stages:
            x_NCHW = stage(x_NCHW)
            maps.append(x_NCHW)
        return [*maps, functional.relu6(self.head(x_NCHW), inplace=True)]


def _same(convolution: nn.Conv2d, x_NCHW: Tensor) -> Tensor:
    """Return the convolution of a padded picture, as large as it was, or half as large rounded up.

    A convolution pads both sides alike without a copy. Where one pixel less is wanted above or on the left,
    the kernel gets a row or column of zeros there, which costs less than to pad the picture.
    """
    weight, both, missing = convolution.weight, [], []
    for size, kernel, stride in zip(
        x_NCHW.shape[2:], convolution.kernel_size, convolution.stride, strict=True
    ):
        wanted = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        both.append(wanted - wanted // 2)
        missing.append(wanted % 2)
    if any(missing):
        weight = functional.pad(weight, (missing[1], 0, missing[0], 0))
    return functional.conv2d(
        x_NCHW, weight, convolution.bias, convolution.stride, both, 1, convolution.groups
    )


def folded(network: Any) -> dict[str, Tensor]:
    """Return the state of an `EfficientNetLite` that does what timm's `tf_efficientnet_lite0` does in use."""
    named: dict[str, tuple[Any, Any]] = {
        "stem": (network.conv_stem, network.bn1),
        "head": (network.conv_head, network.bn2),
    }
    for number, stage in enumerate(network.blocks):
        for place, block in enumerate(stage):
            layers = (
                {"filter": (block.conv_dw, block.bn1), "narrow": (block.conv_pw, block.bn2)}
                if number == 0
                else {
                    "widen": (block.conv_pw, block.bn1),
                    "filter": (block.conv_dw, block.bn2),
                    "narrow": (block.conv_pwl, block.bn3),
                }
            )
            named |= {f"stages.{number}.{place}.{name}": pair for name, pair in layers.items()}
    state: dict[str, Tensor] = {}
    for name, (convolution, norm) in named.items():
        weight, bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
        state |= {f"{name}.weight": weight.detach(), f"{name}.bias": bias.detach()}
    return state
