"""Fits that a measurement is made of: each made once, its result kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab.artefact import META, read_json, write_json
from agentlab.bench.runs import code
from agentlab.extractor import fit
from agentlab.extractor.learner import Seams
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


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gave when it was first called for `path` by this code."""
    if path.exists():
        content = read_json(path)
        if content["code"] == code():
            return dict(content["result"])
    result = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"code": code(), "result": result})
    return result


def fitted(
    recording: Recording, config: ExtractorConfig, seams: Seams, seed: int, progress: Progress
) -> dict[str, Any]:
    """What came of a fit: the share of labels read on held-out episodes, its cost and seconds, and the held-out loss
    over time."""
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
