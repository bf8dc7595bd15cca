"""The course of a head's training: it learns, may be stopped and gone on with, and may be given another eye."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agentlab import timing
from agentlab.extractor import FrozenExtractor
from agentlab.head import checkpoint as checkpoints
from agentlab.head.agent import Agent
from agentlab.head.dqn import RewardDifferenceDQN
from agentlab.head.features_env import FrozenFeatures
from agentlab.head.recorded_play import remember
from agentlab.metrics import MetricsLog
from agentlab.progress import Progress, Task
from agentlab.timing import TimeSplit

if TYPE_CHECKING:
    from agentlab.recording import Recording

LOG_EVERY_STEPS = 2_000
NEVER = 10**12
UPDATES_AT_ONCE = 100
"""Updates on recorded play between two looks at whether to stop."""


class Refresh(Protocol):
    """Another eye, fitted on what the head plays, at some points of its training."""

    @property
    def at(self) -> Sequence[float]:
        """The shares of the training after which the eye is refreshed."""

    def __call__(self, agent: Agent, number: int) -> FrozenExtractor:
        """The extractor to go on with, in the same place; `number` counts from 1."""


class Course:
    """A training of `total_steps` agent steps in all, from which Ctrl-C leaves a checkpoint."""

    def __init__(
        self,
        model: BaseAlgorithm,
        env: FrozenFeatures,
        total_steps: int,
        checkpoint: Path | None,
        progress: Progress,
        metrics: MetricsLog,
    ) -> None:
        self.refreshes = 0
        self._model, self._env, self._total_steps = model, env, total_steps
        self._checkpoint, self._progress, self._metrics = checkpoint, progress, metrics

    def restore(self, identity: Mapping[str, Any]) -> None:
        """Goes on from the checkpoint, if there is one; errors as those of `checkpoint.restore`."""
        seen_through, self.refreshes = checkpoints.restore(self._model, self._checkpoint, identity)
        if seen_through not in ("", self._env.extractor.fingerprint):
            self._see_through(self._env.extractor)

    def keep(self) -> None:
        """Leaves a checkpoint."""
        checkpoints.keep(self._model, self._checkpoint, self._env.extractor.fingerprint, self.refreshes)

    def begin(self, recordings: Sequence[Recording], updates: int) -> None:
        """Makes `updates` on recorded play, unless they were made before; random play is not needed first then.

        Interrupted, it leaves a checkpoint and raises `KeyboardInterrupt`.
        """
        model = self._model
        assert isinstance(model, RewardDifferenceDQN)
        model.learning_starts = 0
        if not model.replay_buffer.size():
            remember(recordings, model, self._env, self._progress)
        with (
            self._progress.task("pretrain", updates, "updates", min(model._n_updates, updates)) as task,
            interrupt_noticed() as interrupted,
        ):
            while model._n_updates < updates and not interrupted.is_set():
                now = min(UPDATES_AT_ONCE, updates - model._n_updates)
                model.train(now, model.batch_size)
                task.advance(now)
        self._stop_if(interrupted)

    def learn(self, split: TimeSplit, until: int | None = None) -> dict[str, Any]:
        """Learns to the end, or `until` so many agent steps are done in all, and gives what was reached.

        Interrupted, it leaves a checkpoint and raises `KeyboardInterrupt`.
        """
        model, done = self._model, self._model.num_timesteps
        with self._progress.task("train", self._total_steps, "steps", done) as task, interrupt_noticed() as interrupted:
            watch = Watch(task, self._metrics, interrupted, split, NEVER if until is None else self._stop_at(until))
            if done < (self._total_steps if until is None else until):
                steps_left = self._total_steps - done
                model.learn(steps_left, callback=watch, log_interval=NEVER, reset_num_timesteps=done == 0)
        self._stop_if(interrupted)
        return {
            "steps": model.num_timesteps,
            "updates": model._n_updates,
            "last_training_return": watch.last_return,
            "seconds": {name: round(seconds, 3) for name, seconds in split.seconds().items()},
        }

    def learn_refreshing(self, split: TimeSplit, meta: dict[str, Any], refresh: Refresh) -> None:
        """Learns up to each refresh still to come and makes it, with a checkpoint before and after."""
        for share in refresh.at[self.refreshes :]:
            self.learn(split, until=round(share * self._total_steps))
            self.keep()
            self.refresh(meta, refresh)
            self.keep()

    def refresh(self, meta: dict[str, Any], refresh: Refresh) -> None:
        """Goes on with the eye that `refresh` makes of what the head plays; `meta` describes the head."""
        with timing.spent("refresh"):
            agent = Agent(self._env.extractor, self._model.policy, meta)
            self._see_through(refresh(agent, self.refreshes + 1))
        self.refreshes += 1

    def _stop_at(self, until: int) -> int:
        """The step to stop at, so that all steps up to `until` are learned from: PPO learns when a rollout is full."""
        model = self._model
        if not isinstance(model, OnPolicyAlgorithm):
            return until
        rollout, done = model.n_steps * model.n_envs, model.num_timesteps
        return done + math.ceil((until - done) / rollout) * rollout + 1

    def _stop_if(self, interrupted: threading.Event) -> None:
        if interrupted.is_set():
            self.keep()
            raise KeyboardInterrupt

    def _see_through(self, extractor: FrozenExtractor) -> None:
        """Running episodes are cut off, and the memory's frames seen anew."""
        env, model = self._env, self._model
        env.see_through(extractor)
        if isinstance(model, RewardDifferenceDQN):
            model.replay_buffer.see_anew(lambda frames: extractor.percepts(frames, env.sees))
        model._last_obs = None  # SB3 then resets the environments


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

    def _on_training_start(self) -> None:
        self._logged_at = self.num_timesteps

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._logged_at:
            self._log()

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        self._returns += [
            infos[env]["episode"]["r"] for env in np.flatnonzero(self.locals["dones"]) if "episode" in infos[env]
        ]
        self._task.advance(self.training_env.num_envs)
        if self.num_timesteps - self._logged_at >= LOG_EVERY_STEPS:
            self._log()
        return not self._interrupted.is_set() and self.num_timesteps < self._until

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


@contextmanager
def interrupt_noticed() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one stops at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def notice(number: int, frame: Any) -> None:  # noqa: ARG001
        interrupted.set()
        _restore_handlers(before)

    for number in before:
        signal.signal(number, notice)
    try:
        yield interrupted
    finally:
        _restore_handlers(before)


def _restore_handlers(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
