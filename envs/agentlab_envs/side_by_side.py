"""Several vector environments as one, whose parts can be stepped at different times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

Array = npt.NDArray[Any]


class SideBySide(VecEnv):
    """The copies of all `parts`, one after the other, as one `VecEnv`.

    All parts step at once. Whoever steps them apart instead, through `parts`, can work on what one part has shown while
    another steps. Raises `ValueError` for no parts and for parts of different spaces.
    """

    def __init__(self, parts: Sequence[VecEnv]) -> None:
        if not parts:
            raise ValueError("parts: expected at least one environment, found none")
        spaces = [(part.observation_space, part.action_space) for part in parts]
        if any(found != spaces[0] for found in spaces):
            raise ValueError(f"parts: expected environments of the same spaces, found {spaces}")
        self.parts = list(parts)
        ends = np.cumsum([part.num_envs for part in parts]).tolist()
        self.spans = [slice(end - part.num_envs, end) for end, part in zip(ends, parts, strict=True)]
        super().__init__(ends[-1], *spaces[0])

    def reset(self) -> Array:
        observations = [part.reset() for part in self.parts]
        self._gather_reset_infos()
        return np.concatenate(observations)  # type: ignore[arg-type]

    def step_async(self, actions: Array) -> None:
        for part, span in zip(self.parts, self.spans, strict=True):
            part.step_async(actions[span])

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = joined([part.step_wait() for part in self.parts])
        if dones.any():
            self._gather_reset_infos()
        return observations, rewards, dones, infos

    def close(self) -> None:
        for part in self.parts:
            part.close()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds copy i with `seed + i`, whichever part it is in; `None` draws one."""
        if seed is None:
            seed = int(np.random.randint(0, np.iinfo(np.uint32).max, dtype=np.uint32))
        return [
            drawn for part, span in zip(self.parts, self.spans, strict=True) for drawn in part.seed(seed + span.start)
        ]

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        for part, span in zip(self.parts, self.spans, strict=True):
            part.set_options(options[span] if isinstance(options, list) else options)

    def get_images(self) -> Sequence[Array | None]:
        return [image for part in self.parts for image in part.get_images()]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [value for part, local in self._of(indices) for value in part.get_attr(attr_name, local)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for part, local in self._of(indices):
            part.set_attr(attr_name, value, local)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        return [
            result
            for part, local in self._of(indices)
            for result in part.env_method(method_name, *method_args, indices=local, **method_kwargs)
        ]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return [found for part, local in self._of(indices) for found in part.env_is_wrapped(wrapper_class, local)]

    def _gather_reset_infos(self) -> None:
        self.reset_infos = [info for part in self.parts for info in part.unwrapped.reset_infos]

    def _of(self, indices: VecEnvIndices) -> Iterator[tuple[VecEnv, list[int]]]:
        """The parts that the copies `indices` are in, with their numbers there; in the order of parts."""
        chosen = set(self._get_indices(indices))
        for part, span in zip(self.parts, self.spans, strict=True):
            local = [copy - span.start for copy in range(span.start, span.stop) if copy in chosen]
            if local:
                yield part, local


def parts_of(env: VecEnv) -> list[VecEnv]:
    """The parts of `env` that can be stepped apart: itself alone, unless it says otherwise in its own `parts`."""
    found: list[VecEnv] = vars(env).get("parts", [env])
    return found


def joined(outcomes: Sequence[VecEnvStepReturn]) -> VecEnvStepReturn:
    """What the parts' steps gave, as one step of all copies."""
    if len(outcomes) == 1:
        return outcomes[0]
    observations, rewards, dones, infos = zip(*outcomes, strict=True)
    return (
        np.concatenate(observations),
        np.concatenate(rewards),
        np.concatenate(dones),
        [info for part in infos for info in part],
    )
