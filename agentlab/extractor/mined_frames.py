"""Hard clusters in a fit: each stage trains on frames that the eye reads wrongly, and their like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agentlab.errors import InputError, as_input_errors
from agentlab.extractor.dataset import FrameDataset
from agentlab.extractor.eye import Eye
from agentlab.extractor.learner import Learner
from agentlab.labels import Category
from agentlab.strategies import HardClusters, Judgement
from agentlab.strategies.hard_clusters import Indices, Judge
from agentlab.strategies.ledger import COST_OF_TRAINING

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig, HardClustersConfig

LISTED = 1_000
"""Frames that are listed at most as probably labelled wrongly."""
USUAL = 0.9
"""Share of the errors of a label that count as usual."""
COUNTS = ("random", "errors", "similar", "replayed", "looked_at", "clusters", "quarantined")
"""What is counted of each round of mining."""


def sampler_of(config: HardClustersConfig, n_frames: int, judge: Judge, seed: int) -> HardClusters:
    """The sampler of a fit on so many frames; `InputError` for settings that it refuses."""
    size = max(1, round(config.first_share * n_frames))
    with as_input_errors("hard_clusters"):
        return HardClusters(
            n_frames,
            judge,
            first_share=config.first_share,
            second_share=config.second_share,
            replay_share=config.replay_share,
            errors=max(1, round(config.errors * size)),
            looks=max(1, round(config.looks * size)),
            n_clusters=config.clusters,
            source=config.source,
            quarantine_after=config.quarantine_after,
            quarantine_confidence=config.quarantine_confidence,
            good_enough=config.good_enough,
            stale_after=config.stale_after,
            seed=seed,
        )


def require_validation(mining: HardClustersConfig, config: ExtractorConfig) -> None:
    """Raises `InputError` where the end of the fit goes by validation frames and there are none."""
    if not config.validation and (mining.good_enough is not None or mining.stale_after is not None):
        raise InputError(
            "hard_clusters: good_enough and stale_after go by validation frames; expected extractor.validation "
            "above 0, found 0"
        )


class MinedFrames:
    """The data seam: frames that the eye reads wrongly, and their like."""

    def __init__(
        self, data: FrameDataset, learner: Learner, config: ExtractorConfig, mining: HardClustersConfig, seed: int
    ) -> None:
        """Raises `InputError` for a label with a class that no frame has."""
        require_validation(mining, config)
        _require_all_classes(data, learner.eye)
        self._data, self._learner, self._noise = data, learner, mining.noise
        self._seed = seed
        self._hard = sampler_of(mining, len(data), self._judge, seed)
        size = len(self._hard)
        cost_of_round = COST_OF_TRAINING * size + round(mining.looks * size)
        whole_cost = COST_OF_TRAINING * config.epochs * len(data)
        self.n_stages = max(1, int(mining.cost * whole_cost / cost_of_round))
        self._rounds: list[dict[str, int]] = []
        self._clusters: list[list[int]] = []
        self._usual = torch.zeros(2, len(learner.eye.predictors.schema))
        """Of each label, how far off nine of ten were in the last round, and the share that was nearer or right."""
        self._looks: list[tuple[Tensor, Tensor]] = []

    @property
    def chosen(self) -> Indices:
        """The frames of this stage, each once."""
        assert self._hard.choice is not None
        return np.unique(self._hard.choice.indices)

    def begin_stage(self, stage: int) -> None:
        with as_input_errors("hard_clusters"):
            choice = self._hard.begin_round(stage)
        self._note_usual()
        chosen = [len(part) for part in (choice.random, choice.errors, choice.similar, choice.replayed)]
        counts = [*chosen, choice.looked_at, len(choice.clusters), len(self._hard.quarantined)]
        self._rounds.append(dict(zip(COUNTS, counts, strict=True)))
        self._clusters = [cluster.tolist() for cluster in choice.clusters]

    def after_stage(self, read: float) -> bool:
        return self._hard.after_round(read)

    def __iter__(self) -> Iterator[int]:
        return iter(self._hard)

    def __len__(self) -> int:
        return len(self._hard)

    def state(self) -> dict[str, Tensor]:
        rounds = [list(counts.values()) for counts in self._rounds]
        examples = [[number, index] for number, cluster in enumerate(self._clusters) for index in cluster]
        return {
            **self._hard.state_dict(),
            "rounds": torch.tensor(rounds, dtype=torch.int64),
            "examples": torch.tensor(examples, dtype=torch.int64).reshape(-1, 2),
            "usual": self._usual,
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self._hard.load_state_dict(tensors)
        self._rounds = [dict(zip(COUNTS, counts, strict=True)) for counts in tensors["rounds"].tolist()]
        self._usual = tensors["usual"]
        numbers, indices = tensors["examples"].T.numpy()
        self._clusters = [indices[numbers == number].tolist() for number in np.unique(numbers)]

    def entry(self) -> dict[str, Any]:
        """The rounds, examples of the clusters of the last one, and frames that are probably labelled wrongly."""
        clusters = [[self._data.where(index) for index in cluster] for cluster in self._clusters]
        suspects = [self._data.where(index) for index in self._hard.quarantined[:LISTED]]
        return {"rounds": self._rounds, "clusters": clusters, "probably_wrong_labels": suspects}

    def _judge(self, indices: Indices) -> Judgement:
        """A frame is wrong if one of its labels is read wrongly.

        How sure the eye is of that counts by how it usually reads the label, as the last round's frames showed that
        were not suspect: what it is yet to learn says nothing about who is mistaken.
        """
        features, outputs = self._learner.look(self._augmented(self._data.frames(indices), indices))
        predictors = self._learner.eye.predictors
        rows = torch.from_numpy(self._data.labels[indices]).to(outputs.device)
        tolerances = predictors.tolerances.to(outputs.device)
        wrong = (predictors.mistakes(outputs, rows, tolerances) > 0).any(dim=1)
        usual_errors, usually_right = self._usual.to(outputs.device)
        unusual = predictors.mistakes(outputs, rows, torch.maximum(usual_errors, tolerances))
        sound = torch.from_numpy(~self._hard.suspected[indices]).to(outputs.device)
        self._looks.append((predictors.distances(outputs, rows)[sound].cpu(), (unusual == 0)[sound].float().cpu()))
        confidence = (unusual * usually_right).max(dim=1).values
        return Judgement(wrong.cpu().numpy(), features.cpu().numpy(), confidence.cpu().numpy())

    def _note_usual(self) -> None:
        if self._looks:
            distances, right = (torch.cat(parts) for parts in zip(*self._looks, strict=True))
            self._usual = torch.stack([distances.nanquantile(USUAL, dim=0).nan_to_num(), right.mean(dim=0)])
            self._looks = []

    def _augmented(self, frames: npt.NDArray[np.uint8], indices: Indices) -> npt.NDArray[np.uint8]:
        """Frames with a little noise: what is looked at is not quite what was learnt."""
        if not self._noise:
            return frames
        rng = np.random.default_rng((self._seed, int(indices[0]), len(self._rounds)))
        off = rng.integers(-self._noise, self._noise, frames.shape, np.int16, endpoint=True)
        noisy: npt.NDArray[np.uint8] = (frames + off).clip(0, 255).astype(np.uint8)
        return noisy


def _require_all_classes(data: FrameDataset, eye: Eye) -> None:
    for column, (name, label) in enumerate(eye.predictors.schema.items()):
        if isinstance(label, Category):
            found = set(np.unique(data.labels[:, column][~np.isnan(data.labels[:, column])]).astype(int).tolist())
            missing = [title for code, title in enumerate(label.classes) if code not in found]
            if missing:
                raise InputError(f"label {name!r}: expected every class in the frames, found none of {missing[0]!r}")
