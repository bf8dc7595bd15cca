"""Fits that a measurement is made of: each made once, its result kept."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab.artefact import META, read_json, write_json
from agentlab.bench import machine
from agentlab.bench.parallel import one_process_a_core, outcomes
from agentlab.bench.runs import code
from agentlab.extractor import fit
from agentlab.extractor.learner import Seams
from agentlab.fields import to_plain
from agentlab.progress import NoProgress, Progress
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


@dataclass(frozen=True)
class Fit:
    """One fit of a measurement, by what it is to be made of."""

    path: Path
    """The file that keeps what comes of it."""
    recording: Path
    config: ExtractorConfig
    seams: Seams
    seed: int


def fitted(fit: Fit, progress: Progress, threads: int = 0) -> dict[str, Any]:
    """What came of a fit: the share of labels read on held-out episodes, its cost and seconds, the held-out loss over
    time and what its strategies did."""
    recording = Recording(fit.recording)
    settings = {
        "recording": recording.fingerprint(),
        "config": to_plain(fit.config),
        "seed": fit.seed,
        "threads": threads,
    }
    return kept(fit.path, settings, lambda: _fitted(fit, recording, threads, progress))


def fitted_side_by_side(fits: Sequence[Fit], name: str, progress: Progress) -> list[dict[str, Any]]:
    """What came of each fit, one on each core at a time."""
    with one_process_a_core() as pool:
        return outcomes(pool, _fitted_on_one_core, fits, name, progress, unit="fits")


def _fitted_on_one_core(fit: Fit) -> dict[str, Any]:
    return fitted(fit, NoProgress(), threads=1)


def _fitted(planned: Fit, recording: Recording, threads: int, progress: Progress) -> dict[str, Any]:
    progress.say(f"fits on {recording.path}, seed {planned.seed}")
    with tempfile.TemporaryDirectory() as folder:
        timeline = Timeline(time.perf_counter(), [])
        extractor = fit(
            [recording],
            planned.config,
            Path(folder) / "extractor",
            seed=planned.seed,
            device="cpu",
            threads=threads,
            seams=planned.seams,
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
