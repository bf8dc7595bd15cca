"""Random patience for heads: a training ends when its evaluations have not got better for long enough."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback, EvalCallback

from agentlab.strategies import RandomPatience


class StopOnRandomPatience(BaseCallback):
    """SB3's callback for after an evaluation, which counts as a round of a `RandomPatience` (CN115495998A).

    >>> import gymnasium as gym
    >>> from stable_baselines3 import DQN
    >>> from stable_baselines3.common.monitor import Monitor
    >>> patience = RandomPatience(rounds=5, ratio=0.8, seed=0)
    >>> stop = StopOnRandomPatience(patience)
    >>> games = Monitor(gym.make("CartPole-v1"))
    >>> evaluations = EvalCallback(games, callback_after_eval=stop, eval_freq=100, n_eval_episodes=2, verbose=0)
    >>> model = DQN("MlpPolicy", "CartPole-v1", learning_starts=50, seed=0, device="cpu")
    >>> _ = model.learn(5_000, callback=evaluations)
    >>> 100 * patience.rounds_done == model.num_timesteps < 5_000
    True
    """

    parent: EvalCallback

    def __init__(self, patience: RandomPatience, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.patience = patience

    def _init_callback(self) -> None:
        if not isinstance(self.parent, EvalCallback):
            raise ValueError(f"callback: expected to be an EvalCallback's callback_after_eval, found {self.parent}")

    def _on_step(self) -> bool:
        stops = self.patience.after_round(float(self.parent.last_mean_reward))
        self.logger.record("eval/misses", self.patience.misses)
        self.logger.record("eval/patience", self.patience.patience)
        if stops and self.verbose:
            misses, patience = self.patience.misses, self.patience.patience
            print(
                f"Stopping after {self.num_timesteps:,} steps: {misses} evaluations were no better, patience {patience}"
            )
        return not stops
