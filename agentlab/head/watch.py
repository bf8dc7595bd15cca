"""Watches a training: shows and logs what it reaches, and stops it."""

from __future__ import annotations

import threading
from typing import SupportsFloat

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agentlab.metrics import MetricsLog
from agentlab.progress import Task
from agentlab.timing import TimeSplit

LOG_EVERY_STEPS = 2_000


class Watch(BaseCallback):
    """Shows and logs what the training reaches, and stops it at a step, or at the next one when it is interrupted."""

    def __init__(
        self, task: Task, metrics: MetricsLog, interrupted: threading.Event, split: TimeSplit, until: int
    ) -> None:
        super().__init__()
        self._task, self._metrics, self._interrupted = task, metrics, interrupted
        self._split, self._until = split, until
        self._returns: list[float] = []
        self.last_return: float | None = None
        self.rollout_began_at = 0
        self.has_stopped = False

    def _on_training_start(self) -> None:
        self._logged_at = self.num_timesteps

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._logged_at:
            self._log()

    def _on_rollout_start(self) -> None:
        self.rollout_began_at = self.num_timesteps

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        self._returns += [
            infos[env]["episode"]["r"] for env in np.flatnonzero(self.locals["dones"]) if "episode" in infos[env]
        ]
        self._task.advance(self.training_env.num_envs)
        if self.num_timesteps - self._logged_at >= LOG_EVERY_STEPS:
            self._log()
        self.has_stopped = self._interrupted.is_set() or self.num_timesteps >= self._until
        return not self.has_stopped

    def _log(self) -> None:
        self._logged_at = self.num_timesteps
        found = {
            key: float(value) for key, value in self.logger.name_to_value.items() if isinstance(value, SupportsFloat)
        }
        numbers = {key.split("/")[-1]: value for key, value in found.items() if key.startswith(("train/", "rollout/"))}
        numbers |= {f"seconds_{name}": seconds for name, seconds in self._split.seconds().items()}
        if self._returns:
            numbers["return"] = float(np.mean(self._returns))
            numbers["episodes"] = float(len(self._returns))
            self.last_return = numbers["return"]
            self._task.advance(0, note=f"return {numbers['return']:.2f}")
            self._returns.clear()
        self._metrics.write(self.num_timesteps, **numbers)
        for name in ("return", "episodes"):
            if name in numbers:
                self.logger.record(f"rollout/{name}", numbers[name])
        self.logger.dump(self.num_timesteps)
