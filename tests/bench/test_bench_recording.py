"""The measurements of recordings run on the real game and give figures that hang together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command

from agentlab.bench import recording
from agentlab.bench.recording import crashes, pace, reads, size
from agentlab.errors import InputError
from agentlab.progress import NoProgress

pytest.importorskip("ale_py")


def test_pace_plays_the_same_episodes_alone_recorded_and_verified(tmp_path: Path):
    found = pace.measure(tmp_path, seed=3, progress=NoProgress(), episodes=1, rounds=2)
    assert found["steps_per_round"] > 500
    assert found["rates"].keys() == {f"Pong, {what}" for what in ("alone", "recorded", "verified", "checked")}
    assert -0.5 < found["recording_overhead"] < 3
    assert 0.2 < found["verification_share"] < 3
    assert "recording costs" in "\n".join(pace.lines(found))
    assert list(tmp_path.iterdir()) == []


def test_size_counts_everything_on_disk(tmp_path: Path):
    found = size.measure(tmp_path, seed=0, progress=NoProgress(), games=("Pong",), steps=120)
    assert found["frame_shape"] == [210, 160, 3]
    assert found["compression"]["Pong"] == pytest.approx(210 * 160 * 3 / found["bytes_per_frame"]["Pong"], rel=0.02)
    assert found["compression"]["Pong"] > 1


def test_reads_take_a_recording_larger_than_asked(tmp_path: Path):
    found = reads.measure(tmp_path, seed=0, progress=NoProgress(), frames=300, larger_than=1_500_000)
    assert found["single"]["frames"] > 300
    assert found["training"]["frames"] > found["single"]["frames"]
    assert 0 < found["single"]["median_ms"] <= found["single"]["p99_ms"] <= found["single"]["max_ms"]
    assert found["rates"] == {"Pong, read for training": found["training"]["frames_per_s"]}
    again = reads.measure(tmp_path, seed=0, progress=NoProgress(), frames=300, larger_than=1_500_000)
    assert again["single"]["frames"] == found["single"]["frames"]


def test_crashes_count_what_kills_leave(tmp_path: Path):
    found = crashes.measure(tmp_path, seed=5, progress=NoProgress(), kills=4)
    assert found["kills"] == 4
    assert found["episodes"] > 0
    assert (found["lost"], found["torn"], found["failed_starts"]) == (0, [], 0)


def test_parts_are_measured_by_name_from_the_command_line(tmp_path: Path, agentlab: Command, monkeypatch):
    measure = pace.measure
    monkeypatch.setattr(pace, "measure", lambda out, **given: measure(out, **given, episodes=1, rounds=1))
    outcome = agentlab("bench", "recording", "pace", "--out", tmp_path / "bench")
    assert outcome.code == 0, outcome.err
    left = json.loads((tmp_path / "bench/recording.json").read_text())
    assert left.keys() == {"pace", "machine"}
    assert (tmp_path / "bench/recording.svg").exists()


def test_an_unknown_part_is_refused_with_the_nearest(tmp_path: Path):
    with pytest.raises(InputError, match=r"unknown part 'crash'\. Did you mean 'crashes'"):
        recording.measure(["crash"], tmp_path, seed=0, progress=NoProgress())
