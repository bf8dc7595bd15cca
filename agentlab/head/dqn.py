"""`RewardDifferenceDQN`: learns the discounted difference still to come, and acts by the smallest."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import ReplayBufferSamples, RolloutReturn
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor, nn

from agentlab.errors import InputError
from agentlab.head.ahead import Ahead
from agentlab.head.difference import LearnsDifference, fused_adam
from agentlab.head.exploration import HeldExploration
from agentlab.head.meanwhile import Meanwhile
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.motion import MotionExtractor
from agentlab.head.network import DifferenceNetwork, DifferencePolicy
from agentlab.head.reward import RewardFunction, Target, environment_reward, expected_difference
from agentlab.head.updates import Batch, Updates
from agentlab.strategies import ModeChoice
from agentlab.timing import spent

AT_ONCE = 8
"""Updates whose batches are drawn, and whose wanted differences are worked out, at once: it is faster."""

ANNEALED_BY = 0.6
"""The share of the training by which returns have their final number of steps."""

TOO_MANY = 0.01
"""The share of differences out of reach that is warned of."""


class RewardDifferenceDQN(LearnsDifference, DQN):
    """DQN on the reward difference, for discrete actions (CN110837858B; DQN: Mnih et al. 2015).

    Learns `D(s, a) <- (R* - R) + gamma * min_a' D(s', a')` over n steps, dueling and, unless `double` is false, double
    (arXiv 1509.06461), with a slowly following target network. For a constant `target` R* it equals Q-learning with
    `Q = R*/(1 - gamma) - D`. `target` is a number, a `State` put through the same `reward_function`, or a callable of
    each state. A lost life counts as an end if `life_loss_ends`.

    D is learned as a histogram of units, which are the size of R*, or 1 where that is 0 or changes. Numbers of more
    than two hundred units are not told apart; `train/out_of_reach` logs their share, and more than a few are warned of.
    `advantage_learning` adds that share of how far an action is behind the best to its difference, so that the best
    stands out (arXiv 1512.04860).

    `learn_recorded` makes updates on recorded play before the first step of its own; with `imitation`, the weight of a
    large-margin loss, they also let it act as recorded (arXiv 1704.03732).

    With `n_steps_final` returns are of fewer and fewer steps, down to that number: long ones learn fast, short ones
    don't count what random actions cost later (arXiv 2305.19452).

    Exploration is drawn per environment: the boldest explores at SB3's exploration rate, the shyest at its eighth power
    and a single one in between. A random action is held for a random number of steps, up to `longest_hold` (arXiv
    2006.01782). Other arguments are SB3's, with defaults for features instead of images and 16 environments; the target
    network takes over the share `tau` of the network after each update.

    With a `mode_choice`, of `UPDATE_MODES` and stages of up to `AT_ONCE` steps, updates run in the mode in which they
    converge fastest, whatever `bfloat16` says; which one that is depends on time.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": DifferencePolicy}
    action_space: spaces.Discrete
    q_net: DifferenceNetwork
    q_net_target: DifferenceNetwork
    replay_buffer: FeatureReplayBuffer
    _is_learning = False
    _updates_due = 0
    _has_warned = False
    _meanwhile: Meanwhile | None = None

    def __init__(
        self,
        policy: str | type[DQNPolicy],
        env: Any,
        *,
        target: Target = 1.0,
        reward_function: RewardFunction = environment_reward,
        life_loss_ends: bool = True,
        double: bool = True,
        longest_hold: int = 1,
        advantage_learning: float = 0.0,
        imitation: float = 0.0,
        bfloat16: bool = False,
        mode_choice: ModeChoice | None = None,
        learning_rate: Any = 5e-4,
        learning_starts: int = 2_000,
        batch_size: int = 128,
        gamma: float = 0.99,
        n_steps: int = 5,
        n_steps_final: int | None = None,
        train_freq: int = 1,
        gradient_steps: int = 8,
        tau: float = 0.005,
        exploration_final_eps: float = 0.4,
        policy_kwargs: dict[str, Any] | None = None,
        **sb3: Any,
    ) -> None:
        self.target, self.reward_function, self.life_loss_ends = target, reward_function, life_loss_ends
        self.double, self.longest_hold = double, longest_hold
        self.advantage_learning, self.imitation, self.bfloat16 = advantage_learning, imitation, bfloat16
        self.mode_choice = mode_choice
        self.return_steps = n_steps, n_steps if n_steps_final is None else n_steps_final
        sb3.pop("optimize_memory_usage", None)  # it always is
        if mode_choice is not None and mode_choice.steps > AT_ONCE:
            raise InputError(f"mode_choice: expected stages of at most {AT_ONCE} steps, found {mode_choice.steps}")
        if "target_update_interval" in sb3:
            raise InputError(
                "target_update_interval: the target network follows with every update; say how far with tau"
            )
        self._require_sound_arguments()
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            learning_starts=learning_starts,
            batch_size=batch_size,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            tau=tau,
            exploration_final_eps=exploration_final_eps,
            policy_kwargs={
                "features_extractor_class": MotionExtractor,
                "net_arch": [256, 256],
            }
            | fused_adam(policy_kwargs)
            | (policy_kwargs or {}),
            replay_buffer_class=FeatureReplayBuffer,
            replay_buffer_kwargs={"n_steps": n_steps, "gamma": gamma},
            **sb3,
        )

    def _require_sound_arguments(self) -> None:
        share = self.advantage_learning
        for name, value, is_sound, expected in (
            ("n_steps", self.return_steps[0], self.return_steps[0] >= 1, "at least 1"),
            ("n_steps_final", self.return_steps[1], self.return_steps[1] >= 1, "at least 1"),
            ("longest_hold", self.longest_hold, self.longest_hold >= 1, "at least 1"),
            ("advantage_learning", share, 0 <= share < 1, "a number from 0 to below 1"),
            ("imitation", self.imitation, self.imitation >= 0, "at least 0"),
        ):
            if not is_sound:
                raise InputError(f"{name}: expected {expected}, found {value}")

    def _setup_model(self) -> None:
        super()._setup_model()
        offset = expected_difference(self.target, self.reward_function, self.gamma)
        for network in (self.q_net, self.q_net_target):
            network.offset.fill_(offset)
            network.unit.fill_(abs(offset) * (1 - self.gamma) or 1.0)
            network.learn_in_bfloat16(self.bfloat16 and self.mode_choice is None)
        self.exploration = HeldExploration(self.n_envs, int(self.action_space.n), self.longest_hold, self.seed)
        self._batches = Ahead(self._begin_batch)
        self._networks_then = copy.deepcopy(self.q_net).train(), copy.deepcopy(self.q_net_target).train()

    def learn(self, *args: Any, **kwargs: Any) -> RewardDifferenceDQN:
        """Learns as SB3's DQN does, but updates the network while the environments take their next step."""
        self._is_learning = True
        try:
            super().learn(*args, **kwargs)
            self._catch_up()
        except BaseException:
            self._updates_due, self._last_obs = 0, None  # SB3 then resets the environments
            raise
        finally:
            self._is_learning = False
            self._batches.drop()
        return self

    def learn_recorded(self, updates: int) -> None:
        """Makes so many updates, with `imitation`, on what its memory holds."""
        self._update_times(updates, self.batch_size, self.imitation)

    def collect_rollouts(self, env: VecEnv, callback: BaseCallback, *args: Any, **kwargs: Any) -> RolloutReturn:
        paying = self._paying_difference(env)
        if self._meanwhile is None or self._meanwhile.venv is not paying:
            self._meanwhile = Meanwhile(paying, self._catch_up)
        return super().collect_rollouts(self._meanwhile, callback, *args, **kwargs)

    def _excluded_save_params(self) -> list[str]:
        mine = ["_meanwhile", "_is_learning", "_updates_due", "_batches", "_networks_then"]
        return [*super()._excluded_save_params(), *mine]

    def train(self, gradient_steps: int, batch_size: int = 128) -> None:
        """Updates the network; within `learn` not at once, but while the environments take their next step."""
        if self._is_learning:
            self._updates_due += gradient_steps
        else:
            self._update_times(gradient_steps, batch_size)

    def _catch_up(self) -> None:
        due, self._updates_due = self._updates_due, 0
        if due:
            with spent("update"):
                self._update_times(due, self.batch_size)

    def _update_times(self, gradient_steps: int, batch_size: int, imitation: float = 0.0) -> None:
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self.replay_buffer.n_steps = self._steps_of_returns()
        losses: list[Tensor] = []
        out_of_reach = []
        sizes = [min(AT_ONCE, gradient_steps - done) * batch_size for done in range(0, gradient_steps, AT_ONCE)]
        if not self._is_learning:
            self._batches.drop()
        for size, following in zip(sizes, [*sizes[1:], sizes[0] if self._is_learning else None], strict=True):
            batch, wanted = self._batches.take(size, following)
            out_of_reach.append(self.q_net.out_of_reach(wanted))
            columns = batch.observations, batch.actions, wanted
            parts = zip(*(torch.split(column, batch_size) for column in columns), strict=True)
            losses += self._updated(parts, imitation)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", float(torch.stack(losses).mean()))
        self._log_out_of_reach(float(torch.cat(out_of_reach).float().mean()))

    def _updated(self, parts: Iterable[Batch], imitation: float) -> Iterable[Tensor]:
        """The losses of an update on each part of a batch, in the mode that is chosen, if one is to be."""
        updates = Updates(self, imitation)
        return self.mode_choice.run(updates, parts) if self.mode_choice is not None else map(updates.step, parts)

    @torch.no_grad()
    def _begin_batch(self, n: int) -> Callable[[], tuple[ReplayBufferSamples, Tensor]]:
        """Draws `n` steps; what D should be in them is left to be worked out, by the networks as they are now."""
        batch = self.replay_buffer.sample(n)
        for then, now in zip(self._networks_then, (self.q_net, self.q_net_target), strict=True):
            torch._foreach_copy_(_tensors_of(then), _tensors_of(now))
        return lambda: (batch, self.wanted(batch, *self._networks_then))

    def _steps_of_returns(self) -> int:
        """From the first to the final number, by equal factors over the first part of the training."""
        first, final = self.return_steps
        share = min((1 - self._current_progress_remaining) / ANNEALED_BY, 1.0)
        return round(first * math.pow(final / first, share))

    def _log_out_of_reach(self, out_of_reach: float) -> None:
        """Logs the share of differences that are out of reach, and warns once of more than a few."""
        self.logger.record("train/out_of_reach", out_of_reach)
        if out_of_reach > TOO_MANY and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{out_of_reach:.0%} of the differences to learn are out of reach in units of "
                f"{float(self.q_net.unit):g}, the size of the target: give a target of the size of the rewards",
                stacklevel=2,
            )

    @torch.no_grad()
    def wanted(self, batch: ReplayBufferSamples, online: DifferenceNetwork, slow: DifferenceNetwork) -> Tensor:
        """What D should be in the states of `batch`, `(n, 1)`, the TD target: the differences met, and what is then
        still to come.

        That is the `slow` (target) network's D of the action that it, or unless `double` is false the `online` network,
        takes for best.
        """
        assert batch.discounts is not None
        chooses = online if self.double else slow
        best = chooses.beyond_offset(batch.next_observations).argmin(dim=1, keepdim=True)
        still_to_come = slow.of_actions(batch.next_observations, best)
        wanted: Tensor = -batch.rewards + (1 - batch.dones) * batch.discounts * still_to_come
        if self.advantage_learning:
            seen = slow.beyond_offset(batch.observations)
            behind = seen.gather(1, batch.actions.long()) - seen.min(dim=1, keepdim=True).values
            wanted += self.advantage_learning * behind
        return wanted

    def loss(self, observations: Tensor, actions: Tensor, wanted: Tensor, imitation: float = 0.0) -> Tensor:
        """The reward-difference loss: how far D is from what it should be; see `DifferenceNetwork.loss`."""
        return self.q_net.loss(observations, actions, wanted, imitation)

    def update(self, observations: Tensor, actions: Tensor, wanted: Tensor, *, imitation: float = 0.0) -> Tensor:
        """Moves the network towards what D should be in these states, and gives the loss."""
        loss = self.loss(observations, actions, wanted, imitation)
        self.policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.q_net.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._follow()
        return loss.detach()

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the target network a little towards the network."""
        torch._foreach_lerp_(list(self.q_net_target.parameters()), list(self.q_net.parameters()), self.tau)

    def _on_step(self) -> None:
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: ActionNoise | None = None,  # noqa: ARG002
        n_envs: int = 1,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if self.num_timesteps < learning_starts:
            actions = self.exploration.explore(np.zeros(n_envs, np.int64), 1.0)
        else:
            with spent("policy"):
                chosen, _ = self.predict(self._last_obs, deterministic=True)  # type: ignore[arg-type]
            actions = self.exploration.explore(chosen, self.exploration_rate)
        return actions, actions


def _tensors_of(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
