"""Atari games: the preprocessing, alone and in `ale_py`'s vector environment, with equal frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ale_py.vector_env import AtariVectorEnv
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

SEEDS = 2**31 - 1
"""`ale_py` takes seeds of 31 bits."""

VECTOR_NAMES = {
    "repeat_action_probability": "repeat_action_probability",
    "full_action_space": "full_action_space",
    "max_num_frames_per_episode": "max_num_frames_per_episode",
    "noop_max": "noop_max",
    "frame_skip": "frameskip",
}
"""The arguments of `make` that the vector environment honours, and what it calls them."""


class AtariFramesVectorEnv(AtariVectorEnv):
    """`ale_py`'s vector environment giving single frames of shape (num_envs, 84, 84), as `AtariPreprocessing` does."""

    render_mode = None

    def __init__(self, spec: EnvSpec, num_envs: int, threads: int, kwargs: dict[str, Any]) -> None:
        options = {
            VECTOR_NAMES[name]: value for name, value in {**spec.kwargs, **kwargs}.items() if name in VECTOR_NAMES
        }
        super().__init__(
            spec.kwargs["game"],
            num_envs,
            num_threads=threads,
            autoreset_mode=AutoresetMode.SAME_STEP,
            stack_num=1,
            reward_clipping=False,
            use_fire_reset=False,
            **options,
        )
        self.spec = spec
        self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = spaces.Box(0, 255, (84, 84), np.uint8)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in all copies; an int seeds copy i with `seed + i`, a sequence has one seed a copy."""
        if seed is not None:
            seed = (np.asarray(seed) if np.ndim(seed) else seed + np.arange(self.num_envs)) % SEEDS
        observations, info = super().reset(seed=seed, options=options)
        return observations[:, 0], info

    def step(self, actions: npt.NDArray[np.int64]) -> tuple[Any, ...]:
        self.send(actions)
        return self.recv()

    def recv(self) -> tuple[Any, ...]:
        observations, rewards, terminations, truncations, info = super().recv()
        if "final_obs" in info:
            info["final_obs"] = info["final_obs"][:, 0]
        return observations[:, 0], rewards, terminations, truncations, info

    def get_action_meanings(self) -> list[str]:
        return [action.name for action in self.ale.get_action_set()]
