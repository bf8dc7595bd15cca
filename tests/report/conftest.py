"""A browser, and a small run's folder: a real game, recorded and evaluated for real, played by a scripted agent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import BROWSER, QUIET
from scripted_agents import ENV, ScriptedAgent

from agentlab.artefact import write_json
from agentlab.evaluate import evaluate
from agentlab.recording import Recording
from agentlab.report import record_playback


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; skips the test where it or Playwright is missing."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "catch"
    run.mkdir()
    agent = ScriptedAgent()
    write_json(run / "scores.json", evaluate(agent, ENV, episodes=5).to_dict())
    record_playback(agent, run)  # type: ignore[arg-type]
    (run / "recipe.yaml").write_text(f"env: {ENV}\nseed: 0\n")
    write_json(run / "timings.json", {"record": 1.5, "fit": 20.25, "train": 65.0})
    with (run / "metrics.jsonl").open("w") as file:
        for step in range(1, 6):
            file.write(json.dumps({"stage": "fit", "t_s": step, "step": step, "loss": 0.5**step}) + "\n")
            file.write(json.dumps({"stage": "train", "t_s": step, "step": 1000 * step, "return": 0.2 * step}) + "\n")
    _write_extractor(run / "extractor", Recording(run / "playback"))
    (run / "head").mkdir()
    (run / "head" / "weights.safetensors").write_bytes(b"weights")
    parents = [{"kind": "extractor", "path": "../extractor", "sha256": "ab" * 32}]
    write_json(
        run / "head" / "meta.json", {"kind": "head", "format_version": 1, "algorithm": "dqn", "parents": parents}
    )
    return run


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(finished_run, tmp_path / "catch"))


def _write_extractor(folder: Path, recording: Recording) -> None:
    """Its meta.json and held-out predictions, every number one too high."""
    folder.mkdir()
    schema = recording.require_labels()
    measures = {"number": "r2", "category": "accuracy", "flag": "f1"}
    labels, holdout = {}, {}
    for (name, label), codes in zip(schema.items(), recording[0].labels.T, strict=True):
        kind = label.to_dict()["kind"]
        labels[name] = {"kind": kind, measures[kind]: 0.987, "frames": 1234}
        true = [float(code) for code in codes if not np.isnan(code)]
        holdout[name] = {"true": true, "predicted": [value + (kind == "number") for value in true]}
    parents = [{"kind": "recording", "path": "recordings/catch", "sha256": "cd" * 32}]
    meta = {
        "kind": "extractor",
        "format_version": 1,
        "label_schema": schema.to_dict(),
        "labels": labels,
        "parents": parents,
    }
    write_json(folder / "meta.json", meta | {"parents": parents})
    write_json(folder / "holdout.json", holdout)
    (folder / "weights.safetensors").write_bytes(b"weights")
