"""What is true of a whole recording: its environment, spaces and labels, as `data/metadata.json` keeps them."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from agentlab.artefact import read_json
from agentlab.errors import InputError
from agentlab.labels import LabelSchema
from agentlab.recording.replaced import Replaced
from agentlab.recording.spaces import require_image_space, stores_png, to_minari_json
from agentlab.spaces import from_plain, to_plain

FORMAT_VERSION = 1
MOST = 2**40
"""Episodes and steps that a recording may say it has."""
MINARI_VERSION = "0.5.3"
"""The oldest Minari release that reads the format; later ones accept it."""

OWN_KEY = "agentlab"


@dataclass(frozen=True)
class Header:
    """The environment of a recording, everything needed to make it again, and what its episodes hold."""

    env_id: str
    env_kwargs: dict[str, Any]
    env_spec: str | None
    observation_space: spaces.Box
    action_space: spaces.Space[Any]
    label_schema: LabelSchema | None
    action_names: list[str] | None
    render_fps: float | None = field(compare=False, default=None)
    provenance: dict[str, Any] = field(compare=False, default_factory=dict)

    @cached_property
    def stores_png(self) -> bool:
        return stores_png(self.observation_space)

    def to_metadata(self) -> dict[str, Any]:
        """The content of `data/metadata.json` but for its totals: Minari's keys, and ours under one key."""
        schema = self.label_schema
        metadata: dict[str, Any] = {
            "dataset_id": _dataset_id(self.env_id),
            "minari_version": MINARI_VERSION,
            "data_format": "arrow",
            "jpeg_encoding": self.stores_png,
            "observation_space": to_minari_json(self.observation_space),
            "action_space": to_minari_json(self.action_space),
        }
        if self.env_spec is not None:
            metadata["env_spec"] = self.env_spec
        metadata[OWN_KEY] = {
            "kind": "recording",
            "format_version": FORMAT_VERSION,
            "env_id": self.env_id,
            "env_kwargs": self.env_kwargs,
            "observation_space": to_plain(self.observation_space),
            "action_space": to_plain(self.action_space),
            "action_names": self.action_names,
            "render_fps": self.render_fps,
            "label_schema": None if schema is None else schema.to_dict(),
            "provenance": self.provenance,
        }
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], file: Path) -> Header:
        """The inverse of `to_metadata`; `InputError` naming `file` and what is wrong in it."""
        own = metadata.get(OWN_KEY)
        if not isinstance(own, dict):
            raise InputError(f"{file}: field {OWN_KEY!r}: expected an object, found {own!r}; did agentlab record it?")
        version = own.get("format_version")
        if type(version) is not int or not 0 < version <= FORMAT_VERSION:
            raise InputError(
                f"{file}: field 'format_version': this agentlab reads up to {FORMAT_VERSION}, found {version!r}; "
                "update agentlab"
            )
        schema = own.get("label_schema")
        try:
            return cls(
                env_id=str(own["env_id"]),
                env_kwargs=dict(own["env_kwargs"]),
                env_spec=_json_object(metadata.get("env_spec"), "env_spec"),
                observation_space=require_image_space(from_plain(own["observation_space"]), str(file)),
                action_space=from_plain(own["action_space"]),
                label_schema=None if schema is None else LabelSchema.from_dict(schema, str(file)),
                action_names=_texts(own["action_names"], "action_names"),
                render_fps=_rate(own.get("render_fps")),
                provenance=_with_versions(own["provenance"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, AssertionError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{file}: field {OWN_KEY!r}: expected a recording's header, found garbled values ({error!r})"
            ) from error


def _json_object(text: Any, name: str) -> str | None:
    if text is not None and not isinstance(json.loads(text), dict):
        raise ValueError(f"{name}: expected a JSON object, found {text!r}")
    return None if text is None else str(text)


def _texts(values: Any, name: str) -> list[str] | None:
    if values is not None and not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise ValueError(f"{name}: expected a list of text, found {values!r}")
    return values


def _rate(value: Any) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise ValueError(f"render_fps: expected a number above 0, found {value!r}")
    return None if value is None else float(value)


def _with_versions(provenance: Any) -> dict[str, Any]:
    if not (isinstance(provenance, dict) and are_versions(provenance.get("versions", {}))):
        raise TypeError(f"provenance: expected an object with versions, texts by package, found {provenance!r}")
    return provenance


def are_versions(value: Any) -> bool:
    """Whether it is the versions of packages as recordings store them."""
    return isinstance(value, dict) and all(
        isinstance(version, str) and version.isprintable() for version in value.values()
    )


def read_metadata(recording: Path) -> dict[str, Any]:
    """The content of `data/metadata.json`; `InputError` when there is no recording or the file is garbled."""
    file = metadata_file(recording)
    if not file.is_file():
        raise InputError(
            f"{recording}: expected a recording (a folder with data/metadata.json), found "
            f"{'none in it' if recording.exists() else 'nothing'}; "
            + (Replaced(recording).hint or f"make one with  agentlab record ENV --out {recording}")
        )
    metadata = read_json(file)
    for name in ("total_episodes", "total_steps"):
        require_count(metadata, name, MOST, file)
    return metadata


def require_count(metadata: Mapping[str, Any], name: str, below: int, file: Path) -> None:
    """Raises `InputError` unless the field is a count below `below`."""
    found = metadata.get(name)
    if type(found) is not int or not 0 <= found < below:
        raise InputError(f"{file}: field {name!r}: expected a count, found {found!r}")


def metadata_file(recording: Path) -> Path:
    return recording / "data" / "metadata.json"


def episode_folder(recording: Path, index: int) -> Path:
    return recording / "data" / str(index)


def episode_file(recording: Path, index: int) -> Path:
    return episode_folder(recording, index) / "part-0.arrow"


def describe(
    env: gym.Env[Any, Any], env_id: str | None, env_kwargs: Mapping[str, Any], provenance: dict[str, Any]
) -> Header:
    """The header of what `env` will record.

    `env_id` and `env_kwargs` are what `agentlab_envs.make` was given to make it; the default is the id of its spec.
    Raises `InputError` for an environment without images or without an id, and for what cannot be stored.
    """
    name = env_id or (env.spec.id if env.spec else None)
    if name is None:
        raise InputError(f"{env}: expected an environment with an id, found one made without gymnasium.make")
    try:
        kwargs = json.loads(json.dumps(dict(env_kwargs)))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: env_kwargs: expected JSON values, found {dict(env_kwargs)!r}") from error
    space = require_image_space(env.observation_space, f"{name}: observations")
    to_plain(env.action_space)
    schema = wrapper_attribute(env, "label_schema")
    return Header(
        env_id=name,
        env_kwargs=kwargs,
        env_spec=spec_json(env),
        observation_space=space,
        action_space=env.action_space,
        label_schema=None if schema is None else LabelSchema.from_dict(schema, name),
        action_names=_action_names(env),
        render_fps=_render_fps(env),
        provenance=provenance,
    )


def spec_json(env: gym.Env[Any, Any]) -> str | None:
    """`env.spec` with its wrappers as JSON, `None` where it holds what JSON does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return env.spec.to_json() if env.spec else None
    except (TypeError, ValueError):
        return None


def wrapper_attribute(env: gym.Env[Any, Any], name: str) -> Any:
    """The attribute of the environment or of a wrapper of it, `None` where none has it."""
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None


def _action_names(env: gym.Env[Any, Any]) -> list[str] | None:
    meanings = getattr(env.unwrapped, "get_action_meanings", None)
    names = wrapper_attribute(env, "action_names") or (meanings() if meanings else None)
    return [str(name) for name in names] if names else None


def _render_fps(env: gym.Env[Any, Any]) -> float | None:
    """How many frames a second a person should see, if the environment says."""
    fps = (env.metadata or {}).get("render_fps")
    return float(fps) if isinstance(fps, int | float) and fps > 0 else None


def _dataset_id(env_id: str) -> str:
    """A Minari dataset id, `ALE/Pong-v5/agentlab-v0`."""
    namespace = re.sub(r"[^-\w/]", "-", env_id.rpartition(":")[2]).strip("/-")
    return f"{namespace}/agentlab-v0"
