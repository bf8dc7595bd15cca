"""Records episodes of an environment by its id: opens it, casts who plays, and tells how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.artefact import require_room
from agentlab.environment import open_environment, require_images
from agentlab.play.casting import Casting, cast
from agentlab.play.copies import open_copies
from agentlab.play.straying import StrayingPolicy
from agentlab.progress import Progress, Task
from agentlab.recipe import RecordConfig
from agentlab.recording import record, record_vector

if TYPE_CHECKING:
    from agentlab.head import Agent
    from agentlab.recording import Policy, Summary


def record_episodes(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    config: RecordConfig,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    device: str = "auto",
    append: bool = False,
    force: bool = False,
    command: str = "",
    agent: Agent | None = None,
) -> Summary:
    """Records `config.episodes` episodes of an environment at `out`; with `append` to those it holds.

    An `agent` that is given plays, and strays now and then, instead of `config.policy`, and is called that. Raises
    `InputError` for an environment without images, an unknown policy, and an `out` that exists.
    """
    if not (append and out.exists()):
        require_room(out, force=force)
    with closing(open_environment(env_id, env_kwargs)) as env:
        require_images(env, env_id)
        casting = Casting(env, env_id, config.n_envs, device, config.trust, config.fps)
        with _cast(config, casting, agent) as policies, _told(config, progress) as counter:
            summary = _record(
                casting,
                policies,
                out,
                env_kwargs,
                seed=seed,
                append=append,
                force=force,
                command=command,
                on_step=counter,
                **_length(config),
            )
            counter(summary.episodes, summary.steps)
    for line in summary.recovered:
        progress.say(line)
    return summary


def _record(
    casting: Casting, policies: Sequence[Policy], out: Path, env_kwargs: Mapping[str, Any], **how: Any
) -> Summary:
    how = {"env_id": casting.env_id, "env_kwargs": env_kwargs, **how}
    if casting.copies == 1:
        return record(casting.env, out, policies[0], **how)
    with closing(open_copies(casting.env_id, env_kwargs, casting.copies)) as envs:
        return record_vector(envs, out, policies, like=casting.env, **how)


def _length(config: RecordConfig) -> dict[str, int]:
    length = {"episodes": config.episodes, "max_steps": config.max_steps, "enough_steps": config.enough_steps}
    return {name: count for name, count in length.items() if count is not None}


@contextmanager
def _cast(config: RecordConfig, casting: Casting, agent: Agent | None) -> Iterator[Sequence[Policy]]:
    if agent is None:
        with cast(config.policy, casting) as policies:
            yield policies
    else:
        from agentlab.head import AgentPolicy

        yield [StrayingPolicy(AgentPolicy(agent, config.policy), casting.env.action_space, config.policy)]


@contextmanager
def _told(config: RecordConfig, progress: Progress) -> Iterator[_Counter]:
    total, unit = config.enough_steps or config.episodes, "steps" if config.enough_steps else "episodes"
    with progress.task("record", total, unit) as task:
        yield _Counter(task, by_steps=unit == "steps")


class _Counter:
    """Tells a task how many episodes or steps there are."""

    def __init__(self, task: Task, *, by_steps: bool) -> None:
        self._task, self._by_steps = task, by_steps
        self._done = 0

    def __call__(self, episodes: int, steps: int) -> None:
        reached = steps if self._by_steps else episodes
        self._task.advance(reached - self._done, note=f"{episodes:,} episodes, {steps:,} steps")
        self._done = reached
