"""The README's commands run as they stand there, with small sizes added so that a test has the time."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SMALL = {
    "run": "--extractor.epochs 1 --head.total-steps 320 --head.n-envs 2 --head.dqn.learning-starts 100 "
    "--evaluate.episodes 2 --record.episodes 3",
    "fit": "--epochs 1",
    "train": "--total-steps 320 --n-envs 2 --dqn.learning-starts 100",
    "record": "--episodes 3",
    "evaluate": "--episodes 2",
}


def commands() -> list[str]:
    """Every `agentlab ...` in a shell block or in a row of a table, in the order of the page."""
    shown = re.findall(r"(?:^|\|(?: [^|]*)? `)(agentlab [^`\n]+)", README, re.MULTILINE)
    return [command for command in shown if "COMMAND" not in command]


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder in which all commands run one after the other."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("readme"))
    yield Path.cwd()
    os.chdir(before)


def test_the_commands_run_one_after_the_other(folder: Path, agentlab: Command):
    assert len(commands()) >= 12
    (folder / "recordings").symlink_to(ROOT / "recordings")
    again: set[str] = set()
    for command in commands():
        name, *args = shlex.split(command)[1:]
        if name == "bench" and "memory" not in args:
            continue  # measures for minutes; tests/bench runs it small
        runs_again = name == "run" and args[0] in again and "--out" not in args and "--resume" not in args
        again.add(args[0])
        outcome = agentlab(name, *args, *SMALL.get(name, "").split(), *(["--force"] if runs_again else []))
        assert outcome.code == 0, f"{command}: {outcome.err}"
    assert (folder / "runs/pong/report.html").exists()
    assert (folder / "bench/memory.json").exists()


def test_commands_are_found_wherever_the_page_shows_them():
    assert {command.split()[1] for command in commands()} >= {"run", "fit", "train", "evaluate", "replay", "bench"}
    assert [command for command in commands() if command.startswith("agentlab bench memory")]


def test_the_python_of_an_sb3_user_runs(folder: Path):
    code = next(block for block in python_blocks() if "RewardDifferenceDQN" in block)
    assert len([line for line in code.splitlines() if line]) <= 10
    small = (
        code.replace("100_000", "160")
        .replace("n_envs=16", "n_envs=2")
        .replace("n_eval_episodes=10", "n_eval_episodes=1")
    )
    run = subprocess.run([sys.executable, "-c", small], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.match(r"\((np\.float64\()?-\d", run.stdout.strip().splitlines()[-1])


def test_the_label_schema_shown_is_one():
    from agentlab.labels import LabelSchema

    code = next(block for block in python_blocks() if block.startswith("label_schema"))
    names: dict[str, object] = {}
    exec(code, names)
    schema = LabelSchema.from_dict(names["label_schema"], "README")  # type: ignore[arg-type]
    assert list(schema) == ["ball_x", "screen", "ball_visible", "score"]


def test_the_files_it_names_exist():
    linked = re.findall(r"\]\((docs/[^)]+)\)", README)
    named = re.findall(r"^\| `([\w/.]+)`", README, re.MULTILINE)
    assert linked
    assert named
    for path in (*linked, *named):
        assert (ROOT / path).exists(), path


def test_the_reward_from_labels_shown_trains_a_head(folder: Path, agentlab: Command):
    code = next(block for block in python_blocks() if "def reward" in block)
    (folder / "mymodule.py").write_text(code)
    small = SMALL["run"].split()
    game = ["--env", "agentlab/Starfall-v0", "--head.reward", "mymodule:reward", "--out", "runs/starfall"]
    outcome = agentlab("run", "catch", *game, *small)
    assert outcome.code == 0, outcome.err
