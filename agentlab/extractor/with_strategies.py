"""Strategies in a fit: each stands in at its seam, all or some of them at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from agentlab.errors import InputError
from agentlab.extractor.dataset import Batch, FrameDataset, spread
from agentlab.extractor.eye import Eye
from agentlab.extractor.learner import Learner, PlainStages, Seams, StageRunner, StageSampler
from agentlab.fields import to_plain
from agentlab.labels import Category
from agentlab.progress import Task
from agentlab.strategies import FixNorm, HardClusters, Judgement, ModeChoice
from agentlab.strategies.hard_clusters import Indices, Judge
from agentlab.strategies.ledger import COST_OF_TRAINING
from agentlab.strategies.scale_invariant import make_plain, make_scale_invariant

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig, HardClustersConfig, ModeChoiceConfig, Strategies

PROBED = 512
"""Frames that modes are judged on."""
TRIED_ON = 32
"""Frames that tensors are tried on for scale invariance."""
FIXED = "parametrizations.weight.original"
"""The tensor of a layer made scale-invariant whose norm is kept."""
MANY = 10**6
"""Frames, or steps, of a fit that settings are tried on."""
LISTED = 1_000
"""Frames that are listed at most as probably labelled wrongly."""
USUAL = 0.9
"""Share of the errors of a label that count as usual."""
COUNTS = ("random", "errors", "similar", "replayed", "looked_at", "clusters", "quarantined")
"""What is counted of each round of mining."""


class StrategicSeams(Seams):
    """The seams of a fit with some strategies."""

    def __init__(self, config: Strategies) -> None:
        self._config = config
        self._sampler: MinedFrames | None = None
        self._stages: ChosenModes | None = None
        self._optimizer: FixNorm | None = None

    def _has(self, name: str) -> bool:
        return name in self._config.use

    def prepare(self, eye: Eye) -> None:
        if self._has("fixnorm"):
            for layer in eye.network.hidden_layers:
                make_scale_invariant(layer)
        if self._has("mode-choice"):
            eye.network.fit_in_bfloat16(False)

    def finish(self, eye: Eye) -> None:
        if self._has("fixnorm"):
            for layer in eye.network.hidden_layers:
                make_plain(layer)

    def optimizer(self, eye: Eye, config: ExtractorConfig, frames: Tensor) -> torch.optim.Optimizer:
        if not self._has("fixnorm"):
            return super().optimizer(eye, config, frames)
        fixed = [layer.get_parameter(FIXED) for layer in eye.network.hidden_layers]
        others = [tensor for tensor in eye.parameters() if not any(tensor is one for one in fixed)]
        groups: list[dict[str, Any]] = [{"params": fixed, "weight_decay": 0.0}, {"params": others}]
        adamw = torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay)
        normalise_update = self._config.fixnorm.normalise_update
        with as_input_errors("fixnorm"):
            self._optimizer = FixNorm(adamw, eye.network, probe=frames[:TRIED_ON], normalise_update=normalise_update)
        return self._optimizer

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:
        if not self._has("hard-clusters"):
            return super().sampler(data, learner, config, seed)
        self._sampler = MinedFrames(data, learner, config, self._config, seed)
        return self._sampler

    def stages(self, data: FrameDataset, learner: Learner) -> StageRunner:
        if not self._has("mode-choice"):
            return PlainStages()
        self._stages = ChosenModes(data, learner, self._config)
        return self._stages

    def measured(self, eye: Eye) -> dict[str, float]:
        if self._optimizer is None:
            return {}
        norms = [layer.get_parameter(FIXED).detach().norm() for layer in eye.network.hidden_layers]
        return {f"norm_{number}": float(norm) for number, norm in enumerate(norms, 1)}

    def settings(self) -> dict[str, Any]:
        return {"strategies": to_plain(self._config)}

    def entries(self) -> dict[str, Any]:
        parts = {"hard-clusters": self._sampler, "mode-choice": self._stages}
        entries = {name: part.entry() for name, part in parts.items() if part is not None}
        if self._optimizer is not None:
            entries["fixnorm"] = {"norms": list(self._optimizer.norms.values())}
        return entries


def require_sound(strategies: Strategies) -> None:
    """Raises `InputError` for settings of strategies that no fit could be made with."""
    if "hard-clusters" in strategies.use:
        _hard_clusters(strategies.hard_clusters, MANY, _never_asked, seed=0)
    if "mode-choice" in strategies.use:
        _mode_choice(strategies.mode_choice, MANY)


def _hard_clusters(config: HardClustersConfig, n_frames: int, judge: Judge, seed: int) -> HardClusters:
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


def _never_asked(indices: Indices) -> Judgement:
    raise NotImplementedError


def _mode_choice(config: ModeChoiceConfig, total_steps: int) -> ModeChoice:
    stages = [int(share * total_steps) for share in config.stages]
    with as_input_errors("mode_choice"):
        return ModeChoice(config.modes, total_steps=total_steps, stages=stages, steps=config.steps)


@contextmanager
def as_input_errors(field: str) -> Iterator[None]:
    """Makes what a strategy refuses an error of the recipe's field."""
    try:
        yield
    except ValueError as error:
        raise InputError(f"{field}: {error}") from error


class MinedFrames:
    """The data seam: frames that the eye reads wrongly, and their like."""

    def __init__(
        self, data: FrameDataset, learner: Learner, config: ExtractorConfig, strategies: Strategies, seed: int
    ) -> None:
        """Raises `InputError` for a label with a class that no frame has."""
        mining = strategies.hard_clusters
        if not config.validation and (mining.good_enough is not None or mining.stale_after is not None):
            raise InputError(
                "hard_clusters: good_enough and stale_after go by validation frames; expected extractor.validation "
                "above 0, found 0"
            )
        _require_all_classes(data, learner.eye)
        self._data, self._learner, self._noise = data, learner, mining.noise
        self._seed = seed
        self._hard = _hard_clusters(mining, len(data), self._judge, seed)
        size = len(self._hard)
        cost_of_round = COST_OF_TRAINING * size + round(mining.looks * size)
        whole_cost = COST_OF_TRAINING * config.epochs * len(data)
        self.n_stages = max(1, int(mining.cost * whole_cost / cost_of_round))
        self._rounds: list[dict[str, int]] = []
        self._clusters: list[list[int]] = []
        self._usual = torch.zeros(2, len(learner.eye.predictors.schema))
        """Of each label, how far off nine of ten were in the last round, and the share that was nearer or right."""
        self._looks: list[tuple[Tensor, Tensor]] = []

    def begin_stage(self, stage: int) -> None:
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

        How sure the eye is of that counts by how it usually reads the label, as the last round showed: what it is yet
        to learn says nothing about who is mistaken.
        """
        features, outputs = self._learner.look(self._augmented(self._data.frames(indices), indices))
        predictors = self._learner.eye.predictors
        rows = torch.from_numpy(self._data.labels[indices]).to(outputs.device)
        tolerances = predictors.tolerances.to(outputs.device)
        wrong = (predictors.mistakes(outputs, rows, tolerances) > 0).any(dim=1)
        usual_errors, usually_right = self._usual.to(outputs.device)
        unusual = predictors.mistakes(outputs, rows, torch.maximum(usual_errors, tolerances))
        self._looks.append((predictors.distances(outputs, rows).cpu(), (unusual == 0).float().cpu()))
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


class ChosenModes:
    """The stage seam: steps run in the mode in which the eye converges fastest."""

    def __init__(self, data: FrameDataset, learner: Learner, strategies: Strategies) -> None:
        config = strategies.mode_choice
        probed = spread(len(data), PROBED)
        self._training = _Probed(learner, data.frames(probed), data.labels[probed])
        self._choice = _mode_choice(config, learner.total_steps)

    def run(self, learner: Learner, batches: Iterable[Batch], task: Task) -> float:
        learner.eye.train()
        losses = []
        for loss, n_frames in self._choice.run(self._training, batches):
            losses.append(loss)
            task.advance(n_frames)
        return float(torch.stack(losses).mean())

    def state(self) -> dict[str, Tensor]:
        as_json = json.dumps(self._choice.state_dict()).encode()
        return {"mode_choice": torch.frombuffer(bytearray(as_json), dtype=torch.uint8)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self._choice.load_state_dict(json.loads(tensors["mode_choice"].numpy().tobytes()))

    def entry(self) -> dict[str, Any]:
        """The comparisons of modes, those that this machine lacks something for, and the mode at the end."""
        return {
            "mode": self._choice.mode,
            "skipped": self._choice.skipped,
            "comparisons": [comparison.to_dict() for comparison in self._choice.comparisons],
        }


class _Probed:
    """A learner as modes are tried on it."""

    def __init__(self, learner: Learner, frames: Any, rows: Any) -> None:
        self._learner, self._frames, self._rows = learner, frames, rows

    @property
    def model(self) -> nn.Module:
        return self._learner.eye.network

    def step(self, batch: Batch) -> tuple[Tensor, int]:
        return self._learner.step(*batch), len(batch[0])

    def probe(self) -> Tensor:
        return self._learner.losses(self._frames, self._rows)

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


def _require_all_classes(data: FrameDataset, eye: Eye) -> None:
    for column, (name, label) in enumerate(eye.predictors.schema.items()):
        if isinstance(label, Category):
            found = set(np.unique(data.labels[:, column][~np.isnan(data.labels[:, column])]).astype(int).tolist())
            missing = [title for code, title in enumerate(label.classes) if code not in found]
            if missing:
                raise InputError(f"label {name!r}: expected every class in the frames, found none of {missing[0]!r}")
