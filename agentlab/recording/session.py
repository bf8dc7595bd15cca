"""What both recorders share: how much to record, each episode while it is played, and what was added in the end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

from agentlab.errors import InputError
from agentlab.recording.frames import Frame
from agentlab.recording.policy import Instead, Policy, Spectator
from agentlab.recording.progress import OnStep
from agentlab.recording.rows import MAX_ROWS
from agentlab.recording.writer import (
    ENDED_BY_ENVIRONMENT,
    ENDED_BY_INTERRUPTION,
    ENDED_BY_MAX_STEPS,
    RecordingWriter,
)
from agentlab.spaces import contains


@dataclass(frozen=True)
class Plan:
    """Up to `episodes` episodes of up to `max_steps` steps, none begun after `enough_steps` steps in all.

    Episode i of the recording is reset with `seed + i` and `options`. Raises `InputError` for counts below 1 and
    episodes longer than readers read.
    """

    episodes: int
    seed: int = 0
    options: dict[str, Any] | None = None
    max_steps: int = MAX_ROWS - 1
    enough_steps: int | None = None

    def __post_init__(self) -> None:
        if self.enough_steps is not None and self.enough_steps < 1:
            raise InputError(f"steps: expected at least 1, found {self.enough_steps}")
        if self.episodes < 1:
            raise InputError(f"episodes: expected at least 1, found {self.episodes}")
        if not 1 <= self.max_steps < MAX_ROWS:
            raise InputError(f"max_steps: expected 1 to {MAX_ROWS - 1}, found {self.max_steps}")


@dataclass(frozen=True)
class Summary:
    """What one call of a recorder added, and a line for each interrupted episode that it found and recovered."""

    path: Path
    episodes: int
    steps: int
    returns: list[float]
    seconds: float
    recovered: list[str]


class Session:
    """One call of a recorder: hands out the seeds of its episodes and counts what is recorded.

    Seeds go on where those of the episodes that are there end. `provenance` is stored with each episode.
    """

    def __init__(self, writer: RecordingWriter, plan: Plan, provenance: dict[str, Any], on_step: OnStep) -> None:
        self.writer, self.plan, self.provenance = writer, plan, provenance
        self._on_step = on_step
        self._started = time.perf_counter()
        self._recovered = list(writer.recovered)
        self._first_seed = plan.seed + writer.total_episodes
        self._n_begun = 0
        self._n_steps = 0
        self._returns: list[float] = []

    @property
    def wants_another(self) -> bool:
        """Whether another episode is to be begun."""
        enough = self.plan.enough_steps
        return self._n_begun < self.plan.episodes and (enough is None or self._n_steps < enough)

    def next_seed(self) -> int:
        """The seed of the episode that is begun now."""
        self._n_begun += 1
        return self._first_seed + self._n_begun - 1

    def count(self, steps: int) -> None:
        """Counts steps, negative ones for those that were discarded, and tells how far it is."""
        self._n_steps += steps
        self._on_step(len(self._returns), self._n_steps)

    def keep(self, episode_return: float) -> None:
        """Counts an episode that is now part of the recording."""
        self._returns.append(episode_return)

    def summary(self) -> Summary:
        seconds = time.perf_counter() - self._started
        return Summary(self.writer.path, len(self._returns), self._n_steps, self._returns, seconds, self._recovered)


class Take:
    """One episode while a policy plays it, from what its reset gave to its end."""

    def __init__(self, session: Session, policy: Policy, seed: int, frame: Frame, info: dict[str, Any]) -> None:
        self._session, self._policy, self._seed = session, policy, seed
        self._frame, self._info = frame, info
        self._see = policy.see if isinstance(policy, Spectator) else _look_away
        self._return = 0.0
        provenance = {"policy": getattr(policy, "name", type(policy).__name__), **session.provenance}
        self._episode = session.writer.begin(seed, session.plan.options, frame, info, provenance)

    def act(self) -> Any:
        """What the policy answers to the last frame: an action of the environment, or an `Instead`.

        Raises `InputError` for anything else.
        """
        answer = self._policy.act(self._frame, self._info)
        return answer if isinstance(answer, Instead) else self._require_action(answer)

    def action(self) -> Any:
        """As `act`, where nothing can stand instead of an action."""
        return self._require_action(self._policy.act(self._frame, self._info))

    def step(
        self, action: Any, frame: Frame, reward: SupportsFloat, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> bool:
        """Records one step, and the episode when it is over, which is what it says."""
        self._episode.step(action, frame, reward, terminated, truncated, info)
        self._frame, self._info = frame, info
        reward = float(reward)
        self._return += reward
        self._session.count(1)
        ended = terminated or truncated
        over = ended or self._episode.n_steps == self._session.plan.max_steps
        self._see(frame, reward, over)
        if over:
            self._keep(ENDED_BY_ENVIRONMENT if ended else ENDED_BY_MAX_STEPS)
        return over

    def cut(self) -> None:
        """Ends the episode here; without a step it is nothing."""
        if self._episode.n_steps:
            self._keep(ENDED_BY_INTERRUPTION)
        else:
            self._episode.discard()

    def discard(self) -> None:
        """Leaves nothing of the episode."""
        self._episode.discard()
        self._session.count(-self._episode.n_steps)

    def _require_action(self, action: Any) -> Any:
        writer = self._session.writer
        if contains(writer.header.action_space, action):
            return action
        raise InputError(
            f"{writer.path}: episode with seed {self._seed}, step {self._episode.n_steps}: action: expected one in "
            f"{writer.header.action_space}, found {action!r}"
        )

    def _keep(self, ended_by: str) -> None:
        self._episode.commit(ended_by)
        self._session.keep(self._return)


def _look_away(frame: Frame, reward: float, ended: bool) -> None:
    """What a policy sees that is no spectator."""
