"""Refreshing the eye while the head is trained: what is left, and that it can be stopped and gone on with anywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import fitted

from agentlab import pipeline, weights
from agentlab.artefact import sha256
from agentlab.errors import InputError, InterruptedWorkError
from agentlab.head import Agent, checkpoint
from agentlab.progress import NoProgress, NoTask
from agentlab.recipe import (
    DQNConfig,
    EvaluateConfig,
    ExtractorConfig,
    HeadConfig,
    PPOConfig,
    Recipe,
    RecordConfig,
    RefreshConfig,
)
from agentlab.recording import Recording

RECIPE = Recipe(
    env="agentlab/Catch-v0",
    device="cpu",
    threads=1,
    record=RecordConfig(episodes=4),
    extractor=ExtractorConfig(features=8, channels=4, keypoints=4, epochs=1),
    head=HeadConfig(total_steps=400, n_envs=2, dqn=DQNConfig(learning_starts=50, batch_size=16, hidden=(16,))),
    refresh=RefreshConfig(at=(0.25, 0.5), episodes=3, max_steps=20, epochs=1),
    evaluate=EvaluateConfig(episodes=2),
)


class Stops(NoProgress):
    """A progress that interrupts the n-th task of a name when it begins."""

    def __init__(self, name: str, n: int) -> None:
        self._name, self._left = name, n

    @contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[Any]:  # noqa: ARG002
        self._left -= name == self._name
        if not self._left:
            self._left = -1
            raise KeyboardInterrupt
        yield NoTask()


def sha256s(recording: dict[str, Any]) -> list[str]:
    return [parent["sha256"] for parent in recording["parents"]]


@pytest.mark.parametrize(
    "head",
    [
        RECIPE.head,
        replace(RECIPE.head, dqn=replace(RECIPE.head.dqn, recorded_updates=5)),
        replace(RECIPE.head, algorithm="ppo", ppo=PPOConfig(rollout=20)),
    ],
    ids=["dqn", "dqn on recorded play first", "ppo"],
)
def test_the_head_goes_on_with_an_eye_fitted_on_its_own_play_too(head: HeadConfig, tmp_path: Path):
    out = tmp_path / "run"
    pipeline.run(replace(RECIPE, head=head), out)
    played = [Recording(out / "refresh" / str(number)) for number in (1, 2)]
    assert [len(recording) for recording in played] == [3, 3]
    assert "in training" in played[0][0].provenance["policy"]
    extractor = json.loads((out / "extractor" / "meta.json").read_text())
    head_meta = json.loads((out / "head" / "meta.json").read_text())
    assert sha256s(extractor) == [Recording(out / "recording").fingerprint(), *(r.fingerprint() for r in played)]
    assert head_meta["extractor"] == Agent.load(out, "cpu").extractor.fingerprint == sha256s(head_meta)[0]
    assert head_meta["metrics"]["steps"] >= 400
    assert head_meta["metrics"]["seconds"]["refresh"] > 0
    if head.algorithm == "ppo":
        learned_from = head_meta["metrics"]["updates"] // head.ppo.epochs * head.ppo.rollout * head.num_envs
        assert learned_from == head_meta["metrics"]["steps"]


def test_equal_seeds_give_equal_heads(tmp_path: Path):
    runs = tmp_path / "one", tmp_path / "other"
    for run in runs:
        pipeline.run(RECIPE, run)
    first, second = ([sha256(run / part / "weights.safetensors") for part in ("extractor", "head")] for run in runs)
    assert first == second


@pytest.mark.parametrize(("task", "n"), [("record", 2), ("fit", 2), ("record", 3), ("train", 2), ("fit", 3)])
def test_a_run_stopped_in_or_between_refreshes_goes_on(task: str, n: int, tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(InterruptedWorkError):
        pipeline.run(RECIPE, out, progress=Stops(task, n))
    assert not (out / "head").exists()
    pipeline.run(RECIPE, out, resume=True)
    head = json.loads((out / "head" / "meta.json").read_text())
    assert head["metrics"]["steps"] >= 400
    assert len(sha256s(json.loads((out / "extractor" / "meta.json").read_text()))) == 3


def stopped_after_the_last_refresh(out: Path) -> tuple[set[str], dict[str, Any]]:
    """The names of what the checkpoint of such a run holds, and its counters."""
    with pytest.raises(InterruptedWorkError):
        pipeline.run(RECIPE, out, progress=Stops("train", 3))
    kept = out / "checkpoints" / "train" / checkpoint.KEPT
    return set(weights.load(kept)), json.loads(weights.notes(kept)[checkpoint.COUNTERS])


def test_frames_are_kept_no_longer_than_a_refresh_is_to_come_and_times_add_up(tmp_path: Path):
    out = tmp_path / "run"
    held, counters = stopped_after_the_last_refresh(out)
    assert "memory.observations" in held
    assert not any("frame" in name for name in held)
    assert counters["seconds"]["refresh"] > 0
    pipeline.run(RECIPE, out, resume=True)
    seconds = json.loads((out / "head" / "meta.json").read_text())["metrics"]["seconds"]
    assert seconds["refresh"] == pytest.approx(counters["seconds"]["refresh"], abs=1e-3)
    assert seconds["game"] > counters["seconds"]["game"]


def test_another_extractor_after_the_last_refresh_is_refused(tmp_path: Path):
    out, other = tmp_path / "run", tmp_path / "other"
    stopped_after_the_last_refresh(out)
    fitted(Recording(out / "recording"), other)
    shutil.rmtree(out / "extractor")
    shutil.copytree(other, out / "extractor")
    with pytest.raises(InputError, match="expected the extractor that the training saw through"):
        pipeline.run(RECIPE, out, resume=True)


def test_a_head_goes_on_with_what_it_sees_though_the_refreshed_eye_reads_other_labels(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(InterruptedWorkError):
        pipeline.run(RECIPE, out, progress=Stops("train", 2))
    notes = weights.notes(out / "checkpoints" / "train" / checkpoint.KEPT)
    kept = json.loads(notes[checkpoint.COUNTERS])["overlooked"]
    meta = json.loads((out / "extractor" / "meta.json").read_text())
    for label in meta["labels"].values():
        label |= {name: 0.1 if name == "r2" else value for name, value in label.items()}
    meta["labels"]["ball_y"]["r2"] = 0.9
    (out / "extractor" / "meta.json").write_text(json.dumps(meta))
    pipeline.run(RECIPE, out, resume=True)
    assert json.loads((out / "head" / "meta.json").read_text())["overlooked"] == kept


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"refresh": RefreshConfig(at=(0.5, 0.25))},
            r"refresh.at: expected rising shares of the training, found \[0.5",
        ),
        ({"refresh": RefreshConfig(at=(0.5, 0.5))}, "refresh.at: expected rising shares"),
        ({"env": "ALE/Enduro-v5"}, "labels"),
    ],
)
def test_what_cannot_be_refreshed_is_refused_before_anything_is_made(
    changed: dict[str, Any], said: str, tmp_path: Path
):
    with pytest.raises(InputError, match=said):
        pipeline.run(Recipe(**{**vars(RECIPE), **changed}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
