"""Work done while environments step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn


class Meanwhile(VecEnvWrapper):
    """A `VecEnv` that calls `work` in every step, after the environments have begun it and before it waits for them.

    If the work fails, the step is ended all the same, so that the environments can be used by others.
    """

    def __init__(self, venv: VecEnv, work: Callable[[], None]) -> None:
        super().__init__(venv)
        self._work = work

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        try:
            self._work()
        except BaseException:
            self.venv.step_wait()
            raise
        return self.venv.step_wait()
