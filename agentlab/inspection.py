"""What an artefact is and where it came from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentlab.artefact import EXPORTED_FRAMES, META, read_json, sha256
from agentlab.errors import InputError

if TYPE_CHECKING:
    from agentlab.labels import Label
    from agentlab.recording import Recording

WEIGHTS = "weights.safetensors"
INLINE = 4
"""Facts that still fit on one line."""
BARS = " ▁▂▃▄▅▆▇█"
HISTOGRAM_BINS = 16

BULKY = (
    "labels",
    "label_schema",
    "recipe",
    "strategies",
    "architecture",
    "preprocessing",
    "metrics",
    "parents",
    "kind",
)
"""Fields of a `meta.json` that are described apart, or not at all."""


def describe(path: Path) -> dict[str, Any]:
    """The facts of the recording, extractor, head, run, recipe file, exported frames or exported model at `path`.

    Always holds `path`, `kind`, `bytes` and `parents`, a list of `{"kind", "path", "sha256"}`. Raises `InputError` for
    anything else, and for an artefact that is garbled.
    """
    if not path.exists():
        from agentlab.recording.replaced import Replaced

        hint = Replaced(path).hint
        raise InputError(f"{path}: no such file or folder" + (f"; {hint}" if hint else ""))
    describer = _describer(path)
    try:
        facts = describer(path)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected an artefact of agentlab, found a garbled one ({error!r})") from error
    return {"path": str(path), "kind": facts.pop("kind"), "bytes": _size(path), **facts}


def render(description: Mapping[str, Any]) -> str:
    """The description as lines for people, nested parts indented."""
    return f"{description['path']}: {description['kind']}\n" + "\n".join(
        _lines(description, "  ", skip=("path", "kind"))
    )


def _describer(path: Path) -> Callable[[Path], dict[str, Any]]:
    if path.is_file():
        by_suffix = {".yaml": _recipe, ".yml": _recipe, ".onnx": _onnx}
        if path.suffix in by_suffix:
            return by_suffix[path.suffix]
        raise InputError(
            f"{path}: expected a recording, an extractor, a head, a run, exported frames, a recipe (.yaml) or a model "
            f"(.onnx), found a {path.suffix or 'nameless'} file; inspect the folder it is in"
        )
    if looks_like_recording(path):
        return _recording
    if (path / "recipe.yaml").exists():
        return _run
    if (path / META).exists():
        return _with_meta
    raise InputError(
        f"{path}: expected a recording (data/metadata.json), an extractor, a head or exported frames (meta.json) or a "
        "run (recipe.yaml), found a folder with none of them"
    )


def looks_like_recording(path: Path) -> bool:
    """Whether it is the folder of a recording, which may be damaged."""
    return (path / "data" / "metadata.json").exists()


def _recording(path: Path) -> dict[str, Any]:
    from agentlab.recording import Recording
    from agentlab.recording.replaced import Replaced

    recording = Recording(path)
    ended = Counter(episode.provenance.get("ended_by", "environment") for episode in recording)
    return {
        "kind": "recording",
        "env": recording.env_id,
        "env_kwargs": recording.env_kwargs,
        "episodes": len(recording),
        "unfinished_episodes": len(list((path / "inprogress").glob("*.arrows"))) or None,
        "replacing": Replaced(path).hint or None,
        "steps": recording.total_steps,
        "returns": _returns(recording),
        "frame_shape": list(recording.frame_shape),
        **_storage(recording),
        "labels": _labels(recording),
        "labelled_by": _labelled_by(recording) or None,
        "predicted_by": _predicted_by(recording) or None,
        "played_by": dict(Counter(str(episode.provenance.get("policy")) for episode in recording)),
        "ended_by": dict(ended),
        "first_seed": recording[0].seed if len(recording) else None,
        "sha256": recording.fingerprint(),
        **recording.provenance,
        "parents": [],
    }


def _returns(recording: Recording) -> dict[str, Any]:
    """The mean return, the lowest and the highest, and bars of how often returns between them are met."""
    if not len(recording):
        return {}
    every = np.array([episode.rewards.sum() for episode in recording])
    returns = every[np.isfinite(every)]
    if not len(returns):
        return {}
    widest = max(float(np.ptp(returns)), 1e-6 * float(np.abs(returns).max()), 1e-6)
    counts, _ = np.histogram(returns, HISTOGRAM_BINS, (returns.min(), returns.min() + widest))
    bars = "".join(BARS[0 if not count else max(1, round(count / counts.max() * (len(BARS) - 1)))] for count in counts)
    lowest, highest = float(returns.min()), float(returns.max())
    return {"mean": float(returns.mean()), "min": lowest, "histogram": bars, "max": highest}


def _storage(recording: Recording) -> dict[str, Any]:
    """What a frame takes on disk with all that goes with it, and how many times as much its pixels are."""
    if not recording.total_frames:
        return {}
    each = _size(recording.path) / recording.total_frames
    return {"bytes_per_frame": round(each, 1), "compression": round(math.prod(recording.frame_shape) / each, 1)}


def _labels(recording: Recording) -> dict[str, Any]:
    """Each label's kind and the share of the frames where it has a value."""
    schema: Mapping[str, Label] = recording.label_schema or {}
    known = np.zeros(len(schema))
    for episode in recording if schema else ():
        known += (~np.isnan(episode.labels)).sum(axis=0)
    shares = known / max(recording.total_frames, 1)
    return {
        name: {"kind": label.to_dict()["kind"], "coverage": round(share, 4)}
        for (name, label), share in zip(schema.items(), shares.tolist(), strict=True)
    }


def _labelled_by(recording: Recording) -> dict[str, int]:
    """Of how many frames each source said something after recording."""
    frames = Counter[str]()
    for episode in recording:
        frames.update(by for by, _ in {(said.by, said.frame) for said in episode.added_labels})
    return dict(frames)


def _predicted_by(recording: Recording) -> dict[str, int]:
    """Of how many frames each extractor's predictions are stored."""
    frames = Counter[str]()
    for episode in recording:
        if (stored := episode.predictions) is not None:
            frames[stored.source["path"]] += episode.n_frames
    return dict(frames)


def _with_meta(path: Path) -> dict[str, Any]:
    """An extractor, a head, or frames exported for annotation."""
    meta = read_json(path / META)
    if meta.get("kind") == EXPORTED_FRAMES:
        return {"kind": EXPORTED_FRAMES, **_short_facts(meta), "parents": _parents(meta)}
    return _network(path)


def _network(path: Path) -> dict[str, Any]:
    """An extractor or a head."""
    meta = read_json(path / META)
    kind = meta.get("kind")
    if kind not in ("extractor", "head"):
        raise InputError(f"{path / META}: field 'kind': expected 'extractor' or 'head', found {kind!r}")
    if not (path / WEIGHTS).is_file():
        raise InputError(f"{path / WEIGHTS}: no such file: the {kind} is not whole")
    return {
        "kind": kind,
        **_short_facts(meta),
        "architecture": meta.get("architecture", {}),
        "recipe": meta.get("recipe", {}),
        "strategies": _strategies(meta.get("strategies", {})),
        "labels": {name: _score(score) for name, score in meta.get("labels", {}).items()},
        "metrics": meta.get("metrics", {}),
        "sha256": sha256(path / WEIGHTS),
        "parents": _parents(meta),
    }


def _run(path: Path) -> dict[str, Any]:
    """A run, finished or not, with its parts."""
    from agentlab import recipe
    from agentlab.fields import flatten

    meta = read_json(path / META) if (path / META).exists() else {}
    parts = {part: _network(path / part) for part in ("extractor", "head") if (path / part / META).exists()}
    scores = read_json(path / "scores.json") if (path / "scores.json").exists() else {}
    return {
        "kind": "run" if meta else "run, unfinished",
        **_short_facts(meta),
        "scores": {name: value for name, value in scores.items() if name not in ("returns", "lengths", "env_kwargs")},
        "seconds": read_json(path / "timings.json") if (path / "timings.json").exists() else {},
        **parts,
        "parents": _parents(meta) or parts.get("extractor", {}).get("parents", []),
        "recipe": {name: value for name, value in flatten(recipe.load(path / "recipe.yaml")) if value is not None},
    }


def _recipe(path: Path) -> dict[str, Any]:
    from agentlab import recipe
    from agentlab.fields import flatten

    return {"kind": "recipe", "fields": dict(flatten(recipe.load(path))), "sha256": sha256(path), "parents": []}


def _onnx(path: Path) -> dict[str, Any]:
    """A model written by `agentlab export`."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise InputError(f"{path}: expected an ONNX model, found a truncated or garbled file") from error
    facts = {entry.key: entry.value for entry in model.metadata_props}
    weights = {part: facts.pop(f"{part}_sha256", None) for part in ("extractor", "head")}
    parents = [{"kind": part, "path": None, "sha256": digest} for part, digest in weights.items() if digest]
    return {"kind": "ONNX model", **facts, "sha256": sha256(path), "parents": parents}


def _parents(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(parent) for parent in meta.get("parents", [])]


def _strategies(strategies: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of those in use, by name."""
    return {name: strategies[name.replace("-", "_")] for name in strategies.get("use", [])}


def _short_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in meta.items() if name not in BULKY}


def _score(score: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in score.items() if name != "kind"}


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _lines(facts: Mapping[str, Any], indent: str, skip: tuple[str, ...] = ()) -> list[str]:
    """`name  value` lines; what is long becomes an indented block, what is empty is left out."""
    shown = {name: value for name, value in facts.items() if name not in skip and value not in (None, {}, [], "")}
    width = max((len(name) for name, value in shown.items() if not _is_block(value)), default=0)
    lines = []
    for name, value in shown.items():
        if not _is_block(value):
            lines.append(f"{indent}{name:<{width}}  {_inline(value)}")
        elif isinstance(value, Mapping):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            lines += [f"{indent}{name}", *(f"{indent}  {_inline(item)}" for item in value)]
    return lines


def _is_block(value: Any) -> bool:
    if isinstance(value, Mapping):
        return len(value) > INLINE or any(isinstance(inner, Mapping | list) for inner in value.values())
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(inner)}" for name, inner in value.items() if inner is not None)
    if isinstance(value, list | tuple):
        return ", ".join(_inline(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
