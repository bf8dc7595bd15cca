"""Stored predictions come back as they were, Minari ignores them, and damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recording_games import record_noise

from agentlab.errors import InputError
from agentlab.recording import Recording, store_predictions
from agentlab.recording.predictions import FILE_NAME


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return record_noise(tmp_path / "noise", shape=(32, 32))


def store(recording: Recording, seed: int, n_frames: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Random predictions for the first episode."""
    random = np.random.default_rng(seed)
    labels, confidences = random.random((2, n_frames, 3), dtype=np.float32)
    labels[2, 1] = np.nan
    schema = recording.require_labels()
    store_predictions(recording.path, schema, {0: (labels, confidences)}, path=Path("runs/a"), sha256="abc")
    return labels, confidences


def test_come_back_and_newer_ones_replace_them(recording: Recording):
    assert recording[0].predictions is None
    for seed in (0, 1):
        labels, confidences = store(recording, seed)
        found = Recording(recording.path)[0].predictions
        assert found is not None
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_array_equal(found.confidences, confidences)
        assert found.schema == recording.label_schema
        assert (found.source["path"], found.source["sha256"]) == ("runs/a", "abc")
    assert recording[1].predictions is None
    assert not (recording.path / "writer.lock").exists()


def test_minari_ignores_them(recording: Recording):
    minari = pytest.importorskip("minari")
    store(recording, 0)
    read = minari.MinariDataset(recording.path / "data")
    assert [len(episode.rewards) for episode in read] == [episode.n_steps for episode in recording]


def test_damage_is_named(recording: Recording):
    store(recording, 0)
    file = recording.path / "data" / "0" / FILE_NAME
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"{file}: expected predicted labels, found a garbled file"):
        recording[0].predictions  # noqa: B018
    store(recording, 0, n_frames=5)
    with pytest.raises(InputError, match="expected 6 rows, found 5"):
        recording[0].predictions  # noqa: B018
