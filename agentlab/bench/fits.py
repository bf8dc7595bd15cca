"""Fits that a measurement is made of: each made once, its result kept."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab.artefact import META, read_json, write_json
from agentlab.bench import machine
from agentlab.bench.runs import code
from agentlab.extractor import fit
from agentlab.extractor.learner import Seams
from agentlab.fields import to_plain
from agentlab.progress import Progress
from agentlab.recipe import ExtractorConfig
from agentlab.recording import Recording


@dataclass(frozen=True)
class Timeline:
    """Metrics that note the held-out loss and when it was reached."""

    began_s: float
    points: list[tuple[float, float]]

    def write(self, step: int, **numbers: float) -> None:  # noqa: ARG002
        if "holdout_loss" in numbers:
            self.points.append((time.perf_counter() - self.began_s, numbers["holdout_loss"]))


def kept(path: Path, settings: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gave when it was first called for `path` with these settings, by this code on this machine."""
    of = {"code": code(), "machine": machine.describe(), "settings": json.loads(json.dumps(settings))}
    if path.exists():
        content = read_json(path)
        if all(content[name] == value for name, value in of.items()):
            return dict(content["result"])
    result = json.loads(json.dumps(make()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**of, "result": result})
    return dict(result)


def fitted(
    path: Path, recording: Recording, config: ExtractorConfig, seams: Seams, seed: int, progress: Progress
) -> dict[str, Any]:
    """What came of a fit, kept in `path`: the share of labels read on held-out episodes, its cost and seconds, and the
    held-out loss over time."""
    settings = {"recording": recording.fingerprint(), "config": to_plain(config), "seed": seed}
    return kept(path, settings, lambda: _fitted(recording, config, seams, seed, progress))


def _fitted(
    recording: Recording, config: ExtractorConfig, seams: Seams, seed: int, progress: Progress
) -> dict[str, Any]:
    progress.say(f"fits on {recording.path}, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        timeline = Timeline(time.perf_counter(), [])
        extractor = fit(
            [recording],
            config,
            Path(folder) / "extractor",
            seed=seed,
            device="cpu",
            seams=seams,
            metrics=timeline,
            progress=progress,
        )
        ledger = read_json(extractor.folder / "ledger.json")
        meta = read_json(extractor.folder / META)
    return {
        "read": meta["read"],
        "cost": ledger["cost"],
        "seconds": timeline.points[-1][0],
        "timeline": timeline.points,
        "strategies": ledger["strategies"],
    }
