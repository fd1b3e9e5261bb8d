"""A small network of depthwise separable convolutions that says how likely a picture shows a fire."""

from __future__ import annotations

from torch import Tensor, nn

SIZE = (80, 60)
"""(width, height) of its pictures."""


def build() -> nn.Module:
    """Build the untrained network; export.py calls it with `--torch fire_net:build`."""
    return FireNet()


class FireNet(nn.Module):
    """Return one logit per picture, of the class fire."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(_block(16, 32), _block(32, 64), _block(64, 112))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.last = nn.Linear(112, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, h, w) in 0..1 to (N, 1)."""
        found: Tensor = self.last(self.pool(self.blocks(self.first(x))).flatten(1))
        return found


def _block(inside: int, outside: int) -> nn.Sequential:
    """Halve the size: depthwise 3x3, then pointwise 1x1."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, 2, 1, groups=inside, bias=False), nn.BatchNorm2d(inside),
        nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(),
        nn.Conv2d(outside, outside, 3, 1, 1, groups=outside, bias=False), nn.BatchNorm2d(outside),
        nn.Conv2d(outside, outside, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(),
    )  # fmt: skip
