"""What a run's folder holds for its report; what is missing or unreadable is said, not fatal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.artefact import META, read_json
from agentlab.errors import InputError

if TYPE_CHECKING:
    from agentlab.recording import Recording

PLAYBACK_FOLDER = "playback"
PLAYBACK_FILE = "playback.json"


@dataclass(frozen=True)
class RunFiles:
    """The parts of a run that its report shows; a part that the run has not reached yet is empty."""

    path: Path
    recipe: str
    scores: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    timings: Mapping[str, float]
    holdout: Mapping[str, Any]
    extractor: Mapping[str, Any]
    ledger: Mapping[str, Any]
    head: Mapping[str, Any]
    run: Mapping[str, Any]
    playback: Mapping[str, Any]
    playback_recording: Recording | None
    problems: tuple[str, ...] = field(default=())

    @property
    def env_id(self) -> str:
        """The id of the game, from whichever part knows it."""
        known = [part.get("env") for part in (self.scores, self.head, self.extractor)]
        return next((str(env) for env in known if env), self.path.resolve().name)

    @property
    def fit_stages(self) -> str:
        """What the stages of the fit are called."""
        return "rounds" if "hard-clusters" in self.ledger.get("strategies", {}) else "epochs"


def read_run(run: Path) -> RunFiles:
    """Reads what there is; `InputError` when `run` is no folder or holds nothing of a run."""
    if not run.is_dir():
        raise InputError(f"{run}: expected the folder of a run, found {'a file' if run.exists() else 'nothing'}")
    problems: list[str] = []

    def optional(name: str) -> dict[str, Any]:
        path = run / name
        if not path.exists():
            return {}
        try:
            return read_json(path)
        except InputError as error:
            problems.append(str(error))
            return {}

    files = RunFiles(
        path=run,
        recipe=_text(run / "recipe.yaml", problems),
        scores=optional("scores.json"),
        metrics=_metrics(run / "metrics.jsonl", problems),
        timings=optional("timings.json"),
        holdout=optional("extractor/holdout.json"),
        extractor=optional(f"extractor/{META}"),
        ledger=optional("extractor/ledger.json"),
        head=optional(f"head/{META}"),
        run=optional(META),
        playback=optional(PLAYBACK_FILE),
        playback_recording=_playback(run, problems),
        problems=tuple(problems),
    )
    if not any([files.recipe, files.scores, files.metrics, files.extractor, files.head, files.problems]):
        raise InputError(
            f"{run}: expected the folder of a run (recipe.yaml, extractor/, head/ ...), found none of its parts"
        )
    return files


def _playback(run: Path, problems: list[str]) -> Recording | None:
    """The recorded episode of the trained agent, if there is one."""
    from agentlab.recording import Recording

    if not (run / PLAYBACK_FOLDER).exists():
        return None
    try:
        recording = Recording(run / PLAYBACK_FOLDER)
    except InputError as error:
        problems.append(str(error))
        return None
    return recording if len(recording) else None


def _text(path: Path, problems: list[str]) -> str:
    try:
        return path.read_text() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read ({error})")
        return ""


def _metrics(path: Path, problems: list[str]) -> tuple[Mapping[str, Any], ...]:
    """The objects of a JSON lines file; the lines that are none are counted as a problem."""
    lines: list[Mapping[str, Any]] = []
    bad = 0
    for line in _text(path, problems).splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            content = None
        if isinstance(content, dict) and isinstance(content.get("step"), int | float):
            lines.append(content)
        else:
            bad += 1
    if bad:
        problems.append(f"{path}: {bad} of {bad + len(lines)} lines are no measurements and were left out")
    return tuple(lines)
