from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import Command
from damage import change

from agentlab import inspection, recipe
from agentlab.artefact import sha256, write_json
from agentlab.errors import InputError
from agentlab.inspection import describe, render
from agentlab.recording import FrameLabels, Recording, add_labels, store_predictions

PARENT = {"kind": "recording", "path": "recordings/catch", "sha256": "cd" * 32}


def write_network(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"weights of the " + kind.encode())
    labels = {"ball_x": {"kind": "number", "r2": 0.9876, "frames": 1234}}
    meta = {"kind": kind, "format_version": 1, "agentlab_version": "0.1.0", "seed": 7, "parents": [PARENT]}
    write_json(folder / "meta.json", meta | ({"labels": labels} if kind == "extractor" else {"algorithm": "dqn"}))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    write_network(run / "extractor", "extractor")
    write_network(run / "head", "head")
    (run / "recipe.yaml").write_text("env: agentlab/Catch-v0\n")
    write_json(run / "scores.json", {"mean": 0.98, "iqm": 1.0, "ci95": [0.97, 1.0], "returns": [1.0] * 100})
    write_json(run / "timings.json", {"fit": 20.0})
    write_json(run / "meta.json", {"kind": "run", "format_version": 1, "seed": 7, "parents": [PARENT]})
    return run


def test_a_recording_says_what_was_played_by_whom_and_with_which_versions(catch: Path) -> None:
    found = describe(catch)
    recording = Recording(catch)
    assert found["kind"] == "recording"
    assert (found["env"], found["episodes"], found["steps"]) == ("agentlab/Catch-v0", 4, recording.total_steps)
    assert found["played_by"] == {"wandering": 4}
    assert found["labels"]["paddle_x"] == {"kind": "number", "coverage": 1.0}
    assert 0 < found["labels"]["ball_x"]["coverage"] <= 1
    returns = [episode.rewards.sum() for episode in recording]
    assert found["returns"]["mean"] == pytest.approx(sum(returns) / 4)
    assert (found["returns"]["min"], found["returns"]["max"]) == (min(returns), max(returns))
    assert len(found["returns"]["histogram"]) == 16
    assert found["compression"] == pytest.approx(84 * 84 / found["bytes_per_frame"], rel=0.01)
    assert found["sha256"] == recording.fingerprint()
    assert "gymnasium" in found["versions"]


@pytest.mark.parametrize("rewards", [[0.1] * 4, [1e300] * 4, [math.nan, 1.0, 1.0, 3.0], [math.inf] * 4])
def test_returns_of_any_size_are_told(catch: Path, rewards: list[float]) -> None:
    for episode, reward in enumerate(rewards):
        change(catch, episode, "rewards", 0, reward * (1 + episode * 1e-16))
    every = [episode.rewards.sum() for episode in Recording(catch)]
    finite = [one for one in every if math.isfinite(one)]
    told = describe(catch)["returns"]
    assert bool(told) == bool(finite)
    if finite:
        assert (told["min"], told["max"]) == (min(finite), max(finite))
        assert len(told["histogram"].strip(" ")) >= 1
    assert render(describe(catch))


@pytest.mark.parametrize("kind", ["extractor", "head"])
def test_a_network_says_its_parents_and_the_hash_of_its_weights(tmp_path: Path, kind: str) -> None:
    folder = write_network(tmp_path / "part", kind)
    found = describe(folder)
    assert found["kind"] == kind
    assert found["parents"] == [PARENT]
    assert found["sha256"] == sha256(folder / "weights.safetensors")
    assert found["seed"] == 7


def test_an_extractor_shows_its_scores_per_label(tmp_path: Path) -> None:
    found = describe(write_network(tmp_path / "part", "extractor"))
    assert found["labels"] == {"ball_x": {"r2": 0.9876, "frames": 1234}}


def test_a_run_shows_its_parts_scores_and_recipe(run: Path) -> None:
    found = describe(run)
    assert found["kind"] == "run"
    assert found["scores"] == {"mean": 0.98, "iqm": 1.0, "ci95": [0.97, 1.0]}
    assert found["extractor"]["kind"] == "extractor"
    assert found["head"]["algorithm"] == "dqn"
    assert found["recipe"]["env"] == "agentlab/Catch-v0"
    assert found["parents"] == [PARENT]


def test_a_run_that_is_not_finished_says_so_and_takes_its_parents_from_the_extractor(run: Path) -> None:
    for part in ("meta.json", "scores.json", "timings.json"):
        (run / part).unlink()
    found = describe(run)
    assert found["kind"] == "run, unfinished"
    assert found["parents"] == [PARENT]


def test_a_recipe_shows_every_field_resolved() -> None:
    found = describe(recipe.find("catch"))
    assert found["kind"] == "recipe"
    assert found["fields"]["env"] == "agentlab/Catch-v0"
    assert "head.total_steps" in found["fields"]


def test_every_description_is_json_and_has_the_promised_fields(run: Path, catch: Path) -> None:
    for path in (run, run / "extractor", run / "head", catch, recipe.find("pong")):
        found = describe(path)
        json.dumps(found)
        assert {"path", "kind", "bytes", "parents"} <= found.keys()
        assert found["bytes"] > 0


def test_people_read_one_fact_a_line_nested_ones_indented(run: Path) -> None:
    lines = render(describe(run)).splitlines()
    assert lines[0] == f"{run}: run"
    assert any(line.split() == ["mean", "0.98"] for line in lines)
    assert "    labels" in lines
    assert "      ball_x  r2 0.9876, frames 1234" in lines
    assert any("recordings/catch" in line for line in lines)


def test_a_damaged_part_is_named(run: Path) -> None:
    (run / "head" / "meta.json").write_text('{"kind": "he')
    with pytest.raises(InputError, match=r"head/meta\.json.*garbled"):
        describe(run)


def test_a_part_of_another_form_is_refused(tmp_path: Path) -> None:
    folder = write_network(tmp_path / "part", "extractor")
    write_json(folder / "meta.json", {"kind": "extractor", "labels": 3})
    with pytest.raises(InputError, match="found a garbled one"):
        describe(folder)


def test_an_extractor_without_weights_is_not_whole(tmp_path: Path) -> None:
    folder = write_network(tmp_path / "part", "extractor")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="the extractor is not whole"):
        describe(folder)


def test_what_is_no_artefact_is_refused_with_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"x")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "empty").mkdir()
    write_json(tmp_path / "meta.json", {"kind": "cake"})
    for path, message in [
        (tmp_path / "picture.png", r"expected a recording.*found a \.png file"),
        (tmp_path / "empty", "none of them"),
        (tmp_path / "missing", "no such file or folder"),
        (tmp_path, "expected 'extractor' or 'head', found 'cake'"),
        (tmp_path / "model.onnx", "truncated or garbled"),
    ]:
        with pytest.raises(InputError, match=message):
            describe(path)


def test_looking_loads_no_torch(run: Path) -> None:
    code = f"import sys, pathlib, agentlab.inspection as i; i.describe(pathlib.Path({str(run)!r})); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" not in loaded
    assert inspection.__name__ in loaded


def test_exported_frames_say_which_recording_they_are_of(agentlab: Command, catch: Path, tmp_path: Path) -> None:
    agentlab("label", catch, "--export", "coco", "--out", tmp_path / "frames", "--sample", 3)
    facts = describe(tmp_path / "frames")
    assert (facts["kind"], facts["format"], facts["frames"]) == ("exported frames", "coco", 3)
    assert facts["parents"][0]["path"] == str(catch)


def test_a_recording_says_by_whom_its_frames_are_labelled_and_predicted(catch: Path) -> None:
    assert (describe(catch)["labelled_by"], describe(catch)["predicted_by"]) == (None, None)
    recording = Recording(catch)
    schema = recording.require_labels()
    said = [FrameLabels(0, frame, {"balls_left": 1}, "cvat", by) for by, frame in (("ann", 1), ("ann", 2), ("bob", 2))]
    add_labels(catch, schema, said)
    rows = recording[1].labels
    store_predictions(catch, schema, {1: (rows, np.ones_like(rows))}, path=Path("eye"), sha256="a" * 64)
    found = describe(catch)
    assert found["labelled_by"] == {"cvat (ann)": 2, "cvat (bob)": 1}
    assert found["predicted_by"] == {"eye": recording[1].n_frames}


def test_an_episode_that_an_interruption_left_is_told(catch: Path) -> None:
    assert "unfinished" not in render(describe(catch))
    (catch / "inprogress").mkdir()
    (catch / "inprogress" / "0f.arrows").write_bytes(b"")
    assert describe(catch)["unfinished_episodes"] == 1
    assert "unfinished_episodes" in render(describe(catch))
