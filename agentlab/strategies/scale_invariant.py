"""Layers whose output does not depend on how large their weights are, only on their direction."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrize

EPS = 1e-12
"""The least norm that is divided by."""


class ScaleInvariantLinear(nn.Module):
    """A linear layer without bias, `y = S * x W^T / max(||W||, eps)`: any factor of W leaves y as it is (CN114078195B).

    Takes `(..., in_features)`, gives `(..., out_features)`. W is all that is learned; S is a constant, saved with it.

    >>> import torch
    >>> from agentlab.strategies import ScaleInvariantLinear
    >>> layer = ScaleInvariantLinear(4, 3, scale=2.0)
    >>> x = torch.ones(5, 4)
    >>> before = layer(x)
    >>> with torch.no_grad():
    ...     _ = layer.weight.mul_(1000)
    >>> torch.allclose(layer(x), before, rtol=1e-5)
    True
    """

    def __init__(self, in_features: int, out_features: int, scale: float | None = None, eps: float = EPS) -> None:
        """`scale`: S; unless given, the norm that W begins with, so that the layer begins as `nn.Linear` does.

        Raises `ValueError` for an S that is not above 0.
        """
        super().__init__()
        self.in_features, self.out_features, self.eps = in_features, out_features, eps
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.register_buffer("scale", torch.tensor(_positive(self.weight.norm().item() if scale is None else scale)))
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.scale * self.weight / self.weight.norm().clamp(min=self.eps))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, scale={float(self.scale):g}"


class OfNorm(nn.Module):
    """A parametrization of any layer's weight: its direction at a constant norm S."""

    def __init__(self, scale: float, eps: float = EPS) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("scale", torch.tensor(_positive(scale)))
        self.scale: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        at_norm: Tensor = self.scale * weight / weight.norm().clamp(min=self.eps)
        return at_norm


def make_scale_invariant(layer: nn.Module) -> None:
    """Lets a layer use its `weight` at the norm it has now, whatever becomes of it; its output stays as it is.

    For layers that lead straight into an activation, of which no normalisation takes the size away. Raises
    `ValueError` for a weight of norm 0.
    """
    weight = layer.get_parameter("weight")
    parametrize.register_parametrization(layer, "weight", OfNorm(weight.norm().item()))


def make_plain(layer: nn.Module) -> None:
    """Undoes `make_scale_invariant`: the weight becomes the one that was used."""
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _positive(scale: float) -> float:
    if not 0 < scale < math.inf:
        raise ValueError(f"scale: expected a finite S above 0, found {scale}")
    return float(scale)
