"""What the outputs of a value network mean: one number, or a histogram of it, and how far either is from a number."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

N_BINS = 81
FINE = 0.1
"""Numbers of units below which bins are about equally wide; wider above, in proportion to the numbers."""
REACH = 7.6
"""Where the outermost bins end, in `symlog` of fine units: numbers of 200 units, twice what one in every step comes to
with a discount of 0.99."""
SPREAD = 0.75
"""How widely a number is spread over bins, in widths of a bin."""
ITERATIONS = 500
"""After so many the values of the bins no longer change."""


class Scalar(nn.Module):
    """One output is the number; how far it is off is smooth L1."""

    n_outputs = 1

    def number(self, outputs: Tensor) -> Tensor:
        """The numbers `(...)` of outputs `(..., 1)`."""
        return outputs[..., 0]

    def out_of_reach(self, numbers: Tensor) -> Tensor:
        """Which numbers are too large for it: none."""
        return torch.zeros_like(numbers, dtype=torch.bool)

    def losses(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """How far outputs `(n, 1)` are from the numbers `wanted` `(n,)`."""
        return F.smooth_l1_loss(outputs[:, 0], wanted, reduction="none")


class Histogram(nn.Module):
    """The outputs are a histogram whose mean is the number; how far it is off is the cross-entropy (HL-Gauss).

    A number is spread over the bins around it by a Gaussian (arXiv 2403.03950). Bins are equally wide in
    `symlog(x / FINE)`, `symlog(x) = sign(x) ln(1 + |x|)` (arXiv 2301.04104), so that what a step's delay of a reward
    costs is told apart, and large numbers are in reach. They count as the values for which the mean of a number's own
    histogram is that number. Outputs are added to the logarithm of a Gaussian around 0, where learning begins.
    """

    n_outputs = N_BINS

    def __init__(self) -> None:
        super().__init__()
        edges = torch.linspace(-REACH, REACH, N_BINS + 1, dtype=torch.float64)
        centres = (edges[1:] + edges[:-1]) / 2
        self.register_buffer("edges", edges.float())
        self.register_buffer("prior", -(centres**2).float() / 2)
        self.register_buffer("values", _values(edges).float())
        self.edges: Tensor
        self.prior: Tensor
        self.values: Tensor

    def number(self, outputs: Tensor) -> Tensor:
        """The numbers `(...)` of outputs `(..., N_BINS)`."""
        return (outputs + self.prior).softmax(dim=-1) @ self.values

    def out_of_reach(self, numbers: Tensor) -> Tensor:
        """Which numbers are too large to be told from larger ones."""
        return numbers.abs() > self.values[-1]

    def losses(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """How far outputs `(n, N_BINS)` are from the numbers `wanted` `(n,)`."""
        return F.cross_entropy(outputs + self.prior, self.spread(wanted), reduction="none")

    def spread(self, numbers: Tensor) -> Tensor:
        """The histograms `(n, N_BINS)` of numbers `(n,)`; those out of reach have that of the farthest in reach."""
        return _spread(numbers, self.edges)


def _spread(numbers: Tensor, edges: Tensor) -> Tensor:
    places = (numbers.sign() * (numbers.abs() / FINE).log1p()).clamp(edges[0], edges[-1])
    below = torch.special.ndtr((edges - places[:, None]) / (SPREAD * (edges[1] - edges[0])))
    histograms: Tensor = below.diff(dim=1) / (below[:, -1:] - below[:, :1])
    return histograms


def _values(edges: Tensor) -> Tensor:
    """What the bins count as so that the number at the middle of each has a histogram of that mean.

    Solved by simple iteration (Richardson's), whose sums are the same to the bit in every call; LAPACK's are not.
    """
    centres = (edges[1:] + edges[:-1]) / 2
    numbers = FINE * centres.sign() * centres.abs().expm1()
    histograms, values = _spread(numbers, edges), numbers.clone()
    for _ in range(ITERATIONS):
        values += numbers - (histograms * values).sum(dim=1)
    return values
