"""The order of the stages, what is skipped, and going on after an interruption; with stages that only pretend."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentlab import pipeline
from agentlab import recipe as recipes
from agentlab.artefact import write_json
from agentlab.errors import InputError, InterruptedWorkError
from agentlab.recipe import HeadConfig, Recipe, RecordConfig
from agentlab.runfolder import RunFolder
from agentlab.seeds import first_seed

STAGES = ("record", "fit", "train", "evaluate", "report")
CATCH = Recipe(env="agentlab/Catch-v0", record=RecordConfig(episodes=2), head=HeadConfig(total_steps=100))
SCORES = {"mean": 0.5, "iqm": 0.5, "ci95": [0.4, 0.6], "random_mean": 0.1, "episodes": 3}


class PretendStages:
    """Stages that leave an artefact and note that they ran; the one in `interrupt` is stopped once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.resumed: list[str] = []
        self.interrupt: str | None = None
        real_record = pipeline.record_episodes

        def record(*args: Any, **kwargs: Any) -> Any:
            self._stop("record")
            return real_record(*args, **kwargs)

        def fit(recordings: Any, _: Any, out: Path, *, checkpoint: Path, metrics: Any, **__: Any) -> Any:
            assert sum(len(recording) for recording in recordings) >= 2
            self._work("fit", checkpoint)
            metrics.write(1, loss=0.5)
            self._artefact(out)
            return SimpleNamespace()

        def train(*args: Any, checkpoint: Path, metrics: Any, **_: Any) -> None:
            self._work("train", checkpoint)
            metrics.write(100, **{"return": 0.5})
            self._artefact(args[4])

        def evaluate(*_: Any, **__: Any) -> Any:
            self._stop("evaluate")
            return SimpleNamespace(to_dict=lambda: SCORES)

        def playback(_: Any, run: Path, **__: Any) -> None:
            write_json(run / "playback.json", {})

        def report(run: Path) -> None:
            self._stop("report")
            (run / "report.html").write_text("<html>")

        loaded = SimpleNamespace(load=lambda *_: SimpleNamespace(n_features=128))
        for name, fake in {
            "record_episodes": record,
            "fit": fit,
            "train": train,
            "evaluate": evaluate,
            "record_playback": playback,
            "write_run_report": report,
            "Agent": loaded,
            "FrozenExtractor": loaded,
        }.items():
            monkeypatch.setattr(pipeline, name, fake)

    def _work(self, stage: str, checkpoint: Path) -> None:
        if checkpoint.exists():
            self.resumed.append(stage)
        checkpoint.mkdir(parents=True, exist_ok=True)
        self._stop(stage)

    def _stop(self, stage: str) -> None:
        if self.interrupt == stage:
            self.interrupt = None
            raise KeyboardInterrupt
        self.ran.append(stage)

    def _artefact(self, out: Path) -> None:
        out.mkdir()
        (out / "weights.safetensors").write_bytes(b"")


class Lines:
    """A progress that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def task(self, name: str, total: int, unit: str, done: int = 0) -> Any:
        from agentlab.progress import NoProgress

        return NoProgress().task(name, total, unit, done)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> PretendStages:
    return PretendStages(monkeypatch)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_stages_run_in_order_and_leave_their_artefacts(stages: PretendStages, tmp_path: Path):
    out = tmp_path / "runs" / "catch"
    assert pipeline.run(CATCH, out) == SCORES
    assert stages.ran == list(STAGES)
    names = {path.name for path in out.iterdir()}
    assert {
        "recipe.yaml",
        "meta.json",
        "recording",
        "extractor",
        "head",
        "scores.json",
        "metrics.jsonl",
        "timings.json",
    } <= names
    assert "checkpoints" not in names
    assert set(json.loads((out / "timings.json").read_text())) == set(STAGES)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in lines] == [("fit", 1), ("train", 100)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_interrupted_in_any_stage_goes_on_there(stage: str, stages: PretendStages, tmp_path: Path):
    stages.interrupt = stage
    with pytest.raises(InterruptedWorkError, match="--resume") as caught:
        pipeline.run(CATCH, tmp_path / "run")
    assert caught.value.exit_code == 130
    done = STAGES[: STAGES.index(stage)]
    assert stages.ran == list(done)

    progress = Lines()
    assert pipeline.run(CATCH, tmp_path / "run", resume=True, progress=progress) == SCORES
    assert stages.ran == list(STAGES)
    assert [line.split(":")[0] for line in progress.said if "skipped" in line] == list(done)
    assert stages.resumed == ([stage] if stage in ("fit", "train") else [])
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.usefixtures("stages")
def test_the_time_before_an_interruption_counts(tmp_path: Path):
    folder = RunFolder(tmp_path)
    (tmp_path / "timings.json").write_text('{"fit": 100.0}')
    with pytest.raises(KeyboardInterrupt), folder.timed("fit"):
        raise KeyboardInterrupt
    with folder.timed("fit"):
        pass
    assert folder.seconds()["fit"] >= 100


def test_a_finished_run_resumed_does_nothing(stages: PretendStages, tmp_path: Path):
    pipeline.run(CATCH, tmp_path / "run")
    before = contents(tmp_path / "run")
    stages.ran.clear()
    assert pipeline.run(CATCH, tmp_path / "run", resume=True) == SCORES
    assert stages.ran == []
    assert contents(tmp_path / "run") == before


def test_resume_begins_a_run_that_is_not_there(stages: PretendStages, tmp_path: Path):
    pipeline.run(CATCH, tmp_path / "run", resume=True)
    assert stages.ran == list(STAGES)


@pytest.mark.usefixtures("stages")
def test_a_run_is_resumed_with_its_own_recipe_only(tmp_path: Path):
    pipeline.run(CATCH, tmp_path / "run")
    other = dataclasses.replace(CATCH, head=HeadConfig(total_steps=200))
    with pytest.raises(InputError, match=r"field 'head.total_steps': the run began with 100, found 200"):
        pipeline.run(other, tmp_path / "run", resume=True)


@pytest.mark.usefixtures("stages")
def test_an_existing_run_is_replaced_only_by_force(tmp_path: Path):
    pipeline.run(CATCH, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(InputError, match="exists already"):
        pipeline.run(CATCH, tmp_path / "run")
    assert contents(tmp_path / "run") == before
    pipeline.run(dataclasses.replace(CATCH, seed=1), tmp_path / "run", force=True)
    assert "seed: 1" in (tmp_path / "run" / "recipe.yaml").read_text()


@pytest.mark.usefixtures("stages")
def test_force_replaces_nothing_but_a_run(tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("precious")
    with pytest.raises(InputError, match="expected a run to replace"):
        pipeline.run(CATCH, tmp_path / "thesis", force=True)
    assert contents(tmp_path / "thesis") == {"chapter1.tex": b"precious"}


@pytest.mark.usefixtures("stages")
def test_bad_input_is_found_before_an_old_run_is_replaced(tmp_path: Path):
    pipeline.run(CATCH, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(InputError, match="not registered"):
        pipeline.run(dataclasses.replace(CATCH, env="agentlab/Ketch-v0"), tmp_path / "run", force=True)
    assert contents(tmp_path / "run") == before


def test_a_stage_that_fails_leaves_the_finished_ones(
    stages: PretendStages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "train", fail)
        with pytest.raises(RuntimeError, match="no memory"):
            pipeline.run(CATCH, tmp_path / "run")
    assert (tmp_path / "run" / "extractor").exists()
    pipeline.run(CATCH, tmp_path / "run", resume=True)
    assert stages.ran == list(STAGES)


def test_a_recording_cut_short_gets_its_missing_episodes(stages: PretendStages, tmp_path: Path):
    run = tmp_path / "run"
    stages.interrupt = "fit"
    with pytest.raises(InterruptedWorkError):
        pipeline.run(CATCH, run)
    recipe = dataclasses.replace(CATCH, record=RecordConfig(episodes=3))
    (run / "recipe.yaml").write_text((run / "recipe.yaml").read_text().replace("episodes: 2", "episodes: 3"))
    pipeline.run(recipe, run, resume=True)
    first = first_seed(recipe.seed, "record")
    assert [episode.seed for episode in pipeline.Recording(run / "recording")] == [first, first + 1, first + 2]


def test_a_recording_cut_short_gets_its_missing_steps_and_no_more(stages: PretendStages, tmp_path: Path):
    run = tmp_path / "run"
    for enough, episodes in ((8, 2), (11, 3), (11, 3)):
        record = RecordConfig(episodes=99, max_steps=5, enough_steps=enough)
        recipe = dataclasses.replace(CATCH, record=record)
        if run.exists():
            recipes.save(recipe, run / "recipe.yaml")
        stages.interrupt = "fit"
        with pytest.raises(InterruptedWorkError):
            pipeline.run(recipe, run, resume=True)
        recorded = pipeline.Recording(run / "recording")
        assert (len(recorded), recorded.total_steps) == (episodes, 5 * episodes)


def test_named_recordings_are_taken_as_they_are(stages: PretendStages, tmp_path: Path, catch: Path):
    pipeline.run(dataclasses.replace(CATCH, recordings=(str(catch),)), tmp_path / "run")
    assert stages.ran == list(STAGES[1:])
    assert not (tmp_path / "run" / "recording").exists()


def test_the_whole_pipeline_for_real_in_small(agentlab: Callable[..., Any], tmp_path: Path):
    small = [
        "--env", "agentlab/Catch-v0", "--recordings", "--record.episodes", "4", "--extractor.epochs", "1",
        "--head.total-steps", "600", "--head.n-envs", "2", "--evaluate.episodes", "2",
    ]  # fmt: skip
    out = tmp_path / "run"
    outcome = agentlab("run", "catch", *small, "--out", out, "--json")
    assert outcome.code == 0
    scores = json.loads(outcome.out)
    assert {"episodes", "returns", "mean", "iqm", "ci95", "random_mean", "env", "seed"} <= scores.keys()
    assert scores == json.loads((out / "scores.json").read_text())
    for part in ("recipe.yaml", "meta.json", "extractor/meta.json", "head/meta.json", "metrics.jsonl", "report.html"):
        assert (out / part).exists(), part
    assert "tensorboard" in {path.name for path in out.iterdir()}
    assert agentlab("evaluate", out, "--episodes", "2", "--json").code == 0
    assert json.loads(agentlab("inspect", out, "--json").out)["kind"] == "run"
    assert "fit: skipped" in agentlab("run", "catch", *small, "--out", out, "--resume").err
