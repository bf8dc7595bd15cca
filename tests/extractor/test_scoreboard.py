"""The scoreboard: found where the screen changes with rewards, and kept from misleading what looks at the game."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import CONFIG, SQUARE, recorded

from agentlab.extractor import FrozenExtractor, fit
from agentlab.extractor.scoreboard import FEWEST_REWARDS, FEWEST_STEPS_AWAY, _Changes, scoreboard
from agentlab.recording import Recording


class Noise:
    """An episode of noise with rewards so frequent that few steps are away from one."""

    def __init__(self, rewarded_every: int, n_steps: int = 6_000) -> None:
        self.n_steps, self.n_frames = n_steps, n_steps + 1
        self.rewards = (np.arange(n_steps) % rewarded_every == 0).astype(float)
        self.recording = SimpleNamespace(frame_shape=(20, 20))

    def frames(self, at: np.ndarray) -> np.ndarray:
        return np.random.default_rng(int(at[0])).integers(0, 256, (len(at), 20, 20), np.uint8)

    def info(self, t: int) -> dict[str, Any]:  # noqa: ARG002
        return {}


SCORED = "games:Test/Scored-v0"
BOARD = slice(6)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(SCORED, tmp_path_factory.mktemp("scored") / "recording", episodes=12)


@pytest.fixture(scope="module")
def eye(scored: Recording, tmp_path_factory: pytest.TempPathFactory) -> FrozenExtractor:
    return fit(
        [scored], replace(CONFIG, epochs=12), tmp_path_factory.mktemp("eye") / "extractor", device="cpu", threads=1
    )


class TestIsFound:
    def test_where_the_screen_changes_with_rewards_and_lost_lives_alone(self, scored: Recording):
        assert scoreboard(scored) == (6, 0)

    def test_in_the_sample_of_pong_above_the_field(self):
        assert scoreboard(Recording("recordings/pong")) == (13, 0)

    def test_nowhere_where_a_thing_moves_near_the_edge_too(self):
        assert scoreboard(Recording("recordings/catch")) == (0, 0)

    def test_nowhere_where_rewards_are_paid_all_the_time(self, squares: Recording):
        assert scoreboard(squares) == (0, 0)

    def test_nowhere_where_noise_is_all_around_frequent_rewards(self):
        noise: Any = Noise(rewarded_every=8)
        assert scoreboard([noise]) == (0, 0)
        changes = _Changes()
        changes.add(noise)
        assert changes.n_away >= FEWEST_STEPS_AWAY
        assert len(changes.at_reward) >= FEWEST_REWARDS

    def test_nowhere_in_too_few_steps(self, scored: Recording):
        assert scoreboard(scored[:2]) == (0, 0)


class TestIsKeptApart:
    def frames(self, scored: Recording) -> np.ndarray:
        return scored[0].frames(range(40))

    def test_from_all_labels_but_points(self, scored: Recording, eye: FrozenExtractor):
        frames = self.frames(scored)
        unseen = frames.copy()
        unseen[:, BOARD] = np.random.default_rng(0).integers(0, 256, unseen[:, BOARD].shape, np.uint8)
        before, after = eye.percepts(frames), eye.percepts(unseen)
        kept = [signal for signal in range(before.shape[1]) if signal not in eye.overlooked()]
        assert kept
        np.testing.assert_array_equal(after[:, kept], before[:, kept])
        assert (after != before).any()

    def test_from_a_head_that_sees_features_too(self, scored: Recording, eye: FrozenExtractor):
        frames = self.frames(scored)
        unseen = frames.copy()
        unseen[:, BOARD] = 255 - unseen[:, BOARD]
        before, after = eye.percepts(frames, "all"), eye.percepts(unseen, "all")
        kept = [percept for percept in range(before.shape[1]) if percept not in eye.overlooked("all")]
        assert len(kept) > eye.n_features // 2
        np.testing.assert_array_equal(after[:, kept], before[:, kept])

    def test_unless_told_otherwise(self, scored: Recording, tmp_path: Path):
        config = replace(CONFIG, scoreboard=False)
        plain = fit([scored], config, tmp_path / "extractor", device="cpu", threads=1)
        assert plain.meta["architecture"]["scoreboard"] == [0, 0]

    def test_and_is_read_all_the_same(self, eye: FrozenExtractor):
        assert eye.meta["architecture"]["board_labels"] == ["score"]
        assert eye.meta["labels"]["score"]["r2"] > 0.9
        assert eye.meta["labels"]["square_x"]["r2"] > 0.9

    def test_of_points_never_seen_as_well(self, eye: FrozenExtractor, tmp_path: Path):
        high = recorded(SCORED, tmp_path / "high", episodes=1, start=20)
        found = eye.predict_labels(high[0].frames(range(40)))[:, 0]
        np.testing.assert_allclose(found, high[0].labels[:40, 0], atol=4)

    def test_only_if_there_is_one(self, square_extractor: FrozenExtractor):
        assert square_extractor.meta["env"] == SQUARE
        assert square_extractor.meta["architecture"]["scoreboard"] == [0, 0]
