"""The reward difference as what an environment pays, and the learning of it by an SB3 algorithm (CN110837858B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from agentlab.errors import InputError, nearest
from agentlab.head.reward import Labels, RewardFunction, State, Target, Values, constant_target
from agentlab.labels import LabelSchema
from agentlab_envs import SideBySide
from agentlab_envs.side_by_side import parts_of

LIFE_LOST = "life_lost"


def lives_lost(infos: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.bool_]:
    """In which environments `(n,)` a life was lost and the game goes on."""
    return np.array([info.get(LIFE_LOST, False) for info in infos], np.bool_)


def fused_adam(policy_kwargs: Mapping[str, Any] | None, **adam: Any) -> dict[str, Any]:
    """The `policy_kwargs` that make SB3's own choice of optimizer fast; none where another one is asked for."""
    return {} if "optimizer_class" in (policy_kwargs or {}) else {"optimizer_kwargs": {"fused": True, **adam}}


class LearnsDifference(BaseAlgorithm):
    """What both heads share: their environment pays minus the reward difference while they collect steps."""

    target: Target
    reward_function: RewardFunction
    life_loss_ends: bool
    gamma: float
    _difference_env: SideBySide | None = None
    _difference_of: VecEnv | None = None

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        where_it_was = self._last_obs
        ready = super()._setup_learn(*args, **kwargs)
        if self._last_obs is not where_it_was:
            self._difference_env = None
        return ready

    def _paying_difference(self, env: VecEnv) -> SideBySide:
        if self.get_vec_normalize_env() is not None:
            raise InputError("VecNormalize: its rewards would hide the difference; features need no normalising")
        if self._difference_env is None or self._difference_of is not env:
            parts = parts_of(env)
            begun_at: Any = np.split(self._last_obs, np.cumsum([part.num_envs for part in parts])[:-1])  # type: ignore[arg-type]
            settings = self.gamma, self.reward_function, self.target, self.life_loss_ends
            paying = [RewardDifference(part, at, *settings) for part, at in zip(parts, begun_at, strict=True)]
            self._difference_of, self._difference_env = env, SideBySide(paying)
        return self._difference_env

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_difference_env", "_difference_of"]


class RewardDifference(VecEnvWrapper):
    """A `VecEnv` whose reward is minus the difference of the target's reward value and the state's: R - R*.

    At a true terminal the difference still to come there, `R*/(1 - gamma)`, is subtracted too, discounted by one step:
    else dying would be cheap. So it is, unless told otherwise, where an info says `life_lost` (as Mnih et al. 2015
    train). Truncations subtract nothing, the learner bootstraps. The returns in `infos` stay the
    environments' own. Raises `InputError` when reward function or target give anything but a finite number for each
    environment.
    """

    def __init__(
        self,
        venv: VecEnv,
        observations: Any,
        gamma: float,
        reward_function: RewardFunction,
        target: Target,
        life_loss_ends: bool = True,
    ) -> None:
        """`observations` are those of the last reset, where the next step begins."""
        super().__init__(venv)
        self._life_loss_ends = life_loss_ends
        self._reward_function = reward_function
        self._target = constant_target(target, reward_function)
        self._still_to_come = gamma / (1 - gamma)
        self._before: Labels = self._labels(observations, venv.unwrapped.reset_infos)

    def reset(self) -> Any:
        observations = self.venv.reset()
        self._before = self._labels(observations, self.venv.unwrapped.reset_infos)
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        state = State(rewards, self._labels_reached(observations, ended, infos), self._before)
        targets = _one_each("target", self._target(state) if callable(self._target) else self._target, self.num_envs)
        differences = targets - _one_each("reward function", self._reward_function(state), self.num_envs)
        if not self._life_loss_ends:
            for info in infos:
                info.pop(LIFE_LOST, None)
        terminal = dones | lives_lost(infos)
        terminal[[env for env in ended if infos[env].get("TimeLimit.truncated", False)]] = False
        differences += np.where(terminal, self._still_to_come * targets, 0)
        self._before = self._labels_begun(observations, ended, infos) if len(ended) else state.labels
        return observations, -differences, dones, infos

    def _labels_reached(self, observations: Any, ended: Any, infos: list[dict[str, Any]]) -> Labels:
        """Of the states that the step led to: at an episode's end, the last one."""
        if len(ended):
            observations = observations.copy()
            observations[ended] = [infos[env]["terminal_observation"] for env in ended]
        return self._labels(observations, infos)

    def _labels_begun(self, observations: Any, ended: Any, infos: list[dict[str, Any]]) -> Labels:
        """Of the states that the next step begins at: after an episode's end, the next one's first."""
        begun = self.venv.unwrapped.reset_infos
        return self._labels(observations, [begun[env] if env in ended else info for env, info in enumerate(infos)])

    def _labels(self, observations: Any, infos: Iterable[Mapping[str, Any]]) -> Labels:
        return _LabelsOf(self, observations, list(infos))

    @cached_property
    def label_schema(self) -> LabelSchema:
        """The schema of the labels that the environments give."""
        if not self.venv.has_attr("label_schema"):
            raise InputError("environment: gives info['labels'], and no attribute label_schema that says what they are")
        return LabelSchema.from_dict(self.venv.get_attr("label_schema", [0])[0], "environment")


class WithoutLabels(VecEnvWrapper):
    """A `VecEnv` that keeps its labels to itself, so that reward functions see those the extractor predicts."""

    def reset(self) -> Any:
        observations = self.venv.reset()
        self._drop(self.venv.unwrapped.reset_infos)
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        self._drop(infos)
        if dones.any():
            self._drop(self.venv.unwrapped.reset_infos)
        return observations, rewards, dones, infos

    def _drop(self, infos: Iterable[dict[str, Any]]) -> None:
        for info in infos:
            info.pop("labels", None)


class _LabelsOf(Labels):
    """The labels of the states of all environments, worked out when a reward function asks for them."""

    def __init__(self, env: RewardDifference, observations: Any, infos: Sequence[Mapping[str, Any]]) -> None:
        self._env, self._observations, self._infos = env, observations, infos

    @cached_property
    def _values(self) -> Labels:
        if all("labels" in info for info in self._infos):
            schema = self._env.label_schema
            rows = np.stack([schema.encode(info["labels"], "environment") for info in self._infos])
            return dict(zip(schema, rows.T, strict=True))
        predict = getattr(self._env.venv, "predict_labels", None)
        if predict is None:
            raise InputError(
                "reward function: asks for labels, which neither the environment gives in info['labels'] nor an "
                "extractor predicts; wrap the environment in FrozenFeatures"
            )
        predicted: Labels = predict(self._observations)
        return predicted

    def __getitem__(self, name: str) -> Values:
        if name not in self._values:
            raise InputError(f"reward function: no label {name!r}.{nearest(name, self._values)}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _one_each(what: str, found: Any, n_envs: int) -> Values:
    """A finite number for each environment; `InputError` for anything else."""
    try:
        values = np.broadcast_to(np.asarray(found, np.float32), (n_envs,))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what}: expected a number for each of {n_envs} environments, "
            f"found {type(found).__name__} of shape {np.shape(found)}"
        ) from error
    if not np.isfinite(values).all():
        found = values[~np.isfinite(values)][0]
        raise InputError(f"{what}: expected finite numbers, found {found}; labels are NaN where they are absent")
    return values
