"""Recorded play as environments, from which a head learns before it plays itself (CN110837858B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from agentlab.errors import InputError
from agentlab.head.difference import LIFE_LOST, RewardDifference
from agentlab.head.dqn import RewardDifferenceDQN
from agentlab.head.features_env import FrozenFeatures
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.ppo import RewardDifferencePPO
from agentlab.progress import Progress

if TYPE_CHECKING:
    from agentlab.recording import Episode, Recording


class RecordedPlay(VecEnv):
    """A `VecEnv` that goes through recorded episodes, whatever actions it is given.

    All steps are laid end to end and shared out evenly: copy i begins where copy i - 1 ends, after `n_steps` steps.
    `actions` are those recorded for the next step; infos say where a life was lost, if the recorded ones do.
    """

    render_mode = None

    def __init__(self, episodes: Sequence[Episode], n_envs: int) -> None:
        recording = episodes[0].recording
        super().__init__(n_envs, recording.observation_space, recording.action_space)
        ends = np.cumsum([episode.n_steps for episode in episodes])
        self.n_steps = int(ends[-1]) // n_envs
        firsts = np.arange(n_envs) * self.n_steps
        self._episodes = episodes
        self._playing = np.searchsorted(ends, firsts, side="right")
        self._at = firsts - np.concatenate([[0], ends])[self._playing]
        self._columns = [(e.actions, e.rewards, e.terminations) for e in episodes]

    @property
    def actions(self) -> npt.NDArray[Any]:
        places = zip(self._playing, self._at, strict=True)
        return np.stack([self._columns[episode][0][at] for episode, at in places])

    def reset(self) -> npt.NDArray[np.uint8]:
        return self._frames()

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Goes on as recorded."""

    def step_wait(self) -> VecEnvStepReturn:
        rewards = np.zeros(self.num_envs, np.float32)
        dones = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for env, (playing, at) in enumerate(zip(self._playing, self._at, strict=True)):
            _, all_rewards, terminations = self._columns[playing]
            rewards[env] = all_rewards[at]
            infos[env][LIFE_LOST] = bool(self._episodes[playing].info(int(at) + 1).get(LIFE_LOST))
            self._at[env] += 1
            if self._at[env] == self._episodes[playing].n_steps:
                dones[env] = True
                infos[env]["terminal_observation"] = self._episodes[playing].frame(int(at) + 1)
                infos[env]["TimeLimit.truncated"] = not terminations[at]
                self._playing[env], self._at[env] = (playing + 1) % len(self._episodes), 0
        return self._frames(), rewards, dones, infos

    def _frames(self) -> npt.NDArray[np.uint8]:
        places = zip(self._playing, self._at, strict=True)
        return np.stack([self._episodes[episode].frame(int(at)) for episode, at in places])

    def close(self) -> None:
        """Holds nothing open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:  # noqa: ARG002
        raise AttributeError(f"{attr_name}: recorded play cannot be changed")

    def env_method(
        self,
        method_name: str,
        *args: Any,  # noqa: ARG002
        indices: VecEnvIndices = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> list[Any]:
        raise AttributeError(f"{method_name}: recorded play has no such method")

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:  # noqa: ARG002
        return [False] * len(list(self._get_indices(indices)))


def remember(
    recordings: Sequence[Recording],
    memory: FeatureReplayBuffer,
    model: RewardDifferenceDQN | RewardDifferencePPO,
    env: FrozenFeatures,
    progress: Progress,
) -> None:
    """Puts recorded play into `memory`, as `model`, which learns in `env`, would meet it.

    Its frames are archived, if the memory has an archive, as those of the head's own play are. Raises `InputError` for
    recordings of other frames or actions.
    """
    for recording in recordings:
        recording.require_episodes(1)
        env.extractor.require_frames(recording.frame_shape, str(recording.path))
        if recording.action_space != env.action_space:
            raise InputError(
                f"{recording.path}: expected the actions {env.action_space}, found {recording.action_space}"
            )
    episodes = [episode for recording in recordings for episode in recording]
    play = RecordedPlay(episodes, env.num_envs)
    if not play.n_steps:
        raise InputError(f"recordings: expected at least {env.num_envs} steps, one for each environment, found fewer")
    seen = FrozenFeatures(play, env.extractor, env.stack, env.sees)
    seen.archive = memory.archive
    states = seen.reset()
    paid = RewardDifference(seen, states, model.gamma, model.reward_function, model.target, model.life_loss_ends)
    with progress.task("recorded", play.n_steps * play.num_envs, "steps") as task:
        for _ in range(play.n_steps):
            actions = play.actions
            next_states, rewards, dones, infos = paid.step(actions)
            reached = np.array(next_states)
            for copy in np.flatnonzero(dones):
                reached[copy] = infos[copy]["terminal_observation"]
            memory.add(states, reached, actions, rewards, dones, infos)
            states = next_states  # type: ignore[assignment]
            task.advance(play.num_envs)
    memory.cut()
