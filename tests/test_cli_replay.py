"""`agentlab replay`: pages and videos of recordings, with what a run thinks of them and what stepping again found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Command
from tiny import SQUARE

from agentlab.cli import main
from agentlab.head import Agent
from agentlab.recording import Recording

SMALL_RUN = [
    "--record.episodes", "4", "--extractor.epochs", "1", "--head.total-steps", "200", "--head.n-envs", "2",
    "--evaluate.episodes", "2",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, not to be changed."""
    out = tmp_path_factory.mktemp("run") / "square"
    assert main(["run", "catch", "--env", SQUARE, "--out", str(out), *SMALL_RUN]) == 0
    return out


def data_of(page: Path, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page.read_text())
    assert found, name
    return json.loads(found[1])


def test_a_page_is_written_and_said_to_be(agentlab: Command, catch: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    outcome = agentlab("replay", catch, "--html", page)
    frames = Recording(catch).total_frames
    assert outcome.code == 0
    assert outcome.out == f"{page}: 4 episodes, {frames:,} frames, {page.stat().st_size:,} bytes\n"
    assert f"page: {frames:,}/{frames:,} frames" in outcome.err
    assert agentlab("replay", catch, "--html", page, "--force").code == 0


def test_page_video_and_verification_in_one(agentlab: Command, catch: Path, tmp_path: Path):
    pytest.importorskip("av")
    page, video = tmp_path / "page.html", tmp_path / "video.mp4"
    outcome = agentlab("replay", catch, "--verify", "--html", page, "--video", video, "--episodes", "0,2-3", "--json")
    assert outcome.code == 0
    values = json.loads(outcome.out)
    assert values["holds"] is True
    assert values["episodes"] == 4
    assert (values["html"]["file"], values["html"]["episodes"]) == (str(page), 3)
    assert (values["video"]["file"], values["video"]["episodes"]) == (str(video), 3)
    assert [episode["index"] for episode in data_of(page, "recording")["episodes"]] == [0, 2, 3]


def test_a_difference_is_shown_on_the_page_and_by_the_exit_code(agentlab: Command, catch: Path, tmp_path: Path):
    file = catch / "data" / "2" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seed": 99}))
    outcome = agentlab("replay", catch, "--verify", "--html", tmp_path / "page.html")
    assert outcome.code == 1
    assert "differs at episode 2, step 0, field 'frame'" in outcome.out
    assert data_of(tmp_path / "page.html", "recording")["comparison"] == {"episode": 2, "frame": 0}


def test_the_listing_shows_the_episodes_asked_for(agentlab: Command, catch: Path):
    lines = agentlab("replay", catch, "--episodes", "3,1").out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["episode 1", "episode 3"]


def test_a_run_says_what_it_makes_of_each_frame(agentlab: Command, run: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    assert agentlab("replay", run / "recording", "--html", page, "--run", run).code == 0
    agent, episode = Agent.load(run, "cpu"), Recording(run / "recording")[1]
    found = data_of(page, "episode-1")
    agent.reset(1)
    for t in range(episode.n_steps):
        agent.act(episode.frame(t)[None], np.array([t == 0]))
        told = agent.values()
        assert told is not None
        np.testing.assert_allclose(found["values"][t], told[0], rtol=0, atol=1e-4)
    assert len(found["values"]) == episode.n_steps
    labels = agent.extractor.predict_labels(episode.frames(range(episode.n_frames)))
    for column, label in zip(labels.T, found["labels"], strict=True):
        predicted = [np.nan if code is None else code for code in label["predicted"]]
        np.testing.assert_allclose(predicted, column, atol=0.006)
        assert len(label["true"]) == episode.n_frames
    assert f"values and predictions are those of {run}" in page.read_text()


def test_an_extractor_alone_predicts_labels(agentlab: Command, run: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    assert agentlab("replay", run / "recording", "--html", page, "--extractor", run / "extractor").code == 0
    found = data_of(page, "episode-0")
    assert found["values"] == []
    assert len(found["labels"][0]["predicted"]) == Recording(run / "recording")[0].n_frames


def test_labels_that_only_the_extractor_knows_are_predicted(agentlab: Command, run: Path, tmp_path: Path):
    assert agentlab("record", "games:Test/Unlabelled-v0", "--out", tmp_path / "rec", "--episodes", 1).code == 0
    page = tmp_path / "page.html"
    assert agentlab("replay", tmp_path / "rec", "--html", page, "--run", run).code == 0
    assert [label["name"] for label in data_of(page, "recording")["labels"]] == ["square_x"]
    label = data_of(page, "episode-0")["labels"][0]
    assert label["true"] is None
    assert len(label["predicted"]) == Recording(tmp_path / "rec")[0].n_frames


def test_several_processes_verify_as_one_does(catch: Path, agentlab: Command):
    found = [json.loads(agentlab("replay", catch, "--verify", "--workers", n, "--json").out) for n in (1, 2)]
    for each in found:
        del each["seconds"]
    assert found[0] == found[1]
    assert found[0]["holds"]


def test_processes_without_verifying_are_refused(catch: Path, agentlab: Command):
    outcome = agentlab("replay", catch, "--workers", 2)
    assert outcome.code == 2
    assert "--workers changes nothing without --verify" in outcome.err


def test_what_changed_since_is_told_before_the_difference(catch: Path, agentlab: Command):
    for number in range(4):
        file = catch / "data" / str(number) / "metadata.json"
        metadata = json.loads(file.read_text())
        metadata["seed"] += 50
        metadata["agentlab"]["versions"]["gymnasium"] = "0.21.0"
        file.write_text(json.dumps(metadata))
    outcome = agentlab("replay", catch, "--verify")
    assert outcome.code == 1
    first, last = outcome.out.strip().splitlines()
    assert first.startswith("gymnasium: recorded with 0.21.0, installed ")
    assert "differs at episode 0, step 0, field 'frame'" in last
