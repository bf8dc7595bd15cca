"""Whatever stops the recorder, finished episodes are there and the running one up to its last whole row."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from command import assert_refused
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_games import CATCH, Noise, record_noise

from agentlab.errors import InputError
from agentlab.recording import RandomPolicy, Recording, RecordingWriter, describe, record, verify
from agentlab.recording.replaced import Replaced

HEADER = describe(Noise(), "test/Noise-v0", {}, {})

RECORD_FOREVER = """
import sys
from recording_games import Noise
from agentlab.recording import RandomPolicy, record
env = Noise(length=40)
print("ready", flush=True)
record(env, sys.argv[1], RandomPolicy(env.action_space), episodes=10**6, env_id="test/Noise-v0", append=True)
"""


def run(writer, steps, seed=0, length=100):
    """Begins an episode and takes some steps, all with action 1."""
    env = Noise(length=length)
    episode = writer.begin(seed, None, *env.reset(seed=seed), {})
    for _ in range(steps):
        episode.step(1, *env.step(1))
    return episode


def recover(path):
    """What the next start of a writer finds and tells."""
    with RecordingWriter(path, HEADER, append=True) as writer:
        return writer.recovered


def finished(path):
    """How many episodes readers see."""
    return len(Recording(path)) if (path / "data" / "metadata.json").exists() else 0


def assert_replays(recording):
    for episode in recording:
        env = Noise(length=1000)
        frames = [env.reset(seed=episode.seed)[0], *(env.step(action)[0] for action in episode.actions)]
        np.testing.assert_array_equal(episode.frames(range(episode.n_frames)), frames)


@pytest.fixture(scope="module")
def stream():
    """The stream of a running episode of five steps."""
    with tempfile.TemporaryDirectory() as folder, RecordingWriter(Path(folder) / "rec", HEADER) as writer:
        run(writer, 5)
        (file,) = (Path(folder) / "rec" / "inprogress").iterdir()
        return file.name, file.read_bytes()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_stream_cut_anywhere_gives_back_its_whole_rows(stream, data):
    name, content = stream
    cut = data.draw(st.integers(0, len(content)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rec"
        with RecordingWriter(path, HEADER) as writer:
            run(writer, 2).commit("max_steps")
        (path / "inprogress").mkdir()
        (path / "inprogress" / name).write_bytes(content[:cut])
        told = recover(path)
        after = Recording(path)
        assert len(told) == len(after) - 1
        assert_replays(after)
        assert not (path / "inprogress").exists()
        if cut == len(content):
            assert after[1].n_steps == 5
        for episode in after[1:]:
            assert "recovered an interrupted episode as episode 1" in told[0]
            assert episode.truncations.tolist() == [False] * (episode.n_steps - 1) + [True]
            assert episode.provenance["ended_by"] == "interruption"


def test_a_finished_episode_that_was_not_committed_is_recovered_as_finished(tmp_path):
    with RecordingWriter(tmp_path / "rec", HEADER) as writer:
        run(writer, steps=4, length=4)
    (episode,) = Recording(tmp_path / "rec")
    assert episode.provenance["ended_by"] == "environment"
    assert episode.terminations.tolist() == [False, False, False, True]
    assert not episode.truncations.any()


def test_no_moment_of_a_commit_loses_or_doubles_an_episode(tmp_path, monkeypatch):
    moments = []

    def snapshot_before(name):
        call = getattr(os, name)

        def snapshot_then_call(*args, **kwargs):
            moments.append(tmp_path / f"moment-{len(moments)}")
            shutil.copytree(tmp_path / "rec", moments[-1])
            return call(*args, **kwargs)

        monkeypatch.setattr(os, name, snapshot_then_call)

    with RecordingWriter(tmp_path / "rec", HEADER) as writer:
        run(writer, 3, seed=0).commit("max_steps")
        episode = run(writer, 4, seed=1)
        for name in ("fsync", "replace", "rename", "unlink"):
            snapshot_before(name)
        episode.commit("max_steps")
        monkeypatch.undo()
    assert len(moments) > 8
    for moment in moments:
        recover(moment)
        recording = Recording(moment)
        assert [(episode.seed, episode.n_steps) for episode in recording] == [(0, 3), (1, 4)]
        assert recording.total_steps == 7
        assert_replays(recording)


def test_kill_9_loses_no_finished_episode(tmp_path):
    path = tmp_path / "rec"
    moments = random.Random(4)
    recorded = 0
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", RECORD_FOREVER, str(path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        )
        child.stdout.readline()
        while finished(path) <= recorded:
            assert child.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert finished(path) > recorded
        recorded = finished(path)
    recover(path)
    recording = Recording(path)
    assert recorded <= len(recording)
    assert [episode.seed for episode in recording] == list(range(len(recording)))
    assert verify(recording, make=lambda env_id, env_kwargs: Noise(length=40)).difference is None  # noqa: ARG005


def test_a_second_writer_is_refused_by_the_process_id_of_the_first(tmp_path):
    with RecordingWriter(tmp_path / "rec", HEADER) as writer:
        run(writer, 2).commit("max_steps")
        with pytest.raises(
            InputError, match=rf"is being written by process {os.getpid()} \({Path(sys.argv[0]).name}\)"
        ):
            RecordingWriter(tmp_path / "rec", HEADER, append=True)
        run(writer, 2).commit("max_steps")
    assert len(Recording(tmp_path / "rec")) == 2


def test_two_recorders_are_told_apart_by_the_command_and_a_killed_one_is_in_nobodys_way(tmp_path, agentlab, refuses):
    path = tmp_path / "rec"
    record_more = ["record", CATCH, "--out", str(path), "--append", "--episodes"]
    forever = subprocess.Popen([sys.executable, "-m", "agentlab", *record_more, "1000000"], stderr=subprocess.PIPE)
    while finished(path) == 0:
        assert forever.poll() is None
        time.sleep(0.01)
    forever.send_signal(signal.SIGSTOP)
    os.waitpid(forever.pid, os.WUNTRACED)
    for command in ([*record_more, "1"], [*record_more[:-2], "--force"], ["label", path, "--from", "env"]):
        refuses(command, f"{path}: is being written by process {forever.pid} ")
    forever.kill()
    forever.communicate()
    assert (path / "writer.lock").exists()
    before = finished(path)
    assert agentlab(*record_more, 1).code == 0
    assert finished(path) > before
    assert sorted(file.name for file in path.iterdir()) == ["data"]


def test_the_lock_of_a_dead_process_is_in_nobodys_way(tmp_path):
    recording = record_noise(tmp_path / "rec")
    (recording.path / "writer.lock").write_text("999999")
    recover(recording.path)
    assert sorted(file.name for file in recording.path.iterdir()) == ["data"]


def test_several_episodes_may_run_at_once(tmp_path):
    with RecordingWriter(tmp_path / "rec", HEADER) as writer:
        one, other, unwanted = run(writer, 2, seed=1), run(writer, 3, seed=2), run(writer, 1, seed=3)
        other.commit("max_steps")
        unwanted.discard()
        one.commit("max_steps")
    assert [(episode.seed, episode.n_steps) for episode in Recording(tmp_path / "rec")] == [(2, 3), (1, 2)]


def test_an_episode_of_more_steps_than_minari_reads_is_refused_not_spoilt(tmp_path, monkeypatch):
    monkeypatch.setattr("agentlab.recording.writer.MAX_ROWS", 4)
    with (
        RecordingWriter(tmp_path / "rec", HEADER) as writer,
        pytest.raises(InputError, match="expected at most 3 steps"),
    ):
        run(writer, 4)
    assert Recording(tmp_path / "rec")[0].n_steps == 3


def test_an_episode_of_more_bytes_than_arrow_holds_is_refused_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("agentlab.recording.writer.MOST_BYTES", 1000)
    with (
        RecordingWriter(tmp_path / "rec", HEADER) as writer,
        pytest.raises(InputError, match=r"seed 0, step \d+: expected at most 1,000 bytes an episode"),
    ):
        run(writer, 99)
    (kept,) = Recording(tmp_path / "rec")
    assert kept.n_steps > 0
    assert_replays([kept])


class TestReplacing:
    """`force` gives up the earlier recording for an episode of the new one, which after a failure has to be whole."""

    @pytest.fixture
    def path(self, tmp_path):
        return record_noise(tmp_path / "rec", episodes=2).path

    def replace_until(self, stop, path, steps, whole=0):
        """Begins to replace a recording, by some whole episodes and by steps of another, until something stops it."""
        with RecordingWriter(path, HEADER, force=True) as writer:
            for _ in range(whole):
                run(writer, 2, seed=1).commit("max_steps")
            run(writer, steps, seed=1)
            raise stop

    def seeds(self, path):
        assert [entry.name for entry in path.parent.iterdir()] == ["rec"]
        return [episode.seed for episode in Recording(path)]

    def test_a_whole_episode_replaces_it(self, path):
        with RecordingWriter(path, HEADER, force=True) as writer:
            run(writer, 2, seed=1).commit("max_steps")
            assert self.seeds(path) == [1]
        assert self.seeds(path) == [1]

    @pytest.mark.parametrize("steps", [0, 3])
    def test_a_failure_before_gives_it_back(self, path, steps):
        with pytest.raises(ZeroDivisionError):
            self.replace_until(ZeroDivisionError, path, steps)
        assert self.seeds(path) == [7, 8]

    def test_a_failure_after_does_not(self, path):
        with pytest.raises(ZeroDivisionError):
            self.replace_until(ZeroDivisionError, path, steps=0, whole=1)
        assert self.seeds(path) == [1]

    def killed(self, writer):
        """Leaves what a writer that is killed leaves."""
        writer._lock.release()
        writer._replaced.release()

    def test_ctrl_c_keeps_the_steps_of_the_new_one_and_without_any_the_earlier(self, path):
        for steps, kept in ((0, [7, 8]), (3, [1])):
            with pytest.raises(KeyboardInterrupt):
                self.replace_until(KeyboardInterrupt, path, steps)
            assert self.seeds(path) == kept

    @pytest.mark.parametrize("next_start", [{"append": True}, {"force": True}])
    @pytest.mark.parametrize("is_reset", [False, True])
    def test_killed_before_a_step_the_next_start_gives_it_back(self, path, next_start, is_reset):
        writer = RecordingWriter(path, HEADER, force=True)
        if is_reset:
            run(writer, 0, seed=1)
        self.killed(writer)
        with RecordingWriter(path, HEADER, **next_start) as writer:
            assert "put back the recording that was to be replaced" in writer.recovered[0]
        assert self.seeds(path) == [7, 8]

    def test_killed_before_a_step_what_is_kept_is_told(self, path, agentlab):
        assert "replacing" not in agentlab("inspect", path).out
        self.killed(RecordingWriter(path, HEADER, force=True))
        where = f"the earlier one is kept in {path.with_name('.rec.replaced')}, and the next agentlab record to {path}"
        assert where in json.loads(agentlab("inspect", path, "--json").out)["replacing"]
        assert_refused(agentlab("replay", path, "--verify"), "at least 1 episode, found 0", where)
        shutil.rmtree(path)
        assert_refused(agentlab("inspect", path), "no such file or folder", where)
        assert_refused(agentlab("replay", path, "--verify"), "expected a recording", where)

    def test_killed_or_failed_again_and_again_it_is_still_given_back(self, path):
        for _ in range(2):
            writer = RecordingWriter(path, HEADER, force=True)
            run(writer, 3, seed=1)
            self.killed(writer)
        with pytest.raises(ZeroDivisionError):
            self.replace_until(ZeroDivisionError, path, steps=2)
        assert self.seeds(path) == [7, 8]

    def test_killed_after_a_whole_episode_it_is_gone_for_good(self, path, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(Replaced, "drop", do_nothing)
            writer = RecordingWriter(path, HEADER, force=True)
            run(writer, 2, seed=1).commit("max_steps")
            self.killed(writer)
        with pytest.raises(ZeroDivisionError):
            self.replace_until(ZeroDivisionError, path, steps=2)
        assert self.seeds(path) == [1]

    def test_half_deleted_it_does_not_come_back(self, path, monkeypatch):
        writer = RecordingWriter(path, HEADER, force=True)
        episode = run(writer, 2, seed=1)
        with monkeypatch.context() as patched:
            patched.setattr("agentlab.recording.replaced.shutil.rmtree", delete_half)
            with pytest.raises(OSError, match="killed here"):
                episode.commit("max_steps")
        self.killed(writer)
        shutil.rmtree(path)
        record_noise(path, episodes=1)
        assert [episode.seed for episode in Recording(path)] == [7]

    def test_refused_for_want_of_force_what_is_there_stays(self, path):
        writer = RecordingWriter(path, HEADER, force=True)
        run(writer, 3, seed=1)
        self.killed(writer)
        with pytest.raises(InputError, match="exists already"):
            RecordingWriter(path, HEADER)
        recover(path)
        assert self.seeds(path) == [1]

    def test_other_files_that_lie_there_now_are_left_alone(self, path):
        aside = path.with_name(".rec.replaced")
        path.rename(aside)
        path.mkdir()
        (path / "thesis.txt").write_text("years of work")
        for how in ({}, {"append": True}, {"force": True}):
            with pytest.raises(InputError):
                RecordingWriter(path, HEADER, **how)
        assert (path / "thesis.txt").exists()
        assert len(Recording(aside)) == 2

    def test_moved_aside_a_moment_ago_it_is_for_its_writer_alone(self, path):
        replaced = Replaced(path)
        replaced.keep()
        with pytest.raises(InputError, match="is being written by"):
            RecordingWriter(path, HEADER, append=True)
        replaced.release()
        recover(path)
        assert self.seeds(path) == [7, 8]

    @pytest.mark.parametrize(("whole", "kept"), [(0, [7, 8]), (2, [1, 1])])
    def test_through_a_link_it_is_what_the_link_names(self, path, tmp_path, whole, kept):
        link = tmp_path / "links" / "link"
        link.parent.mkdir()
        link.symlink_to(path)
        with pytest.raises(ZeroDivisionError):
            self.replace_until(ZeroDivisionError, link, steps=0, whole=whole)
        assert link.is_symlink()
        assert [episode.seed for episode in Recording(link)] == kept
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["links", "rec"]

    def test_the_folder_one_is_in_can_be_added_to_and_not_replaced(self, path, monkeypatch):
        monkeypatch.chdir(path)
        with RecordingWriter(Path(), HEADER, append=True) as writer:
            run(writer, 2, seed=1).commit("max_steps")
        with pytest.raises(InputError, match="the folder you are in"):
            RecordingWriter(Path(), HEADER, force=True)
        assert self.seeds(path) == [7, 8, 1]

    def test_killed_in_the_first_episode_the_next_start_goes_on_with_its_rows(self, path):
        writer = RecordingWriter(path, HEADER, force=True)
        run(writer, 3, seed=1)
        self.killed(writer)
        assert "the recording that it replaces is gone for good" in recover(path)[-1]
        assert self.seeds(path) == [1]

    def test_what_cannot_be_deleted_is_in_nobodys_way(self, path, monkeypatch):
        for seed in (1, 2, 3):
            with RecordingWriter(path, HEADER, force=True) as writer, monkeypatch.context() as patched:
                patched.setattr("agentlab.recording.replaced.shutil.rmtree", lambda *_, **__: None)
                run(writer, 2, seed=seed).commit("max_steps")
        assert [episode.seed for episode in Recording(path)] == [3]
        with RecordingWriter(path, HEADER, force=True) as writer:
            run(writer, 2, seed=4).commit("max_steps")
        assert self.seeds(path) == [4]

    def test_a_link_to_itself_is_refused(self, tmp_path):
        (tmp_path / "loop").symlink_to("loop")
        for how in ({}, {"append": True}, {"force": True}):
            with pytest.raises(InputError, match="is a link that leads to itself"):
                RecordingWriter(tmp_path / "loop", HEADER, **how)

    def test_a_writer_at_work_keeps_its_place(self, path):
        with RecordingWriter(path, HEADER, force=True) as writer:
            with pytest.raises(InputError, match="is being written by"):
                RecordingWriter(path, HEADER, force=True)
            with pytest.raises(InputError, match="is being written by"):
                RecordingWriter(path, HEADER, append=True)
            run(writer, 2, seed=1).commit("max_steps")
        assert self.seeds(path) == [1]


class Interruption:
    """Raises `KeyboardInterrupt` at a line of the writer, counted from 1."""

    FILES = tuple(f"agentlab/recording/{name}.py" for name in ("writer", "replaced"))

    def __init__(self, at):
        self._left = at

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    @property
    def came(self):
        return self._left <= 0

    def _trace(self, frame, event, _):
        if not frame.f_code.co_filename.endswith(self.FILES):
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self._trace


MOMENTS_OF_WITH = 2
"""Between the constructor and the block, where no code of the writer can act."""


@dataclass
class Attempt:
    """Two episodes of seeds 1 and 2 recorded at once, until an interrupt at a line of the writer."""

    done: list[int] = field(default_factory=list)
    was_interrupted: bool = False
    was_closing: bool = False

    def run(self, path, how, at):
        interruption = Interruption(at)
        with contextlib.suppress(KeyboardInterrupt), interruption, RecordingWriter(path, HEADER, **how) as writer:
            episodes = [run(writer, 2 + seed, seed=seed) for seed in (1, 2)]
            for seed, episode in enumerate(episodes, start=1):
                episode.commit("max_steps")
                self.done.append(seed)
            self.was_closing = True
        self.was_interrupted = interruption.came


def test_a_running_episode_that_no_longer_says_what_it_is_stays_where_it_is(tmp_path, stream):
    name, content = stream
    record_noise(tmp_path / "rec", episodes=1)
    (tmp_path / "rec" / "inprogress").mkdir()
    for said in (b"agentlab", b'"uuid"', b'"seed"'):
        file = tmp_path / "rec" / "inprogress" / name
        file.write_bytes(content.replace(said, said[:-2] + b"_" + said[-1:], 1))
        with pytest.raises(InputError, match=r"or a garbled one; .* delete the file to go on without it"):
            recover(tmp_path / "rec")
        assert file.exists()


def test_files_of_others_in_the_folder_of_the_episodes_stay(tmp_path):
    path = record_noise(tmp_path / "rec", episodes=1).path
    others = [path / "data" / name for name in (".gitattributes", ".dvc", ".0.notes")]
    for other in others:
        other.touch()
    left = [path / "data" / name for name in (".1.abcd_123", ".metadata.json.x1y2z3_4")]
    for file in left:
        file.touch()
    recover(path)
    assert all(other.exists() for other in others)
    assert not any(file.exists() for file in left)


@pytest.mark.parametrize("how", [{"append": True}, {"force": True}])
def test_no_interrupt_at_any_line_loses_what_was_finished(how, tmp_path):
    earlier = record_noise(tmp_path / "earlier", episodes=2).path
    left_to_the_next_start = 0
    for at in itertools.count(1):
        path = tmp_path / str(at) / "rec"
        shutil.copytree(earlier, path)
        attempt = Attempt()
        attempt.run(path, how, at)
        is_replacing = "force" in how
        left_to_the_next_start += not (attempt.was_closing or is_whole(path, attempt.done, is_replacing))
        recover(path)
        assert is_whole(path, attempt.done, is_replacing), at
        if not attempt.was_interrupted:
            break
    assert at > 100
    assert left_to_the_next_start <= MOMENTS_OF_WITH


def is_whole(path, done, is_replacing):
    """Whether the earlier episodes are there, or the new ones replaced them, with the totals of what is there."""
    recording = Recording(path)
    seeds = {episode.seed for episode in recording}
    is_earlier = seeds == {7, 8} and not done if is_replacing else seeds >= {7, 8, *done}
    is_new = is_replacing and seeds >= {1, *done} and not seeds & {7, 8}
    return (
        (is_earlier or is_new)
        and recording.total_steps == sum(episode.n_steps for episode in recording)
        and len(recording) == len([entry for entry in (path / "data").iterdir() if entry.is_dir()])
        and [entry.name for entry in path.parent.iterdir()] == ["rec"]
    )


def delete_half(folder, **_):
    """Is killed while it deletes the earlier recording for good."""
    if folder.exists():
        _delete(folder / "data" / "1")
        raise OSError("killed here")


_delete = shutil.rmtree


def do_nothing(_):
    pass


@pytest.mark.parametrize("row", [2, -1])
def test_a_row_without_its_content_is_where_a_stream_ends(tmp_path, row):
    """As a power failure may leave it."""
    path = tmp_path / "rec"
    writer = RecordingWriter(path, HEADER)
    stream = run(writer, 4)._stream.path
    writer._lock.release()
    content = bytearray(stream.read_bytes())
    begins = [found.start() for found in re.finditer(b"\xff\xff\xff\xff", content)][1:]
    begin = begins[:5][row]
    (n_metadata,) = struct.unpack_from("<i", content, begin + 4)
    end = begins[begins.index(begin) + 1] if begin != begins[:5][-1] else len(content)
    body = begin + 8 + n_metadata
    content[body:end] = bytes(end - body)
    stream.write_bytes(content)
    recover(path)
    (kept,) = Recording(path)
    assert kept.n_steps == range(5)[row] - 1
    assert_replays([kept])


def test_a_folder_without_write_permission_is_named(tmp_path, monkeypatch):
    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(InputError, match=r"rec: cannot be written \(Permission denied\)"):
        record(Noise(), tmp_path / "rec", RandomPolicy(Noise().action_space), episodes=1, env_id="test/Noise-v0")


def test_a_stream_of_another_version_is_named_and_left(tmp_path, monkeypatch):
    path = tmp_path / "rec"
    record_noise(path)
    with monkeypatch.context() as patched:
        patched.setattr("agentlab.recording.stream.FORMAT_VERSION", 1)
        writer = RecordingWriter(path, HEADER, append=True)
        left = run(writer, 3)._stream.path
        writer._lock.release()
    with pytest.raises(InputError, match=f"{left}: a running episode that another version of agentlab left"):
        recover(path)
    assert left.exists()
    assert finished(path) == 2
    left.unlink()
    assert recover(path) == []
