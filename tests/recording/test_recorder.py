"""The recorder keeps what happened, seeds every reset, and refuses what cannot be recorded."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from recording_games import CATCH, Noise, record_game, record_noise

from agentlab.errors import InputError
from agentlab.recording import Instead, RandomPolicy, Recording, RecordingWriter, WanderingPolicy, describe, record


class Interrupted:
    """Presses Ctrl-C at step `at`."""

    def __init__(self, at):
        self.at = at
        self.steps = 0

    def reset(self, seed):
        pass

    def act(self, frame, info):  # noqa: ARG002
        if self.steps == self.at:
            raise KeyboardInterrupt
        self.steps += 1
        return 1


def test_what_the_environment_gave_is_what_is_read(catch):
    env = gym.make(CATCH)
    policy = RandomPolicy(env.action_space)
    for episode in catch:
        policy.reset(episode.seed)
        frame, info = env.reset(seed=episode.seed)
        for t in range(episode.n_steps):
            np.testing.assert_array_equal(episode.frame(t), frame)
            assert catch.label_schema.decode(episode.labels[t]) == info["labels"]
            action = policy.act(frame, info)
            frame, reward, terminated, truncated, info = env.step(action)
            recorded = [episode.actions[t], episode.rewards[t], episode.terminations[t], episode.truncations[t]]
            assert recorded == [action, reward, terminated, truncated]
        np.testing.assert_array_equal(episode.frame(episode.n_steps), frame)


def test_every_episode_has_a_seed_of_its_own(catch):
    assert [episode.seed for episode in catch] == [3, 4]
    assert catch[0].frame_hashes[0] != catch[1].frame_hashes[0]


def test_equal_seeds_give_equal_recordings(tmp_path, catch):
    again = record_game(CATCH, tmp_path / "again")
    for one, other in zip(catch, again, strict=True):
        np.testing.assert_array_equal(one.frame_hashes, other.frame_hashes)
        np.testing.assert_array_equal(one.actions, other.actions)


def test_a_random_policy_draws_apart_from_the_environment():
    space = spaces.Discrete(1000)
    policy = RandomPolicy(space)
    policy.reset(5)
    drawn = [policy.act(None, {}) for _ in range(5)]
    space.seed(5)
    assert drawn != [space.sample() for _ in range(5)]


def test_a_wandering_policy_holds_its_actions_and_is_the_same_for_the_same_seed():
    def played(seed: int) -> list[int]:
        policy = WanderingPolicy(spaces.Discrete(1000))
        policy.reset(seed)
        return [int(policy.act(None, {})) for _ in range(3000)]

    assert played(5) == played(5) != played(6)
    actions = np.array(played(5))
    lengths = np.diff(np.flatnonzero(np.diff(actions, prepend=-1)))
    assert 0.5 < (lengths == 1).mean() < 0.75  # 6 / pi**2
    assert 20 < lengths.max() <= 100


def test_where_it_came_from_is_stored(catch):
    episode = catch[0]
    assert episode.provenance["policy"] == "random"
    assert episode.provenance["ended_by"] == "environment"
    assert episode.provenance["versions"]["gymnasium"] == gym.__version__
    assert catch.env_id == CATCH
    assert catch.env_kwargs == {}
    assert '"agentlab/Catch-v0"' in catch.header.env_spec
    assert len(catch.action_names) == 3


def test_an_episode_longer_than_allowed_is_truncated_and_says_so(tmp_path):
    recording = record_game(CATCH, tmp_path / "short", max_steps=4)
    for episode in recording:
        assert episode.n_steps == 4
        assert episode.truncations.tolist() == [False, False, False, True]
        assert episode.provenance["ended_by"] == "max_steps"


def test_no_episode_is_begun_after_enough_steps(tmp_path):
    recording = record_game(CATCH, tmp_path / "enough", episodes=9, max_steps=4, enough_steps=9)
    assert [episode.n_steps for episode in recording] == [4, 4, 4]


def test_more_episodes_are_added_with_append(tmp_path):
    record_noise(tmp_path / "rec")
    env = Noise()
    policy = RandomPolicy(env.action_space)
    record(env, tmp_path / "rec", policy, episodes=1, seed=7, env_id="test/Noise-v0", append=True)
    assert [episode.seed for episode in Recording(tmp_path / "rec")] == [7, 8, 9]


def test_an_existing_recording_is_left_alone_unless_forced(tmp_path):
    record_noise(tmp_path / "rec", episodes=2)
    before = Recording(tmp_path / "rec").fingerprint()
    with pytest.raises(InputError, match="exists already"):
        record_noise(tmp_path / "rec")
    assert Recording(tmp_path / "rec").fingerprint() == before
    env = Noise()
    policy = RandomPolicy(env.action_space)
    record(env, tmp_path / "rec", policy, episodes=1, env_id="test/Noise-v0", force=True)
    assert len(Recording(tmp_path / "rec")) == 1


def test_force_replaces_no_folder_that_is_no_recording(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    env = Noise()
    with pytest.raises(InputError, match="expected a recording"):
        record(env, tmp_path, RandomPolicy(env.action_space), episodes=1, env_id="x/Y-v0", force=True)
    assert (tmp_path / "thesis.txt").exists()


def test_appending_to_a_recording_of_something_else_is_refused(tmp_path):
    record_noise(tmp_path / "rec")
    env = Noise(shape=(7, 7))
    with pytest.raises(InputError, match="observation_space"):
        record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1, env_id="test/Noise-v0", append=True)


@pytest.mark.parametrize(
    "space", [spaces.Box(0, 1, (8, 8), np.float32), spaces.Box(0, 255, (8,), np.uint8), spaces.Discrete(3)]
)
def test_an_environment_without_images_is_refused(tmp_path, space):
    env = Noise()
    env.observation_space = space
    with pytest.raises(InputError, match="expected images"):
        record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1, env_id="test/Noise-v0")
    assert not (tmp_path / "rec").exists()


def test_an_action_space_that_cannot_be_stored_is_refused(tmp_path):
    env = Noise(actions=spaces.Dict({"a": spaces.Discrete(2)}))
    with pytest.raises(InputError, match="actions: expected"):
        record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1, env_id="test/Noise-v0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": np.zeros((3, 5), np.uint8)}, "frame: expected"),
        ({"frame": np.zeros((6, 5), np.float32)}, "frame: expected uint8 .* found float32"),
        ({"frame": [[0] * 5] * 6}, "frame: expected uint8 .* found list"),
        ({"reward": float("nan")}, "reward: expected a finite number"),
        ({"reward": None}, "reward: expected a finite number, found None"),
        ({"reward": "1"}, "reward: expected a finite number, found '1'"),
        ({"info": {}}, "label_schema promises"),
        ({"info": {"labels": {"tt": 1}}}, "'tt' is not in the schema"),
    ],
)
def test_a_step_that_does_not_fit_is_refused_and_the_steps_before_are_kept(tmp_path, change, message):
    class Odd(Noise):
        def step(self, action):
            names = ("frame", "reward", "terminated", "truncated", "info")
            step = dict(zip(names, super().step(action), strict=True))
            return tuple((step | change if self.t == 3 else step).values())

    env = Odd()
    with pytest.raises(InputError, match=message):
        record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1, env_id="test/Noise-v0")
    assert Recording(tmp_path / "rec")[0].n_steps == 2


def test_an_action_outside_the_space_is_refused_before_it_is_taken(tmp_path):
    class Careful(Noise):
        def step(self, action):
            assert self.action_space.contains(action)
            return super().step(action)

    class Wrong(Interrupted):
        def act(self, frame, info):  # noqa: ARG002
            self.steps += 1
            return 17 if self.steps == 3 else 1

    with pytest.raises(InputError, match=r"seed 0, step 2: action: expected one in Discrete\(3\), found 17"):
        record(Careful(), tmp_path / "rec", Wrong(0), episodes=1, env_id="test/Noise-v0")
    assert Recording(tmp_path / "rec")[0].n_steps == 2


def test_a_writer_refuses_an_action_outside_the_space(tmp_path):
    env = Noise()
    with RecordingWriter(tmp_path / "rec", describe(env, "test/Noise-v0", {}, {})) as writer:
        episode = writer.begin(0, None, *env.reset(seed=0), {})
        with pytest.raises(InputError, match=r"step 0: action: expected one in Discrete\(3\), found 17"):
            episode.step(17, *env.step(1))
        episode.step(1, *env.step(1))
        episode.commit()
    assert Recording(tmp_path / "rec")[0].actions.tolist() == [1]


class Script:
    """Gives the answers of a script in turn, and notes what it is told."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.told = []

    def reset(self, seed):
        self.told.append(seed)

    def act(self, frame, info):  # noqa: ARG002
        return self.answers.pop(0)

    def see(self, frame, reward, ended):
        self.told.append((int(frame.sum()), reward, ended))


def record_script(path, *answers, episodes=2, length=3):
    policy = Script(*answers)
    told = []
    options = {"episodes": episodes, "seed": 7, "env_id": "test/Noise-v0"}
    summary = record(Noise(length=length), path, policy, **options, on_step=lambda *counts: told.append(counts))
    return summary, policy, told


def test_a_policy_may_discard_an_episode_which_begins_anew_with_its_seed(tmp_path):
    discard = Instead.DISCARD
    summary, policy, told = record_script(tmp_path / "rec", 1, 1, discard, discard, 2, 2, 2, 1, discard, 0, 0, 0)
    first, second = Recording(tmp_path / "rec")
    assert (first.seed, first.actions.tolist()) == (7, [2, 2, 2])
    assert (second.seed, second.actions.tolist()) == (8, [0, 0, 0])
    assert [entry for entry in policy.told if isinstance(entry, int)] == [7, 7, 7, 8, 8]
    assert (summary.episodes, summary.steps, summary.returns) == (2, 6, [6.0, 0.0])
    assert told[:3] == [(0, 1), (0, 2), (0, 0)]
    assert told[-1] == (1, 6)


def test_a_policy_may_stop_and_the_running_episode_is_kept_as_cut_off(tmp_path):
    summary, *_ = record_script(tmp_path / "rec", 1, 1, 1, 2, Instead.STOP, episodes=9)
    finished, cut = Recording(tmp_path / "rec")
    assert (finished.n_steps, cut.n_steps, cut.provenance["ended_by"]) == (3, 1, "interruption")
    assert cut.truncations.tolist() == [True]
    assert (summary.episodes, summary.returns) == (2, [3.0, 2.0])


def test_a_policy_that_stops_at_once_leaves_nothing(tmp_path):
    summary, *_ = record_script(tmp_path / "rec", Instead.STOP)
    assert (summary.episodes, summary.steps) == (0, 0)
    assert not (tmp_path / "rec").exists()


def test_a_policy_that_looks_sees_what_its_actions_led_to(tmp_path):
    _, policy, _ = record_script(tmp_path / "rec", 1, 0, 2, episodes=1)
    (episode,) = Recording(tmp_path / "rec")
    sums = [int(episode.frame(t).sum()) for t in range(1, 4)]
    assert policy.told == [7, (sums[0], 1.0, False), (sums[1], 0.0, False), (sums[2], 2.0, True)]


def test_ctrl_c_keeps_finished_episodes_and_the_steps_of_the_running_one(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record(Noise(length=5), tmp_path / "rec", Interrupted(at=8), episodes=9, env_id="test/Noise-v0")
    finished, cut = Recording(tmp_path / "rec")
    assert (finished.n_steps, finished.provenance["ended_by"]) == (5, "environment")
    assert (cut.n_steps, cut.provenance["ended_by"]) == (3, "interruption")
    assert cut.truncations.tolist() == [False, False, True]


def test_ctrl_c_before_the_first_step_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record(Noise(), tmp_path / "rec", Interrupted(at=0), episodes=1, env_id="test/Noise-v0")
    assert not (tmp_path / "rec").exists()


def test_progress_is_told_after_every_step(tmp_path):
    told = []
    env = Noise(length=2)
    policy = RandomPolicy(env.action_space)
    record(
        env, tmp_path / "rec", policy, episodes=2, env_id="test/Noise-v0", on_step=lambda *counts: told.append(counts)
    )
    assert told == [(0, 1), (0, 2), (1, 3), (1, 4)]


def test_recording_imports_no_torch():
    code = "import sys, agentlab.recording, agentlab_envs; agentlab_envs.make; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
