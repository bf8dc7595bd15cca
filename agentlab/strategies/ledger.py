"""The ledger: what a training cost, in samples, seconds and memory, so that claims of speed can be worked out again."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

COST_OF_TRAINING = 3
"""Forward passes that a sample costs when it is trained on; one that is looked at costs 1."""


class Ledger:
    """Counts the samples that went forward and backward through a network."""

    def __init__(self) -> None:
        self.samples_forward = self.samples_backward = 0

    def trained(self, n_samples: int) -> None:
        """Samples of an update."""
        self.samples_forward += n_samples
        self.samples_backward += n_samples

    def looked(self, n_samples: int) -> None:
        """Samples that were judged or scored only."""
        self.samples_forward += n_samples

    @property
    def cost(self) -> int:
        """In forward passes of one sample."""
        return self.samples_forward + (COST_OF_TRAINING - 1) * self.samples_backward

    def state(self) -> Tensor:
        return torch.tensor([self.samples_forward, self.samples_backward])

    def restore(self, state: Tensor) -> None:
        self.samples_forward, self.samples_backward = state.tolist()

    def entry(self, seconds: float, seed: int, strategies: Mapping[str, Any]) -> dict[str, Any]:
        """What is written of it, with what the strategies did."""
        return {
            "samples_forward": self.samples_forward,
            "samples_backward": self.samples_backward,
            "cost": self.cost,
            "seconds": round(seconds, 3),
            "peak_memory_bytes": peak_memory_bytes(),
            "seed": seed,
            "strategies": dict(strategies),
        }


def peak_memory_bytes() -> int:
    """The most memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
