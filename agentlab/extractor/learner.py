"""What a step of fitting changes, and the seams at which training strategies stand in.

The seams: *data* (which frames a stage trains on: a sampler), *stage* (one pass of steps over them), *round* (one
network fitted to the end of its schedule: one call of `fit`), *step* (one update: the optimiser, and layers to suit).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from agentlab import weights
from agentlab.extractor.dataset import Batch, FrameDataset
from agentlab.extractor.erasing import erase
from agentlab.extractor.eye import Eye
from agentlab.extractor.scores import rightness
from agentlab.progress import Task
from agentlab.strategies.ledger import Ledger

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig

ERASED = 0.6
"""Share of the updates on frames that are painted over; the last ones make positions exact on frames as they are."""


class Learner:
    """A network with its optimiser and schedule: what a step changes and a checkpoint holds."""

    def __init__(
        self, eye: Eye, optimizer: torch.optim.Optimizer, config: ExtractorConfig, device: torch.device, ledger: Ledger
    ) -> None:
        self.eye = eye
        self.optimizer = optimizer
        self.steps_done = self.stages_done = 0
        self.total_steps = 1
        """Steps of the whole schedule."""
        self.ledger = ledger
        self.batch_size = config.batch_size
        self._highest_rate, self._device, self._erasing = config.learning_rate, device, config.erasing

    def step(self, frames: Any, rows: Any) -> Tensor:
        """One update on uint8 frames and their label rows; gives the loss."""
        outputs = self._training_outputs(frames)
        return self.update(self.eye.predictors.loss(outputs, self._on_device(rows)), len(frames))

    def training_losses(self, frames: Any, rows: Any) -> Tensor:
        """The loss of each of the uint8 frames, `(n,)`, to be made an update of."""
        losses: Tensor = self.eye.predictors.losses(self._training_outputs(frames), self._on_device(rows))
        return losses

    def update(self, loss: Tensor, n_frames: int) -> Tensor:
        """One update by the loss of so many frames, at the rate that the schedule says."""
        rate = self._highest_rate * one_cycle(self.steps_done / self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.eye.parameters(), 1.0)
        self.optimizer.step()
        self.steps_done += 1
        self.ledger.trained(n_frames)
        return loss.detach()

    @torch.no_grad()
    def losses(self, frames: Any, rows: Any) -> Tensor:
        """The loss of each of the uint8 frames as they are, `(n,)`, in evaluation mode."""
        self.ledger.looked(len(frames))
        with self._evaluating():
            losses: Tensor = self.eye.predictors.losses(self._outputs(self._on_device(frames)), self._on_device(rows))
        return losses

    @torch.no_grad()
    def look(self, frames: Any) -> tuple[Tensor, Tensor]:
        """The features `(n, n_features)` and outputs `(n, n_outputs)` of uint8 frames, in evaluation mode."""
        self.ledger.looked(len(frames))
        with self._evaluating():
            features = self.eye.network(self._on_device(frames))
            return features, self.eye.predictors(features)

    def share_read(self, frames: Any, rows: Any) -> float:
        """The share of the labels of uint8 frames that is read rightly."""
        _, outputs = self.look(frames)
        read = self.eye.predictors.rows(self.eye.predictors.signals(outputs)).cpu().numpy()
        return float(rightness(self.eye.predictors.schema, rows, read).mean())

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        trains = self.eye.training
        self.eye.eval()
        try:
            yield
        finally:
            self.eye.train(trains)

    def _training_outputs(self, frames: Any) -> Tensor:
        pixels = self._on_device(frames)
        if self._erasing and self.steps_done < ERASED * self.total_steps:
            pixels = erase(pixels, self._erasing)
        return self._outputs(pixels)

    def _outputs(self, frames: Tensor) -> Tensor:
        outputs: Tensor = self.eye.predictors(self.eye.network(frames))
        return outputs

    def _on_device(self, values: Any) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def state(self) -> dict[str, Tensor]:
        return {
            **weights.prefixed("eye", self.eye.state_dict()),
            **weights.prefixed("optimizer", weights.optimizer_state(self.optimizer)),
            "done": torch.tensor([self.steps_done, self.stages_done]),
            "ledger": self.ledger.state(),
        }

    def restore(self, tensors: dict[str, Tensor], path: Path) -> None:
        weights.fill(self.eye, weights.under("eye", tensors), path)
        weights.restore_optimizer(self.optimizer, weights.under("optimizer", tensors))
        self.steps_done, self.stages_done = tensors["done"].tolist()
        self.ledger.restore(tensors["ledger"])


def one_cycle(share_done: float) -> float:
    """The learning rate as a share of the highest: up over the first tenth, then down to nearly nothing (cosine)."""
    if share_done < 0.1:
        return 0.04 + 0.96 * share_done / 0.1
    return 0.5 * (1 + math.cos(math.pi * (min(share_done, 1.0) - 0.1) / 0.9)) + 1e-4


class StageSampler(Protocol):
    """The data seam: which frames each stage trains on, in which order; all stages are equally long."""

    n_stages: int

    def begin_stage(self, stage: int) -> None:
        """Chooses the frames of a stage, the first being 0."""

    def after_stage(self, read: float) -> bool:
        """Whether the fit may end, as this share of the labels is read rightly on validation frames."""

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...

    def state(self) -> dict[str, Tensor]:
        """What it has to remember between two stages."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None: ...


class ShuffledFrames(torch.utils.data.Sampler[int]):
    """The data seam's default: every frame once a stage, in an order drawn from the seed and the stage."""

    def __init__(self, n_frames: int, n_stages: int, seed: int) -> None:
        self.n_stages = n_stages
        self._n_frames, self._seed, self._stage = n_frames, seed, 0

    def begin_stage(self, stage: int) -> None:
        self._stage = stage

    def after_stage(self, read: float) -> bool:  # noqa: ARG002
        return False

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng((self._seed, self._stage)).permutation(self._n_frames).tolist())

    def __len__(self) -> int:
        return self._n_frames

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        pass


class StageRunner(Protocol):
    """The stage seam: trains a learner on the batches of a stage."""

    def run(self, learner: Learner, batches: Iterable[Batch], task: Task) -> float:
        """Gives the mean loss."""

    def state(self) -> dict[str, Tensor]:
        """What it has to remember between two stages."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None: ...


class PlainStages:
    """The stage seam's default: one step a batch."""

    def run(self, learner: Learner, batches: Iterable[Batch], task: Task) -> float:
        learner.eye.train()
        losses = []
        for frames, rows in batches:
            losses.append(learner.step(frames, rows))
            task.advance(len(frames))
        return float(torch.stack(losses).mean())

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        pass


class Seams:
    """Where training strategies stand in; as they are here, training is plain."""

    def prepare(self, eye: Eye) -> None:
        """Step: changes layers to suit the optimiser, before it is made."""

    def optimizer(self, eye: Eye, config: ExtractorConfig, frames: Tensor) -> torch.optim.Optimizer:  # noqa: ARG002
        """Step: the optimiser of a network, which may be tried on uint8 `frames`; its rate is scheduled."""
        return torch.optim.AdamW(eye.parameters(), config.learning_rate, weight_decay=config.weight_decay)

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:  # noqa: ARG002
        """Data: what chooses the frames of `data` that each stage trains the learner on."""
        return ShuffledFrames(len(data), config.epochs, seed)

    def stages(self, data: FrameDataset, learner: Learner) -> StageRunner:  # noqa: ARG002
        """Stage: what runs the stages of a learner whose schedule is settled."""
        return PlainStages()

    def measured(self, eye: Eye) -> dict[str, float]:  # noqa: ARG002
        """Numbers to be logged after a stage, by name."""
        return {}

    def finish(self, eye: Eye) -> None:
        """Step: makes the layers plain again."""

    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be gone on with, besides the configuration of the fit."""
        return {}

    def entries(self) -> dict[str, Any]:
        """What the strategies did, for the ledger, by name."""
        return {}
