"""Which frames are chosen for a person: spread, unsure, or different, and none that a person has labelled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import HEIGHT, SCHEMA, WIDTH, Board, copy_of, label, record_board
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import InputError
from agentlab.labels import sampling
from agentlab.labels.sampling import all_frames, choose_frames
from agentlab.recording import Recording, store_predictions

LENGTH = 60
RARE = {(1, 17), (1, 18), (2, 44)}
"""Frames of screens that are seen nowhere else."""


class RareScreens(Board):
    """Shows a bright screen now and then, and another one once."""

    def __init__(self) -> None:
        super().__init__(LENGTH)
        self._episode = -1

    def reset(self, **options: Any) -> Any:
        self._episode += 1
        return super().reset(**options)

    def _frame(self) -> Any:
        frame = super()._frame()
        if (self._episode, self._t) in RARE:
            frame[: HEIGHT // 2 if self._episode == 1 else HEIGHT, : WIDTH // 2] = 240
        return frame


class Still(Board):
    """Shows nothing but black."""

    def _frame(self) -> Any:
        return np.zeros((HEIGHT, WIDTH), np.uint8)


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Three episodes of 61 frames, with a few rare screens; not to be changed."""
    return record_board(tmp_path_factory.mktemp("rare") / "board", RareScreens(), episodes=3)


def predicted(recording: Recording, sure: dict[tuple[int, int], float]) -> Recording:
    """The recording with predictions that are sure of all frames but some."""
    rows = {}
    for episode in recording:
        confidences = np.full((episode.n_frames, len(SCHEMA)), 0.99, np.float32)
        for (index, frame), value in sure.items():
            if index == episode.index:
                confidences[frame, 3] = value
        rows[episode.index] = (np.zeros_like(confidences), confidences)
    store_predictions(recording.path, SCHEMA, rows, path=Path("run/extractor"), sha256="0" * 64)
    return Recording(recording.path)


class TestUniform:
    def test_takes_as_many_of_each_episode_and_spreads_them_over_it(self, rare: Recording):
        chosen = choose_frames(rare, 12, "uniform")
        assert Counter(episode for episode, _ in chosen) == {0: 4, 1: 4, 2: 4}
        assert [frame for episode, frame in chosen if episode == 0] == [7, 22, 38, 53]

    def test_takes_what_there_is(self, board: Recording):
        assert choose_frames(board, 1000, "uniform") == all_frames(board)

    def test_takes_of_few_episodes_spread_over_all(self, rare: Recording):
        assert [episode for episode, _ in choose_frames(rare, 1, "uniform")] == [1]

    @given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 100))
    def test_gives_each_episode_its_share_as_far_as_it_has_so_many(self, sizes: list[int], n: int):
        shares = sampling._shares(sizes, n)
        assert sum(shares) == min(n, sum(sizes))
        short = [share for share, size in zip(shares, sizes, strict=True) if share < size]
        assert all(share <= size for share, size in zip(shares, sizes, strict=True))
        assert not short or max(shares) - min(short) <= 1


class TestDiverse:
    def test_covers_rare_screens_that_even_spacing_misses(self, rare: Recording):
        screens = [{(1, 17), (1, 18)}, {(2, 44)}]
        for seed in range(3):
            chosen = set(choose_frames(rare, 4, "diverse", seed=seed))
            assert all(chosen & screen for screen in screens)
        assert not any(set(choose_frames(rare, 4, "uniform")) & screen for screen in screens)

    def test_takes_no_screen_twice_that_looks_the_same(self, rare: Recording):
        assert len(set(choose_frames(rare, 4, "diverse")) & {(1, 17), (1, 18)}) == 1

    def test_takes_other_screens_than_those_that_people_labelled(self, rare: Recording, tmp_path: Path):
        recording = label(copy_of(rare, tmp_path).path, {key: {"paused": True} for key in ((0, 0), (2, 44))})
        assert choose_frames(recording, 1, "diverse")[0] in {(1, 17), (1, 18)}

    def test_takes_no_frame_twice_where_all_look_the_same(self, tmp_path: Path):
        chosen = choose_frames(record_board(tmp_path / "board", Still()), 7, "diverse")
        assert len(set(chosen)) == 7

    def test_is_the_same_for_the_same_seed(self, rare: Recording):
        assert choose_frames(rare, 6, "diverse", seed=4) == choose_frames(rare, 6, "diverse", seed=4)

    def test_compares_no_more_frames_than_fit_in_memory(self, rare: Recording, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sampling, "MOST_COMPARED", 10)
        assert len(choose_frames(rare, 50, "diverse")) == 10


class TestUncertain:
    def test_takes_what_the_extractor_is_least_sure_of(self, rare: Recording, tmp_path: Path):
        unsure = {(0, 3): 0.6, (1, 30): 0.55, (2, 44): 0.7, (2, 50): 0.51}
        recording = predicted(copy_of(rare, tmp_path), unsure)
        assert (2, 50) in choose_frames(recording, 1, "uncertain")

    def test_takes_the_unsure_frames_that_look_most_different(self, rare: Recording, tmp_path: Path):
        neighbours = {(0, frame): 0.5 + frame / 1000 for frame in range(20, 29)}
        recording = predicted(copy_of(rare, tmp_path), {**neighbours, (2, 44): 0.7})
        chosen = choose_frames(recording, 2, "uncertain")
        assert chosen == [(0, 20), (2, 44)]

    def test_needs_predictions(self, rare: Recording):
        with pytest.raises(InputError, match=r"none of episode 0; make them with  agentlab label .* --from extractor"):
            choose_frames(rare, 3, "uncertain")


@pytest.mark.parametrize("how", ["uniform", "diverse", "uncertain"])
def test_frames_that_a_person_labelled_are_not_chosen_again(how: Any, board: Recording, tmp_path: Path):
    recording = label(copy_of(board, tmp_path).path, {(0, frame): {"paused": True} for frame in range(5)})
    recording = label(recording.path, {(1, 0): {"paused": True}}, source="env")
    recording = predicted(recording, {(0, 1): 0.1})
    chosen = choose_frames(recording, 100, how)
    assert chosen == [(0, 5), *((1, frame) for frame in range(6))]


def test_where_all_frames_are_labelled_none_is_chosen(board: Recording, tmp_path: Path):
    recording = label(copy_of(board, tmp_path).path, {key: {"paused": True} for key in all_frames(board)})
    with pytest.raises(InputError, match="expected frames that no person has labelled, found none"):
        choose_frames(recording, 3, "uniform")
