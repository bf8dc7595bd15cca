"""Labels of Atari games, read from the console's memory."""

from __future__ import annotations

import difflib
import functools
import json
import re
from importlib import resources
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import AtariPreprocessing

from agentlab_envs.atari_presence import PRESENCE, Condition

Memory: TypeAlias = npt.NDArray[np.uint8]
Info: TypeAlias = dict[str, Any]


class AtariLabels(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds `info["labels"]`: bytes of the memory by name, and a flag `<object>_visible` for what can leave the screen.

    What belongs to an object that is not visible is `None`. The labels are those of the frame that is seen: over
    `MemoryTrace` an object that either of the last two emulator frames shows is visible, and at an episode's end, where
    `AtariPreprocessing` repeats its last frame, so are the labels repeated. Raises `ValueError` for an unknown game.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        game = _game(env)
        if game not in _table():
            nearest = difflib.get_close_matches(game, _table(), n=1, cutoff=0)
            raise ValueError(
                f"AtariLabels: no labels are known of {env}; the nearest game with labels is {nearest[0]!r}"
            )
        bytes_by_label = _table()[game]
        self._names = list(bytes_by_label)
        self._bytes = np.array(list(bytes_by_label.values()))
        self._objects = [
            (name, conditions, [label for label in self._names if _object(label) == name])
            for name, conditions in PRESENCE.get(game, {}).items()
        ]
        self.label_schema = {name: _number(name) for name in self._names} | {
            f"{name}_visible": {"kind": "flag"} for name, _, _ in self._objects
        }
        self._end_is_stale = _is_wrapped(env, AtariPreprocessing)
        self._labels: Info = {}

    @staticmethod
    def knows(env: gym.Env[Any, Any]) -> bool:
        """Whether the environment is an Atari game whose labels are known."""
        return _game(env) in _table()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        frame, info = self.env.reset(seed=seed, options=options)
        self._labels = self._read()
        return frame, info | {"labels": dict(self._labels)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, Info]:
        frame, reward, terminated, truncated, info = self.env.step(action)
        if not (self._end_is_stale and (terminated or truncated)):
            self._labels = self._read()
        return frame, reward, terminated, truncated, info | {"labels": dict(self._labels)}

    def _read(self) -> Info:
        older, memory = self._memories()
        labels: Info = dict(zip(self._names, memory[self._bytes].tolist(), strict=True))
        older_labels = dict(zip(self._names, older[self._bytes].tolist(), strict=True))
        for name, conditions, members in self._objects:
            now, before = _hold(conditions, memory), _hold(conditions, older)
            if not now:
                labels.update({label: older_labels[label] if before else None for label in members})
            labels[f"{name}_visible"] = now or before
        return labels

    def _memories(self) -> tuple[Memory, Memory]:
        if self.env.has_wrapper_attr("memories"):
            memories: tuple[Memory, Memory] = self.env.get_wrapper_attr("memories")
            return memories
        return (_memory(self.env),) * 2


class MemoryTrace(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Keeps the console's memory of the last two emulator frames in `memories`, the older first.

    Stands under `AtariPreprocessing`, whose frames show what either of the two shows.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self.memories = (_memory(env),) * 2

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        result = self.env.reset(seed=seed, options=options)
        self.memories = (_memory(self.env),) * 2
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, Info]:
        result = self.env.step(action)
        self.memories = (self.memories[1], _memory(self.env))
        return result


def _memory(env: gym.Env[Any, Any]) -> Memory:
    memory: Memory = env.unwrapped.ale.getRAM()  # type: ignore[attr-defined]
    return memory


@functools.cache
def _table() -> dict[str, dict[str, int]]:
    """The byte of each label, by game (ROM name without underscores)."""
    text = resources.files("agentlab_envs").joinpath("atari_ram.json").read_text(encoding="utf-8")
    games: dict[str, dict[str, int]] = json.loads(text)["games"]
    return games


def _game(env: gym.Env[Any, Any]) -> str:
    spec = env.unwrapped.spec
    return str(spec.kwargs.get("game", "")).replace("_", "") if spec else ""


def _number(label: str) -> dict[str, Any]:
    """What the schema says of a byte of memory; those of a score count points, if not always one by one."""
    return {"kind": "number", "low": 0, "high": 255, "unit": "points" if "score" in label else "ram"}


def _object(label: str) -> str:
    """The object of a coordinate, `enemy_car_3` of `enemy_car_x_3`; any other label is its own."""
    return re.sub(r"_[xy](_?\d+)?$", r"\1", label)


def _hold(conditions: tuple[Condition, ...], memory: Memory) -> bool:
    return all(
        low <= memory[byte] <= high if low <= high else not high < memory[byte] < low for byte, low, high in conditions
    )


def _is_wrapped(env: gym.Env[Any, Any], wrapper: type[gym.Wrapper[Any, Any, Any, Any]]) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, wrapper):
            return True
        env = env.env
    return False
