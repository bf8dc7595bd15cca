"""A model saved by Stable-Baselines3 as a policy, with the frames stacked as it saw them in training.

SB3 unpickles parts of its files, which can run any code: a model is loaded only for who says that it is trusted.
"""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import Env, spaces

from agentlab.errors import InputError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from agentlab.recording.frames import Frame

ALGORITHMS = {
    "clip_range": "PPO",
    "exploration_fraction": "DQN",
    "policy_delay": "TD3",
    "target_entropy": "SAC",
    "gae_lambda": "A2C",
}
"""The algorithm of a model, by the first of these fields that its file has; TD3 plays for DDPG too."""
UNUSED = {
    "learning_rate": 0.0,
    "lr_schedule": None,
    "clip_range": 0.0,
    "clip_range_vf": None,
    "exploration_schedule": None,
}
"""What only training needs; saved functions often cannot be read under another Python."""


class SB3Policy:
    """Plays as the model does, without exploring."""

    def __init__(self, model: BaseAlgorithm, name: str, frame_shape: tuple[int, ...]) -> None:
        self.name = name
        self._model = model
        assert model.observation_space is not None
        self._stack = FrameStack(frame_shape, model.observation_space.shape or ())

    def reset(self, seed: int) -> None:  # noqa: ARG002
        self._stack.clear()

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:  # noqa: ARG002
        action, _ = self._model.predict(self._stack.push(frame), deterministic=True)
        return action if action.shape else action.item()


class FrameStack:
    """The last frames as SB3's `VecFrameStack` and `VecTransposeImage` give them: newest last, zeros before the first.

    `seen_shape` has the channels of all frames first or last, or is that of a single frame; else `ValueError`.
    """

    def __init__(self, frame_shape: tuple[int, ...], seen_shape: tuple[int, ...]) -> None:
        height, width, *rest = frame_shape
        self._channels = rest[0] if rest else 1
        self._seen_shape = seen_shape
        self._channels_first = len(seen_shape) == 3 and seen_shape[1:] == (height, width)
        channels_last = len(seen_shape) in (2, 3) and seen_shape[:2] == (height, width)
        seen_channels = math.prod(seen_shape) // (height * width)
        if not (self._channels_first or channels_last) or seen_channels % self._channels:
            raise ValueError(f"expected frames that stack up to {seen_shape}, found {frame_shape}")
        self._frames = np.zeros((height, width, seen_channels), np.uint8)

    def clear(self) -> None:
        self._frames[:] = 0

    def push(self, frame: Frame) -> Frame:
        """The stack with `frame` as its newest, in new memory."""
        self._frames = np.roll(self._frames, -self._channels, axis=2)
        self._frames[..., -self._channels :] = frame.reshape(*frame.shape[:2], self._channels)
        seen = np.moveaxis(self._frames, 2, 0) if self._channels_first else self._frames
        return seen.reshape(self._seen_shape).copy()


def sb3_policies(file: str, env: Env[Any, Any], copies: int, *, device: str, trust: bool) -> list[SB3Policy]:
    """The model in the zip `file`, loaded once, for each copy of an environment like `env`.

    Raises `InputError` unless it is trusted, for what is no model of SB3, and for one of other frames or actions.
    """
    if not Path(file).is_file():
        raise InputError(f"policy {file!r}: no such file")
    if not trust:
        raise InputError(
            f"policy {file!r}: Stable-Baselines3 unpickles a model to load it, which can run any code that is in the "
            "file; add --trust if you trust where it comes from"
        )
    model = _load(file, _algorithm(file), device)
    if model.action_space != env.action_space:
        raise InputError(
            f"policy {file!r}: expected an environment with actions {model.action_space}, found {env.action_space}"
        )
    seen, frame_shape = model.observation_space, env.observation_space.shape or ()
    try:
        if not isinstance(seen, spaces.Box) or seen.dtype != np.uint8:
            raise ValueError(f"expected a model that sees images, found one that sees {seen}")
        return [SB3Policy(model, file, frame_shape) for _ in range(copies)]
    except ValueError as error:
        raise InputError(f"policy {file!r}: {error}") from error


def _algorithm(file: str) -> str:
    """Which algorithm saved the model, read without unpickling anything."""
    try:
        with zipfile.ZipFile(file) as archive:
            fields = json.loads(archive.read("data"))
        home = str(fields["policy_class"].get("__module__"))
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"policy {file!r}: expected the zip that a model of SB3 saves, found another file") from error
    found = next((name for field, name in ALGORITHMS.items() if field in fields), None)
    if found is None or home.startswith("sb3_contrib"):
        raise InputError(
            f"policy {file!r}: expected a model of {', '.join(sorted(ALGORITHMS.values()))} or DDPG, found one of "
            f"another algorithm ({home}); load it in a function of your own, and give its  module:function"
        )
    return found


def _load(file: str, algorithm: str, device: str) -> BaseAlgorithm:
    import stable_baselines3

    algorithm_class = getattr(stable_baselines3, algorithm)
    memory = {"buffer_size": 1} if algorithm in ("DQN", "TD3", "SAC") else {}
    try:
        model: BaseAlgorithm = algorithm_class.load(file, device=device, custom_objects=UNUSED, **memory)
    except Exception as error:
        message = str(error).strip().partition("\n")[0]
        raise InputError(
            f"policy {file!r}: Stable-Baselines3 cannot load it as {algorithm} ({type(error).__name__}: {message})"
        ) from error
    return model
