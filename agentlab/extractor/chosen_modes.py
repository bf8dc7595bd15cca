"""Mode choice in a fit: its steps run in the mode in which the eye converges fastest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from agentlab.errors import InputError, as_input_errors
from agentlab.extractor.dataset import Batch, FrameDataset, Indices, spread
from agentlab.extractor.learner import Learner
from agentlab.progress import Task
from agentlab.strategies import ModeChoice
from agentlab.strategies.mode_choice import NoChoiceError

if TYPE_CHECKING:
    from agentlab.recipe import ModeChoiceConfig

PROBED = 512
"""Frames that modes are judged on."""


def choice_of(config: ModeChoiceConfig, total_steps: int) -> ModeChoice:
    """The choice in a fit of so many updates; `InputError` for settings that it refuses."""
    if list(config.stages) != sorted(set(config.stages)):
        raise InputError(f"mode_choice.stages: expected rising shares of the fit, found {list(config.stages)}")
    stages = sorted({int(share * total_steps) for share in config.stages})
    with as_input_errors("mode_choice"):
        ModeChoice(config.modes, total_steps=total_steps, stages=(), steps=config.steps)
    with as_input_errors(f"mode_choice, in a fit of {total_steps:,} updates"):
        return ModeChoice(config.modes, total_steps=total_steps, stages=stages, steps=config.steps)


class ChosenModes:
    """The stage seam: steps run in the mode in which the eye converges fastest."""

    def __init__(
        self, data: FrameDataset, learner: Learner, config: ModeChoiceConfig, chosen: Callable[[], Indices] | None
    ) -> None:
        """`chosen`: what gives the frames that the stage at hand trains on, where these are not all."""
        everything = np.arange(len(data))
        self._training = _Probed(data, learner, chosen or (lambda: everything))
        self._choice = choice_of(config, learner.total_steps)

    def run(self, learner: Learner, batches: Iterable[Batch], task: Task) -> float:
        learner.eye.train()
        losses = []
        with as_input_errors("mode_choice", NoChoiceError):
            for loss, n_frames in self._choice.run(self._training, batches):
                losses.append(loss)
                task.advance(n_frames)
        self._training.forget_probe()
        return float(torch.stack(losses).mean())

    def state(self) -> dict[str, Tensor]:
        as_json = json.dumps(self._choice.state_dict()).encode()
        return {"mode_choice": torch.frombuffer(bytearray(as_json), dtype=torch.uint8)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self._choice.load_state_dict(json.loads(tensors["mode_choice"].numpy().tobytes()))

    def entry(self) -> dict[str, Any]:
        """The comparisons of modes, those that this machine lacks something for, the basic mode and that at the end."""
        return {
            "basic": self._choice.base,
            "mode": self._choice.mode,
            "skipped": self._choice.skipped,
            "comparisons": [comparison.to_dict() for comparison in self._choice.comparisons],
        }


class _Probed:
    """A learner as modes are tried on it."""

    def __init__(self, data: FrameDataset, learner: Learner, chosen: Callable[[], Indices]) -> None:
        self._data, self._learner, self._chosen = data, learner, chosen
        self._probed: tuple[Any, Any] | None = None

    @property
    def model(self) -> nn.Module:
        return self._learner.eye.network

    def step(self, batch: Batch) -> tuple[Tensor, int]:
        return self._learner.step(*batch), len(batch[0])

    def probe(self) -> Tensor:
        if self._probed is None:
            chosen = self._chosen()
            at = chosen[spread(len(chosen), PROBED)]
            self._probed = self._data.frames(at), self._data.labels[at]
        return self._learner.losses(*self._probed)

    def forget_probe(self) -> None:
        """Lets the next comparison be judged on the frames that are chosen then."""
        self._probed = None

    def state_dict(self) -> dict[str, Any]:
        learner = self._learner
        return {
            "eye": learner.eye.state_dict(),
            "optimizer": learner.optimizer.state_dict(),
            "steps_done": learner.steps_done,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._learner.eye.load_state_dict(state["eye"])
        self._learner.optimizer.load_state_dict(state["optimizer"])
        self._learner.steps_done = state["steps_done"]
