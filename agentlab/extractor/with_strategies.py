"""Strategies in a fit: each stands in at its seam, all or some of them at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab.errors import as_input_errors
from agentlab.extractor.chosen_modes import ChosenModes, choice_of
from agentlab.extractor.dataset import FrameDataset, Indices, spread
from agentlab.extractor.eye import Eye
from agentlab.extractor.learner import Learner, PlainStages, Seams, StageRunner, StageSampler
from agentlab.extractor.mined_frames import MinedFrames, require_validation, sampler_of
from agentlab.fields import to_plain
from agentlab.strategies import FixNorm, Judgement
from agentlab.strategies.scale_invariant import make_plain, make_scale_invariant

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig, Strategies

TRIED_ON = 32
"""Frames that tensors are tried on for scale invariance."""
FIXED = "parametrizations.weight.original"
"""The tensor of a layer made scale-invariant whose norm is kept."""
MANY = 10**6
"""Frames, or steps, of a fit that settings are tried on."""


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
        probe = frames[torch.from_numpy(spread(len(frames), TRIED_ON)).to(frames.device)]
        with as_input_errors("fixnorm"):
            self._optimizer = FixNorm(adamw, eye.network, probe=probe, normalise_update=normalise_update)
            if len(self._optimizer.norms) < len(fixed):
                raise ValueError(
                    f"expected all {len(fixed)} hidden layers to change what the network gives on {len(probe)} "
                    f"frames, found {len(self._optimizer.norms)}"
                )
        return self._optimizer

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:
        if not self._has("hard-clusters"):
            return super().sampler(data, learner, config, seed)
        self._sampler = MinedFrames(data, learner, config, self._config.hard_clusters, seed)
        return self._sampler

    def stages(self, data: FrameDataset, learner: Learner) -> StageRunner:
        if not self._has("mode-choice"):
            return PlainStages()
        sampler = self._sampler
        chosen = None if sampler is None else lambda: sampler.chosen
        self._stages = ChosenModes(data, learner, self._config.mode_choice, chosen)
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


def require_sound(strategies: Strategies, config: ExtractorConfig) -> None:
    """Raises `InputError` for settings of strategies that no fit of this configuration could be made with."""
    if "hard-clusters" in strategies.use:
        require_validation(strategies.hard_clusters, config)
        sampler_of(strategies.hard_clusters, MANY, _never_asked, seed=0)
    if "mode-choice" in strategies.use:
        choice_of(replace(strategies.mode_choice, steps=None), MANY)


def _never_asked(indices: Indices) -> Judgement:
    raise NotImplementedError
