"""Records the copies of a vector environment, each its own episodes, in step with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import DictInfoToList

from agentlab.errors import InputError
from agentlab.recording.header import describe
from agentlab.recording.policy import Policy
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.provenance import now, versions
from agentlab.recording.rows import MAX_ROWS
from agentlab.recording.session import Plan, Session, Summary, Take
from agentlab.recording.writer import RecordingWriter


def record_vector(
    envs: VectorEnv[Any, Any, Any],
    path: str | Path,
    policies: Sequence[Policy],
    *,
    like: gym.Env[Any, Any],
    episodes: int,
    seed: int = 0,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    max_steps: int = MAX_ROWS - 1,
    enough_steps: int | None = None,
    append: bool = False,
    force: bool = False,
    command: str = "",
    on_step: OnStep = silent,
) -> Summary:
    """Records `episodes` episodes at `path`, played in all copies of `envs` at once, each by a policy of its own.

    They are those that `record` would have recorded with the same `seed`, but stand in the order in which they ended:
    which is which, their seeds say. `envs` must leave resets to its user (`AutoresetMode.DISABLED`); `like` is a
    single environment of the kind, which tells labels, names of actions, and what replays need. Its infos are taken
    apart by Gymnasium's masks. A copy that has no episode left to play is kept in step, unrecorded.

    For all else see `record`. Raises `InputError` for another autoreset mode, for other spaces than those of `like`,
    and unless there is one policy for each copy.
    """
    _require_copies(envs, like, policies)
    plan = Plan(episodes, seed, options, max_steps, enough_steps)
    begun = {"versions": versions(like), "created_at": now()}
    header = describe(like, env_id, env_kwargs or {}, begun | {"command": command})
    with RecordingWriter(Path(path), header, append=append, force=force) as writer:
        session = Session(writer, plan, begun, on_step)
        copies = _Copies(envs, policies, session)
        while copies.are_recorded:
            copies.step()
    return session.summary()


class _Copies:
    """The copies of a vector environment, and the take of each that plays for the recording."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], policies: Sequence[Policy], session: Session) -> None:
        self._envs = envs if isinstance(envs, DictInfoToList) else DictInfoToList(envs)
        self._policies, self._session = policies, session
        self._takes: list[Take | None] = [None] * envs.num_envs
        self._idle_action = envs.single_action_space.sample()
        self._begin(range(envs.num_envs), session.plan.options)

    @property
    def are_recorded(self) -> bool:
        """Whether any copy plays for the recording."""
        return any(self._takes)

    def step(self) -> None:
        """Takes a step in each copy, and begins anew those whose episode is over."""
        actions = [take.action() if take else self._idle_action for take in self._takes]
        batch = np.asarray(actions, self._envs.action_space.dtype)
        over = []
        for copy, (frame, reward, terminated, truncated, info) in enumerate(zip(*self._envs.step(batch), strict=True)):
            take, ended = self._takes[copy], bool(terminated or truncated)
            if take:
                ended = take.step(actions[copy], frame, float(reward), bool(terminated), bool(truncated), info)
            if ended:
                over.append(copy)
        if over:
            mask = np.zeros(len(self._takes), np.bool_)
            mask[over] = True
            self._begin(over, {**(self._session.plan.options or {}), "reset_mask": mask})

    def _begin(self, copies: Sequence[int], options: dict[str, Any] | None) -> None:
        """Begins an episode in each of these copies, for the recording where one is wanted."""
        session = self._session
        seeds = {copy: session.next_seed() for copy in copies if session.wants_another}
        for copy in copies:
            self._takes[copy] = None
        if not (seeds or self.are_recorded):
            return
        for copy, seed in seeds.items():
            self._policies[copy].reset(seed)
        every_seed = [seeds.get(copy, session.plan.seed) for copy in range(len(self._takes))]
        frames, infos = self._envs.reset(seed=every_seed, options=options)  # type: ignore[arg-type]
        for copy, seed in seeds.items():
            self._takes[copy] = Take(session, self._policies[copy], seed, frames[copy], infos[copy])


def _require_copies(envs: VectorEnv[Any, Any, Any], like: gym.Env[Any, Any], policies: Sequence[Policy]) -> None:
    mode = envs.metadata.get("autoreset_mode")
    if mode is not AutoresetMode.DISABLED:
        raise InputError(
            f"{envs}: expected a vector environment that leaves resets to its user, found autoreset mode "
            f"{getattr(mode, 'name', mode)}; make it with  gymnasium.make_vec(ID, num_envs, "
            "vector_kwargs={'autoreset_mode': gymnasium.vector.AutoresetMode.DISABLED})"
        )
    if len(policies) != envs.num_envs:
        raise InputError(f"policies: expected {envs.num_envs}, one for each copy, found {len(policies)}")
    for what, found, expected in (
        ("frames", envs.single_observation_space, like.observation_space),
        ("actions", envs.single_action_space, like.action_space),
    ):
        if found != expected:
            raise InputError(f"{envs}: expected {what} in {expected}, as the single environment has, found {found}")
