"""Recordings for other libraries: Minari, readers of its HDF5 files, and Stable-Baselines3's replay buffer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from agentlab.artefact import new_folder, write_json
from agentlab.errors import InputError, MissingExtraError
from agentlab.recording.episode import Episode
from agentlab.recording.header import MINARI_VERSION, metadata_file
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.reader import Recording

if TYPE_CHECKING:
    from minari import MinariDataset
    from stable_baselines3.common.buffers import ReplayBuffer

FRAMES_AT_ONCE = 256
"""Read and written together; an HDF5 file is compressed in such pieces."""


def to_minari(recording: Recording) -> MinariDataset:
    """The recording as Minari's dataset, read in place."""
    try:
        from minari import MinariDataset
    except ImportError as error:
        raise MissingExtraError("minari", "minari") from error
    return MinariDataset(recording.path / "data")


def to_minari_hdf5(recording: Recording, path: Path, *, force: bool = False, on_step: OnStep = silent) -> None:
    """Writes `path/data` with Minari's `metadata.json` and `main_data.hdf5`, frames as plain arrays, compressed.

    For readers that open the HDF5 file themselves (TorchRL): groups `episode_0`, ... with `observations` and `infos`
    (each label in its encoding, NaN where absent), a row a frame, and `actions`, `rewards`, `terminations`,
    `truncations`, a row a step; attributes `id`, `seed`, `total_steps`. Whole or not at all.

    Raises `InputError` when `path` exists and `force` is not given, and `MissingExtraError` without h5py.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "minari") from error
    recording.require_episodes()
    n_steps = 0
    with new_folder(path, force=force) as folder:
        (folder / "data").mkdir()
        with h5py.File(folder / "data" / "main_data.hdf5", "w", track_order=True) as file:
            for episode in recording:
                _write_group(file.create_group(f"episode_{episode.index}"), episode)
                n_steps += episode.n_steps
                on_step(episode.index + 1, n_steps)
        size = (folder / "data" / "main_data.hdf5").stat().st_size
        write_json(metadata_file(folder), _hdf5_metadata(recording, size))


def _hdf5_metadata(recording: Recording, size: int) -> dict[str, Any]:
    own = recording.header.to_metadata()
    observations = json.loads(own["observation_space"]) | {"shape": list(recording.frame_shape)}
    space = recording.observation_space
    bounds = {"low": space.low.tolist(), "high": space.high.tolist()}
    return {
        **own,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "minari_version": MINARI_VERSION,
        "observation_space": json.dumps(observations | bounds, separators=(",", ":")),
        "total_episodes": len(recording),
        "total_steps": recording.total_steps,
        "dataset_size": round(size / 1e6, 1),
    }


def _write_group(group: Any, episode: Episode) -> None:
    group.attrs.update({"id": episode.index, "seed": episode.seed, "total_steps": episode.n_steps})
    group.attrs.update(_flattened({"options": episode.options or {}}))
    shape = (episode.n_frames, *episode.recording.frame_shape)
    pieces = (min(FRAMES_AT_ONCE, episode.n_frames), *episode.recording.frame_shape)
    frames = group.create_dataset(
        "observations", shape, np.uint8, chunks=pieces, compression="gzip", compression_opts=1
    )
    for first in range(0, episode.n_frames, FRAMES_AT_ONCE):
        ts = range(first, min(first + FRAMES_AT_ONCE, episode.n_frames))
        frames[first : ts.stop] = episode.frames(ts)
    for name in ("actions", "rewards", "terminations", "truncations"):
        group.create_dataset(name, data=getattr(episode, name))
    infos = group.create_group("infos")
    if episode.recording.label_schema is not None:
        for name, column in zip(episode.recording.label_schema, episode.labels.T, strict=True):
            infos.create_dataset(name, data=column)


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as Minari names them in attributes: `options/level`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        flat |= _flattened(value, f"{path}/") if isinstance(value, Mapping) else {path: value}
    return flat


def to_sb3_replay_buffer(recording: Recording, stack: int, device: str) -> ReplayBuffer:
    """All steps as SB3's `ReplayBuffer`, `2 * stack` frames a step in memory, for `model.replay_buffer`.

    Observations are as SB3's `VecFrameStack` and `VecTransposeImage` make them: the channels of the last `stack` frames
    first, the newest last, zeros before an episode's beginning. Ends by truncation bootstrap, as in SB3's own.

    Raises `InputError` for fewer frames than one, and for an empty recording.
    """
    from stable_baselines3.common.buffers import ReplayBuffer

    if stack < 1:
        raise InputError(f"stack: expected at least 1, found {stack}")
    recording.require_episodes()
    channels, height, width = _channels_first(recording[0].frames([0])).shape[1:]
    space = spaces.Box(0, 255, (stack * channels, height, width), np.uint8)
    buffer = ReplayBuffer(recording.total_steps, space, recording.action_space, device)
    start = 0
    for episode in recording:
        steps = slice(start, start + episode.n_steps)
        states = _stacked(_channels_first(episode.frames(range(episode.n_frames))), stack)
        buffer.observations[steps, 0], buffer.next_observations[steps, 0] = states[:-1], states[1:]
        buffer.actions[steps, 0] = episode.actions.reshape(episode.n_steps, -1)
        buffer.rewards[steps, 0] = episode.rewards
        buffer.dones[steps, 0] = episode.terminations | episode.truncations
        buffer.timeouts[steps, 0] = episode.truncations & ~episode.terminations
        start = steps.stop
    buffer.pos, buffer.full = 0, True
    return buffer


def _channels_first(frames: Any) -> Any:
    """`(n, h, w)` or `(n, h, w, c)` as `(n, c, h, w)`."""
    return frames[:, None] if frames.ndim == 3 else np.moveaxis(frames, -1, 1)


def _stacked(frames: Any, stack: int) -> Any:
    """The last `stack` frames up to each one, `(n, stack * c, h, w)`, zeros before the first."""
    padded = np.concatenate([np.zeros((stack - 1, *frames.shape[1:]), np.uint8), frames])
    windows = np.lib.stride_tricks.sliding_window_view(padded, stack, axis=0)
    return np.moveaxis(windows, -1, 1).reshape(len(frames), -1, *frames.shape[2:])
