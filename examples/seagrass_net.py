"""A small encoder-decoder of depthwise separable convolutions, for drawn seagrass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 3


def build() -> nn.Module:
    """Build the untrained network; export.py calls it with `--torch seagrass_net:build`."""
    return SeagrassNet()


def _conv(inside: int, outside: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise 1x1 convolution, with a residual connection if the shapes match."""

    def __init__(self, inside: int, outside: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.residual = stride == 1 and inside == outside
        self.body = nn.Sequential(
            nn.Conv2d(inside, inside, 3, stride, dilation, dilation, groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            nn.Conv2d(inside, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, h, w) to (N, outside, h/stride, w/stride)."""
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class SeagrassNet(nn.Module):
    """Return scores per class and pixel, for pictures of any height and width.

    The encoder reduces to a sixteenth, where dilated layers have a receptive field of about 500 pixels;
    the decoder returns to half size, and the scores are interpolated to the input's size.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.down2 = _conv(3, 16, stride=2)
        self.down4 = nn.Sequential(Separable(16, 32, stride=2), Separable(32, 32))
        self.down8 = nn.Sequential(Separable(32, 64, stride=2), Separable(64, 64))
        self.down16 = nn.Sequential(
            Separable(64, 96, stride=2), *(Separable(96, 96, dilation=d) for d in (1, 2, 4, 2, 1))
        )
        self.to_eighth, self.join_eighth = nn.Conv2d(96, 64, 1), Separable(64, 64)
        self.to_quarter, self.join_quarter = nn.Conv2d(64, 32, 1), Separable(32, 32)
        self.to_half, self.join_half = nn.Conv2d(32, 16, 1), _conv(16, 16)
        self.head = nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) float32, normalised to -1..1, to scores (N, classes, H, W)."""
        half = self.down2(x)
        quarter = self.down4(half)
        eighth = self.down8(quarter)
        y = self.down16(eighth)
        y = self.join_eighth(_up(self.to_eighth(y), eighth) + eighth)
        y = self.join_quarter(_up(self.to_quarter(y), quarter) + quarter)
        y = self.join_half(_up(self.to_half(y), half) + half)
        return _up(self.head(y), x)


def _up(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate (N, C, h, w) to the height and width of `like`."""
    out: Tensor = functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
    return out


def parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(torch.numel(p) for p in network.parameters())
