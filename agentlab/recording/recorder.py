"""Records episodes: a policy plays an environment, every reset seeded, every step on disk before the next is taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from agentlab.recording.header import describe
from agentlab.recording.policy import Instead, Policy
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.provenance import now, versions
from agentlab.recording.rows import MAX_ROWS
from agentlab.recording.session import Plan, Session, Summary, Take
from agentlab.recording.writer import RecordingWriter


def record(
    env: gym.Env[Any, Any],
    path: str | Path,
    policy: Policy,
    *,
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
    """Records `episodes` episodes at `path`; episode i of the recording is reset with `seed + i`.

    After `enough_steps` steps no further episode is begun.

    `env_id` and `env_kwargs` are what `agentlab_envs.make` was given to make `env`: replays make it again from them.
    Episodes longer than `max_steps` are truncated there, and say so. Stopped by Ctrl-C or an error, the running episode
    is kept up to its last step before the exception goes on. The policy may discard episodes or stop (`Instead`).

    Raises `InputError` when `path` exists (see `append`, `force`), for an environment that cannot be recorded, and for
    an action that it does not have.
    """
    plan = Plan(episodes, seed, options, max_steps, enough_steps)
    begun = {"versions": versions(env), "created_at": now()}
    header = describe(env, env_id, env_kwargs or {}, begun | {"command": command})
    with RecordingWriter(Path(path), header, append=append, force=force) as writer:
        session = Session(writer, plan, begun, on_step)
        goes_on = True
        while goes_on and session.wants_another:
            goes_on = _play(env, policy, session)
    return session.summary()


def _play(env: gym.Env[Any, Any], policy: Policy, session: Session) -> bool:
    """Records one episode and says whether the policy wants to go on."""
    seed = session.next_seed()
    take = _begin(env, policy, session, seed)
    over = False
    while not over:
        action = take.act()
        if action is Instead.STOP:
            take.cut()
            return False
        if action is Instead.DISCARD:
            take.discard()
            take = _begin(env, policy, session, seed)
            continue
        frame, reward, terminated, truncated, info = env.step(action)
        over = take.step(action, frame, reward, terminated, truncated, info)
    return True


def _begin(env: gym.Env[Any, Any], policy: Policy, session: Session, seed: int) -> Take:
    policy.reset(seed)
    frame, info = env.reset(seed=seed, options=session.plan.options)
    return Take(session, policy, seed, frame, info)
