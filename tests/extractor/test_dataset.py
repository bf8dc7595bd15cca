"""Frames streamed from recordings: whole episodes on one side, every frame once, few of them in memory."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.extractor.dataset import BATCHES_AHEAD, FrameDataset, split
from agentlab.recording import Recording
from agentlab.recording.frame_file import FrameFile


class PretendEpisode:
    """Frames of two pixels that say which episode and time they are of; counts how many were decoded."""

    decoded = 0
    file: Path

    def __init__(self, index: int, n_frames: int) -> None:
        self.index, self.n_frames = index, n_frames
        self.labels = np.array([[index, t] for t in range(n_frames)], np.float32)
        self.recording = SimpleNamespace(frame_shape=(2,))
        self.labelled = np.ones(n_frames, bool)

    @property
    def frame_file(self) -> FrameFile:
        return FrameFile(self.file, 512 * self.index + 2 * np.arange(self.n_frames + 1))

    def decode(self, t: int, stored: bytes, frame: Any) -> None:
        assert 0 <= t < self.n_frames
        PretendEpisode.decoded += 1
        frame[:] = np.frombuffer(stored, np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _stored_frames(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The 256 frames of each of 256 episodes, one after the other."""
    PretendEpisode.file = tmp_path_factory.mktemp("frames") / "frames"
    PretendEpisode.file.write_bytes(np.stack(np.divmod(np.arange(256 * 256), 256), axis=1).astype(np.uint8).tobytes())


def pretend(lengths: list[int]) -> list[Any]:
    return [PretendEpisode(index, length) for index, length in enumerate(lengths)]


def episodes_of(data: FrameDataset) -> set[int]:
    return set(data.labels[:, 0].astype(int).tolist())


LENGTHS = st.lists(st.integers(1, 40), min_size=2, max_size=12)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 200))
def test_a_limit_takes_so_many_frames_from_all_over(lengths: list[int], limit: int):
    whole, some = FrameDataset(pretend(lengths)), FrameDataset(pretend(lengths), limit)
    assert len(some) == min(limit, len(whole))
    np.testing.assert_array_equal(some.frames(np.arange(len(some))), some.labels.astype(np.uint8))
    places = [whole.labels.tolist().index(row) for row in some.labels.tolist()]
    assert places == sorted(set(places))
    assert len(some) == 1 or max(np.diff(places)) <= (len(whole) - 1) / (len(some) - 1) + 1


def test_frames_that_nobody_labelled_are_left_out():
    episodes = pretend([6, 3, 4])
    episodes[0].labelled[[0, 1, 3, 5]] = False
    episodes[1].labelled[:] = False
    data = FrameDataset(episodes)
    assert data.labels.tolist() == [[0, 2], [0, 4], [2, 0], [2, 1], [2, 2], [2, 3]]
    np.testing.assert_array_equal(data.frames(np.arange(len(data))), data.labels.astype(np.uint8))
    assert len(FrameDataset(episodes, limit=3)) == 3


class TestSplit:
    def test_leaves_out_episodes_without_labelled_frames(self):
        episodes: Any = pretend([5, 5, 5, 5])
        for episode in episodes[1:3]:
            episode.labelled[:] = False
        trained_on, held_out = split([episodes, pretend([3])], 0.3, seed=0)
        assert {0, 3} == episodes_of(trained_on) | episodes_of(held_out)
        assert min(len(trained_on), len(held_out)) > 0

    @settings(deadline=None)
    @given(LENGTHS, st.floats(0.01, 0.99), st.integers(0, 100))
    def test_is_by_episode_and_loses_no_frame(self, lengths: list[int], holdout: float, seed: int):
        episodes: Any = pretend(lengths)
        trained_on, held_out = split([episodes], holdout, seed)
        assert not episodes_of(trained_on) & episodes_of(held_out)
        assert min(len(trained_on), len(held_out)) > 0
        found = sorted([*map(tuple, trained_on.labels.tolist()), *map(tuple, held_out.labels.tolist())])
        assert found == [(index, t) for index, length in enumerate(lengths) for t in range(length)]

    @settings(deadline=None)
    @given(LENGTHS, st.floats(0.01, 0.99), st.integers(0, 100))
    def test_holds_out_about_the_share_of_frames(self, lengths: list[int], holdout: float, seed: int):
        episodes: Any = pretend(lengths)
        _, held_out = split([episodes], holdout, seed)
        assert len(held_out) <= max(holdout * sum(lengths), max(lengths))

    def test_is_the_seed_s(self):
        episodes: Any = pretend([5] * 20)
        one, same, other = (episodes_of(split([episodes], 0.3, seed)[1]) for seed in (1, 1, 2))
        assert one == same != other
        assert len(one) == 6

    @settings(deadline=None)
    @given(LENGTHS, LENGTHS, st.integers(0, 100))
    def test_is_the_same_in_a_recording_whatever_others_come_after_it(
        self, first: list[int], second: list[int], seed: int
    ):
        recordings: Any = [pretend(first), [PretendEpisode(100 + index, n) for index, n in enumerate(second)]]
        alone, both = (episodes_of(split(recordings[:n], 0.3, seed)[1]) for n in (1, 2))
        assert {index for index in both if index < 100} == alone

    def test_takes_episodes_of_all_recordings(self):
        recordings: Any = [pretend([5, 5]), pretend([5, 5])]
        trained_on, held_out = split(recordings, 0.5, 0)
        assert (len(trained_on), len(held_out)) == (10, 10)


class TestFrameDataset:
    @settings(deadline=None)
    @given(LENGTHS, st.data())
    def test_gives_any_frame_by_number(self, lengths: list[int], data: st.DataObject):
        frames = FrameDataset(pretend(lengths))
        numbers = data.draw(st.lists(st.integers(0, sum(lengths) - 1), min_size=1, max_size=20))
        found = frames.frames(np.array(numbers))
        np.testing.assert_array_equal(found, frames.labels[numbers])

    def test_tells_how_often_labels_change_within_episodes_and_between_frames_that_follow_each_other(self):
        episodes: Any = pretend([5, 1, 5])
        np.testing.assert_array_equal(FrameDataset(episodes).change_rates(), [0.0, 1.0])
        episodes[0].labels[:, 0] = [0, 0, 1, np.nan, 1]
        np.testing.assert_array_equal(FrameDataset(episodes).change_rates(), [1 / 8, 1.0])
        assert np.isnan(FrameDataset(episodes, limit=5).change_rates()).all()

    @given(LENGTHS, st.integers(1, 100))
    def test_gives_the_labels_of_its_own_frames_episode_by_episode(self, lengths: list[int], limit: int):
        some = FrameDataset(pretend(lengths), limit)
        by_episode = some.labels_by_episode()
        assert len(by_episode) == len(lengths)
        np.testing.assert_array_equal(np.concatenate([rows for rows, _ in by_episode]), some.labels)
        for index, (rows, steps) in enumerate(by_episode):
            assert set(rows[:, 0].tolist()) <= {index}
            np.testing.assert_array_equal(np.diff(rows[:, 1]), np.diff(steps))

    @settings(deadline=None)
    @given(LENGTHS, st.integers(1, 50), st.integers(0, 100))
    def test_gives_batches_in_the_order_asked_for(self, lengths: list[int], batch_size: int, seed: int):
        frames = FrameDataset(pretend(lengths))
        order = np.random.default_rng(seed).permutation(len(frames))
        batches = list(frames.batches(order, batch_size))
        assert [len(batch) for batch, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in batches]), frames.labels[order])
        np.testing.assert_array_equal(np.concatenate([batch for batch, _ in batches]), frames.labels[order])

    def test_decodes_only_a_few_batches_ahead(self):
        frames = FrameDataset(pretend([250] * 40))
        PretendEpisode.decoded = 0
        batches = frames.batches(np.arange(len(frames)), 10)
        for used in range(1, 51):
            next(batches)
            assert PretendEpisode.decoded <= 10 * (used + BATCHES_AHEAD)
        batches.close()  # type: ignore[attr-defined]
        assert PretendEpisode.decoded <= 10 * (50 + BATCHES_AHEAD)

    def test_leaves_no_thread_behind_when_it_is_not_read_to_the_end(self):
        before = threading.active_count()
        batches = FrameDataset(pretend([250] * 4)).batches(np.arange(1000), 10)
        next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert threading.active_count() == before

    def test_passes_on_what_goes_wrong_while_decoding(self, monkeypatch: pytest.MonkeyPatch):
        frames = FrameDataset(pretend([5, 5]))
        monkeypatch.setattr(PretendEpisode, "decode", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(frames.batches(np.arange(10), 5))

    def test_reads_the_frames_and_labels_of_recordings(self, squares: Recording):
        frames = FrameDataset(list(squares))
        assert len(frames) == squares.total_frames
        t, episode = 4, squares[3]
        number = sum(squares[i].n_frames for i in range(3)) + t
        np.testing.assert_array_equal(frames.frames(np.array([number]))[0], episode.frame(t))
        np.testing.assert_array_equal(frames.labels[number], episode.labels[t])
