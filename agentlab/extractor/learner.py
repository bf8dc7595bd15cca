"""What a step of fitting changes, and the seams at which training strategies stand in.

The seams: *data* (which frames a stage trains on: a sampler), *stage* (one pass of steps over them), *round* (one
network fitted to the end of its schedule: one call of `fit`), *step* (one update: the optimiser).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from agentlab import weights
from agentlab.extractor.dataset import Batch
from agentlab.extractor.erasing import erase
from agentlab.extractor.eye import Eye
from agentlab.progress import Task

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig

ERASED = 0.6
"""Share of the updates on frames that are painted over; the last ones make positions exact on frames as they are."""

MakeOptimizer: TypeAlias = "Callable[[Eye, ExtractorConfig], torch.optim.Optimizer]"


class Learner:
    """A network with its optimiser and schedule: what a step changes and a checkpoint holds."""

    def __init__(
        self, eye: Eye, optimizer: MakeOptimizer, config: ExtractorConfig, total_steps: int, device: torch.device
    ) -> None:
        self.eye = eye.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = optimizer(eye, config)
        self.steps_done = self.stages_done = 0
        self._highest_rate, self._total_steps, self._device = config.learning_rate, total_steps, device
        self._erasing = config.erasing

    def step(self, frames: Any, rows: Any) -> Tensor:
        """One update on uint8 frames and their label rows; gives the loss."""
        share_done = self.steps_done / self._total_steps
        for group in self.optimizer.param_groups:
            group["lr"] = self._highest_rate * one_cycle(share_done)
        pixels = self._on_device(frames)
        if self._erasing and share_done < ERASED:
            pixels = erase(pixels, self._erasing)
        loss = self._loss(pixels, rows)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.eye.parameters(), 1.0)
        self.optimizer.step()
        self.steps_done += 1
        return loss.detach()

    def loss(self, frames: Any, rows: Any) -> Tensor:
        """The loss on uint8 frames as they are."""
        return self._loss(self._on_device(frames), rows)

    def _loss(self, frames: Tensor, rows: Any) -> Tensor:
        outputs = self.eye.predictors(self.eye.network(frames))
        loss: Tensor = self.eye.predictors.loss(outputs, self._on_device(rows))
        return loss

    def _on_device(self, values: Any) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def state(self) -> dict[str, Tensor]:
        return {
            **weights.prefixed("eye", self.eye.state_dict()),
            **weights.prefixed("optimizer", weights.optimizer_state(self.optimizer)),
            "done": torch.tensor([self.steps_done, self.stages_done]),
        }

    def restore(self, tensors: dict[str, Tensor], path: Path) -> None:
        weights.fill(self.eye, weights.under("eye", tensors), path)
        weights.restore_optimizer(self.optimizer, weights.under("optimizer", tensors))
        self.steps_done, self.stages_done = tensors["done"].tolist()


def one_cycle(share_done: float) -> float:
    """The learning rate as a share of the highest: up over the first tenth, then down to nearly nothing (cosine)."""
    if share_done < 0.1:
        return 0.04 + 0.96 * share_done / 0.1
    return 0.5 * (1 + math.cos(math.pi * (share_done - 0.1) / 0.9)) + 1e-4


class StageSampler(Protocol):
    """Which frames each stage trains on, in which order."""

    def begin_stage(self, stage: int) -> None: ...

    def __iter__(self) -> Iterator[int]: ...


class ShuffledFrames(torch.utils.data.Sampler[int]):
    """The data seam's default: every frame once a stage, in an order drawn from the seed and the stage."""

    def __init__(self, n_frames: int, seed: int) -> None:
        self._n_frames, self._seed, self._stage = n_frames, seed, 0

    def begin_stage(self, stage: int) -> None:
        self._stage = stage

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng((self._seed, self._stage)).permutation(self._n_frames).tolist())

    def __len__(self) -> int:
        return self._n_frames


def run_stage(learner: Learner, batches: Iterable[Batch], task: Task) -> float:
    """Trains on the batches of one stage and leaves the network in evaluation mode; gives the mean loss."""
    losses = []
    learner.eye.train()
    for frames, rows in batches:
        losses.append(learner.step(frames, rows))
        task.advance(len(frames))
    learner.eye.eval()
    return float(torch.stack(losses).mean())


def adamw(eye: Eye, config: ExtractorConfig) -> torch.optim.Optimizer:
    """The step seam's default."""
    return torch.optim.AdamW(eye.parameters(), config.learning_rate, weight_decay=config.weight_decay)


@dataclass(frozen=True)
class Seams:
    """Where training strategies stand in; as they are, training is plain."""

    sampler: Callable[[int, int], StageSampler] = ShuffledFrames
    """Data: the sampler for a number of frames and a seed."""
    run_stage: Callable[[Learner, Iterable[Batch], Task], float] = run_stage
    """Stage: trains the learner on the batches of one stage and gives the mean loss."""
    optimizer: MakeOptimizer = adamw
    """Step: the optimiser for a network; its rate is scheduled."""
