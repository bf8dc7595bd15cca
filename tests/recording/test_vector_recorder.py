"""Copies of a vector environment are recorded as each would be alone, whoever made the vector environment."""

from __future__ import annotations

import gymnasium as gym
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from recording_games import CATCH, Noise

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.recording import Instead, RandomPolicy, Recording, record, record_vector, verify


class Uneven(Noise):
    """Episodes of 2 to 9 steps; infos with nested dicts, and keys that only some steps have."""

    def reset(self, *, seed=None, options=None):
        frame, info = super().reset(seed=seed, options=options)
        self.length = int(self.np_random.integers(2, 10))
        return frame, info

    def _info(self):
        info = {"labels": {"t": self.t, "even": self.t % 2 == 0}, "time": {"step": self.t}}
        return info | ({"odd": f"step {self.t}"} if self.t % 2 else {})


def random_policies(envs):
    return [RandomPolicy(gym.spaces.Discrete(3)) for _ in range(envs.num_envs)]


def record_copies(envs, path, policies=None, episodes=8, like=None, **options):
    return record_vector(
        envs,
        path,
        policies or random_policies(envs),
        like=like or Uneven(),
        episodes=episodes,
        env_id="test/Uneven-v0",
        **options,
    )


def disabled(kind, n, game=Uneven):
    return kind([game] * n, autoreset_mode=AutoresetMode.DISABLED)


def contents(recording):
    return {
        episode.seed: (
            episode.actions.tolist(),
            episode.rewards.tolist(),
            episode.terminations.tolist(),
            episode.truncations.tolist(),
            episode.frame_hashes.tolist(),
            [episode.info(t) for t in range(episode.n_frames)],
            str(episode.labels.tolist()),
        )
        for episode in recording
    }


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize("max_steps", [6, 100])
def test_episodes_are_those_recorded_singly(kind, max_steps, tmp_path):
    envs = disabled(kind, 3)
    summary = record_copies(envs, tmp_path / "three", seed=40, max_steps=max_steps)
    envs.close()
    env = Uneven()
    record(
        env,
        tmp_path / "one",
        RandomPolicy(env.action_space),
        episodes=8,
        seed=40,
        env_id="test/Uneven-v0",
        max_steps=max_steps,
    )
    several = Recording(tmp_path / "three")
    assert contents(several) == contents(Recording(tmp_path / "one"))
    assert sorted(contents(several)) == list(range(40, 48))
    assert summary.returns == [episode.rewards.sum() for episode in several]
    assert summary.steps == several.total_steps
    assert len({episode.n_steps for episode in several}) > 1
    assert verify(several, make=lambda env_id, env_kwargs: Uneven()).difference is None  # noqa: ARG005


def test_a_copy_without_an_episode_is_kept_in_step(tmp_path):
    envs = disabled(SyncVectorEnv, 4)
    record_copies(envs, tmp_path / "rec", episodes=2)
    assert sorted(contents(Recording(tmp_path / "rec"))) == [0, 1]


def test_seeds_go_on_where_those_of_the_recording_end(tmp_path):
    envs = disabled(SyncVectorEnv, 2)
    record_copies(envs, tmp_path / "rec", episodes=3, seed=10)
    record_copies(envs, tmp_path / "rec", episodes=4, seed=10, append=True)
    assert sorted(contents(Recording(tmp_path / "rec"))) == list(range(10, 17))


def test_options_go_to_every_reset(tmp_path):
    class Told(Uneven):
        def reset(self, *, seed=None, options=None):
            frame, info = super().reset(seed=seed, options=options)
            return frame, info | {"level": options["level"]}

    envs = disabled(SyncVectorEnv, 2, Told)
    record_copies(envs, tmp_path / "rec", episodes=5, options={"level": 3})
    for episode in Recording(tmp_path / "rec"):
        assert (episode.options, episode.info(0)["level"]) == ({"level": 3}, 3)


def test_an_interrupt_keeps_the_episodes_that_ended_and_the_steps_of_those_that_run(tmp_path):
    class Interrupted(RandomPolicy):
        steps = 0

        def act(self, frame, info):
            Interrupted.steps += 1
            if Interrupted.steps == 27:
                raise KeyboardInterrupt
            return super().act(frame, info)

    envs = disabled(SyncVectorEnv, 2)
    policies = [Interrupted(gym.spaces.Discrete(3)) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        record_copies(envs, tmp_path / "rec", policies, episodes=100)
    recording = Recording(tmp_path / "rec")
    assert recording.total_steps == 26
    assert [episode.provenance["ended_by"] for episode in recording[-2:]] == ["interruption"] * 2
    assert sorted(contents(recording)) == list(range(len(recording)))


def test_a_vector_environment_that_resets_by_itself_is_refused(tmp_path):
    like = open_environment(CATCH, {})
    envs = gym.make_vec(CATCH, 2, vectorization_mode="sync")
    with pytest.raises(InputError, match=r"found autoreset mode NEXT_STEP; make it with .*AutoresetMode.DISABLED"):
        record_copies(envs, tmp_path / "rec", like=like)
    assert not (tmp_path / "rec").exists()


def test_what_does_not_fit_together_is_refused(tmp_path):
    envs = disabled(SyncVectorEnv, 2)
    with pytest.raises(InputError, match="policies: expected 2, one for each copy, found 1"):
        record_copies(envs, tmp_path / "rec", random_policies(envs)[:1])
    with pytest.raises(InputError, match="expected frames in Box"):
        record_copies(envs, tmp_path / "rec", like=Uneven(shape=(7, 7)))
    with pytest.raises(InputError, match=r"expected actions in Discrete\(4\)"):
        record_copies(envs, tmp_path / "rec", like=Uneven(actions=gym.spaces.Discrete(4)))
    assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize("answer", [17, Instead.DISCARD, None])
def test_what_is_no_action_is_refused_before_any_copy_steps(answer, tmp_path):
    class Wrong(RandomPolicy):
        def act(self, frame, info):  # noqa: ARG002
            return answer

    envs = disabled(SyncVectorEnv, 2)
    with pytest.raises(InputError, match=r"episode with seed 1, step 0: action: expected one in Discrete\(3\)"):
        record_copies(envs, tmp_path / "rec", [RandomPolicy(gym.spaces.Discrete(3)), Wrong(gym.spaces.Discrete(3))])
    assert not (tmp_path / "rec").exists()
