"""Whatever is written is read back the same, frame by frame, and broken files are named."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recording_games import Noise, record_noise

from agentlab.errors import InputError
from agentlab.labels import LabelSchema
from agentlab.recording import FrameLabels, Recording, RecordingWriter, add_labels, describe
from agentlab.recording.frames import decode_png

ACTION_SPACES = [
    spaces.Discrete(4, start=-1),
    spaces.Box(-1, 1, (2, 3), np.float32),
    spaces.Box(np.array([0.0, -2.0]), np.array([1.0, np.inf]), dtype=np.float64),
    spaces.MultiDiscrete([3, 4]),
    spaces.MultiBinary(3),
    spaces.MultiBinary([2, 2]),
]
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FINITE | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "t": st.none() | st.floats(0, 1000, width=32),
        "even": st.none() | st.booleans(),
        "phase": st.sampled_from([None, "start", "later"]),
    },
)
INFOS = st.fixed_dictionaries({"labels": LABELS, "extra": JSON})
STEPS = st.lists(st.tuples(FINITE, INFOS, arrays(np.uint8, (6, 5))), min_size=1, max_size=6)


@given(st.sampled_from(ACTION_SPACES), STEPS, INFOS, st.integers(0, 2**63 - 1), st.none() | st.just({"level": 2}))
@settings(max_examples=60, deadline=None)
def test_an_episode_is_read_as_it_was_written(space, steps, first_info, seed, options):
    env = Noise(actions=space)
    header = describe(env, "test/Noise-v0", {}, {})
    first_frame = np.zeros((6, 5), np.uint8)
    actions = [space.sample() for _ in steps]
    with tempfile.TemporaryDirectory() as folder:
        with RecordingWriter(Path(folder) / "rec", header) as writer:
            episode = writer.begin(seed, options, first_frame, first_info, {})
            for action, (reward, info, frame) in zip(actions, steps, strict=True):
                episode.step(action, frame, reward, False, False, info)
            episode.commit("max_steps")
        recording = Recording(Path(folder) / "rec")
        (read,) = recording
        assert (read.seed, read.options, read.n_steps) == (seed, options, len(steps))
        assert recording.action_space == space
        np.testing.assert_array_equal(read.actions, np.array(actions))
        np.testing.assert_array_equal(read.rewards, [reward for reward, _, _ in steps])
        frames = [first_frame, *(frame for _, _, frame in steps)]
        np.testing.assert_array_equal(read.frames(range(read.n_frames)), frames)
        for t, info in enumerate([first_info, *(info for _, info, _ in steps)]):
            assert read.info(t) == {"extra": info["extra"]}
            decoded = recording.label_schema.decode(read.labels[t])
            assert {name: value for name, value in decoded.items() if value is not None} == {
                name: value for name, value in info["labels"].items() if value is not None
            }


@pytest.mark.parametrize(
    "shape", [(84, 84), (84, 84, 1), (40, 50, 3), (40, 50, 4), (8, 8, 3), (4, 84, 84), (84, 84, 2)]
)
def test_frames_of_every_layout_are_read_as_they_were(tmp_path, shape):
    recording = record_noise(tmp_path / "rec", shape=shape)
    env = Noise(shape=shape)
    frame, _ = env.reset(seed=7)
    assert recording.frame_shape == shape
    np.testing.assert_array_equal(recording[0].frame(0), frame)
    np.testing.assert_array_equal(recording[0].frame(3), [env.step(1)[0] for _ in range(3)][-1])


def test_frames_are_read_one_by_one_in_any_order(catch):
    episode = catch[1]
    ts = [5, 0, episode.n_steps, 5]
    frames = episode.frames(ts)
    assert frames.shape == (4, 84, 84)
    for frame, t in zip(frames, ts, strict=True):
        np.testing.assert_array_equal(frame, episode.frame(t))
    assert episode.encoded_frame(5).startswith(b"\x89PNG")
    with pytest.raises(IndexError, match="which has frames 0 to"):
        episode.frame(episode.n_frames)


def test_a_recording_is_a_sequence(catch):
    assert [episode.index for episode in catch] == [0, 1]
    assert catch[-1].index == 1
    assert [episode.index for episode in catch[:1]] == [0]
    assert catch.total_steps == sum(episode.n_steps for episode in catch)
    assert catch.total_frames == catch.total_steps + 2
    with pytest.raises(IndexError):
        catch[2]


def test_a_recording_without_labels_says_how_to_get_them(tmp_path):
    recording = record_noise(tmp_path / "rec", labels=False)
    assert recording.label_schema is None
    with pytest.raises(InputError, match=r"agentlab label .* --from env"):
        recording[0].labels  # noqa: B018


def test_the_fingerprint_is_of_the_content(tmp_path, catch):
    shutil.copytree(catch.path, tmp_path / "copy")
    assert Recording(tmp_path / "copy").fingerprint() == catch.fingerprint()
    assert record_noise(tmp_path / "other").fingerprint() != catch.fingerprint()


def test_no_recording_is_named_with_what_to_do(tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere: expected a recording .* found nothing; make one with  agentlab record"
    ):
        Recording(tmp_path / "nowhere")


def test_an_empty_recording_is_refused_where_episodes_are_needed(tmp_path):
    recording = record_noise(tmp_path / "rec")
    edit(recording.path / "data" / "metadata.json", total_episodes=0, total_steps=0)
    with pytest.raises(InputError, match="expected at least 1 episode, found 0"):
        Recording(recording.path).require_episodes()


def test_a_recording_of_a_newer_format_is_refused(tmp_path):
    recording = record_noise(tmp_path / "rec")
    file = recording.path / "data" / "metadata.json"
    edit(file, agentlab=json.loads(file.read_text())["agentlab"] | {"format_version": 2})
    with pytest.raises(InputError, match=r"reads up to 1, found 2; update agentlab"):
        Recording(recording.path)


def test_a_minari_dataset_of_another_program_is_refused(tmp_path):
    recording = record_noise(tmp_path / "rec")
    edit(recording.path / "data" / "metadata.json", agentlab=None)
    with pytest.raises(InputError, match="did agentlab record it"):
        Recording(recording.path)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_or_garbled_file_is_named(data):
    with tempfile.TemporaryDirectory() as folder:
        recording = record_noise(Path(folder) / "rec", episodes=1)
        name = data.draw(st.sampled_from(["metadata.json", "0/metadata.json", "0/part-0.arrow"]))
        file = recording.path / "data" / name
        content = file.read_bytes()
        file.write_bytes(content[: data.draw(st.integers(0, len(content) - 2))])
        with pytest.raises(InputError, match=str(file)):
            read_everything(Recording(recording.path))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_never_crashes_the_reader(noise_bytes, data):
    path, content = noise_bytes
    position = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[position] ^= data.draw(st.integers(1, 255))
    (path / "data" / "0" / "part-0.arrow").write_bytes(changed)
    with contextlib.suppress(InputError):
        read_everything(Recording(path))


@pytest.fixture(scope="module")
def noise_bytes(tmp_path_factory):
    """A recording to spoil, and the content of its first episode."""
    recording = record_noise(tmp_path_factory.mktemp("noise") / "rec", shape=(32, 32))
    return recording.path, (recording.path / "data" / "0" / "part-0.arrow").read_bytes()


def test_a_missing_episode_is_named(tmp_path):
    recording = record_noise(tmp_path / "rec")
    shutil.rmtree(recording.path / "data" / "1")
    with pytest.raises(InputError, match=r"data/1/metadata\.json: no such file"):
        read_everything(Recording(recording.path))


def read_everything(recording):
    for episode in recording:
        episode.frames(range(episode.n_frames))
        for column in ("actions", "rewards", "terminations", "truncations", "frame_hashes", "t_ns", "labels"):
            getattr(episode, column)
        for t in range(episode.n_frames):
            episode.info(t)


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3), (6, 5, 4), (40, 40), (40, 40, 3)])
def test_every_frame_can_be_had_as_png(shape, tmp_path):
    episode = record_noise(tmp_path / "rec", shape=shape)[0]
    frame = np.empty(shape, np.uint8)
    decode_png(episode.png(2), frame)
    np.testing.assert_array_equal(frame, episode.frame(2))


def test_frames_that_png_cannot_hold_are_named(tmp_path):
    with pytest.raises(InputError, match=r"expected frames that PNG holds .* found shape \(6, 5, 2\)"):
        record_noise(tmp_path / "rec", shape=(6, 5, 2))[0].png(2)


def test_frames_of_which_nobody_said_anything_are_not_labelled(tmp_path):
    recording = record_noise(tmp_path / "rec", labels=False)
    assert not recording[0].labelled.any()
    schema = LabelSchema.from_dict({"even": {"kind": "flag"}}, "test")
    add_labels(recording.path, schema, [FrameLabels(0, 3, {"even": None}, "hand")])
    assert np.flatnonzero(Recording(recording.path)[0].labelled).tolist() == [3]
    assert record_noise(tmp_path / "other")[0].labelled.all()
