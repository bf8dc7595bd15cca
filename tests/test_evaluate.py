from __future__ import annotations

import contextlib
import json
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from episode_lengths import SHORT_OR_LONG, ShortOrLong
from gymnasium import spaces

from agentlab.errors import InputError
from agentlab.evaluate import (
    EVALUATION_SEEDS,
    MAX_COPIES,
    MAX_PROCESSES,
    RANDOM_SHARE,
    NowAndThenRandom,
    RandomActor,
    _most_copies,
    evaluate,
    first_evaluation_seed,
)
from agentlab.progress import NoTask


@pytest.fixture
def seeds_seen() -> list[int | None]:
    """The seeds that `ShortOrLong` is reset with in this process, from now on."""
    ShortOrLong.seeds.clear()
    return ShortOrLong.seeds


class Still:
    """Always takes action 0 and notes what it is shown."""

    def __init__(self) -> None:
        self.shapes: set[tuple[int, ...]] = set()
        self.starts: list[npt.NDArray[np.bool_]] = []
        self.resets: list[int] = []

    def reset(self, n: int) -> None:
        self.resets.append(n)

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        self.shapes.add(frames.shape)
        self.starts.append(starts.copy())
        return np.zeros(len(frames), dtype=np.int64)


class Follower:
    """Plays Catch by moving the paddle (row 81) under the ball (the brightest pixels)."""

    def reset(self, n: int) -> None: ...

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:  # noqa: ARG002
        stay, left, right = 0, 1, 2
        away = [np.nonzero(frame == 255)[1].mean() - np.flatnonzero(frame[81]).mean() for frame in frames]
        return np.array([stay if abs(x) < 3 else right if x > 0 else left for x in away])


def test_plays_exactly_the_episodes_asked_for_and_as_many_at_random() -> None:
    scores = evaluate(Still(), "agentlab/Catch-v0", episodes=7, n_envs=3)
    assert len(scores.play.returns) == len(scores.play.lengths) == len(scores.random.returns) == 7


def test_the_actor_acts_on_all_copies_at_once_and_is_told_where_episodes_start() -> None:
    actor = Still()
    scores = evaluate(actor, "agentlab/Catch-v0", episodes=4, n_envs=2)
    assert actor.resets == [2]
    assert actor.shapes == {(2, 84, 84)}
    assert actor.starts[0].all()
    assert sum(starts.sum() for starts in actor.starts) == 4
    assert len(actor.starts) == sum(scores.play.lengths) // 2


def test_an_actor_that_catches_every_ball_beats_the_random_policy() -> None:
    scores = evaluate(Follower(), "agentlab/Catch-v0", episodes=4)
    assert scores.mean == pytest.approx(1.0)
    assert scores.random_mean < 0.6


def test_equal_arguments_give_equal_scores_and_other_seeds_others() -> None:
    first, again, other = (
        evaluate(Still(), "agentlab/Catch-v0", episodes=6, n_envs=3, seed=seed).to_dict() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["returns"] != other["returns"]


def test_short_episodes_are_not_favoured() -> None:
    scores = evaluate(Still(), SHORT_OR_LONG, episodes=64, n_envs=1)
    by_copy = evaluate(Still(), SHORT_OR_LONG, episodes=64, n_envs=8)
    assert set(scores.play.lengths) == {1, 20}
    for play in (scores.play, by_copy.play):
        assert 0.3 < np.mean(np.array(play.lengths) == 20) < 0.7


def test_returns_are_listed_in_the_order_of_assignment() -> None:
    together = evaluate(Still(), SHORT_OR_LONG, episodes=6, n_envs=2).play
    alone = evaluate(Still(), SHORT_OR_LONG, episodes=3, n_envs=1).play
    assert together.lengths[::2] == alone.lengths


def test_seeds_are_apart_from_those_of_training(seeds_seen: list[int | None]) -> None:
    evaluate(Still(), SHORT_OR_LONG, episodes=1, seed=5)
    assert [seed for seed in seeds_seen if seed is not None] == [first_evaluation_seed(5)] * 2


def test_an_endless_episode_is_ended_and_said_so() -> None:
    said: list[str] = []

    class Progress:
        def say(self, line: str) -> None:
            said.append(line)

        def task(self, *_: Any, **__: Any) -> Any:
            return contextlib.nullcontext(NoTask())

    scores = evaluate(
        Still(), SHORT_OR_LONG, {"endless": True}, episodes=2, n_envs=1, max_steps=30, progress=Progress()
    )
    assert scores.play.lengths == (30, 30)
    assert scores.play.truncated == 2
    assert scores.env_kwargs == {"endless": True}
    assert said == ["2 of 2 episodes were cut off after 30 steps: partial returns"]


def test_scores_as_json_hold_what_is_promised() -> None:
    scores = evaluate(Still(), "agentlab/Catch-v0", episodes=5).to_dict()
    promised = {"episodes", "returns", "lengths", "mean", "iqm", "ci95", "random_mean", "human_mean", "env", "seed"}
    assert promised <= scores.keys()
    assert scores["mean"] == pytest.approx(np.mean(scores["returns"]))
    low, high = scores["ci95"]
    assert low <= scores["iqm"] <= high
    assert scores["human_mean"] is None


def test_pong_is_compared_with_a_human_and_scores_are_unclipped() -> None:
    pytest.importorskip("ale_py")
    scores = evaluate(Still(), "ALE/Pong-v5", episodes=2, n_envs=2)
    assert scores.human_mean == 14.6
    assert scores.human_normalised == pytest.approx((scores.mean + 20.7) / (14.6 + 20.7))
    assert -21 <= scores.random_mean < -15
    assert len(scores.random.returns) == 2


def test_one_action_in_two_hundred_is_random_and_the_others_are_the_actor_s() -> None:
    space = spaces.Discrete(6)
    actor = NowAndThenRandom(Still(), RandomActor(space, 1), seed=1)
    frames, starts = np.zeros((20, 4, 4), np.uint8), np.zeros(20, bool)
    actor.reset(20)
    actions = np.stack([actor.act(frames, starts) for _ in range(1000)])
    assert (actions != 0).mean() == pytest.approx(RANDOM_SHARE * 5 / 6, rel=0.5)


def test_a_game_without_a_vector_environment_is_played_by_few_processes() -> None:
    pytest.importorskip("ale_py")
    assert _most_copies("ALE/Pong-v5", {}) == MAX_COPIES
    assert _most_copies("ALE/Pong-v5", {"difficulty": 1}) == MAX_PROCESSES
    assert _most_copies("agentlab/Catch-v0", {}) == MAX_COPIES


def test_another_mode_of_an_atari_game_is_not_compared_with_a_human() -> None:
    pytest.importorskip("ale_py")
    scores = evaluate(Still(), "ALE/Pong-v5", {"difficulty": 1}, episodes=1)
    assert scores.human_mean is None
    assert scores.human_normalised is None


def test_the_published_scores_cover_every_game_of_the_ram_table() -> None:
    ram_games = json.loads((files("agentlab_envs") / "atari_ram.json").read_text())["games"]
    published = json.loads((files("agentlab") / "atari_scores.json").read_text())["games"]
    assert set(ram_games) <= {name.lower() for name in published}
    assert all(game["human"] > game["random"] for game in published.values())


def test_the_random_actor_repeats_itself_for_equal_seeds_and_leaves_the_space_alone() -> None:
    space = spaces.Box(-1, 1, (3,), np.float32)
    space.seed(7)
    untouched = spaces.Box(-1, 1, (3,), np.float32)
    untouched.seed(7)
    frames = np.zeros((5, 4, 4), np.uint8)
    first, second = (RandomActor(space, 3).act(frames, np.ones(5, bool)) for _ in range(2))
    assert first.shape == (5, 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(space.sample(), untouched.sample())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "episodes: expected at least 1, found 0"),
        ({"episodes": 1, "n_envs": 0}, "n_envs: expected 1 to 32, found 0"),
        ({"episodes": 1, "seed": -1}, "seed: expected 0 to 29,999,999, found -1"),
        ({"episodes": 1, "seed": EVALUATION_SEEDS}, "found 30,000,000"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(Still(), "agentlab/Catch-v0", **arguments)  # type: ignore[arg-type]


def test_evaluations_of_different_seeds_share_no_episode():
    assert first_evaluation_seed(1) - first_evaluation_seed(0) >= MAX_COPIES
