"""Opens an environment by id, and says in one line what is wrong with it before any long work starts."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.envs.registration import registry, spec

from agentlab.errors import InputError, MissingExtraError
from agentlab.labels import LabelSchema

ATARI_NAMESPACE = "ALE/"
MOST_KNOWN = 5
"""Ids that an error names."""


def open_environment(env_id: str, env_kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """The environment with its preprocessing and labels, as `agentlab_envs.make` makes it.

    Raises `InputError` for an unknown id (with the nearest one), a module or an extra that is missing, and arguments
    that the environment does not take.
    """
    import agentlab_envs

    require_known(env_id)
    try:
        return agentlab_envs.make(env_id, **env_kwargs)
    except (TypeError, ValueError, gym.error.Error) as error:
        raise InputError(f"environment {env_id!r} with env_kwargs {dict(env_kwargs)}: {_first_line(error)}") from error


def check_environment(
    env_id: str, env_kwargs: Mapping[str, Any], *, algorithm: str, frame_shape: tuple[int, ...], schema: LabelSchema
) -> None:
    """Raises `InputError` unless a head can be trained here on the features of an extractor of such frames and labels.

    An environment without labels suits any extractor; one with other labels is another game than the extractor's.
    """
    env = open_environment(env_id, env_kwargs)
    try:
        shape = require_images(env, env_id)
        require_actions(env, env_id, algorithm)
        if shape != frame_shape:
            raise InputError(
                f"environment {env_id!r}: the extractor expects frames of shape {frame_shape}, found {shape}"
            )
        found = offered_labels(env, env_id)
        if found not in (None, schema):
            raise InputError(f"environment {env_id!r}: the extractor expects the labels {schema!r}, found {found!r}")
    finally:
        env.close()


def require_known(env_id: str) -> None:
    """Raises `InputError` with the nearest id when no environment of this id is registered."""
    module, _, name = env_id.rpartition(":")
    if module:
        _import(module, env_id)
    if name.startswith(ATARI_NAMESPACE) and not _register_atari():
        raise MissingExtraError("ale-py", "atari")
    try:
        spec(name)
    except gym.error.Error as error:
        raise InputError(f"environment {env_id!r}: not registered with Gymnasium.{_nearest_id(name)}") from error


def require_images(env: gym.Env[Any, Any], env_id: str) -> tuple[int, ...]:
    """The shape of the frames of an environment; `InputError` unless its observations are images."""
    space = env.observation_space
    if isinstance(space, spaces.Box) and space.dtype == "uint8" and len(space.shape) in (2, 3):
        return space.shape
    raise InputError(
        f"environment {env_id!r}: expected images (uint8, height x width, with or without channels) "
        f"as observations, found {_brief(space)}"
    )


def require_labels(env: gym.Env[Any, Any], env_id: str) -> LabelSchema:
    """The label schema that an environment offers; `InputError` when it offers none."""
    schema = offered_labels(env, env_id)
    if schema is None:
        raise InputError(
            f"environment {env_id!r}: expected an attribute label_schema and info['labels'] to learn from, found none; "
            "add them with a wrapper, or name labelled --recordings"
        )
    return schema


def offered_labels(env: gym.Env[Any, Any], env_id: str) -> LabelSchema | None:
    """The label schema that an environment offers, if any; `InputError` when it is malformed."""
    plain = env.get_wrapper_attr("label_schema") if env.has_wrapper_attr("label_schema") else None
    return None if plain is None else LabelSchema.from_dict(plain, f"environment {env_id!r}")


def require_actions(env: gym.Env[Any, Any], env_id: str, algorithm: str) -> None:
    """Raises `InputError` when the head cannot choose among this environment's actions."""
    if algorithm == "dqn" and not isinstance(env.action_space, spaces.Discrete):
        raise InputError(
            f"environment {env_id!r}: the dqn head expects Discrete actions, found {_brief(env.action_space)}; "
            "use the head ppo (--head.algorithm ppo for a run, --algorithm ppo for train)"
        )
    if isinstance(env.action_space, spaces.Discrete) and env.action_space.start != 0:
        raise InputError(f"environment {env_id!r}: expected actions counted from 0, found {env.action_space}")


def _import(module: str, env_id: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"environment {env_id!r}: module {module!r} cannot be imported ({error})") from error


def _register_atari() -> bool:
    """Registers the Atari games, if ale-py is installed, and keeps their emulator from greeting on stderr."""
    try:
        import ale_py
    except ImportError:
        return False
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return True


def _nearest_id(name: str) -> str:
    """Which registered id is most like `name`, among those of its namespace if there are any; else what to write."""
    _register_atari()
    namespace, word, version = _parts(name)
    beside = [known for known in registry if _parts(known)[0] == namespace != ""]
    likeness = {known: (_parts(known)[2] == version, _parts(known)[0] == namespace, known) for known in registry}
    by_name = {_parts(known)[1]: known for known in sorted(beside or registry, key=likeness.__getitem__)}
    close = difflib.get_close_matches(word, by_name, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {by_name[close[0]]!r}?"
    if beside:
        return f" Known: {', '.join(sorted(beside)[:MOST_KNOWN])}{', ...' if len(beside) > MOST_KNOWN else ''}"
    return " An id of your own module is written  module:Namespace/Name-v0"


def _parts(env_id: str) -> tuple[str, str, str]:
    """An id's namespace, name in lower case, and version."""
    namespace, _, rest = env_id.rpartition("/")
    name, _, version = rest.partition("-v")
    return namespace, name.lower(), version


def _brief(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Box):
        return f"Box of shape {space.shape} and type {space.dtype}"
    return str(space)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
