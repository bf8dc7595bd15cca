from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scripted_agents import ScriptedAgent

from agentlab.artefact import read_json
from agentlab.errors import InputError
from agentlab.evaluate import first_evaluation_seed
from agentlab.recording import Recording
from agentlab.report import record_playback


class Undecided(ScriptedAgent):
    """Gives probabilities instead of values."""

    def values(self) -> npt.NDArray[np.float32]:
        return np.full((1, len(self.action_names)), 1 / len(self.action_names), dtype=np.float32)


class Interrupted(ScriptedAgent):
    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        if self._steps == 5:
            raise KeyboardInterrupt
        return super().act(frames, starts)


def test_one_whole_episode_is_recorded_on_the_first_evaluation_seed(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    record_playback(agent, tmp_path, seed=3)  # type: ignore[arg-type]
    recording = Recording(tmp_path / "playback")
    assert len(recording) == 1
    assert recording[0].seed == first_evaluation_seed(3)
    assert recording[0].terminations[-1]
    assert agent.resets == [1]


def test_values_are_kept_per_step_and_predictions_per_frame(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    record_playback(agent, tmp_path)  # type: ignore[arg-type]
    thoughts = read_json(tmp_path / "playback.json")
    episode = Recording(tmp_path / "playback")[0]
    assert np.shape(thoughts["values"]) == (episode.n_steps, len(agent.action_names))
    assert np.argmax(thoughts["values"], axis=1).tolist() == episode.actions.tolist()
    assert thoughts["values_kind"] == "value"
    assert thoughts["predicted"].keys() == agent.extractor.label_schema.keys()
    assert all(len(column) == episode.n_frames for column in thoughts["predicted"].values())


def test_probabilities_are_told_from_values(tmp_path: Path) -> None:
    record_playback(Undecided(), tmp_path)  # type: ignore[arg-type]
    assert read_json(tmp_path / "playback.json")["values_kind"] == "probability"


def test_a_long_episode_is_cut(tmp_path: Path) -> None:
    record_playback(ScriptedAgent(), tmp_path, max_steps=10)  # type: ignore[arg-type]
    assert Recording(tmp_path / "playback")[0].n_steps == 10


def test_a_whole_playback_is_never_overwritten(tmp_path: Path) -> None:
    record_playback(ScriptedAgent(), tmp_path, max_steps=10)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="exists already"):
        record_playback(ScriptedAgent(), tmp_path)  # type: ignore[arg-type]
    assert Recording(tmp_path / "playback")[0].n_steps == 10


def test_an_interrupted_playback_is_made_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        record_playback(Interrupted(), tmp_path)  # type: ignore[arg-type]
    record_playback(ScriptedAgent(), tmp_path, max_steps=10)  # type: ignore[arg-type]
    recording = Recording(tmp_path / "playback")
    assert len(recording) == 1
    assert recording[0].n_steps == 10
