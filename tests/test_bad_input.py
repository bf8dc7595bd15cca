"""Bad input of every kind: one clear line on stderr, exit code 2, and nothing on disk has changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Command, Outcome, Refuses, assert_refused, unchanged
from damage import change
from safetensors.numpy import load_file, save_file

from agentlab.cli import main
from agentlab.recording import Recording

HERE = Path(__file__).parent
SQUARE = "games:Test/Square-v0"
SMALL_FIT = ["--epochs", "1"]
SMALL_HEAD = ["--total-steps", "200", "--n-envs", "2"]
SMALL_RUN = [
    "--record.episodes", "4", "--extractor.epochs", "1", "--head.total-steps", "200", "--head.n-envs", "2",
    "--evaluate.episodes", "2",
]  # fmt: skip


def in_a_new_process(args: list[object], without: tuple[str, ...] = ()) -> Outcome:
    """The command in a Python of its own, in which the modules `without` are not installed."""
    hide = "\n".join(f"sys.modules[{name!r}] = None" for name in without)
    code = f"import sys\n{hide}\nfrom agentlab.cli import main\nsys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, args)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    return Outcome(run.returncode, run.stdout, run.stderr)


def made(tmp_path_factory: pytest.TempPathFactory, name: str, *args: object) -> Path:
    """The artefact that a command leaves at `--out`."""
    out = tmp_path_factory.mktemp(name) / name
    assert main([*map(str, args), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def square_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory, "square", "record", SQUARE, "--episodes", 4)


@pytest.fixture(scope="session")
def square_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory, "run", "run", "catch", "--env", SQUARE, *SMALL_RUN)


@pytest.fixture
def recording(square_recording: Path, tmp_path: Path) -> Path:
    """A labelled recording of four short episodes, for this test alone."""
    return Path(shutil.copytree(square_recording, tmp_path / "recording"))


@pytest.fixture
def run(square_run: Path, tmp_path: Path) -> Path:
    """A whole small run, for this test alone."""
    return Path(shutil.copytree(square_run, tmp_path / "run"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that must not appear."""
    return tmp_path / "out"


def garble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = b"\xff\x00\xfe garbled \x00\x01\x02\x03"
    file.write_bytes(bytes(content))


def truncate(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("env", "parts"),
        [
            ("ALE/Pongg-v5", ["environment 'ALE/Pongg-v5'", "Did you mean 'ALE/Pong-v5'?"]),
            ("Pong-v5", ["Did you mean 'ALE/Pong-v5'?"]),
            ("CartPole-v9", ["Did you mean 'CartPole-v1'?"]),
            ("agentlab/Ketch-v0", ["Did you mean 'agentlab/Catch-v0'?"]),
            ("games:Test/Nope-v0", ["environment 'games:Test/Nope-v0': not registered", "Known: Test/"]),
            ("agentlab/Catch-v7", ["Did you mean 'agentlab/Catch-v0'?"]),
            ("games:Test/Sqare-v0", ["Did you mean 'Test/Square-v0'?"]),
            ("no_such_module:Test/Square-v0", ["module 'no_such_module' cannot be imported"]),
        ],
    )
    def test_environment(self, env: str, parts: list[str], refuses: Refuses, out: Path):
        refuses(["record", env, "--out", out], *parts)
        refuses(["run", "catch", "--env", env, "--out", out], *parts)

    def test_environment_for_training(self, refuses: Refuses, run: Path, out: Path):
        refuses(
            ["train", run / "extractor", "--env", "agentlab/Ketch-v0", "--out", out],
            "Did you mean 'agentlab/Catch-v0'?",
        )

    def test_recipe(self, refuses: Refuses, out: Path):
        refuses(["run", "pnog", "--out", out], "recipe 'pnog'", "Did you mean 'pong'?")
        refuses(["run", "mine.yaml", "--out", out], "mine.yaml", "No such file")

    def test_argument_of_the_environment(self, refuses: Refuses, out: Path):
        refuses(["record", SQUARE, "--out", out, "--env-kwargs", "widht=3"], "widht")

    def test_policy(self, refuses: Refuses, out: Path):
        refuses(["record", SQUARE, "--out", out, "--policy", "randon"], "policy 'randon'", "Did you mean 'random'?")

    def test_what_is_benched(self, refuses: Refuses, out: Path):
        refuses(["bench", "throughput", "--out", out], "bench throughput: expected the folder of a run, found 0")
        refuses(["bench", "memory", "one", "two", "--out", out], "bench memory: expected the folder of a run, found 2")
        refuses(["bench", "scaling", out / "none", "--out", out], str(out / "none"))
        refuses(["bench", "atari100k", "--out", out], "bench atari100k: expected games, such as Pong, found none")
        refuses(["bench", "atari100k", "Pnog", "--out", out], "Pnog")
        refuses(["bench", "labels", "--out", out], "bench labels: expected a game, such as Pong, or the id of")
        refuses(
            ["bench", "memory", "one", "--steps", "5", "--out", out],
            "--steps changes nothing here; it takes no such option",
        )
        refuses(["bench", "scaling", "one", "--steps", "5", "--out", out], "it takes --seed")
        refuses(["bench", "memory", "one", "--seed", "5", "--out", out], "--seed changes nothing here")
        refuses(["bench", "ablation", "Pong", "--seed", "5", "--out", out], "--seed changes nothing here")

    def test_device(self, refuses: Refuses, recording: Path, out: Path):
        refuses(["fit", recording, "--out", out, "--device", "gpu"], "gpu")


class TestRecipeFields:
    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("env: agentlab/Catch-v0\nhaed: {}", ["unknown field 'haed'", "Did you mean 'head'?"]),
            ("env: agentlab/Catch-v0\nhead: {total_steps: many}", ["field 'head.total_steps'", "found 'many'"]),
            ("env: agentlab/Catch-v0\nextractor: {holdout: 2}", ["field 'extractor.holdout'", "found 2"]),
            ("env: [agentlab/Catch-v0", ["expected YAML"]),
            ("", ["expected a mapping"]),
        ],
    )
    def test_in_a_file(self, text: str, parts: list[str], refuses: Refuses, tmp_path: Path, out: Path):
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        refuses(["run", file, "--out", out], str(file), *parts)

    def test_that_is_not_text(self, refuses: Refuses, tmp_path: Path, out: Path):
        file = tmp_path / "mine.yaml"
        file.write_bytes(b"\x80\x81\xff")
        refuses(["run", file, "--out", out], str(file), "expected YAML")

    def test_on_the_command_line(self, refuses: Refuses, out: Path):
        refuses(["run", "catch", "--head.total-step", "5", "--out", out], "Did you mean '--head.total-steps'?")
        refuses(["run", "catch", "--head.total-steps", "5.5", "--out", out], "--head.total-steps", "found '5.5'")
        refuses(["run", "catch", "--head.dqn.gamma", "1", "--out", out], "--head.dqn.gamma", "found 1.0")

    def test_that_would_stop_a_later_stage(self, refuses: Refuses, out: Path):
        for args, parts in (
            (["--head.reward", "sgin"], ["reward 'sgin'", "Did you mean 'sign'"]),
            (["--device", "gpu"], ["device 'gpu'"]),
            (["--record.max-steps", "40000"], ["--record.max-steps", "at most 32767", "40000"]),
            (["--evaluate.seed", "30000000"], ["--evaluate.seed", "found 30000000"]),
        ):
            refuses(["run", "catch", "--out", out, *args], *parts)

    def test_of_a_training_with_recordings_or_updates_on_them_alone(
        self, refuses: Refuses, run: Path, recording: Path, out: Path
    ):
        args = ["train", run / "extractor", "--env", SQUARE, "--out", out]
        refuses([*args, "--dqn.recorded-updates", "5"], "dqn.recorded_updates", "found none")
        refuses([*args, "--recordings", recording], "recordings", "expected dqn.recorded_updates above 0")
        refuses([*args, "--dqn.imitation", "1"], "dqn.imitation: changes nothing without dqn.recorded_updates above 0")
        refuses([*args, "--recordings", recording, "--algorithm", "ppo"], "recordings", "expected ppo.recorded")

    def test_of_recorded_play_that_a_head_cannot_learn_from(self, refuses: Refuses, run: Path, out: Path):
        args = ["--dqn.recorded-updates", "5", "--recordings", "recordings/catch"]
        refuses(["train", run / "extractor", "--env", SQUARE, "--out", out, *args], "recordings/catch", "expected play")
        args = ["--head.true-labels", "--head.dqn.recorded-updates", "10", "--out", out]
        refuses(["run", "catch", *args], "dqn.recorded_updates", "expected 0 with true_labels")
        args = ["--recordings", "samples:catch", "--head.dqn.recorded-updates", "10", "--out", out]
        refuses(["run", "pong", *args], "catch", "expected play of ALE/Pong-v5")

    def test_of_a_run_that_is_resumed(self, refuses: Refuses, run: Path):
        args = ["run", "catch", "--env", SQUARE, *SMALL_RUN, "--out", run, "--resume"]
        refuses([*args, "--extractor.epochs", "2"], "recipe.yaml", "field 'extractor.epochs'", "began with 1, found 2")


class TestStrategies:
    @pytest.mark.parametrize(
        ("arguments", "parts"),
        [
            (["hard-clusterz"], ["--with: unknown strategy 'hard-clusterz'. Did you mean 'hard-clusters'?"]),
            ([], ["--with: expected strategies, such as hard-clusters,fixnorm"]),
            (["--epochs", "1"], ["--with: expected strategies", "--epochs"]),
            (["fixnorm,"], ["--with: expected strategies", "fixnorm,"]),
            (["fixnorm,fixnorm"], ["strategies: expected each once, found fixnorm twice"]),
            (["fixnorm", "--with", "fixnorm"], ["strategies: expected each once, found fixnorm twice"]),
            (["random-patience"], ["strategies: random-patience ends a search", "agentlab search"]),
            (["hard-clusters", "--hard-clusters.first-share", "1.5"], ["--hard-clusters.first-share", "1.5"]),
            (["hard-clusters", "--hard-clusters.second-share", "0"], ["--hard-clusters.second-share", "0"]),
            (
                ["hard-clusters", "--hard-clusters.second-share", "0.98"],
                ["hard_clusters: second_share and replay_share: expected less than 1 together", "found 1.03"],
            ),
            (
                ["mode-choice", "--mode-choice.modes", "float32"],
                ["mode_choice: modes: expected at least two", "float32"],
            ),
            (
                ["mode-choice", "--mode-choice.modes", "float32", "bflat16"],
                ["mode_choice: modes: unknown mode 'bflat16'. Did you mean 'bfloat16'?"],
            ),
            (
                ["mode-choice", "--mode-choice.modes", "float32", "float32"],
                ["mode_choice: modes: expected each once, found float32 twice"],
            ),
            (
                ["mode-choice", "--mode-choice.stages", "0.5", "0.1"],
                ["mode_choice.stages: expected rising shares of the fit, found [0.5, 0.1]"],
            ),
            (
                ["mode-choice", "--mode-choice.stages", "0.999"],
                ["mode_choice, in a fit of 1,000,000 updates: stages: expected", "within the"],
            ),
        ],
    )
    def test_of_a_fit(self, arguments: list[str], parts: list[str], refuses: Refuses, recording: Path, out: Path):
        refuses(["fit", recording, "--out", out, *SMALL_FIT, "--with", *arguments], *parts)
        refuses(["run", "catch", "--out", out, *SMALL_RUN, "--with", *arguments], *parts)


class TestRecordings:
    def test_without_labels(self, refuses: Refuses, agentlab: Command, tmp_path: Path, out: Path):
        unlabelled = tmp_path / "unlabelled"
        assert agentlab("record", "games:Test/Unlabelled-v0", "--out", unlabelled, "--episodes", 2).code == 0
        refuses(["fit", unlabelled, "--out", out], str(unlabelled), "labels", "agentlab label")
        refuses(
            ["run", "catch", "--env", "games:Test/Unlabelled-v0", "--recordings", unlabelled, "--out", out],
            str(unlabelled),
            "labels",
        )
        refuses(["label", unlabelled, "--from", "env"], "label_schema")

    def test_of_an_environment_without_labels(self, refuses: Refuses, out: Path):
        refuses(["run", "catch", "--env", "games:Test/Unlabelled-v0", "--out", out], "label_schema")

    def test_labels_outside_the_schema(self, refuses: Refuses, out: Path):
        refuses(["record", "games:Test/OutOfRange-v0", "--out", out], "label 'square_x'", "0 to 31", "found 99")
        refuses(["record", "games:Test/UnknownLabel-v0", "--out", out], "label 'sqare_x'", "Did you mean 'square_x'?")

    def test_labels_outside_the_schema_in_a_run(self, agentlab: Command, out: Path):
        outcome = agentlab("run", "catch", "--env", "games:Test/OutOfRange-v0", "--out", out)
        assert outcome.code == 2
        assert "label 'square_x': expected a number from 0 to 31, found 99" in outcome.err
        assert not out.exists()

    @pytest.mark.parametrize(
        ("line", "parts"),
        [
            ('{"frame": 1, "labels": {"square_x": 99}}', ["line 1", "'square_x'", "found 99"]),
            ('{"frame": 1, "labels": {"sqare_x": 5}}', ["line 1", "'sqare_x'", "Did you mean 'square_x'?"]),
            ('{"frame": 99, "labels": {"square_x": 5}}', ["line 1", "'frame'", "found 99"]),
            ('{"frame": 1, "labels"', ["line 1", "garbled"]),
            ('{"frame": 1, "labels": {"square_x": 5}, "annotator": [1]}', ["line 1", "'annotator': expected text"]),
        ],
    )
    def test_added_labels(self, line: str, parts: list[str], refuses: Refuses, recording: Path, out: Path):
        (recording / "data" / "0" / "_labels.jsonl").write_text(line + "\n")
        refuses(["fit", recording, "--out", out], "_labels.jsonl", *parts)

    def test_empty(self, refuses: Refuses, recording: Path, out: Path):
        metadata = recording / "data" / "metadata.json"
        content = json.loads(metadata.read_text())
        metadata.write_text(json.dumps({**content, "total_episodes": 0, "total_steps": 0}))
        for args in (
            ["fit", recording, "--out", out],
            ["replay", recording, "--verify"],
            ["label", recording, "--from", "env"],
        ):
            refuses(args, str(recording), "expected", "episode")

    def test_a_folder_that_is_none(self, refuses: Refuses, tmp_path: Path, out: Path):
        for path in (tmp_path / "nothing", tmp_path):
            refuses(["fit", path, "--out", out], str(path), "expected a recording")
            refuses(["replay", path], str(path), "expected a recording")

    def test_one_episode_only(self, refuses: Refuses, agentlab: Command, tmp_path: Path, out: Path):
        one = tmp_path / "one"
        assert agentlab("record", SQUARE, "--out", one, "--episodes", 1).code == 0
        refuses(["fit", one, "--out", out], str(one), "at least 2 episodes", "found 1")
        refuses(["run", "catch", "--env", SQUARE, "--recordings", one, "--out", out], "at least 2 episodes")
        refuses(["run", "catch", "--env", SQUARE, "--record.episodes", "1", "--out", out], "at least 2 episodes")

    def test_of_different_games(self, refuses: Refuses, agentlab: Command, tmp_path: Path, recording: Path, out: Path):
        for game, parts in (("Wide", ["frames of shape"]), ("OtherLabels", ["label"])):
            other = tmp_path / game
            assert agentlab("record", f"games:Test/{game}-v0", "--out", other, "--episodes", 2).code == 0
            refuses(["fit", recording, other, "--out", out], str(other), *parts)

    def test_that_is_no_sample(self, refuses: Refuses, out: Path):
        args = ["run", "catch", "--out", out, "--recordings"]
        refuses([*args, "samples:pog"], "no sample 'samples:pog'", "Did you mean 'samples:pong'?")

    def test_of_a_game_with_other_labels_than_the_run(self, refuses: Refuses, out: Path):
        args = ["run", "catch", "--out", out, "--recordings", "samples:pong"]
        refuses(args, "recordings/pong", "labels of agentlab/Catch-v0: ball_x", "found those of ALE/Pong-v5")

    def test_of_another_game_than_the_run(self, refuses: Refuses, recording: Path, out: Path):
        args = ["run", "catch", "--env", "games:Test/Wide-v0", "--recordings", recording, "--out", out]
        refuses(args, str(recording), "frames of shape")

    @pytest.mark.parametrize("version", [2, 99, 0, -1, True, "1", None])
    def test_of_another_format_version(self, version: Any, refuses: Refuses, recording: Path, run: Path, out: Path):
        metadata = recording / "data" / "metadata.json"
        content = json.loads(metadata.read_text())
        content["agentlab"]["format_version"] = version
        metadata.write_text(json.dumps(content))
        parts = [str(metadata), f"'format_version': this agentlab reads up to 1, found {version!r}; update agentlab"]
        for args in (
            ["fit", recording, "--out", out],
            ["inspect", recording],
            ["inspect", recording, "--check"],
            ["replay", recording],
            ["replay", recording, "--verify"],
            ["replay", recording, "--html", out],
            ["label", recording, "--from", "env"],
            ["label", recording, "--from", "extractor", run],
            ["label", recording, "--export", "csv", "--out", out],
            ["export", recording, "--minari-hdf5", out],
            ["record", SQUARE, "--out", recording, "--append"],
        ):
            refuses(args, *parts)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("total_episodes", 10**30),
            ("total_episodes", True),
            ("total_episodes", -1),
            ("total_steps", 0.5),
            ("env_spec", "[]"),
            ("env_spec", "{"),
            ("agentlab.env_kwargs", 5),
            ("agentlab.observation_space", {"type": "Box"}),
            ("agentlab.observation_space.low", -1),
            ("agentlab.observation_space.shape", [0, 32]),
            ("agentlab.action_space.start", -(10**30)),
            (
                "agentlab.observation_space",
                {"type": "Box", "dtype": "uint8", "shape": [10**6, 10**6, 3], "low": 0, "high": 255},
            ),
            ("agentlab.provenance.versions", {"gymnasium": 1}),
            ("agentlab.action_names", "NOOP"),
            ("agentlab.action_names", [1, 2]),
            ("agentlab.render_fps", float("nan")),
            ("agentlab.render_fps", 0),
            ("agentlab.render_fps", "fast"),
            ("agentlab.label_schema", []),
            ("agentlab.provenance", None),
            ("agentlab.provenance.versions", "new"),
            ("agentlab.provenance.versions", {"gymnasium": "\ud800"}),
            ("agentlab", None),
        ],
    )
    def test_with_a_garbled_field(self, field: str, value: Any, refuses: Refuses, recording: Path, out: Path):
        metadata = recording / "data" / "metadata.json"
        content = json.loads(metadata.read_text())
        *path, last = field.split(".")
        inner = content
        for part in path:
            inner = inner[part]
        inner[last] = value
        metadata.write_text(json.dumps(content))
        for args in (
            ["fit", recording, "--out", out],
            ["inspect", recording],
            ["replay", recording, "--html", out],
            ["replay", recording, "--verify"],
            ["record", SQUARE, "--out", recording, "--append"],
        ):
            refuses(args, str(metadata))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("seed", "one"),
            ("seed", -1),
            ("seed", 10**20),
            ("total_steps", None),
            ("total_steps", 10**12),
            ("total_steps", -1),
            ("agentlab", []),
            ("agentlab.versions", "new"),
            ("agentlab.versions", {"gymnasium": None}),
            ("agentlab.ended_by", [1]),
        ],
    )
    def test_with_a_garbled_field_of_an_episode(
        self, field: str, value: Any, refuses: Refuses, recording: Path, out: Path
    ):
        metadata = recording / "data" / "1" / "metadata.json"
        content = json.loads(metadata.read_text())
        if field.startswith("agentlab."):
            content["agentlab"][field.partition(".")[2]] = value
        else:
            content[field] = value
        metadata.write_text(json.dumps(content))
        refuses(["replay", recording, "--verify"], str(metadata))
        refuses(["replay", recording, "--html", out], str(metadata))
        refuses(["label", recording, "--export", "csv", "--out", out], str(metadata))

    @pytest.mark.parametrize(("field", "value"), [("total_steps", "x"), ("agentlab", 3), ("agentlab", {})])
    def test_with_a_garbled_episode_where_one_is_recovered(
        self, field: str, value: Any, refuses: Refuses, recording: Path
    ):
        """A running episode was left, and the last one was not counted yet."""
        for file, changes in (("metadata.json", {"total_episodes": 3}), ("3/metadata.json", {field: value})):
            metadata = recording / "data" / file
            metadata.write_text(json.dumps(json.loads(metadata.read_text()) | changes))
        (recording / "inprogress").mkdir()
        (recording / "inprogress" / "left.arrows").write_bytes(b"")
        refuses(["record", SQUARE, "--out", recording, "--append"], str(metadata), f"{field!r}: expected")

    def test_with_endless_brackets(self, refuses: Refuses, recording: Path, out: Path):
        file = recording / "data" / "0" / "_labels.jsonl"
        file.write_text("[" * 200_000)
        refuses(["replay", recording, "--html", out], str(file), "garbled")
        file = recording / "data" / "metadata.json"
        file.write_text("[" * 200_000)
        refuses(["inspect", recording], str(file), "garbled")

    @pytest.mark.parametrize("damage", [truncate, Path.unlink])
    @pytest.mark.parametrize("name", ["metadata.json", "part-0.arrow"])
    def test_without_all_of_an_episode(
        self, name: str, damage: Callable[[Path], None], refuses: Refuses, recording: Path, out: Path
    ):
        file = recording / "data" / "2" / name
        damage(file)
        for args in (
            ["replay", recording, "--verify"],
            ["replay", recording, "--verify", "--workers", "2"],
            ["replay", recording, "--html", out],
            ["label", recording, "--from", "env"],
            ["export", recording, "--minari-hdf5", out],
        ):
            refuses(args, str(file))

    def test_with_garbled_predictions(self, refuses: Refuses, agentlab: Command, recording: Path, run: Path, out: Path):
        assert agentlab("label", recording, "--from", "extractor", run).code == 0
        file = recording / "data" / "0" / "_predictions.arrow"
        truncate(file)
        sample = ["--sample", "2", "--how", "uncertain"]
        refuses(["label", recording, "--export", "csv", "--out", out, *sample], str(file), "predicted labels")
        refuses(["replay", recording, "--html", out], str(file), "predicted labels")
        checked = agentlab("inspect", recording, "--check")
        assert checked.code == 1
        assert str(file) in checked.out

    def test_with_rewards_that_are_no_numbers(self, agentlab: Command, recording: Path, out: Path):
        """Nothing of ours records them; what another program wrote is told and still looked at."""
        change(recording, 1, "rewards", 0, float("nan"))
        assert agentlab("inspect", recording).code == 0
        checked = agentlab("inspect", recording, "--check")
        assert checked.code == 1
        assert "episode 1: expected finite rewards, found nan" in checked.out
        assert agentlab("replay", recording, "--html", out).code == 0
        verified = agentlab("replay", recording, "--verify")
        assert verified.code == 1
        assert "episode 1, step 0, field 'reward': recorded nan, found " in verified.out

    def test_to_add_to_and_to_replace(self, refuses: Refuses, recording: Path):
        refuses(["record", SQUARE, "--out", recording, "--append", "--force"], "--append or --force, found both")

    def test_in_place_of_one_that_is_kept(self, refuses: Refuses, recording: Path):
        """What fails before its first whole episode replaces nothing."""
        refuses(["record", "games:Test/OutOfRange-v0", "--out", recording, "--force"], "found 99")
        refuses(["record", "games:Test/Numbers-v0", "--out", recording, "--force"], "images")
        faulty = ["record", "games:Test/Faulty-v0", "--out", recording, "--force"]
        refuses(faulty, "reward: expected a finite number, found nan")
        refuses([*faulty, "--n-envs", "2"], "reward: expected a finite number, found nan")

    def test_that_is_none_to_append_to(self, refuses: Refuses, tmp_path: Path):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "folder").mkdir()
        for name in ("file", "folder"):
            refuses(["record", SQUARE, "--out", tmp_path / name, "--append"], name, "expected a recording")

    def test_appended_to_with_another_game(self, refuses: Refuses, recording: Path):
        refuses(["record", "games:Test/Wide-v0", "--out", recording, "--append"], str(recording))


class TestExtractors:
    def test_for_other_frames(self, refuses: Refuses, run: Path, out: Path):
        args = ["train", run / "extractor", "--env", "games:Test/Wide-v0", "--out", out]
        refuses(args, "frames of shape (32, 32)", "found (32, 40)")

    def test_for_other_labels(self, refuses: Refuses, run: Path, out: Path):
        args = ["train", run / "extractor", "--env", "games:Test/OtherLabels-v0", "--out", out]
        refuses(args, "square_x", "box_x")

    def test_another_one_than_the_head_was_trained_on(
        self, refuses: Refuses, agentlab: Command, run: Path, recording: Path
    ):
        fit = ["fit", recording, "--out", run / "extractor", "--force", "--seed", 7, *SMALL_FIT]
        assert agentlab(*fit).code == 0
        refuses(["evaluate", run, "--episodes", 2], str(run / "head"), "extractor")
        refuses(["export", run, "--onnx", run / "model.onnx"], str(run / "head"), "extractor")


class TestWeightsAndFiles:
    @pytest.mark.parametrize("part", ["extractor", "head"])
    def test_weights_of_the_wrong_shape(self, part: str, refuses: Refuses, run: Path):
        file = run / part / "weights.safetensors"
        tensors = load_file(file)
        name = max(tensors, key=lambda key: tensors[key].size)
        save_file({**tensors, name: np.zeros(3, np.float32)}, file)
        refuses(["evaluate", run, "--episodes", 2], str(file), name)

    @pytest.mark.parametrize("part", ["extractor", "head"])
    def test_weights_that_are_missing(self, part: str, refuses: Refuses, run: Path):
        file = run / part / "weights.safetensors"
        tensors = load_file(file)
        missing = min(tensors)
        save_file({name: tensor for name, tensor in tensors.items() if name != missing}, file)
        refuses(["evaluate", run, "--episodes", 2], str(file), missing)

    @pytest.mark.parametrize("damage", [truncate, garble])
    @pytest.mark.parametrize(
        "name", ["extractor/weights.safetensors", "extractor/meta.json", "head/weights.safetensors", "head/meta.json"]
    )
    def test_a_damaged_file_of_a_run(self, name: str, damage: Callable[[Path], None], refuses: Refuses, run: Path):
        damage(run / name)
        refuses(["evaluate", run, "--episodes", 2], str((run / name).parent))

    @pytest.mark.parametrize("damage", [truncate, garble])
    @pytest.mark.parametrize("name", ["recipe.yaml", "timings.json", "scores.json", "extractor/meta.json"])
    def test_a_damaged_file_of_a_run_that_is_resumed(
        self, name: str, damage: Callable[[Path], None], agentlab: Command, run: Path
    ):
        damage(run / name)
        (run / "report.html").unlink()
        with unchanged(run / "head"):
            outcome = agentlab("run", "catch", "--env", SQUARE, *SMALL_RUN, "--out", run, "--resume")
        assert outcome.code == 2
        assert outcome.err.splitlines()[-1].startswith("agentlab: ")
        assert str(run / name) in outcome.err.splitlines()[-1]

    @pytest.mark.parametrize("damage", [truncate, garble])
    @pytest.mark.parametrize("name", ["metadata.json", "0/metadata.json", "0/part-0.arrow"])
    def test_a_damaged_file_of_a_recording(
        self, name: str, damage: Callable[[Path], None], refuses: Refuses, recording: Path, out: Path
    ):
        damage(recording / "data" / name)
        refuses(["fit", recording, "--out", out, *SMALL_FIT], str(recording / "data" / name))

    @pytest.mark.parametrize(
        ("name", "value", "parts"),
        [
            ("sees", "x", ["field 'sees'", "labels, all", "found 'x'"]),
            ("env", 5, ["field 'env'", "expected a str", "found 5"]),
            ("algorithm", "dqm", ["field 'algorithm'", "Did you mean 'dqn'?"]),
            ("hidden", None, ["field 'hidden'", "expected a list"]),
        ],
    )
    def test_a_field_of_a_head_of_another_type(
        self, name: str, value: Any, parts: list[str], refuses: Refuses, run: Path
    ):
        file = run / "head" / "meta.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
        refuses(["evaluate", run, "--episodes", "1"], "head/meta.json", *parts)

    @pytest.mark.parametrize("name", ["extractor", "head"])
    def test_a_file_of_a_newer_version(self, name: str, refuses: Refuses, run: Path):
        meta = run / name / "meta.json"
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "format_version": 99}))
        refuses(["evaluate", run], str(meta), "format_version", "99")

    def test_an_artefact_of_another_kind(self, refuses: Refuses, run: Path, recording: Path, out: Path):
        refuses(["train", run / "head", "--env", SQUARE, "--out", out], "expected 'extractor', found 'head'")
        refuses(["evaluate", recording], str(recording))
        refuses(["fit", run / "extractor", "--out", out], str(run / "extractor"), "expected a recording")
        refuses(["inspect", run / "extractor" / "weights.safetensors"], "expected")

    def test_a_damaged_model(self, refuses: Refuses, agentlab: Command, run: Path):
        model = run / "model.onnx"
        assert agentlab("export", run, "--onnx", model).code == 0
        truncate(model)
        refuses(["inspect", model], str(model), "truncated or garbled")


class TestPagesAndVideos:
    @pytest.mark.parametrize("option", ["--html", "--video"])
    def test_whose_file_cannot_be_written(self, option: str, refuses: Refuses, recording: Path, tmp_path: Path):
        (tmp_path / "mine").write_text("mine")
        refuses(["replay", recording, option, tmp_path / "mine"], str(tmp_path / "mine"), "exists already", "--force")
        refuses(["replay", recording, option, tmp_path], str(tmp_path), "expected a file to write, found a folder")
        refuses(["replay", recording, option, "/dev/null", "--force"], "/dev/null", "found a folder or device")
        for file in ("none/out", "mine/out"):
            refuses(["replay", recording, option, tmp_path / file], str(tmp_path / file), "does not exist")
        refuses(["replay", recording, option, "/proc/out"], "/proc/out")

    @pytest.mark.parametrize(
        ("args", "parts"),
        [
            (["--run", "r"], ["--run changes nothing without --html"]),
            (["--extractor", "x", "--video", "v.mp4"], ["--extractor changes nothing without --html"]),
            (["--force"], ["--force changes nothing without --html or --video"]),
            (["--verify", "--episodes", "1"], ["--episodes changes nothing without --html or --video"]),
            (["--html", "p", "--run", "r", "--extractor", "x"], ["expected --run or --extractor, found both"]),
            (["--html", "p", "--video", "p"], ["expected two files, found p twice"]),
            (["--htlm", "p"], ["Did you mean '--html'?"]),
        ],
    )
    def test_options_that_do_not_fit(self, args: list[str], parts: list[str], refuses: Refuses, recording: Path):
        refuses(["replay", recording, *args], *parts)

    @pytest.mark.parametrize("episodes", ["x", "1,", "3-1", "-1", "1-", "1.5", "0,,2"])
    def test_episodes_that_are_no_numbers(self, episodes: str, refuses: Refuses, recording: Path):
        refuses(
            ["replay", recording, f"--episodes={episodes}"], "--episodes: expected numbers and ranges such as 0,3,7-9"
        )

    @pytest.mark.parametrize("episodes", ["4", "0-9", "0,77"])
    def test_episodes_that_are_not_there(self, episodes: str, refuses: Refuses, recording: Path):
        refuses(["replay", recording, "--episodes", episodes], "expected 0 to 3, the episodes of", str(recording))

    def test_of_an_empty_recording(self, refuses: Refuses, recording: Path, out: Path):
        metadata = recording / "data" / "metadata.json"
        metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"total_episodes": 0, "total_steps": 0}))
        for option in ("--html", "--video"):
            refuses(["replay", recording, option, out], str(recording), "expected at least 1 episode, found 0")

    def test_of_a_run_of_another_game(self, refuses: Refuses, agentlab: Command, run: Path, tmp_path: Path, out: Path):
        for game, part in (("Wide", "frames of shape (32, 32)"), ("Continuous", "expected the actions Discrete(2)")):
            other = tmp_path / game
            assert agentlab("record", f"games:Test/{game}-v0", "--out", other, "--episodes", 1).code == 0
            refuses(["replay", other, "--html", out, "--run", run], str(other), part)
        refuses(
            ["replay", tmp_path / "Wide", "--html", out, "--extractor", run / "extractor"], "frames of shape (32, 32)"
        )

    def test_of_what_is_no_run(self, refuses: Refuses, recording: Path, run: Path, out: Path):
        refuses(["replay", recording, "--html", out, "--run", recording], str(recording / "extractor"))
        refuses(["replay", recording, "--html", out, "--extractor", run / "head"], "expected 'extractor', found 'head'")

    def test_of_a_damaged_frame(self, refuses: Refuses, recording: Path, out: Path):
        pytest.importorskip("av")
        rows = recording / "data" / "1" / "part-0.arrow"
        png = Recording(recording)[1].encoded_frame(4)
        rows.write_bytes(rows.read_bytes().replace(png, bytes(len(png))))
        refuses(["replay", recording, "--video", out], str(rows), "episode 1, step 4, field 'frame'")

    def test_without_the_package_that_writes_videos(self, recording: Path, tmp_path: Path):
        with unchanged(tmp_path):
            outcome = in_a_new_process(["replay", recording, "--video", tmp_path / "video.mp4"], without=("av",))
        assert_refused(outcome, "av is not installed", "agentlab[video]")


class TestOutput:
    def test_that_exists(self, refuses: Refuses, recording: Path, run: Path):
        extractor, head, model = run / "extractor", run / "head", run / "model.onnx"
        model.write_bytes(b"mine")
        refuses(["record", SQUARE, "--out", recording], str(recording), "exists already", "--force")
        refuses(["fit", recording, "--out", extractor, *SMALL_FIT], str(extractor), "exists already")
        refuses(["train", extractor, "--env", SQUARE, "--out", head, *SMALL_HEAD], str(head), "exists already")
        refuses(["run", "catch", "--out", run], str(run), "exists already", "--resume")
        refuses(["export", run, "--onnx", model], str(model), "exists already")

    @pytest.mark.parametrize("where", ["/proc/agentlab/out", "file/out"])
    def test_that_may_not_be_written(self, where: str, refuses: Refuses, recording: Path, run: Path, tmp_path: Path):
        (tmp_path / "file").write_text("no folder")
        out = tmp_path / where
        for args in (
            ["record", SQUARE, "--out", out, "--episodes", 1],
            ["fit", recording, "--out", out, *SMALL_FIT],
            ["train", run / "extractor", "--env", SQUARE, "--out", out, *SMALL_HEAD],
            ["run", "catch", "--env", SQUARE, *SMALL_RUN, "--out", out],
            ["export", run, "--onnx", out],
        ):
            refuses(args, str(out.parent))

    def test_that_is_no_run_is_not_replaced(self, refuses: Refuses, tmp_path: Path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.tex").write_text("precious")
        refuses(["run", "catch", "--out", tmp_path / "thesis", "--force"], "expected a run to replace")
        refuses(["run", "catch", "--out", tmp_path / "thesis", "--resume"], "no run that could be resumed")


class TestEnvironments:
    def test_without_images(self, refuses: Refuses, out: Path):
        env = "games:Test/Numbers-v0"
        refuses(["record", env, "--out", out], env, "images", "shape (4,)")
        refuses(["run", "catch", "--env", env, "--out", out], env, "images")

    def test_without_images_for_training(self, refuses: Refuses, run: Path, out: Path):
        env = "games:Test/Numbers-v0"
        refuses(["train", run / "extractor", "--env", env, "--out", out], env, "images")

    def test_with_actions_that_are_not_counted_from_0(self, refuses: Refuses, run: Path, out: Path):
        env = "games:Test/FromOne-v0"
        refuses(["run", "catch", "--env", env, "--out", out], env, "counted from 0", "start=1")
        refuses(["train", run / "extractor", "--env", env, "--algorithm", "ppo", "--out", out], env, "counted from 0")

    def test_with_continuous_actions_for_dqn(self, refuses: Refuses, run: Path, out: Path):
        parts = ["dqn", "Discrete", "found Box", "ppo"]
        refuses(["run", "catch", "--env", "games:Test/Continuous-v0", "--out", out], *parts)
        refuses(["train", run / "extractor", "--env", "games:Test/Continuous-v0", "--out", out], *parts)


class TestMissingExtras:
    def test_atari(self, tmp_path: Path, out: Path):
        with unchanged(tmp_path):
            for args in (["record", "ALE/Pong-v5", "--out", out], ["run", "pong", "--recordings", "--out", out]):
                outcome = in_a_new_process(args, without=("ale_py",))
                assert_refused(outcome, "ale-py is not installed", "pip install 'agentlab[atari]'")

    def test_onnx(self, run: Path):
        with unchanged(run):
            outcome = in_a_new_process(["export", run, "--onnx", run / "model.onnx"], without=("onnxruntime",))
        assert_refused(outcome, "is not installed", "pip install 'agentlab[onnx]'")


def test_a_process_of_its_own_fails_the_same_way(out: Path):
    outcome = in_a_new_process(["record", "games:Test/Sqare-v0", "--out", out])
    assert_refused(outcome, "Did you mean 'Test/Square-v0'?")
    assert_refused(in_a_new_process(["run", "pnog"]), "Did you mean 'pong'?")
    assert not out.exists()
