"""What our games share: a vector environment that holds the state of all copies, and a single one made of one copy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import cv2
import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

SIZE = 84
"""Height and width of a frame, pixels."""

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}

Frames: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Label: TypeAlias = tuple[npt.NDArray[Any], Bools | None]
"""The values of one label in all copies, and where it is present (`None`: everywhere)."""


class VectorGame(VectorEnv[Frames, Ints, npt.NDArray[Any]]):
    """Copies of a game stepped at once, each a function of its own seed and actions (autoreset in the same step).

    Frames are uint8 of shape (num_envs, 84, 84). `info["labels"]` holds an array per label and, by Gymnasium's custom,
    a mask `_<label>` of the copies where it is present; at an episode's end `final_obs` and `final_info` have the last
    frame and its labels.
    """

    label_schema: ClassVar[dict[str, dict[str, Any]]]
    action_meanings: ClassVar[list[str]]
    keys_to_action: ClassVar[dict[tuple[str, ...], int]]
    metadata = METADATA | {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, max_episode_steps: int | None = None) -> None:
        _check_render_mode(render_mode)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = frame_space()
        self.single_action_space = spaces.Discrete(len(self.action_meanings))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[np.random.Generator] = []
        self._steps = np.zeros(num_envs, np.int64)

    @abstractmethod
    def begin(self, copy: int, generator: np.random.Generator) -> None:
        """Starts a new episode in one copy, drawing all its random numbers from `generator`."""

    @abstractmethod
    def advance(self, actions: Ints) -> tuple[Floats, Bools]:
        """Moves every copy by one step and returns rewards and terminations, each of shape (num_envs,)."""

    @abstractmethod
    def draw(self) -> Frames:
        """The frames of all copies, in new memory."""

    @abstractmethod
    def labels(self) -> dict[str, Label]:
        """The labels of what `draw` shows."""

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> tuple[Frames, dict[str, Any]]:
        """Starts an episode in all copies; an int seeds copy i with `seed + i`."""
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ValueError(f"seed: expected {self.num_envs} seeds, one a copy, found {len(seeds)}")
        if seeds is not None or not self._generators:
            self._generators = [np.random.default_rng(s) for s in seeds or [None] * self.num_envs]
        for copy, generator in enumerate(self._generators):
            self.begin(copy, generator)
        self._steps[:] = 0
        return self.draw(), {"labels": batched(self.labels())}

    def step(self, actions: Ints) -> tuple[Frames, Floats, Bools, Bools, dict[str, Any]]:
        rewards, terminations = self.advance(np.asarray(actions))
        self._steps += 1
        truncations = (
            np.zeros(self.num_envs, np.bool_)
            if self.max_episode_steps is None
            else (self._steps >= self.max_episode_steps)
        )
        frames, labels = self.draw(), batched(self.labels())
        ended = terminations | truncations
        if not ended.any():
            return frames, rewards, terminations, truncations, {"labels": labels}
        info = {"final_obs": frames, "_final_obs": ended, "final_info": {"labels": labels}, "_final_info": ended}
        for copy in np.flatnonzero(ended).tolist():
            self.begin(copy, self._generators[copy])
        self._steps[ended] = 0
        return self.draw(), rewards, terminations, truncations, info | {"labels": batched(self.labels())}

    def render(self) -> tuple[Frames, ...] | None:
        return tuple(enlarged(frame) for frame in self.draw()) if self.render_mode == "rgb_array" else None

    def get_action_meanings(self) -> list[str]:
        return list(self.action_meanings)


class Game(gym.Env[Frames, np.int64]):
    """One copy of a `VectorGame`; `info["labels"]` has a plain value for each label, `None` where it is absent."""

    game_class: ClassVar[type[VectorGame]]
    metadata = METADATA

    def __init__(self, render_mode: str | None = None) -> None:
        _check_render_mode(render_mode)
        self.render_mode = render_mode
        self._game = self.game_class(1)
        self.label_schema = self.game_class.label_schema
        self.observation_space = self._game.single_observation_space
        self.action_space = self._game.single_action_space

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> tuple[Frames, dict[str, Any]]:
        super().reset(seed=seed)
        self._game.begin(0, self.np_random)
        return self._game.draw()[0], {"labels": first(self._game.labels())}

    def step(self, action: np.int64 | int) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        rewards, terminations = self._game.advance(np.array([action]))
        info = {"labels": first(self._game.labels())}
        return self._game.draw()[0], float(rewards[0]), bool(terminations[0]), False, info

    def render(self) -> Frames | None:
        return enlarged(self._game.draw()[0]) if self.render_mode == "rgb_array" else None

    def get_action_meanings(self) -> list[str]:
        return self._game.get_action_meanings()

    def get_keys_to_action(self) -> dict[tuple[str, ...], int]:
        """The action of each combination of keys, in the form of `gymnasium.utils.play`."""
        return dict(self._game.keys_to_action)


def frame_space() -> spaces.Box:
    return spaces.Box(0, 255, (SIZE, SIZE), np.uint8)


def batched(labels: Mapping[str, Label]) -> dict[str, npt.NDArray[Any]]:
    """Labels in Gymnasium's form for vector environments: an array and a mask of presence for each."""
    out: dict[str, npt.NDArray[Any]] = {}
    for name, (values, present) in labels.items():
        out[name] = values.copy()
        out[f"_{name}"] = np.ones(len(values), np.bool_) if present is None else present
    return out


def first(labels: Mapping[str, Label]) -> dict[str, Any]:
    """The first copy's labels as plain values."""
    return {
        name: values.item(0) if present is None or present.item(0) else None
        for name, (values, present) in labels.items()
    }


def enlarged(frame: Frames, factor: int = 4) -> Frames:
    """The frame as RGB, each pixel a square of `factor` pixels."""
    large = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)


def _check_render_mode(render_mode: str | None) -> None:
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode: expected 'rgb_array' or None, found {render_mode!r}")
