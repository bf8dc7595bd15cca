"""The single environment for an id, and the fastest vector environment for it, with equal frames."""

from __future__ import annotations

import functools
import importlib
import inspect
import multiprocessing
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import AtariPreprocessing, TimeLimit

from agentlab_envs.atari_labels import AtariLabels, MemoryTrace
from agentlab_envs.car_racing import CarRacingLabels
from agentlab_envs.lives import LivesLost
from agentlab_envs.screen import seen_as_drawn, shows_images

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

ATARI_DEFAULTS: dict[str, Any] = {"noop_max": 30, "frame_skip": 4}
"""How Atari games are preprocessed unless told otherwise: random no-ops at the start, each action held for 4 frames."""

_PREPROCESSING = set(inspect.signature(AtariPreprocessing).parameters) - {"env"}


def make(env_id: str, *, render_mode: str | None = None, **kwargs: Any) -> gym.Env[Any, Any]:
    """The environment for an id; Atari games with `AtariPreprocessing` (84x84, grey, 4 frames a step) and labels,
    CarRacing with labels, and those whose observations are no images, such as MiniGrid's, as they are drawn.

    `kwargs` go to `gymnasium.make`, for Atari games also to `AtariPreprocessing`, whose `screen_size` may be a list of
    width and height or text, `"160x210"`, too. Raises Gymnasium's errors for an unknown id, and its
    `DependencyNotInstalled` for an Atari game without ale-py.
    """
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    if not _is_atari(_spec(env_id)):
        env: gym.Env[Any, Any] = gym.make(env_id, **kwargs)
        if CarRacingLabels.knows(env):
            return CarRacingLabels(env)
        return env if shows_images(env.observation_space) else seen_as_drawn(env, env_id, kwargs)
    options = ATARI_DEFAULTS | kwargs
    preprocessing = {name: options.pop(name) for name in _PREPROCESSING & options.keys()}
    if "screen_size" in preprocessing:
        preprocessing["screen_size"] = _screen_size(preprocessing["screen_size"])
    max_episode_steps = options.pop("max_episode_steps", None)
    env = gym.make(env_id, **{"frameskip": 1} | options)
    labelled = AtariLabels.knows(env)
    env = LivesLost(AtariPreprocessing(MemoryTrace(env) if labelled else env, **preprocessing))
    if labelled:
        env = AtariLabels(env)
    if max_episode_steps is not None:  # steps of the agent, not frames of the emulator
        env = TimeLimit(env, max_episode_steps)
    return env


def make_vec(
    env_id: str, n_envs: int, seed: int | None = None, *, labels: bool = False, threads: int = 0, **kwargs: Any
) -> VecEnv:
    """The fastest SB3 `VecEnv` for an id: `ale_py`'s, the one its spec names, or a process for each copy.

    `kwargs` are those of `make`, and the frames are equal to its frames. The first reset is seeded, copy i with
    `seed + i`. `labels` guarantees `info["labels"]`, for Atari games at the price of speed. `threads` is the number of
    threads that step an Atari game's copies (0: one a core). Raises what `make` raises, and `ValueError` for fewer than
    one copy or labels of an environment that has none.
    """
    if n_envs < 1:
        raise ValueError(f"n_envs: expected at least 1, found {n_envs}")
    spec = _spec(env_id)
    fast = (
        _atari_vec(spec, n_envs, labels, threads, kwargs) if _is_atari(spec) else _own_vec(spec, n_envs, labels, kwargs)
    )
    venv = fast or _processes(env_id, n_envs, kwargs)
    if labels and not venv.has_attr("label_schema"):
        venv.close()
        raise ValueError(f"{env_id}: labels were asked for, and the environment has none (no attribute label_schema)")
    if seed is not None:
        venv.seed(seed)
    return venv


def needs_processes(env_id: str, kwargs: Mapping[str, Any], *, labels: bool = False) -> bool:
    """Whether `make_vec` would run a process for each copy. Raises what `make` raises for an unknown id."""
    spec = _spec(env_id)
    if _is_atari(spec):
        return labels or not _atari_vec_takes(kwargs)
    venv = _own_vec(spec, 1, labels, dict(kwargs))
    if venv is not None:
        venv.close()
    return venv is None


def _spec(env_id: str) -> EnvSpec:
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    if name.startswith("ALE/"):
        try:
            importlib.import_module("ale_py")
        except ImportError as error:
            message = f"{env_id}: ale-py is not installed: run  pip install 'agentlab[atari]'"
            raise gym.error.DependencyNotInstalled(message) from error
    return gym.spec(name)


def _screen_size(size: Any) -> Any:
    """What `AtariPreprocessing` takes for a size as JSON or text have it; it checks the rest."""
    if isinstance(size, str) and re.fullmatch(r"[0-9]{1,5}x[0-9]{1,5}", size):
        size = [int(pixels) for pixels in size.split("x")]
    return tuple(size) if isinstance(size, list) else size


def _is_atari(spec: EnvSpec) -> bool:
    return spec.entry_point == "ale_py.env:AtariEnv"


def _atari_vec(spec: EnvSpec, n_envs: int, labels: bool, threads: int, kwargs: dict[str, Any]) -> VecEnv | None:
    """`ale_py`'s vector environment, or `None` where it can't do what is asked."""
    from agentlab_envs.atari import AtariFramesVectorEnv
    from agentlab_envs.vec_env import AtariVecEnv

    if labels or not _atari_vec_takes(kwargs):
        return None
    return AtariVecEnv(AtariFramesVectorEnv(spec, n_envs, threads, ATARI_DEFAULTS | kwargs))


def _atari_vec_takes(kwargs: Mapping[str, Any]) -> bool:
    from agentlab_envs.atari import VECTOR_NAMES

    return kwargs.keys() <= VECTOR_NAMES.keys()


def _own_vec(spec: EnvSpec, n_envs: int, labels: bool, kwargs: dict[str, Any]) -> VecEnv | None:
    """The vector environment that the spec names, or `None` if there is none of images with same-step autoreset."""
    from agentlab_envs.vec_env import SameStepVecEnv

    if spec.vector_entry_point is None:
        return None
    env = gym.make_vec(spec, n_envs, vectorization_mode="vector_entry_point", **kwargs)
    same_step = env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
    if same_step and shows_images(env.single_observation_space) and (not labels or hasattr(env, "label_schema")):
        return SameStepVecEnv(env, labels)
    env.close()
    return None


def _processes(env_id: str, n_envs: int, kwargs: dict[str, Any]) -> VecEnv:
    """A process for each copy, or none for a single copy."""
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    starts: list[Callable[[], gym.Env[Any, Any]]] = [functools.partial(_monitored, env_id, kwargs)] * n_envs
    if n_envs == 1:
        return DummyVecEnv(starts)
    if "forkserver" in multiprocessing.get_all_start_methods():  # what takes seconds to import is imported once for all
        multiprocessing.set_forkserver_preload(["stable_baselines3", "agentlab_envs.factory"])
    return SubprocVecEnv(starts)


def _monitored(env_id: str, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    from stable_baselines3.common.monitor import Monitor

    return Monitor(make(env_id, **kwargs))
