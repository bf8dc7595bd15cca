"""Training a head: what comes out plays as what was trained, the eye stays as it was, Ctrl-C loses nothing."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from episode_lengths import SHORT_OR_LONG
from safetensors.torch import load_file
from stable_baselines3.common.vec_env import SubprocVecEnv
from tiny import CATCH, CONFIG, SQUARE, fitted, recorded

import agentlab
from agentlab import recipe as recipes
from agentlab import weights
from agentlab.artefact import sha256
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.head import Agent, FrozenFeatures, checkpoint, train, training
from agentlab.head.dqn import RewardDifferenceDQN
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.network import DifferencePolicy
from agentlab.head.ppo import RewardDifferencePPO
from agentlab.head.readout import Scalar
from agentlab.head.training import open_frames, with_copies
from agentlab.head.watch import Watch
from agentlab.progress import NoProgress, NoTask
from agentlab.recipe import DQNConfig, HeadConfig, PPOConfig
from agentlab.recording import Recording
from agentlab.seeds import first_seed

DQN = HeadConfig(
    algorithm="dqn", total_steps=300, n_envs=2, stack=2, dqn=DQNConfig(learning_starts=50, batch_size=16, hidden=(16,))
)
PPO = replace(DQN, algorithm="ppo", ppo=PPOConfig(rollout=25, batch_size=50, epochs=1, hidden=(16,)))
OPTIONS: dict[str, Any] = {"device": "cpu", "threads": 1}
PONG = "ALE/Pong-v5"
HEADS = pytest.mark.parametrize("config", [DQN, PPO], ids=["dqn", "ppo"])


class Interrupting(NoProgress):
    """A progress whose task sends signals to this process after some steps, as Ctrl-C does."""

    def __init__(self, *after: int, number: int = signal.SIGINT) -> None:
        self._after, self._number, self.done, self.began = list(after), number, 0, []

    @contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[Any]:  # noqa: ARG002
        self.began.append((total, done))
        progress = self

        class Task(NoTask):
            def advance(self, steps: int = 1, note: str = "") -> None:  # noqa: ARG002
                progress.done += steps
                if progress._after and progress.done >= progress._after[0]:
                    progress._after.pop(0)
                    os.kill(os.getpid(), progress._number)

        yield Task()


class Numbers:
    """Metrics that are kept."""

    def __init__(self) -> None:
        self.lines: list[dict[str, float]] = []

    def write(self, step: int, **numbers: float) -> None:
        self.lines.append({"step": step, **numbers})


@pytest.fixture
def run(square_extractor: FrozenExtractor, tmp_path: Path) -> Path:
    """A run's folder with an extractor."""
    shutil.copytree(square_extractor.folder, tmp_path / "run" / "extractor")
    return tmp_path / "run"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The models that are trained, in turn."""
    models: list[Any] = []
    build = training.build
    monkeypatch.setattr(training, "build", lambda *args, **kwargs: models.append(build(*args, **kwargs)) or models[-1])
    return models


def trained(run: Path, config: HeadConfig, env: str = SQUARE, **options: Any) -> Path:
    extractor = FrozenExtractor.load(run / "extractor", "cpu")
    train(extractor, env, {}, config, run / "head", **OPTIONS | options)
    return run / "head"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@HEADS
class TestTraining:
    def test_leaves_the_extractor_as_it_was(self, config: HeadConfig, run: Path):
        extractor = FrozenExtractor.load(run / "extractor", "cpu")
        state = {name: tensor.clone() for name, tensor in extractor.state_dict().items()}
        files = {name: sha256(run / "extractor" / name) for name in ("weights.safetensors", "meta.json")}
        train(extractor, SQUARE, {}, config, run / "head", **OPTIONS)
        assert all(torch.equal(tensor, state[name]) for name, tensor in extractor.state_dict().items())
        assert files == {name: sha256(run / "extractor" / name) for name in files}

    def test_is_equal_for_equal_seeds(self, config: HeadConfig, run: Path):
        prints = []
        for seed in (1, 1, 2):
            prints.append(sha256(trained(run, config, seed=seed, force=True) / "weights.safetensors"))
        assert prints[0] == prints[1] != prints[2]

    def test_writes_what_the_head_is_and_where_it_came_from(self, config: HeadConfig, run: Path):
        meta = json.loads((trained(run, config) / "meta.json").read_text())
        extractor = sha256(run / "extractor" / "weights.safetensors")
        assert meta["kind"] == "head"
        assert meta["algorithm"] == config.algorithm
        assert meta["extractor"] == extractor == meta["parents"][0]["sha256"]
        assert meta["action_space"] == {"type": "Discrete", "dtype": "int64", "start": 0, "n": 2}
        assert meta["action_names"] == ["0", "1"]
        assert {"seed", "env", "env_kwargs", "reward", "target", "recipe", "stack", "hidden"} <= meta.keys()

    def test_logs_returns_and_losses(self, config: HeadConfig, run: Path, tmp_path: Path):
        numbers = Numbers()
        trained(run, config, metrics=numbers, tensorboard=tmp_path / "tensorboard")
        assert numbers.lines[-1]["step"] >= 300
        assert numbers.lines[-1].keys() >= {"return", "episodes", "loss"}
        assert 0 <= numbers.lines[-1]["return"] <= 10
        assert list((tmp_path / "tensorboard").glob("events.*"))

    def test_stopped_by_ctrl_c_goes_on_to_the_end(self, config: HeadConfig, run: Path, tmp_path: Path):
        kept = tmp_path / "kept"
        with pytest.raises(KeyboardInterrupt):
            trained(run, config, checkpoint=kept, progress=Interrupting(120))
        assert not (run / "head").exists()
        counters = json.loads(weights.notes(kept / checkpoint.KEPT)["counters"])
        learned_from = 120 if config is DQN else 100  # in whole rollouts of 50
        assert counters["num_timesteps"] == learned_from
        progress = Interrupting()
        meta = json.loads((trained(run, config, checkpoint=kept, progress=progress) / "meta.json").read_text())
        assert progress.began == [(300, learned_from)]
        assert progress.done == 300 - learned_from
        assert meta["metrics"]["steps"] == 300
        if config is PPO:
            assert meta["metrics"]["updates"] == 300 / 50
        Agent.load(run, "cpu")

    def test_stopped_twice_goes_on_to_the_end(self, config: HeadConfig, run: Path, tmp_path: Path):
        for after in (60, 120):
            with pytest.raises(KeyboardInterrupt):
                trained(run, config, checkpoint=tmp_path / "kept", progress=Interrupting(after, number=signal.SIGTERM))
        progress = Interrupting()
        trained(run, config, checkpoint=tmp_path / "kept", progress=progress)
        assert progress.began == [(300, 180 if config is DQN else 150)]

    def test_stopped_at_its_last_step_goes_on_to_what_it_did_not_learn_from(
        self, config: HeadConfig, run: Path, tmp_path: Path
    ):
        with pytest.raises(KeyboardInterrupt):
            trained(run, config, checkpoint=tmp_path / "kept", progress=Interrupting(300))
        progress = Interrupting()
        trained(run, config, checkpoint=tmp_path / "kept", progress=progress)
        assert progress.done == (0 if config is DQN else 50)
        assert (run / "head" / "meta.json").exists()

    def test_gives_the_handlers_of_signals_back(self, config: HeadConfig, run: Path, tmp_path: Path):
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        trained(run, config)
        with pytest.raises(KeyboardInterrupt):
            trained(run, config, force=True, checkpoint=tmp_path / "kept", progress=Interrupting(60))
        assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def test_works_in_a_thread(self, config: HeadConfig, run: Path):
        thread = threading.Thread(target=trained, args=(run, config))
        thread.start()
        thread.join()
        assert (run / "head" / "meta.json").exists()

    def test_of_another_configuration_does_not_go_on(self, config: HeadConfig, run: Path, tmp_path: Path):
        with pytest.raises(KeyboardInterrupt):
            trained(run, config, checkpoint=tmp_path / "kept", progress=Interrupting(120))
        for other in (
            replace(config, stack=3),
            replace(config, algorithm="ppo" if config.algorithm == "dqn" else "dqn"),
        ):
            with pytest.raises(InputError, match=r"field '(stack|algorithm)': interrupted with"):
                trained(run, other, checkpoint=tmp_path / "kept")

    def test_does_not_go_on_from_a_damaged_checkpoint(self, config: HeadConfig, run: Path, tmp_path: Path):
        kept = tmp_path / "kept"
        with pytest.raises(KeyboardInterrupt):
            trained(run, config, checkpoint=kept, progress=Interrupting(120))
        whole = contents(kept)
        for name, content in whole.items():
            for damaged in (content[: len(content) // 2], b"{}", b"\x93garbage" * 20):
                (kept / name).write_bytes(damaged)
                with pytest.raises(InputError, match=name.replace(".", r"\.")):
                    trained(run, config, checkpoint=kept)
            (kept / name).write_bytes(content)
        trained(run, config, checkpoint=kept)


def test_a_second_ctrl_c_stops_at_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Watch, "_on_step", lambda _: os.kill(os.getpid(), signal.SIGINT) or True)
    with pytest.raises(KeyboardInterrupt):
        trained(run, DQN, checkpoint=tmp_path / "kept")
    assert not (tmp_path / "kept" / checkpoint.KEPT).exists()


def test_the_replay_memory_goes_on_where_it_was(run: Path, tmp_path: Path, built: list[Any]):
    with pytest.raises(KeyboardInterrupt):
        trained(run, DQN, checkpoint=tmp_path / "kept", progress=Interrupting(120))
    with pytest.raises(KeyboardInterrupt):
        trained(run, DQN, checkpoint=tmp_path / "kept", progress=Interrupting(2))
    first, second = (model.replay_buffer for model in built)
    assert first.pos == 120 // 2 - 1  # the step during which it was stopped is not stored
    np.testing.assert_array_equal(second.observations[: first.pos], first.observations[: first.pos])
    np.testing.assert_array_equal(second.rewards[: first.pos], first.rewards[: first.pos])
    assert first.ends[first.pos - 1].all()
    assert built[1]._n_updates >= built[0]._n_updates > 0
    assert built[1].exploration_rate == built[0].exploration_rate < 1


@HEADS
class TestAgent:
    def test_acts_as_the_model_that_was_trained(
        self, config: HeadConfig, catch_extractor: FrozenExtractor, tmp_path: Path, built: list[Any]
    ):
        run = tmp_path / "run"
        shutil.copytree(catch_extractor.folder, run / "extractor")
        trained(run, config, CATCH)
        agent = agentlab.Agent.load(run, device="cpu")
        assert agent.action_names == ["NOOP", "LEFT", "RIGHT"]
        frames_env, same = (open_frames(CATCH, {}, replace(config, n_envs=3)) for _ in range(2))
        for envs in (frames_env, same):
            envs.seed(7)
        env = FrozenFeatures(same, catch_extractor, config.stack)
        frames, states, starts = frames_env.reset(), env.reset(), np.ones(3, bool)
        agent.reset(3)
        for _ in range(220):
            actions = agent.act(frames, starts)
            np.testing.assert_array_equal(actions, built[0].predict(states, deterministic=True)[0])
            values = agent.values()
            assert values is not None
            assert values.shape == (3, 3)
            np.testing.assert_array_equal(values.argmax(axis=1), actions)
            actions = (actions + np.arange(3)) % 3
            frames, _, starts, _ = frames_env.step(actions)
            states = env.step(actions)[0]

    def test_as_one_module_acts_as_it_does(self, config: HeadConfig, run: Path):
        trained(run, config)
        agent = Agent.load(run, "cpu")
        frames = np.random.default_rng(0).integers(0, 256, (9, 32, 32), dtype=np.uint8)
        agent.reset(1)
        stacks = np.stack([frames[[max(t - 1, 0), t]] for t in range(9)])
        with torch.no_grad():
            actions, values = agent.module()(torch.from_numpy(stacks))
        for t in range(9):
            found = agent.act(frames[t : t + 1], np.array([t == 0]))
            expected = agent.values()
            assert expected is not None
            np.testing.assert_allclose(values[t : t + 1].numpy(), expected, rtol=0.02, atol=0.02)
            gap = np.sort(expected[0])[-1] - np.sort(expected[0])[-2]
            assert found[0] == actions[t] or gap < 0.05

    def test_with_another_extractor_is_refused(self, config: HeadConfig, run: Path, catch_extractor: FrozenExtractor):
        trained(run, config)
        shutil.rmtree(run / "extractor")
        shutil.copytree(catch_extractor.folder, run / "extractor")
        with pytest.raises(InputError, match=r"head/meta.json: trained on the extractor [0-9a-f]{12}, found"):
            Agent.load(run, "cpu")

    @pytest.mark.parametrize(("field", "value"), [("stack", 0), ("overlooked", [-1]), ("overlooked", ["a"])])
    def test_with_what_no_head_has_is_refused(self, config: HeadConfig, field: str, value: Any, run: Path):
        file = trained(run, config) / "meta.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
        with pytest.raises(InputError, match=f"field '{field}': expected"):
            Agent.load(run, "cpu")

    @pytest.mark.parametrize("name", ["weights.safetensors", "meta.json"])
    def test_with_a_damaged_file_is_refused(self, config: HeadConfig, name: str, run: Path):
        file = trained(run, config) / name
        content = file.read_bytes()
        for damaged in (content[: len(content) // 2], b"\x93garbage" * 20):
            file.write_bytes(damaged)
            with pytest.raises(InputError, match=f"head/{name}"):
                Agent.load(run, "cpu")

    def test_s_weights_are_float32_and_no_pickle(self, config: HeadConfig, run: Path):
        tensors = load_file(trained(run, config) / "weights.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_a_head_without_some_parts_is_made_anew_as_it_was_trained(run: Path):
    dqn = replace(DQN.dqn, without=("dueling", "layer_norm", "histogram"))
    trained(run, replace(DQN, dqn=dqn))
    policy = Agent.load(run, "cpu")._policy
    assert isinstance(policy, DifferencePolicy)
    assert policy.q_net.state_value is None
    assert isinstance(policy.q_net.readout, Scalar)
    assert not any(isinstance(part, torch.nn.LayerNorm) for part in policy.modules())


@pytest.mark.parametrize("algorithm", ["dqn", "ppo"])
def test_environments_that_need_a_process_each_are_fewer_and_rollouts_as_large(algorithm: Any):
    config = HeadConfig(algorithm)
    assert with_copies(config, "agentlab/Catch-v0", {}) == config
    fewer = with_copies(config, "games:Test/Square-v0", {})
    assert fewer.num_envs == 8
    if algorithm == "ppo":
        assert fewer.ppo.rollout * 8 == config.ppo.rollout * config.num_envs
    assert with_copies(fewer, "games:Test/Square-v0", {}) == fewer
    assert with_copies(replace(config, n_envs=20), "games:Test/Square-v0", {}).num_envs == 20


def test_copies_of_a_game_that_runs_processes_for_its_labels_are_fewer_too():
    assert with_copies(HeadConfig("ppo"), "ALE/Pong-v5", {}).num_envs == 128
    assert with_copies(HeadConfig("ppo", true_labels=True), "ALE/Pong-v5", {}).num_envs == 8


@pytest.mark.parametrize(("n_envs", "share"), [(16, 0.5), (1, 0.5), (2, 0.125), (5, 0.5), (3, 2.0), (1, 0.001)])
def test_as_many_updates_are_made_as_asked_for(n_envs: int, share: float, catch_extractor: FrozenExtractor):
    config = HeadConfig(n_envs=n_envs, dqn=DQNConfig(updates_per_step=share))
    with closing(open_frames(CATCH, {}, config)) as frames:
        model = training.build(FrozenFeatures(frames, catch_extractor), config, seed=0, device="cpu")
    assert isinstance(model, RewardDifferenceDQN)
    assert model.gradient_steps / (model.train_freq.frequency * n_envs) == pytest.approx(share)


@HEADS
def test_episodes_are_seeded_apart_from_those_of_other_runs(
    config: HeadConfig, run: Path, monkeypatch: pytest.MonkeyPatch
):
    done: list[Any] = []
    seed, reset = SubprocVecEnv.seed, SubprocVecEnv.reset
    monkeypatch.setattr(SubprocVecEnv, "seed", lambda envs, number=None: done.append(number) or seed(envs, number))
    monkeypatch.setattr(SubprocVecEnv, "reset", lambda envs: done.append("reset") or reset(envs))
    trained(run, replace(config, n_envs=4), seed=3)
    first = first_seed(3, "train")
    of_parts = [first] if config.algorithm == "dqn" else [first, first + 2]
    assert done[: done.index("reset")][-len(of_parts) :] == of_parts


@HEADS
def test_equal_seeds_give_equal_heads_while_games_step_in_threads(config: HeadConfig, tmp_path: Path):
    fitted(Recording("recordings/pong"), tmp_path / "extractor", config=replace(CONFIG, frames=100, channels=2))
    config = replace(config, n_envs=4, total_steps=800)
    first, second = (sha256(trained(tmp_path, config, PONG, force=True) / "weights.safetensors") for _ in range(2))
    assert first == second


class TestRecordedPlay:
    CONFIG = replace(DQN, dqn=replace(DQN.dqn, recorded_updates=300))
    IMITATING = replace(PPO, ppo=replace(PPO.ppo, recorded_updates=300))

    @pytest.fixture
    def recordings(self, tmp_path: Path) -> list[Recording]:
        return [recorded(SQUARE, tmp_path / "played")]

    def test_is_learned_from_before_and_then_no_play_is_random_first(
        self, run: Path, recordings: list[Recording], built: list[Any]
    ):
        meta = json.loads((trained(run, self.CONFIG, recordings=recordings) / "meta.json").read_text())
        assert meta["metrics"]["updates"] == 300 + 300 // 2
        assert built[0].replay_buffer.size() == 40 // 2 + 300 // 2
        assert meta["parents"][1]["sha256"] == recordings[0].fingerprint()

    def test_the_time_of_its_updates_counts_as_that_of_updates(
        self, run: Path, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
    ):
        learn = RewardDifferenceDQN.learn_recorded

        def slowly(model: RewardDifferenceDQN, updates: int) -> None:
            time.sleep(0.2)
            learn(model, updates)

        monkeypatch.setattr(RewardDifferenceDQN, "learn_recorded", slowly)
        meta = json.loads((trained(run, self.CONFIG, recordings=recordings) / "meta.json").read_text())
        assert meta["metrics"]["seconds"]["update"] >= 3 * 0.2

    def test_is_learned_from_equally_with_equal_seeds_at_the_settings_of_the_atari_games(
        self, run: Path, recordings: list[Recording]
    ):
        atari = recipes.load(recipes.find("atari100k")).head
        dqn = replace(atari.dqn, recorded_updates=300, batch_size=16, hidden=(16,))
        config = replace(atari, total_steps=640, dqn=dqn)
        prints = []
        for seed in (1, 1, 2):
            head = trained(run, config, recordings=recordings, seed=seed, force=True)
            prints.append(sha256(head / "weights.safetensors"))
        assert prints[0] == prints[1] != prints[2]

    def test_does_not_draw_the_same_steps_again_when_it_is_gone_on_with(
        self, run: Path, recordings: list[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        drawn: list[Any] = []
        sample = FeatureReplayBuffer._get_samples
        monkeypatch.setattr(
            FeatureReplayBuffer,
            "_get_samples",
            lambda memory, rows, env: drawn.append(rows) or sample(memory, rows, env),
        )
        with pytest.raises(KeyboardInterrupt):
            trained(
                run, self.CONFIG, recordings=recordings, checkpoint=tmp_path / "kept", progress=Interrupting(40 + 150)
            )
        at_first = drawn[0]
        drawn.clear()
        trained(run, self.CONFIG, recordings=recordings, checkpoint=tmp_path / "kept")
        assert not np.array_equal(drawn[0], at_first)

    def test_is_imitated_by_ppo(self, run: Path, recordings: list[Recording]):
        meta = json.loads((trained(run, self.IMITATING, recordings=recordings) / "meta.json").read_text())
        assert meta["metrics"]["updates"] == 300 + 300 // 50
        assert meta["parents"][1]["sha256"] == recordings[0].fingerprint()

    @pytest.mark.parametrize(
        ("config", "began", "updates"),
        [(CONFIG, [(300, 200), (300, 0)], 150), (IMITATING, [(40, 0), (300, 200), (300, 0)], 6)],
        ids=["dqn", "ppo"],
    )
    def test_is_gone_on_with_after_an_interruption(
        self, config: HeadConfig, began: list[Any], updates: int, run: Path, recordings: list[Recording], tmp_path: Path
    ):
        kept = tmp_path / "kept"
        with pytest.raises(KeyboardInterrupt):
            trained(run, config, recordings=recordings, checkpoint=kept, progress=Interrupting(40 + 150))
        progress = Interrupting()
        head = trained(run, config, recordings=recordings, checkpoint=kept, progress=progress)
        assert progress.began == began
        assert json.loads((head / "meta.json").read_text())["metrics"]["updates"] == 300 + updates


def test_the_algorithms_defaults_are_those_of_recipes():
    ppo, dqn = inspect.signature(RewardDifferencePPO).parameters, inspect.signature(RewardDifferenceDQN).parameters
    renamed = {"n_steps": "rollout", "n_epochs": "epochs", "ent_coef": "entropy"}
    for name in (*renamed, "batch_size", "learning_rate", "clip_range"):
        assert ppo[name].default == getattr(PPOConfig(), renamed.get(name, name)), name
    renamed = {"exploration_final_eps": "exploration_final"}
    same = "gamma", "n_steps", "n_steps_final", "tau", "batch_size", "learning_rate", "learning_starts"
    for name in (*renamed, *same, "longest_hold", "advantage_learning", "imitation"):
        assert dqn[name].default == getattr(DQNConfig(), renamed.get(name, name)), name
    assert dqn["gradient_steps"].default == DQNConfig().updates_per_step * HeadConfig().num_envs


def test_continuous_actions_are_learned_and_played(run: Path):
    trained(run, PPO, "games:Test/Continuous-v0")
    agent = Agent.load(run, "cpu")
    agent.reset(2)
    actions = agent.act(np.zeros((2, 32, 32), np.uint8), np.ones(2, bool))
    assert actions.shape == (2, 1)
    assert (abs(actions) <= 1).all()
    assert agent.values() is None
    assert agent.action_names == []


class TestLabels:
    """What a reward function sees, by `true_labels`, in a game that always gives its labels."""

    @pytest.fixture
    def seen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "noting_reward.py").write_text(
            "from pathlib import Path\n"
            "def reward(state):\n"
            f"    with Path({str(tmp_path / 'seen')!r}).open('a') as file:\n"
            "        for labels in (state.before, state.labels):\n"
            "            file.write(' '.join(str(float(x)) for x in labels['square_x']) + '\\n')\n"
            "    return state.labels['square_x'] / 31\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "noting_reward", raising=False)
        return tmp_path / "seen"

    @pytest.mark.parametrize("true_labels", [True, False])
    def test_are_true_or_predicted_as_asked_for(self, true_labels: bool, run: Path, seen: Path):
        config = replace(DQN, total_steps=60, reward="noting_reward:reward", true_labels=true_labels)
        trained(run, config)
        values = [float(word) for word in seen.read_text().split()]
        assert len(values) == 60 * 2
        assert all(value.is_integer() for value in values) is true_labels


class TestRefusals:
    def refused(self, said: str, run: Path, config: HeadConfig, env: str = SQUARE, **options: Any) -> None:
        before = contents(run)
        with pytest.raises(InputError, match=said):
            trained(run, config, env, **options)
        assert contents(run) == before

    def test_of_continuous_actions_for_dqn(self, run: Path):
        self.refused("'dqn': expected discrete actions, found Box", run, DQN, "games:Test/Continuous-v0")

    def test_of_other_frames(self, run: Path):
        self.refused(r"expected frames of shape \(32, 32\).*found \(32, 40\)", run, DQN, "games:Test/Wide-v0")

    def test_of_unknown_environments(self, run: Path):
        self.refused("environment 'Test/Sqare-v0'", run, DQN, "Test/Sqare-v0")

    def test_of_true_labels_that_are_not_there(self, run: Path):
        self.refused(f"environment '{SHORT_OR_LONG}'.*labels", run, replace(DQN, true_labels=True), SHORT_OR_LONG)

    def test_of_an_extractor_of_nothing_but_scores(self, run: Path, tmp_path: Path):
        game = "games:Test/OnlyScore-v0"
        extractor = fitted(recorded(game, tmp_path / "played"), tmp_path / "scores")
        with pytest.raises(InputError, match="expected a label that is no score"):
            train(extractor, game, {}, DQN, run / "head")

    def test_of_unknown_rewards(self, run: Path):
        self.refused("reward 'sgin': .* Did you mean 'sign'", run, replace(DQN, reward="sgin"))

    def test_of_an_output_that_exists(self, run: Path):
        trained(run, DQN)
        self.refused("exists already", run, DQN)

    def test_of_a_device_that_is_not_there(self, run: Path):
        self.refused("device 'gpu': not on this machine", run, DQN, device="gpu")


def test_nothing_is_kept_without_a_checkpoint_folder(run: Path):
    with pytest.raises(KeyboardInterrupt):
        trained(run, DQN, progress=Interrupting(60))
    assert not (run / "head").exists()
    assert checkpoint.KEPT not in {Path(name).name for name in contents(run.parent)}
