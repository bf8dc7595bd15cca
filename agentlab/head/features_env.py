"""Features environments: any pixel environment seen through a frozen extractor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from agentlab.errors import InputError, nearest
from agentlab.extractor import FrozenExtractor, Sees
from agentlab.head.frame_archive import FrameArchive
from agentlab.head.spaces import StackedFeatures
from agentlab.timing import spent
from agentlab_envs import SideBySide

States = npt.NDArray[np.float16]


class FeatureStack:
    """The states of `n` environments: the percepts of each one's last frames, `(n, stack * n_percepts)`.

    States once given away never change.
    """

    def __init__(self, n: int, space: StackedFeatures) -> None:
        self._percepts = np.zeros((n, space.stack, space.n_percepts), np.float16)

    def begin(self, percepts: npt.NDArray[Any], which: Any = slice(None)) -> States:
        """New episodes in the environments `which`, at their first frames."""
        self._percepts = self._percepts.copy()
        self._percepts[which] = percepts[:, None]
        return self.states()

    def push(self, percepts: npt.NDArray[Any]) -> States:
        """One frame more in every environment."""
        self._percepts = np.concatenate([self._percepts[:, 1:], percepts[:, None].astype(np.float16)], axis=1)
        return self.states()

    def states(self) -> States:
        return self._percepts.reshape(len(self._percepts), -1)


def states_of_episode(percepts: npt.NDArray[Any], space: StackedFeatures) -> States:
    """The states `(n_frames, stack * n_percepts)` of one episode with percepts `(n_frames, n_percepts)`."""
    before = np.repeat(percepts[:1], space.stack - 1, axis=0)
    padded = np.concatenate([before, percepts]).astype(np.float16)
    return np.concatenate([padded[age : age + len(percepts)] for age in range(space.stack)], axis=1)


class FrozenFeatures(VecEnvWrapper):
    """A `VecEnv` whose observations are the extractor's percepts of the last `stack` frames.

    Terminal observations too. Percepts are the labels predicted from a frame's features, with `sees="all"` the
    features too; each frame is seen by the extractor once. Over a `SideBySide` the frames of one part are seen while
    the other parts step. Raises `InputError` when the environment's frames are not those the extractor was fitted on.
    """

    def __init__(
        self,
        venv: VecEnv,
        extractor: FrozenExtractor,
        stack: int = 4,
        sees: Sees = "labels",
        overlooked: Sequence[int] | None = None,
    ) -> None:
        """`overlooked` are the percepts that heads leave out, if not those that suit the extractor."""
        space = features_space(venv.observation_space, extractor, stack, sees, overlooked)
        self.extractor = extractor
        self.stack, self.sees = stack, sees
        self.parts: list[VecEnv] = [self]
        if isinstance(venv, SideBySide):
            self.parts = [FrozenFeatures(part, extractor, stack, sees, overlooked) for part in venv.parts]
            venv = SideBySide(self.parts)
        super().__init__(venv, observation_space=space)
        self._stacked = FeatureStack(venv.num_envs, space)
        self.archive: FrameArchive | None = None

    def see_through(self, extractor: FrozenExtractor) -> None:
        """Sees through another extractor from the next reset on; states keep their space."""
        for part in self.parts:
            part.extractor = extractor  # type: ignore[attr-defined]
        self.extractor = extractor

    def reset(self) -> States:
        if self.parts != [self]:
            return self.venv.reset()  # type: ignore[return-value]
        frames: Any = self.venv.reset()
        if self.archive is not None:
            self.archive.show(frames)
        return self._stacked.begin(self._see(frames))

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        with spent("game"):
            self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        if self.parts != [self]:
            return self.venv.step_wait()
        with spent("game"):
            frames, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        if self.archive is not None:
            self.archive.show(frames, {int(env): infos[env]["terminal_observation"] for env in ended})  # type: ignore[arg-type]
        if not len(ended):
            return self._stacked.push(self._see(frames)), rewards, dones, infos
        terminal_frames = np.stack([infos[env]["terminal_observation"] for env in ended])
        percepts = self._see(np.concatenate([frames, terminal_frames]))
        first = percepts[ended]
        percepts[ended] = percepts[len(dones) :]
        states = self._stacked.push(percepts[: len(dones)])
        for env in ended:
            infos[env]["terminal_observation"] = states[env].copy()
        return self._stacked.begin(first, ended), rewards, dones, infos

    def _see(self, frames: Any) -> npt.NDArray[np.float32]:
        with spent("extractor"):
            return self.extractor.percepts(frames, self.sees)

    def predict_labels(self, states: States) -> dict[str, npt.NDArray[np.float32]]:
        """Each label's values `(n,)` as the extractor predicts them for the newest frames of `states`."""
        newest = states.reshape(len(states), self.stack, -1)[:, -1]
        return dict(zip(self.extractor.label_schema, self.extractor.labels_of(newest).T, strict=True))


class FrozenFeaturesWrapper(gym.Wrapper[Any, Any, Any, Any]):
    """The same for a single Gymnasium environment."""

    def __init__(
        self, env: gym.Env[Any, Any], extractor: FrozenExtractor, stack: int = 4, sees: Sees = "labels"
    ) -> None:
        super().__init__(env)
        space = features_space(env.observation_space, extractor, stack, sees)
        self.sees = sees
        self.observation_space: gym.Space[Any] = space
        self.extractor = extractor
        self._stacked = FeatureStack(1, space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[States, dict[str, Any]]:
        frame, info = self.env.reset(seed=seed, options=options)
        return self._stacked.begin(self.extractor.percepts(frame[None], self.sees))[0], info

    def step(self, action: Any) -> tuple[States, Any, bool, bool, dict[str, Any]]:
        frame, reward, terminated, truncated, info = self.env.step(action)
        return (
            self._stacked.push(self.extractor.percepts(frame[None], self.sees))[0],
            reward,
            terminated,
            truncated,
            info,
        )


def features_space(
    frames: gym.Space[Any], extractor: FrozenExtractor, stack: int, sees: Sees, overlooked: Sequence[int] | None = None
) -> StackedFeatures:
    """The space of states that `extractor` makes of `frames`; `InputError` when it was fitted on others."""
    if stack < 1:
        raise InputError(f"stack: expected at least 1 frame, found {stack}")
    if sees not in get_args(Sees):
        raise InputError(f"sees: expected 'labels' or 'all', found {sees!r}.{nearest(sees, get_args(Sees))}")
    if not isinstance(frames, gym.spaces.Box) or frames.dtype != np.uint8:
        raise InputError(f"environment: expected frames, a uint8 Box, found the observation space {frames}")
    extractor.require_frames(frames.shape, "environment")
    return state_space(extractor, stack, sees, overlooked)


def state_space(
    extractor: FrozenExtractor, stack: int, sees: Sees, overlooked: Sequence[int] | None = None
) -> StackedFeatures:
    """The space of states of the percepts of `stack` frames; heads leave out `overlooked`, else what they should."""
    n_percepts = extractor.n_percepts(sees)
    overlooked = extractor.overlooked(sees) if overlooked is None else overlooked
    if len(overlooked) == n_percepts:
        raise InputError(
            f"{extractor.folder}: expected a label that is no score and that is read from frames, found none"
        )
    return StackedFeatures(stack, n_percepts, overlooked)
