"""Gymnasium vector environments as Stable-Baselines3's `VecEnv`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

Array = npt.NDArray[Any]


class SameStepVecEnv(VecEnv):
    """A Gymnasium vector environment with same-step autoreset as a `VecEnv`, all copies handled at once.

    Infos hold, at an episode's end, `episode` (return, length, seconds since the start) as SB3's `Monitor` writes it,
    `terminal_observation` and `TimeLimit.truncated`; and `labels` in every step where `labels` asks for them.
    Raises `ValueError` for another autoreset mode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], labels: bool = False) -> None:
        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ValueError(f"{env}: expected same-step autoreset, found {env.metadata.get('autoreset_mode')}")
        self.env = env
        self._labels = labels
        self._actions: Array = np.empty(0)
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._start_s = time.perf_counter()
        self._was_reset = False
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Array:
        if not self._was_reset and self._seeds[0] is None:
            self.seed()
        self._was_reset = True
        observations, info = self.env.reset(seed=None if self._seeds[0] is None else self._seeds)  # type: ignore[arg-type]
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        self._lengths[:] = 0
        if self._labels:
            self.reset_infos = [{"labels": labels} for labels in self._unbatched(info["labels"])]
        return np.asarray(observations)

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        return self._converted(*self.env.step(self._actions))

    def _converted(
        self, observations: Array, rewards: Array, terminations: Array, truncations: Array, info: dict[str, Any]
    ) -> VecEnvStepReturn:
        self._returns += rewards
        self._lengths += 1
        dones = terminations | truncations
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if self._labels:
            for copy, labels in enumerate(self._unbatched(info["labels"])):
                infos[copy]["labels"] = labels
        if dones.any():
            self._end_episodes(np.flatnonzero(dones), terminations, info, infos)
        return observations, rewards.astype(np.float32), dones, infos

    def _end_episodes(
        self, ended: Array, terminations: Array, info: dict[str, Any], infos: list[dict[str, Any]]
    ) -> None:
        final_labels = self._unbatched(info["final_info"]["labels"]) if self._labels else None
        seconds = round(time.perf_counter() - self._start_s, 6)
        for copy in ended.tolist():
            infos[copy]["episode"] = {"r": float(self._returns[copy]), "l": int(self._lengths[copy]), "t": seconds}
            infos[copy]["terminal_observation"] = info["final_obs"][copy]
            infos[copy]["TimeLimit.truncated"] = not terminations[copy]
            if final_labels is not None:
                self.reset_infos[copy] = {"labels": infos[copy]["labels"]}
                infos[copy]["labels"] = final_labels[copy]
        self._returns[ended] = 0
        self._lengths[ended] = 0

    def _unbatched(self, labels: Mapping[str, Array]) -> list[dict[str, Any]]:
        """One dict of plain values for each copy, `None` where the mask `_<label>` says that there is no value."""
        columns = {name: values.tolist() for name, values in labels.items() if f"_{name}" in labels}
        present = {name: labels[f"_{name}"].tolist() for name in columns}
        return [
            {name: values[copy] if present[name][copy] else None for name, values in columns.items()}
            for copy in range(self.num_envs)
        ]

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> Sequence[Array | None]:
        images: Any = self.env.render()
        return [None] * self.num_envs if images is None else list(images)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self.env, attr_name)] * len(self._copies(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        if len(self._copies(indices)) != self.num_envs:
            raise ValueError(f"{attr_name}: the copies of {self.env} share their attributes: set it for all of them")
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [result] * len(self._copies(indices))

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """True for SB3's `Monitor`, whose work is done here: returns and lengths are those of the game."""
        return [issubclass(Monitor, wrapper_class)] * len(self._copies(indices))

    def _copies(self, indices: VecEnvIndices) -> list[int]:
        return list(self._get_indices(indices))


class AtariVecEnv(SameStepVecEnv):
    """`ale_py`'s vector environment: the games run in its threads between `step_async` and `step_wait`.

    Infos hold `life_lost` where a life was, and the game goes on.
    """

    def step_async(self, actions: Array) -> None:
        self.env.send(np.asarray(actions))  # type: ignore[attr-defined]

    def step_wait(self) -> VecEnvStepReturn:
        return self._converted(*self.env.recv())  # type: ignore[attr-defined]

    def reset(self) -> Array:
        self._lives = np.zeros(self.num_envs, np.int64)
        return super().reset()

    def _converted(
        self, observations: Array, rewards: Array, terminations: Array, truncations: Array, info: dict[str, Any]
    ) -> VecEnvStepReturn:
        step = super()._converted(observations, rewards, terminations, truncations, info)
        _, _, dones, infos = step
        for copy in np.flatnonzero((info["lives"] < self._lives) & ~dones):
            infos[copy]["life_lost"] = True
        self._lives = np.array(info["lives"])
        return step
