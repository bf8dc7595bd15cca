"""The trained agent: frames in, actions out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor, nn
from torch.distributions import Categorical

from agentlab import weights
from agentlab.artefact import META, read_meta, require_unchanged
from agentlab.errors import InputError, nearest
from agentlab.extractor import FrozenExtractor, Sees
from agentlab.head.features_env import FeatureStack, state_space, states_of_episode
from agentlab.head.motion import MotionExtractor
from agentlab.head.network import DifferencePolicy
from agentlab.head.spaces import StackedFeatures
from agentlab.spaces import from_plain

KIND = "head"
FORMAT_VERSION = 5
WEIGHTS = "weights.safetensors"
POLICIES: dict[str, type[BasePolicy]] = {"dqn": DifferencePolicy, "ppo": ActorCriticPolicy}
FIELDS = {
    "env": str,
    "env_kwargs": dict,
    "algorithm": str,
    "stack": int,
    "sees": str,
    "overlooked": list,
    "hidden": list,
    "layers": dict,
    "action_names": list,
}
"""What a head's `meta.json` must say of how it plays, and as what."""
STATES_AT_ONCE = 1024


class Agent:
    """An extractor and the head trained on it, playing `n` environments at once, always the action it holds best."""

    def __init__(self, extractor: FrozenExtractor, policy: BasePolicy, meta: dict[str, Any]) -> None:
        self.extractor = extractor
        self.env_id: str = meta["env"]
        self.env_kwargs: dict[str, Any] = meta["env_kwargs"]
        self.action_space: spaces.Space[Any] = policy.action_space
        self.action_names: list[str] = meta["action_names"]
        self.meta = meta
        self._policy = policy.eval()
        assert isinstance(policy.observation_space, StackedFeatures)
        self._space = policy.observation_space
        self._values: npt.NDArray[np.float32] | None = None
        self.reset(1)

    @classmethod
    def load(cls, run: str | Path, device: str = "auto") -> Agent:
        """The agent in the folder of a run, its `extractor/` and `head/`.

        Raises `InputError` when one is missing, truncated or garbled, and when the head was trained on another
        extractor.
        """
        run = Path(run)
        extractor = FrozenExtractor.load(run / "extractor", device)
        folder = run / "head"
        meta = read_meta(folder, KIND, FORMAT_VERSION, FIELDS)
        _require_a_head(meta, folder / META)
        if meta.get("extractor") != extractor.fingerprint:
            raise InputError(
                f"{folder / META}: trained on the extractor {str(meta.get('extractor'))[:12]}, found "
                f"{extractor.fingerprint[:12]} in {run / 'extractor'}; train a head on this extractor"
            )
        try:
            policy = build_policy(meta, extractor)
            agent = cls(extractor, policy.to(extractor.device), meta)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{folder / META}: expected a head of this agentlab, found a garbled one ({error})"
            ) from error
        weights.load_into(policy, folder / WEIGHTS)
        require_unchanged(folder / WEIGHTS, meta.get("sha256"))
        return agent

    def reset(self, n: int) -> None:
        """Gets ready for `n` environments."""
        self._stack = FeatureStack(n, self._space)

    def another(self) -> Agent:
        """One that plays other environments, with the same networks."""
        return Agent(self.extractor, self._policy, self.meta)

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        """The actions `(n, ...)` for frames `(n, *frame_shape)`; `starts` `(n,)` marks first frames of episodes."""
        percepts = self.extractor.percepts(frames, self.meta["sees"])
        states = self._stack.push(percepts)
        if starts.any():
            states = self._stack.begin(percepts[starts], starts)
        with torch.inference_mode():
            values, actions = judge(self._policy, torch.from_numpy(states).to(self.extractor.device))
        self._values = None if values is None else values.cpu().numpy()
        chosen: npt.NDArray[Any] = actions.cpu().numpy()
        return chosen

    def values(self) -> npt.NDArray[np.float32] | None:
        """How good each action seemed in the last `act`, `(n, n_actions)`: minus the difference still to come (DQN) or
        its probability (PPO); `None` for continuous actions."""
        return self._values

    def values_of_episode(self, percepts: npt.NDArray[Any]) -> npt.NDArray[np.float32] | None:
        """How good each action seems at each frame of an episode, `(n_frames, n_actions)`, as `values` would tell.

        `percepts` `(n_frames, n_percepts)` are what `extractor.percepts(frames, meta["sees"])` makes of its frames;
        `None` for continuous actions.
        """
        states = states_of_episode(percepts, self._space)
        rows = []
        for first in range(0, len(states), STATES_AT_ONCE):
            batch = torch.from_numpy(states[first : first + STATES_AT_ONCE]).to(self.extractor.device)
            with torch.inference_mode():
                values, _ = judge(self._policy, batch)
            if values is None:
                return None
            rows.append(values.cpu().numpy())
        return np.concatenate(rows)

    def module(self) -> nn.Module:
        """The agent in float32: uint8 frames `(n, stack, *frame_shape)`, oldest first, to actions and values."""
        return FramesToAction(self.extractor, self._policy, self.meta["sees"])


def _require_a_head(meta: dict[str, Any], file: Path) -> None:
    if meta["stack"] < 1:
        raise InputError(f"{file}: field 'stack': expected at least 1, found {meta['stack']}")
    if not all(isinstance(percept, int) and percept >= 0 for percept in meta["overlooked"]):
        raise InputError(f"{file}: field 'overlooked': expected numbers of percepts, found {meta['overlooked']}")
    for name, choices in (("sees", get_args(Sees)), ("algorithm", tuple(POLICIES))):
        if meta[name] not in choices:
            raise InputError(
                f"{file}: field {name!r}: expected one of {', '.join(choices)}, found {meta[name]!r}."
                f"{nearest(meta[name], choices)}"
            )


class FramesToAction(nn.Module):
    """The extractor on every frame of a stack, then the head."""

    def __init__(self, extractor: FrozenExtractor, policy: BasePolicy, sees: Sees) -> None:
        super().__init__()
        self.extractor, self.policy, self.sees = extractor, policy, sees

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        percepts = self.extractor.eye.percepts(frames.flatten(0, 1), self.sees).half()
        values, actions = judge(self.policy, percepts.reshape(frames.shape[0], -1))
        return (actions,) if values is None else (actions, values)


def build_policy(meta: dict[str, Any], extractor: FrozenExtractor) -> BasePolicy:
    """The policy network on the extractor's percepts that a head's `meta.json` describes, with fresh weights."""
    return POLICIES[meta["algorithm"]](
        state_space(extractor, meta["stack"], meta["sees"], meta["overlooked"]),
        from_plain(meta["action_space"]),
        lambda _: 0.0,
        net_arch=list(meta["hidden"]),
        features_extractor_class=MotionExtractor,
        **meta["layers"],
    )


def judge(policy: BasePolicy, states: Tensor) -> tuple[Tensor | None, Tensor]:
    """The value of each action in each state, `None` for continuous ones, and the action to take."""
    if isinstance(policy, DifferencePolicy):
        values = -policy.q_net(states)
        return values, values.argmax(dim=1)
    assert isinstance(policy, ActorCriticPolicy)
    distribution = policy.get_distribution(states)
    actions = distribution.get_actions(deterministic=True)
    if isinstance(policy.action_space, spaces.Discrete):
        assert isinstance(distribution.distribution, Categorical)
        return distribution.distribution.probs, actions
    if not isinstance(policy.action_space, spaces.Box):
        return None, actions
    low, high = (
        torch.as_tensor(bound, device=actions.device) for bound in (policy.action_space.low, policy.action_space.high)
    )
    return None, actions.clamp(low, high)
