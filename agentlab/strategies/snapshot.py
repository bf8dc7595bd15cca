"""Snapshots: all that decides how a training goes on, taken and brought back exactly."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Snapshot:
    """The state of a training and of all random number generators."""

    state: dict[str, Any]
    python: Any
    numpy: Any
    torch: Tensor
    cuda: list[Tensor]


def take_snapshot(training: Stateful) -> Snapshot:
    """A copy that no later step changes."""
    return Snapshot(
        copy.deepcopy(training.state_dict()),
        random.getstate(),
        np.random.get_state(),
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    )


def restore(training: Stateful, snapshot: Snapshot) -> None:
    """Brings the training back to where the snapshot was taken; the snapshot can be used again."""
    training.load_state_dict(copy.deepcopy(snapshot.state))
    random.setstate(snapshot.python)
    np.random.set_state(snapshot.numpy)
    torch.set_rng_state(snapshot.torch)
    if snapshot.cuda:
        torch.cuda.set_rng_state_all(snapshot.cuda)
