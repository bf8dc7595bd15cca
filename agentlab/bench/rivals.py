"""Other ways to train on fewer samples, as their papers say, at the seams of a fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agentlab.extractor.dataset import Batch, FrameDataset, Indices
from agentlab.extractor.learner import Learner, PlainStages, Seams, StageRunner, StageSampler
from agentlab.progress import Task
from agentlab.strategies.ledger import COST_OF_TRAINING

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig

PRUNED = 0.5
"""InfoBatch: probability with which a sample of less than the mean loss is left out."""
ANNEALED = 0.125
"""InfoBatch: share of the last epochs that take all samples."""
REMEMBERED = 1_024
"""Selective backprop: losses among which a new one is ranked."""


class FreshSubsets:
    """RS2: a fresh random subset each epoch, none twice until all samples had their turn (arXiv 2305.18424)."""

    def __init__(self, n_frames: int, n_stages: int, size: int, seed: int) -> None:
        self.n_stages = n_stages
        self._n_frames, self._size, self._seed = n_frames, size, seed
        self._indices: Indices = np.zeros(0, np.int64)

    def begin_stage(self, stage: int) -> None:
        """Takes the next samples of an endless row of permutations."""
        first = stage * self._size
        turns = range(first // self._n_frames, (first + self._size - 1) // self._n_frames + 1)
        row = np.concatenate([np.random.default_rng((self._seed, turn)).permutation(self._n_frames) for turn in turns])
        start = first - turns[0] * self._n_frames
        self._indices = row[start : start + self._size]

    def after_stage(self, read: float) -> bool:  # noqa: ARG002
        return False

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices.tolist())

    def __len__(self) -> int:
        return self._size

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        pass


class RS2(Seams):
    """Fits on fresh random subsets, at a share of the cost of all samples."""

    def __init__(self, share: float, cost: float) -> None:
        self._share, self._cost = share, cost

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:  # noqa: ARG002
        size = round(self._share * len(data))
        return FreshSubsets(len(data), max(1, int(self._cost * config.epochs * len(data) / size)), size, seed)


class InfoBatch(Seams):
    """Leaves out samples of small loss at random and weighs the others of these up (arXiv 2303.04947)."""

    def __init__(self, cost: float) -> None:
        self._cost = cost
        self._pruned: PrunedEpochs | None = None

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:  # noqa: ARG002
        n_stages = 2 * config.epochs
        self._pruned = PrunedEpochs(len(data), n_stages, round(self._cost * len(data) / 2), seed)
        return self._pruned

    def stages(self, data: FrameDataset, learner: Learner) -> StageRunner:  # noqa: ARG002
        assert self._pruned is not None
        return WeighedStages(self._pruned)


class PrunedEpochs(FreshSubsets):
    """Epochs one after the other, each without about half of the samples whose last loss was below the mean, cut into
    stages of equal size."""

    def __init__(self, n_frames: int, n_stages: int, size: int, seed: int) -> None:
        super().__init__(n_frames, n_stages, size, seed)
        self.weights: npt.NDArray[np.float32] = np.ones(0, np.float32)
        """How much each sample of the stage counts."""
        self._losses = np.full(n_frames, np.inf)
        self._left: Indices = np.zeros(0, np.int64)
        self._left_weights = self.weights

    def begin_stage(self, stage: int) -> None:
        rng = np.random.default_rng((self._seed, stage))
        anneals = stage >= (1 - ANNEALED) * self.n_stages
        while len(self._left) < self._size:
            kept, weights = self._epoch(rng, prunes=not anneals)
            self._left = np.concatenate([self._left, kept])
            self._left_weights = np.concatenate([self._left_weights, weights])
        self._indices, self._left = np.split(self._left, [self._size])
        self.weights, self._left_weights = np.split(self._left_weights, [self._size])

    def _epoch(self, rng: np.random.Generator, prunes: bool) -> tuple[Indices, npt.NDArray[np.float32]]:
        """The samples of an epoch in a random order, and their weights."""
        known = np.isfinite(self._losses)
        is_easy = np.zeros_like(known)
        if prunes and known.any():
            is_easy = known & (self._losses < self._losses[known].mean())
        kept = rng.permutation(np.flatnonzero(~is_easy | (rng.random(self._n_frames) >= PRUNED)))
        return kept, np.where(is_easy[kept], 1 / (1 - PRUNED), 1.0).astype(np.float32)

    def note(self, at: int, losses: npt.NDArray[np.float32]) -> None:
        """The losses of samples of this stage, from position `at` on."""
        self._losses[self._indices[at : at + len(losses)]] = losses


class WeighedStages(PlainStages):
    """Stages whose samples count by their weights, and whose losses are noted."""

    def __init__(self, pruned: PrunedEpochs) -> None:
        self._pruned = pruned

    def run(self, learner: Learner, batches: Iterable[Batch], task: Task) -> float:
        learner.eye.train()
        done, means = 0, []
        for frames, rows in batches:
            losses = learner.training_losses(frames, rows)
            weights = torch.from_numpy(self._pruned.weights[done : done + len(frames)]).to(losses.device)
            self._pruned.note(done, losses.detach().cpu().numpy())
            means.append(learner.update((losses * weights).mean(), len(frames)))
            done += len(frames)
            task.advance(len(frames))
        return float(torch.stack(means).mean())


class SelectiveBackprop(Seams):
    """Looks at all samples and trains on those of large loss, the larger the likelier (arXiv 1910.00762)."""

    def __init__(self, cost: float, power: float = 2.0) -> None:
        """`power`: a sample is trained on with the probability `rank ** power`, its loss ranked from 0 to 1."""
        self._cost, self._power = cost, power

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:  # noqa: ARG002
        cost_of_one = 1 + COST_OF_TRAINING / (self._power + 1)
        size = round(self._cost * COST_OF_TRAINING / cost_of_one * len(data))
        return FreshSubsets(len(data), config.epochs, size, seed)

    def stages(self, data: FrameDataset, learner: Learner) -> StageRunner:  # noqa: ARG002
        learner.total_steps = max(1, round(learner.total_steps / (self._power + 1)))
        return SelectedStages(self._power, learner.batch_size)


class SelectedStages(PlainStages):
    """Stages that train on batches of what was selected."""

    def __init__(self, power: float, batch_size: int) -> None:
        self._power, self._batch_size = power, batch_size
        self._recent: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._selected: list[tuple[Any, Any]] = []

    def run(self, learner: Learner, batches: Iterable[Batch], task: Task) -> float:
        means = []
        for frames, rows in batches:
            losses = learner.losses(frames, rows).cpu().numpy()
            self._recent = np.concatenate([self._recent, losses])[-REMEMBERED:]
            ranks = (self._recent[None] <= losses[:, None]).mean(axis=1)
            taken = torch.rand(len(frames)).numpy() < ranks**self._power
            self._selected += list(zip(frames[taken], rows[taken], strict=True))
            while len(self._selected) >= self._batch_size:
                chosen, self._selected = self._selected[: self._batch_size], self._selected[self._batch_size :]
                learner.eye.train()
                means.append(learner.step(*(np.stack(part) for part in zip(*chosen, strict=True))))
            task.advance(len(frames))
        return float(torch.stack(means).mean()) if means else float("nan")
