"""A model of Stable-Baselines3 plays if it is trusted, and sees frames as it saw them in training."""

from __future__ import annotations

import base64
import json
import zipfile

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import ReshapeObservation
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecTransposeImage

from agentlab.environment import open_environment
from agentlab.play.sb3_model import FrameStack
from agentlab.recording import Recording

CATCH = ["record", "agentlab/Catch-v0", "--episodes", "2", "--seed", "3"]


def catch(stack=1):
    """Catch as SB3's users make it: a channel, and a stack of frames."""
    env = DummyVecEnv([lambda: ReshapeObservation(open_environment("agentlab/Catch-v0", {}), (84, 84, 1))])
    return VecFrameStack(env, stack) if stack > 1 else env


@pytest.fixture(scope="module")
def ppo(tmp_path_factory):
    """A model of four stacked frames."""
    model = PPO("CnnPolicy", catch(stack=4), n_steps=16, batch_size=16, n_epochs=1, learning_rate=0.01, seed=0)
    model.learn(32)
    path = tmp_path_factory.mktemp("ppo") / "model.zip"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def dqn(tmp_path_factory):
    """A model of single frames."""
    model = DQN("CnnPolicy", catch(), buffer_size=100, learning_starts=8, learning_rate=lambda _: 1e-3, seed=0)
    model.learn(16)
    path = tmp_path_factory.mktemp("dqn") / "model.zip"
    model.save(path)
    return path


@pytest.mark.parametrize(("name", "stack"), [("ppo", 4), ("dqn", 1)])
def test_it_plays_as_sb3_plays_it(name, stack, request, agentlab, tmp_path):
    path = request.getfixturevalue(name)
    args = [*CATCH, "--out", tmp_path / "r", "--policy", path, "--trust", "--device", "cpu"]
    outcome = agentlab(*args)
    assert outcome.code == 0, outcome.err
    model = {"ppo": PPO, "dqn": DQN}[name].load(path, device="cpu")
    for episode in Recording(tmp_path / "r"):
        env = VecTransposeImage(catch(stack))
        env.seed(episode.seed)
        seen = env.reset()
        for recorded in episode.actions:
            action, _ = model.predict(seen, deterministic=True)
            assert recorded == action[0]
            seen, *_ = env.step(action)
        assert episode.provenance["policy"] == str(path)
    assert agentlab("replay", tmp_path / "r", "--verify").code == 0


def test_it_plays_in_a_mixture_and_in_copies(ppo, agentlab, tmp_path):
    args = ["--policy", f"random:1,{ppo}:1", "--trust", "--n-envs", "2", "--max-steps", "9"]
    assert agentlab(*CATCH, "--out", tmp_path / "r", *args).code == 0
    assert {episode.provenance["policy"] for episode in Recording(tmp_path / "r")} == {"random", str(ppo)}


@given(st.sampled_from([(), (1,), (3,)]), st.integers(1, 5), st.integers(1, 8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_frames_are_stacked_as_sb3_stacks_them(channels, stack, n_frames, channels_first):
    shape = (40, 38, *channels)
    frames = np.random.default_rng(0).integers(0, 256, (n_frames, *shape), np.uint8)

    class Film(gym.Env):
        observation_space = spaces.Box(0, 255, (40, 38, *(channels or (1,))), np.uint8)
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):  # noqa: ARG002
            self.t = 0
            return self.frame(), {}

        def step(self, action):  # noqa: ARG002
            self.t += 1
            return self.frame(), 0.0, False, False, {}

        def frame(self):
            return frames[self.t].reshape(self.observation_space.shape)

    env = VecFrameStack(DummyVecEnv([Film]), stack, channels_order="last")
    if channels_first:
        env = VecTransposeImage(env)
    ours = FrameStack(shape, env.observation_space.shape)
    for _ in range(2):
        ours.clear()
        seen = env.reset()
        for t in range(n_frames):
            np.testing.assert_array_equal(ours.push(frames[t]), seen[0])
            if t + 1 < n_frames:
                seen = env.step([0])[0]


def test_a_model_is_unpickled_only_if_it_is_trusted(tmp_path, refused):
    bomb = b"cbuiltins\nopen\n(V" + str(tmp_path / "exploded").encode() + b"\nVw\ntR."
    plain = {
        "policy_class": {"__module__": "stable_baselines3.common.policies"},
        "clip_range": 0.2,
        "seed": {":type:": "int", ":serialized:": base64.b64encode(bomb).decode()},
    }
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("data", json.dumps(plain))
    line = refused(*CATCH, "--out", tmp_path / "r", "--policy", tmp_path / "model.zip")
    assert "Stable-Baselines3 unpickles a model to load it, which can run any code" in line
    assert "add --trust" in line
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]
    refused(*CATCH, "--out", tmp_path / "r", "--policy", tmp_path / "model.zip", "--trust")
    assert (tmp_path / "exploded").exists()


def test_a_model_of_other_frames_or_actions_is_refused(ppo, refused, tmp_path):
    args = ["--out", tmp_path / "r", "--policy", ppo, "--trust"]
    line = refused("record", "playing_games:Play/Chatty-v0", *args)
    assert "expected an environment with actions Discrete(3), found Discrete(4)" in line
    other = tmp_path / "other.zip"
    A2C("MlpPolicy", "playing_games:Play/Chatty-v0", n_steps=4).save(other)
    line = refused("record", "playing_games:Play/Wide-v0", "--out", tmp_path / "r", "--policy", other, "--trust")
    assert "expected frames that stack up to (32, 36), found (32, 40)" in line


def test_a_model_of_numbers_is_refused(refused, tmp_path):
    PPO("MlpPolicy", "CartPole-v1", n_steps=4).save(tmp_path / "model.zip")
    line = refused(
        "record", "games:Test/Square-v0", "--out", tmp_path / "r", "--policy", tmp_path / "model.zip", "--trust"
    )
    assert "expected a model that sees images" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "expected the zip that a model of SB3 saves"),
        ({}, "expected the zip that a model of SB3 saves"),
        ([1], "expected the zip that a model of SB3 saves"),
        ({"policy_class": {"__module__": "mine"}}, "expected a model of A2C, DQN, PPO, SAC, TD3 or DDPG"),
        (
            {"policy_class": {"__module__": "sb3_contrib.common.recurrent.policies"}, "clip_range": 0.2},
            "load it in a function of your own",
        ),
        ({"policy_class": {}, "clip_range": 0.2}, "Stable-Baselines3 cannot load it as PPO (KeyError"),
    ],
)
def test_what_is_no_model_is_refused(content, message, refused, tmp_path):
    file = tmp_path / "model.zip"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("data", json.dumps(content))
    assert message in refused(*CATCH, "--out", tmp_path / "r", "--policy", file, "--trust")
