"""The course of a head's training: it learns, may be stopped and gone on with, and may be given another eye."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agentlab import timing
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.head import checkpoint as checkpoints
from agentlab.head.agent import Agent
from agentlab.head.dqn import RewardDifferenceDQN
from agentlab.head.features_env import FrozenFeatures
from agentlab.head.frame_archive import FrameArchive
from agentlab.head.interrupt import interrupt_noticed
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.ppo import RewardDifferencePPO
from agentlab.head.recorded_play import remember
from agentlab.head.spaces import StackedFeatures
from agentlab.head.watch import Watch
from agentlab.metrics import MetricsLog
from agentlab.progress import Progress

if TYPE_CHECKING:
    from agentlab.recording import Recording

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
        model: RewardDifferenceDQN | RewardDifferencePPO,
        env: FrozenFeatures,
        total_steps: int,
        before: checkpoints.Reached,
        *,
        checkpoint: Path | None,
        refresh: Refresh | None,
        progress: Progress,
        metrics: MetricsLog,
    ) -> None:
        """`before` is how far the training was that it goes on with. The memory keeps its frames as long as a `refresh`
        is to come."""
        self._model, self._env, self._total_steps = model, env, total_steps
        self._checkpoint, self._refresh = checkpoint, refresh
        self._progress, self._metrics = progress, metrics
        self._before, self._refreshes = before, before.refreshes
        self._keep_frames_for_refreshes()

    def restore(self, identity: Mapping[str, Any]) -> None:
        """Goes on from the checkpoint, if there is one; errors as those of `checkpoint.restore`."""
        checkpoints.restore(self._model, self._checkpoint, identity)
        extractor = self._env.extractor
        if self._before.eye in ("", extractor.fingerprint):
            return
        if isinstance(self._model, RewardDifferenceDQN) and self._env.archive is None:
            raise InputError(f"{extractor.folder}: expected the extractor that the training saw through, found another")
        self._see_through(extractor)

    def run(self, meta: dict[str, Any], recordings: Sequence[Recording], updates: int) -> dict[str, Any]:
        """Learns to the end and gives what was reached; from recorded play first, with `updates`, if there is any.

        `meta` describes the head. Interrupted, it leaves a checkpoint and raises `KeyboardInterrupt`.
        """
        with timing.recorded(self._before.seconds) as split:
            self._split = split
            if recordings:
                self._begin(recordings, updates)
            for share in self._refresh.at[self._refreshes :] if self._refresh else ():
                self._learn(until=round(share * self._total_steps))
                self._keep()
                self._see_anew(meta)
                self._keep()
            return self._learn()

    def _begin(self, recordings: Sequence[Recording], updates: int) -> None:
        """Makes `updates` on recorded play, unless they were made before; random play is not needed first then."""
        model, env = self._model, self._env
        memory: FeatureReplayBuffer
        if isinstance(model, RewardDifferenceDQN):
            model.learning_starts = 0
            memory, learn = model.replay_buffer, model.learn_recorded
        else:
            room = sum(recording.total_steps for recording in recordings) + env.num_envs
            memory = FeatureReplayBuffer(room, env.observation_space, env.action_space, model.device, env.num_envs)
            learn = partial(model.imitate, memory)
        if model._n_updates < updates and not memory.size():
            remember(recordings, memory, model, env, self._progress)
        with (
            self._progress.task("pretrain", updates, "updates", min(model._n_updates, updates)) as task,
            interrupt_noticed() as interrupted,
        ):
            while model._n_updates < updates and not interrupted.is_set():
                now = min(UPDATES_AT_ONCE, updates - model._n_updates)
                with timing.spent("update"):
                    learn(now)
                task.advance(now)
        self._stop_if(interrupted)

    def _learn(self, until: int | None = None) -> dict[str, Any]:
        """Learns to the end, or `until` so many agent steps are done in all, and gives what was reached."""
        model, done = self._model, self._model.num_timesteps
        with self._progress.task("train", self._total_steps, "steps", done) as task, interrupt_noticed() as interrupted:
            stop_at = NEVER if until is None else self._stop_at(until)
            watch = Watch(task, self._metrics, interrupted, self._split, stop_at)
            if done < (self._total_steps if until is None else until):
                steps_left = self._total_steps - done
                model.learn(steps_left, callback=watch, log_interval=NEVER, reset_num_timesteps=done == 0)
            if watch.has_stopped and isinstance(model, OnPolicyAlgorithm):
                model.num_timesteps = watch.rollout_began_at  # it does not learn from unfinished rollouts
        self._stop_if(interrupted)
        return {
            "steps": model.num_timesteps,
            "updates": model._n_updates,
            "last_training_return": watch.last_return,
            "seconds": {name: round(seconds, 3) for name, seconds in self._split.seconds().items()},
        }

    def _see_anew(self, meta: dict[str, Any]) -> None:
        """Goes on with the eye that is made of what the head plays."""
        assert self._refresh is not None
        with timing.spent("refresh"):
            agent = Agent(self._env.extractor, self._model.policy, meta)
            self._see_through(self._refresh(agent, self._refreshes + 1))
        self._refreshes += 1
        self._keep_frames_for_refreshes()

    def _keep_frames_for_refreshes(self) -> None:
        """Lets the memory keep its frames if a refresh is to come, else not."""
        env, model = self._env, self._model
        if not isinstance(model, RewardDifferenceDQN):
            return
        if self._refresh is None or self._refreshes == len(self._refresh.at):
            env.archive = model.replay_buffer.archive = None
        elif env.archive is None:
            env.archive = model.replay_buffer.archive = FrameArchive(env.extractor.frame_shape)

    def _keep(self) -> None:
        """Leaves a checkpoint."""
        space = self._env.observation_space
        assert isinstance(space, StackedFeatures)
        reached = checkpoints.Reached(
            self._env.extractor.fingerprint, self._refreshes, self._split.seconds(), space.overlooked
        )
        checkpoints.keep(self._model, self._checkpoint, reached)

    def _stop_at(self, until: int) -> int:
        """The step to stop at, so that all steps up to `until` are learned from: PPO learns after a rollout's last."""
        model = self._model
        if not isinstance(model, OnPolicyAlgorithm):
            return until
        rollout, done = model.n_steps * model.n_envs, model.num_timesteps
        return done + math.ceil((until - done) / rollout) * rollout + 1

    def _stop_if(self, interrupted: threading.Event) -> None:
        if interrupted.is_set():
            self._keep()
            raise KeyboardInterrupt

    def _see_through(self, extractor: FrozenExtractor) -> None:
        """Running episodes are cut off, and the memory's frames seen anew."""
        env, model = self._env, self._model
        env.see_through(extractor)
        if isinstance(model, RewardDifferenceDQN):
            model.replay_buffer.see_anew(lambda frames: extractor.percepts(frames, env.sees))
        model._last_obs = None  # SB3 then resets the environments
