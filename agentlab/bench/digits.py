"""A public image set that comes with scikit-learn, and a small network that is fitted on it: 1,797 digits, 8 x 8."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from agentlab.strategies import ScaleInvariantLinear

N_PIXELS, N_CLASSES = 64, 10

MakeOptimizer: TypeAlias = Callable[[nn.Module, float], torch.optim.Optimizer]
"""The optimiser of a model at a learning rate."""


@dataclass(frozen=True)
class Digits:
    """Images as rows from -1 to 1 and their classes, split into those to train on, to choose by and to test on."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def load(seed: int) -> Digits:
    """The digits, split by a seed: 60%, 20%, 20%."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    x, y = torch.from_numpy(images[order] / 8 - 1).float(), torch.from_numpy(classes[order])
    ends = [int(0.6 * len(x)), int(0.8 * len(x))]
    parts = [(x[part], y[part]) for part in np.split(np.arange(len(x)), ends)]
    return Digits(*parts)


def network(width: int, depth: int = 2, dropout: float = 0.0) -> nn.Sequential:
    """Hidden layers without bias, each with a normalisation, GELU and dropout; a linear layer for the classes."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([N_PIXELS, *[width] * depth]):
        layers += [nn.Linear(n_in, n_out, bias=False), nn.LayerNorm(n_out), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, N_CLASSES))


def plain_network(width: int, depth: int) -> nn.Sequential:
    """Layers and GELU, nothing else, begun as He et al. do (arXiv 1502.01852)."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([N_PIXELS, *[width] * depth, N_CLASSES]):
        layer = nn.Linear(n_in, n_out)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.GELU()]
    return nn.Sequential(*layers[:-1])


def scale_invariant_network(width: int, depth: int) -> nn.Sequential:
    """The plain network of layers of which only the directions of weights matter; it begins as that one does."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([N_PIXELS, *[width] * depth, N_CLASSES]):
        layers += [ScaleInvariantLinear(n_in, n_out, scale=math.sqrt(2 * n_out)), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def accuracies(
    digits: Digits,
    make_network: Callable[[], nn.Module],
    make_optimizer: MakeOptimizer,
    rate: float,
    *,
    epochs: float,
    seed: int,
    batch_size: int = 64,
) -> tuple[float, float]:
    """The shares of validation and test images read rightly after a training with a decaying rate, in per cent."""
    torch.manual_seed(seed)
    model = make_network()
    optimizer = make_optimizer(model, rate)
    x, y = digits.train
    n_steps = max(1, int(epochs * len(x) / batch_size))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    order = torch.cat([torch.randperm(len(x)) for _ in range(int(epochs) + 1)])
    for rows in torch.split(order[: n_steps * batch_size], batch_size):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval()
    return _accuracy(model, *digits.validation), _accuracy(model, *digits.test)


@torch.no_grad()
def _accuracy(model: Any, x: Tensor, y: Tensor) -> float:
    return 100 * float((model(x).argmax(dim=1) == y).float().mean())
