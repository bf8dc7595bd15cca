"""What an interrupted training keeps, so that it goes on from there, with new episodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agentlab import weights
from agentlab.artefact import claim
from agentlab.errors import InputError
from agentlab.head.dqn import RewardDifferenceDQN

KEPT = "head.safetensors"
COUNTERS = "counters"
"""The note, beside the tensors in the one file, that says how far the training was."""


@dataclass(frozen=True)
class Reached:
    """How far a training was, beside what its model knows."""

    eye: str = ""
    """The fingerprint of the extractor that the memory was seen through."""
    refreshes: int = 0
    """How often the eye had been refreshed."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """What its time was spent on."""
    overlooked: Sequence[int] | None = None
    """The percepts that the head leaves out; a refreshed eye may read other labels well."""


def keep(model: BaseAlgorithm, folder: Path | None, reached: Reached) -> None:
    """Keeps weights, optimiser, counters and replay memory in `folder`, if there is one."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        **weights.prefixed("policy", model.policy.state_dict()),
        **weights.prefixed("optimizer", weights.optimizer_state(model.policy.optimizer)),
    }
    counters: dict[str, Any] = {"num_timesteps": model.num_timesteps, "n_updates": model._n_updates}
    counters |= asdict(reached)
    if isinstance(model, RewardDifferenceDQN):
        model.replay_buffer.cut()
        tensors |= weights.prefixed("memory", model.replay_buffer.state())
        counters["exploration"] = model.exploration.generator.bit_generator.state
        counters["exploration_rate"] = model.exploration_rate
    weights.save(folder / KEPT, tensors, {COUNTERS: json.dumps(counters)})


def reached(folder: Path | None) -> Reached:
    """How far the training kept in `folder` was, if one is; `InputError` for what is garbled."""
    if folder is None or not (folder / KEPT).exists():
        return Reached()
    counters = _counters(folder / KEPT)
    try:
        seconds = {str(part): float(spent) for part, spent in counters["seconds"].items()}
        overlooked = [int(percept) for percept in counters["overlooked"]]
        return Reached(str(counters["eye"]), int(counters["refreshes"]), seconds, overlooked)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / KEPT}: expected an interrupted training, found {error!r}") from error


def restore(model: BaseAlgorithm, folder: Path | None, identity: Mapping[str, Any]) -> None:
    """Brings back into `model` what `folder` keeps, if anything.

    Raises `InputError` for what is garbled, and for a training whose `identity` was another.
    """
    if folder is None:
        return
    claim(folder, identity)
    path = folder / KEPT
    if not path.exists():
        return
    tensors, counters = weights.load(path), _counters(path)
    weights.fill(model.policy, weights.under("policy", tensors), path)
    weights.restore_optimizer(model.policy.optimizer, weights.under("optimizer", tensors))
    try:
        model.num_timesteps, model._n_updates = int(counters["num_timesteps"]), int(counters["n_updates"])
        if isinstance(model, RewardDifferenceDQN):
            model.exploration.generator.bit_generator.state = counters["exploration"]
            model.exploration_rate = float(counters["exploration_rate"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected an interrupted training, found {error!r}") from error
    if isinstance(model, RewardDifferenceDQN):
        model.replay_buffer.restore(weights.under("memory", tensors))


def _counters(path: Path) -> dict[str, Any]:
    try:
        counters: dict[str, Any] = json.loads(weights.notes(path)[COUNTERS])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: expected an interrupted training, found {error!r}") from error
    return counters
