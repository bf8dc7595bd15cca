"""Copies of an environment, each in a process of its own, so that several episodes are recorded at once."""

from __future__ import annotations

import functools
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import Any

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.processes import WAITING_SIGNALS, signals_wait

BOX = "whole"
"""What an info travels under."""
WAIT_FOR_END_S = 1.0
"""How long a process that is no longer heard from may take to end."""


def open_copies(env_id: str, env_kwargs: Mapping[str, Any], n: int) -> DictInfoToList[Any, Any, Any]:
    """A vector environment of `n` copies of what `open_environment` opens, for `record_vector`.

    Infos are a list, each as its environment gave it. Where a copy fails, or its process ends, `InputError` says so.
    """
    return _Unpacked(_Processes(env_id, env_kwargs, n))


class _Processes(AsyncVectorEnv):
    """Gymnasium's processes, whose failures are told in a line, and which end at once when they are not needed."""

    def __init__(self, env_id: str, env_kwargs: Mapping[str, Any], n: int) -> None:
        self._env_id = env_id
        context = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
        if context:  # what takes a second to import is imported once for all
            multiprocessing.set_forkserver_preload([__name__])
            with signals_wait():
                forkserver.ensure_running()
        starts = [functools.partial(_open_copy, env_id, dict(env_kwargs))] * n
        with self._failures_told():
            super().__init__(starts, context=context, autoreset_mode=AutoresetMode.DISABLED)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        with self._failures_told():
            return super().reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        with self._failures_told():
            return super().step(actions)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:  # noqa: ARG002
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join(WAIT_FOR_END_S)
            process.kill()
            process.join()
        for pipe in self.parent_pipes:
            if pipe is not None:
                pipe.close()

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the traceback that Gymnasium prints
                yield
        except InputError:
            raise
        except (EOFError, ConnectionError) as error:
            raise InputError(f"environment {self._env_id!r}: {self._who_ended()}") from error
        except Exception as error:
            raise InputError(
                f"environment {self._env_id!r}: a copy failed ({type(error).__name__}: {error}); where, a recording "
                "with a single copy shows"
            ) from error

    def _who_ended(self) -> str:
        wait([process.sentinel for process in self.processes], WAIT_FOR_END_S)
        for copy, process in enumerate(self.processes):
            if process.exitcode is not None:
                return (
                    f"the process of copy {copy} ended by itself, with exit code {process.exitcode}; why, a recording "
                    "with a single copy may show"
                )
        return "the process of a copy no longer answers"


class _Unpacked(DictInfoToList):
    """Infos as they were before they travelled."""

    def reset(  # type: ignore[override]
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, list[dict[str, Any]]]:
        frames, infos = super().reset(seed=seed, options=options)
        return frames, [_unpacked(info) for info in infos]

    def step(  # type: ignore[override]
        self, actions: Any
    ) -> tuple[Any, Any, Any, Any, list[dict[str, Any]]]:
        frames, rewards, terminations, truncations, infos = super().step(actions)
        return frames, rewards, terminations, truncations, [_unpacked(info) for info in infos]


class _Packed(gym.Wrapper[Any, Any, Any, Any]):
    """Sends each info whole, in a tuple, because Gymnasium's batches of infos cannot hold all that an info can."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        frame, info = self.env.reset(seed=seed, options=options or None)
        return self._whole(frame), {BOX: (info,)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        frame, reward, terminated, truncated, info = self.env.step(action)
        return self._whole(frame), reward, terminated, truncated, {BOX: (info,)}

    def _whole(self, frame: Any) -> Any:
        """The frame, which would else be stretched to the shape that is expected."""
        space = self.observation_space
        if frame.shape != space.shape or frame.dtype != space.dtype:
            raise ValueError(f"frame: expected {space.dtype} {space.shape}, found {frame.dtype} {frame.shape}")
        return frame


def _unpacked(info: dict[str, Any]) -> dict[str, Any]:
    """What the tuple holds; nothing came from a copy that was not reset."""
    whole: dict[str, Any] = info[BOX][0] if info else {}
    return whole


def _open_copy(env_id: str, env_kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    """In its process a failure ends it, without a word: the process that records tells it."""
    if multiprocessing.parent_process() is None:
        return _Packed(open_environment(env_id, env_kwargs))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that records
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING_SIGNALS)
    try:
        return _Packed(open_environment(env_id, env_kwargs))
    except Exception:
        sys.exit(1)
