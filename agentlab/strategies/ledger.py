"""The ledger: what a training cost, in samples, seconds and memory, so that claims of speed can be worked out again."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

COST_OF_TRAINING = 3
"""Forward passes that a sample costs when it is trained on; one that is looked at costs 1."""


class Ledger:
    """Counts the samples that went forward and backward through a network, and the seconds since it was made.

    One that goes on from the state of another adds to what that counted.
    """

    def __init__(self) -> None:
        self.samples_forward = self.samples_backward = 0
        self._began_s, self._seconds_before, self._peak_before = time.monotonic(), 0.0, 0

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

    @property
    def seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._began_s

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that a process of this training has held, whatever else it did."""
        return max(self._peak_before, _peak_memory_bytes())

    def state(self) -> Tensor:
        counts = [self.samples_forward, self.samples_backward, self.seconds, self.peak_memory_bytes]
        return torch.tensor(counts, dtype=torch.float64)

    def restore(self, state: Tensor) -> None:
        self.samples_forward, self.samples_backward, _, self._peak_before = (int(count) for count in state.tolist())
        self._seconds_before = state[2].item()

    def entry(self, seed: int, strategies: Mapping[str, Any]) -> dict[str, Any]:
        """What is written of it, with what the strategies did."""
        return {
            "samples_forward": self.samples_forward,
            "samples_backward": self.samples_backward,
            "cost": self.cost,
            "seconds": round(self.seconds, 3),
            "peak_memory_bytes": self.peak_memory_bytes,
            "seed": seed,
            "strategies": dict(strategies),
        }


def _peak_memory_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
