"""Replay memory of features: each frame's features are kept once, however many states share the frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from agentlab.errors import InputError
from agentlab.head.difference import lives_lost
from agentlab.head.frame_archive import FrameArchive
from agentlab.head.spaces import StackedFeatures

Array = npt.NDArray[Any]

ROWS = ("observations", "actions", "rewards", "ends", "terminals", "ages")
KEPT = (*ROWS, "last_places", "last_states", "pos", "full")


class FeatureReplayBuffer(ReplayBuffer):
    """SB3's replay buffer for stacked features, with n-step returns.

    A row holds the newest frame's features, the action, the reward and how the step ended; the states before and after
    are put together when sampled, so a transition takes one feature vector instead of two stacks of them. States of
    other spaces are kept whole. An episode's last state is kept beside the rows, and only where the episode was cut
    off, since after a true end no state's value counts. Environments that do not go on where their last step led were
    reset in between: their episodes count as cut off there.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_steps: int = 1,
        gamma: float = 0.99,
    ) -> None:
        """Takes SB3's arguments; memory use is always optimised and truncation always told from termination."""
        del optimize_memory_usage, handle_timeout_termination
        BaseBuffer.__init__(self, buffer_size, observation_space, action_space, device, n_envs=n_envs)
        self.stack = observation_space.stack if isinstance(observation_space, StackedFeatures) else 1
        self.n_steps, self.gamma = n_steps, gamma
        self.handle_timeout_termination = True  # SB3's load_replay_buffer asks
        self.buffer_size = max(buffer_size // n_envs, self.stack + n_steps)
        size, dtype = (self.buffer_size, n_envs), self._maybe_cast_dtype
        row_shape = (self.obs_shape[0] // self.stack, *self.obs_shape[1:])
        self.observations = np.zeros((*size, *row_shape), observation_space.dtype)
        self.actions = np.zeros((*size, self.action_dim), dtype(action_space.dtype))
        self.rewards = np.zeros(size, np.float32)
        self.ends = np.zeros(size, np.bool_)
        self.terminals = np.zeros(size, np.bool_)
        self.ages = np.zeros(size, np.uint8)
        self._age = np.zeros(n_envs, np.uint8)
        self._next_states = np.zeros((n_envs, *self.obs_shape), observation_space.dtype)
        self._last_states: dict[tuple[int, int], Array] = {}
        self.archive: FrameArchive | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all it holds but for the archive of frames, if there is one."""
        kept = sum(state.nbytes for state in self._last_states.values())
        return int(kept + sum(getattr(self, name).nbytes for name in ROWS))

    def add(
        self, obs: Array, next_obs: Array, action: Array, reward: Array, done: Array, infos: list[dict[str, Any]]
    ) -> None:
        if self.size():
            self._notice_resets(obs.reshape(self._next_states.shape))
        newest = obs.reshape(self.n_envs, self.stack, *self.observations.shape[2:])[:, -1]
        self.observations[self.pos] = newest
        self.actions[self.pos] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[self.pos] = reward
        self.ends[self.pos] = done | lives_lost(infos)
        self.terminals[self.pos] = self.ends[self.pos]
        self.ages[self.pos] = self._age
        self._age = np.where(done, 0, np.minimum(self._age + 1, self.stack - 1)).astype(np.uint8)
        self._forget_last_states()
        if self.archive is not None:
            self.archive.keep(self.pos)
        for env in np.flatnonzero(done).tolist():
            if infos[env].get("TimeLimit.truncated", False):
                self.terminals[self.pos, env] = False
                self._keep_last_state(self.pos, env, np.array(next_obs[env]))
        self._next_states = np.array(next_obs).reshape(self._next_states.shape)
        self.pos = (self.pos + 1) % self.buffer_size
        self.full = self.full or self.pos == 0

    def cut(self) -> None:
        """Ends the running episodes as truncated ones: the environments will be reset."""
        if self.size():
            self._cut(np.ones(self.n_envs, np.bool_))

    def see_anew(self, percepts: Callable[[npt.NDArray[np.uint8]], Array]) -> None:
        """Puts new percepts in place of the old ones, made of the frames in the archive; running episodes are cut."""
        assert self.archive is not None
        self.cut()
        for row, frames in self.archive.rows():
            self.observations[row] = percepts(frames)
        places = list(self._last_states)
        for first in range(0, len(places), self.n_envs):
            some = places[first : first + self.n_envs]
            rows, envs = np.array(some).T
            before = self._states(rows, envs).reshape(len(some), self.stack, -1)[:, 1:]
            newest = percepts(self.archive.last_frames(some)).astype(before.dtype)[:, None]
            for place, state in zip(some, np.concatenate([before, newest], axis=1), strict=True):
                self._last_states[place] = state.reshape(self.obs_shape)

    def state(self) -> dict[str, Tensor]:
        """All it holds, as named tensors; the running episodes must have been cut."""
        rows = slice(self.size())
        kept = {name: torch.from_numpy(getattr(self, name)[rows]) for name in ROWS}
        places = np.array(list(self._last_states), np.int64).reshape(-1, 2)
        states = np.array(list(self._last_states.values()), self.observations.dtype).reshape(-1, *self.obs_shape)
        ends = {"last_places": torch.from_numpy(places), "last_states": torch.from_numpy(states)}
        frames = {} if self.archive is None else self.archive.state()
        return kept | ends | frames | {"pos": torch.tensor(self.pos), "full": torch.tensor(self.full)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state` gave; `InputError` when that was a memory of another size or shape."""
        self._require_fitting(tensors)
        for name in ROWS:
            getattr(self, name)[: len(tensors[name])] = tensors[name].numpy()
        places, states = tensors["last_places"].tolist(), tensors["last_states"].numpy()
        self._last_states = {(row, env): state for (row, env), state in zip(places, states, strict=True)}
        if self.archive is not None:
            self.archive.restore(tensors, self.n_envs)
        self.pos, self.full = int(tensors["pos"]), bool(tensors["full"])

    def _require_fitting(self, tensors: Mapping[str, Tensor]) -> None:
        for name in KEPT:
            if name not in tensors:
                raise InputError(f"replay memory: expected {name!r}, found none")
        n_rows = self.buffer_size if tensors["full"] else min(int(tensors["pos"]), self.buffer_size)
        for name in ROWS:
            expected, found = (n_rows, *getattr(self, name).shape[1:]), tuple(tensors[name].shape)
            if found != expected:
                raise InputError(f"replay memory: {name!r}: expected shape {expected}, found {found}")

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """States, actions and n-step returns of `batch_size` random steps whose n next ones are in memory.

        Returns are of fewer steps as long as there are no n. Raises `ValueError` when the memory is empty.
        """
        if not self.size():
            raise ValueError("replay memory: expected at least one step, found none")
        oldest, first, end = (self.pos, self.stack - 1, self.buffer_size) if self.full else (0, 0, self.pos)
        end = max(end - self.n_steps, first + 1)
        rows = (oldest + np.random.randint(first, end, size=batch_size)) % self.buffer_size
        return self._get_samples(rows, env)

    def _get_samples(self, batch_inds: Array, env: VecNormalize | None = None) -> ReplayBufferSamples:
        del env
        envs = np.random.randint(0, self.n_envs, size=len(batch_inds))
        window = (batch_inds[:, None] + np.arange(self.n_steps)) % self.buffer_size
        ends = self.ends[window, envs[:, None]]
        known = np.minimum((self.pos - 1 - batch_inds) % self.buffer_size + 1, self.n_steps)
        lengths = np.where(ends.any(axis=1), np.minimum(ends.argmax(axis=1) + 1, known), known)
        counted = np.arange(self.n_steps) < lengths[:, None]
        discounts = np.float32(self.gamma) ** np.arange(self.n_steps + 1, dtype=np.float32)
        returns = (self.rewards[window, envs[:, None]] * counted * discounts[:-1]).sum(axis=1, keepdims=True)
        last = (batch_inds + lengths - 1) % self.buffer_size
        next_states = self._states((batch_inds + lengths) % self.buffer_size, envs)
        running = (last == (self.pos - 1) % self.buffer_size) & ~self.ends[last, envs]
        next_states[running] = self._next_states[envs[running]]
        for sample in np.flatnonzero(self.ends[last, envs] & ~self.terminals[last, envs]).tolist():
            next_states[sample] = self._last_states[int(last[sample]), int(envs[sample])]
        return ReplayBufferSamples(
            observations=torch.from_numpy(self._states(batch_inds, envs)).to(self.device),
            actions=torch.from_numpy(self.actions[batch_inds, envs]).to(self.device),
            next_observations=torch.from_numpy(next_states).to(self.device),
            dones=torch.from_numpy(self.terminals[last, envs][:, None].astype(np.float32)).to(self.device),
            rewards=torch.from_numpy(returns).to(self.device),
            discounts=torch.from_numpy(discounts[lengths][:, None]).to(self.device),
        )

    def _states(self, rows: Array, envs: Array) -> Array:
        """The states at `rows`, put together from the rows before, which never reach past an episode's start."""
        back = np.minimum(np.arange(self.stack - 1, -1, -1), self.ages[rows, envs][:, None])
        states: Array = self.observations[(rows[:, None] - back) % self.buffer_size, envs[:, None]]
        return states.reshape(len(rows), *self.obs_shape)

    def _notice_resets(self, states: Array) -> None:
        moved = (states != self._next_states).reshape(self.n_envs, -1).any(axis=1)
        if moved.any():
            self._cut(moved)

    def _cut(self, which: npt.NDArray[np.bool_]) -> None:
        row = (self.pos - 1) % self.buffer_size
        for env in np.flatnonzero(which & ~self.ends[row]).tolist():
            self.ends[row, env] = True
            self._keep_last_state(row, env, self._next_states[env].copy())
        self._age[which] = 0

    def _keep_last_state(self, row: int, env: int, state: Array) -> None:
        self._last_states[row, env] = state
        if self.archive is not None:
            self.archive.keep_last(row, env)

    def _forget_last_states(self) -> None:
        for env in range(self.n_envs) if self.full and self._last_states else ():
            self._last_states.pop((self.pos, env), None)
