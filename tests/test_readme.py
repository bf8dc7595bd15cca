"""The README's commands run as they stand there, with small sizes added so that a test has the time."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Command

from agentlab.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SMALL = {
    "run": "--extractor.epochs 1 --head.total-steps 320 --head.n-envs 2 --head.dqn.learning-starts 100 "
    "--evaluate.episodes 2 --record.episodes 3",
    "fit": "--epochs 1 --frames 4000",
    "train": "--total-steps 320 --n-envs 2 --dqn.learning-starts 100",
    "record": "--episodes 3",
    "evaluate": "--episodes 2",
    "search": "--trials 2 --extractor.epochs 1 --extractor.frames 4000",
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


@pytest.fixture(scope="module")
def pong(folder: Path) -> Path:
    """The run that `agentlab run pong` leaves."""
    (folder / "recordings").symlink_to(ROOT / "recordings")
    assert main(["run", "pong", *SMALL["run"].split()]) == 0
    return folder / "runs" / "pong"


def test_the_commands_run_one_after_the_other(pong: Path, agentlab: Command):
    folder = pong.parent.parent
    assert len(commands()) >= 12
    again = {"pong"}
    for command in commands():
        name, *args = shlex.split(command)[1:]
        if name == "bench" and "memory" not in args:
            continue  # measures for minutes; tests/bench runs it small
        runs_again = name == "run" and args[0] in again and "--out" not in args and "--resume" not in args
        again.add(args[0])
        outcome = agentlab(name, *args, *SMALL.get(name, "").split(), *(["--force"] if runs_again else []))
        assert outcome.code == 0, f"{command}: {outcome.err}"
    assert (pong / "report.html").exists()
    assert (folder / "bench/memory.json").exists()


def test_commands_are_found_wherever_the_page_shows_them():
    assert {command.split()[1] for command in commands()} >= {"run", "fit", "train", "evaluate", "replay", "bench"}
    assert [command for command in commands() if command.startswith("agentlab bench memory")]


def test_the_python_of_an_sb3_user_runs(pong: Path):
    code = next(block for block in python_blocks() if "RewardDifferenceDQN" in block)
    assert len([line for line in code.splitlines() if line]) <= 10
    small = (
        code.replace("100_000", "160")
        .replace("n_envs=16", "n_envs=2")
        .replace("n_eval_episodes=10", "n_eval_episodes=1")
    )
    halves = next(block for block in python_blocks() if block.startswith("halves"))
    script = f"{small}\n{halves}\nprint(env.num_envs)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=pong.parent.parent, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    *_, scores, num_envs = run.stdout.strip().splitlines()
    assert re.match(r"\((np\.float64\()?-\d", scores)
    assert num_envs == "64"


def test_the_python_of_a_reader_of_recordings_runs(folder: Path, agentlab: Command):
    code = next(block for block in python_blocks() if "to_cloning_pairs" in block)
    assert agentlab("record", "agentlab/Catch-v0", "--out", "rec", "--episodes", 2, "--force").code == 0
    script = f"{code}\nprint(next(iter(loader))['frame'].shape, len(pairs), buffer.size(), dataset.total_steps)"
    run = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"torch\.Size\(\[256, 84, 84\]\) (\d+) \1 \1", run.stdout.splitlines()[-1])


def test_the_label_schema_shown_is_one():
    from agentlab.labels import LabelSchema

    code = next(block for block in python_blocks() if block.startswith("label_schema"))
    names: dict[str, object] = {}
    exec(code, names)
    schema = LabelSchema.from_dict(names["label_schema"], "README")  # type: ignore[arg-type]
    assert list(schema) == ["ball_x", "screen", "ball_visible", "score"]


def test_the_files_it_names_exist():
    linked = re.findall(r"\]\((docs/[^)]+)\)", README)
    named = re.findall(r"^\| `([\w/.]+[/.][\w/.]*)`", README, re.MULTILINE)
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


def figures(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "docs" / "bench" / f"{name}.json").read_text())
    return content


def test_the_scores_shown_are_those_that_the_bench_left():
    found = figures("atari100k")
    for name, game in found["games"].items():
        low, high = game["ci95"]
        published = [game["published"][method] for method in ("PPO", "SPR", "DreamerV3", "EfficientZero", "BBF")]
        others = [game["random_mean"], game["human_mean"], *published]
        cells = [f"{game['iqm']:.1f} ({low:.1f} to {high:.1f})", *(f"{score:.1f}" for score in others)]
        assert " | ".join([f"| {name}", *cells]) in README
    pong = found["games"]["Pong"]["scores"]
    assert f"reach from {min(pong):.1f} to {max(pong):.1f}" in README
    means = ", ".join(f"{game['mean']:.1f}" for game in found["games"].values())
    assert f"(ours: {means})" in README


def test_the_speeds_and_sizes_shown_are_those_that_the_bench_left():
    def row(command: str) -> str:
        return next(
            line for line in README.splitlines() if line.startswith("|") and f"`agentlab bench {command}" in line
        )

    speed = figures("throughput")
    for name, digits in (("RewardDifferencePPO", -1), ("raw game", -1), ("RewardDifferenceDQN", 0)):
        assert f"{round(speed['steps_per_s'][name], digits):,.0f}" in row("throughput bench")
    assert f"{speed['share_of_game']['RewardDifferencePPO']:.0%}" in row("throughput bench")
    assert f"{speed['times_sb3_ppo']['RewardDifferencePPO']:.0f} times" in row("throughput bench")
    memory = figures("memory")
    assert f"{memory['bytes_per_transition']['features']:.0f} bytes" in row("memory runs")
    assert f"{memory['ratio']:,.0f} times as much, {memory['ratio_optimised']:.0f} times" in row("memory runs")
    growth = figures("scaling")["growth"]
    assert f"{growth['last_to_first']:.0%}" in row("scaling bench")
    assert f"{growth['peak_memory_mb']:.0f} MB" in row("scaling bench")


def test_what_recordings_cost_is_what_the_bench_left():
    found = figures("recording")
    pace, rates = found["pace"], found["pace"]["rates"]
    steps_per_s = {name: f"{round(rates[f'Pong, {name}'], digits):,.0f}" for name, digits in PACES.items()}
    size = found["size"]["compression"]
    assert len(size) == 8
    least, most = min(size, key=size.__getitem__), max(size, key=size.__getitem__)
    single, training = found["reads"]["single"], found["reads"]["training"]
    page, crashes = found["page"]["pages"][0], found["crashes"]
    for cell in (
        f"{pace['recording_overhead']:.0%} of the game's own time: {steps_per_s['recorded']} steps/s, "
        f"{steps_per_s['alone']} without",
        f"{pace['verification_share']:.0%} of the game's own speed; `inspect --check`, without the game, "
        f"{steps_per_s['checked']} steps/s",
        f"1/{size[least]:.0f} ({least}) to 1/{size[most]:.0f} ({most}) of their pixels over eight games",
        f"a random frame of {single['frames']:,} | {single['median_ms']:.2f} ms, at most {single['max_ms']:.2f} ms, "
        f"in a process of {single['peak_mb']:.0f} MB",
        f"of {training['batch_size']} for training, from {training['frames']:,} frames in {training['bytes'] / 1e9:.1f}"
        f" GB | {round(training['frames_per_s'], -2):,.0f} frames/s, in a process of {training['peak_mb']:.0f} MB",
        f"of {page['frames']:,} frames of Pong | {page['bytes'] / 1e6:.1f} MB; shows its first frame after "
        f"{page['opened_s']:.2f} s",
        f"{crashes['kills']} times SIGKILL while recording | {crashes['episodes']:,} episodes, {crashes['lost']} lost, "
        f"{len(crashes['torn'])} torn, {crashes['failed_starts']} starts failed; {crashes['recovered']} recovered",
    ):
        assert cell in README


PACES = {"alone": -1, "recorded": -1, "checked": -2}
"""Rates, and how they are rounded."""


def test_the_scores_by_labelled_frames_shown_are_those_that_the_bench_left():
    points = figures("labels")["points"]
    for name, digits in (("eye", 3), ("mean", 1)):
        assert "".join(f" {point[name]:.{digits}f} |" for point in points) in README


def test_the_worth_of_parts_shown_is_what_the_bench_left():
    game = figures("ablation")["games"]["Breakout"]
    complete = game.pop("complete")
    assert f"| complete | {complete['iqm']:.1f} | |" in README
    assert f"between\n{min(complete['scores']):.1f} and {max(complete['scores']):.1f}" in README
    clear = {part for part, found in game.items() if found["difference_ci95"][0] > 0 or found["difference_ci95"][1] < 0}
    assert clear == {"newest frame only", "features too", "no start on recorded play"}
    for part, found in game.items():
        low, high = found["difference_ci95"]
        assert f"| {part} | {found['iqm']:.1f} | {found['difference']:+.1f} ({low:+.1f} to {high:+.1f}) |" in README


def within(row: dict[str, Any], name: str, digits: str) -> str:
    low, high = row[f"{name}_ci95"]
    return f"{row[name]:{digits}} ({low:{digits}} to {high:{digits}})"


def strategy_rows() -> Iterator[str]:
    """The rows of the README's tables of strategies, from what the bench left."""
    found = figures("strategies")
    for name, row in found["hard-clusters"]["overall"].items():
        gaps = [
            "" if name.startswith(other) else within(row, gap, "+.2f")
            for gap, other in (("gap_pp", "all"), ("against_rs2_pp", "RS2"))
        ]
        yield f"| {name} | {row['read']:.1f}% | {gaps[0]} | {gaps[1]} | {row['cost']:.2f} | {row['seconds']:.2f} |"
    for name, row in found["together"]["overall"].items():
        gap = "" if name == "no strategy" else within(row, "gap_pp", "+.2f")
        yield f"| {name} | {row['read']:.1f}% | {gap} | {row['cost']:.2f} | {row['seconds']:.2f} |"
    for game, row in found["mode-choice"]["games"].items():
        cases = [case for case in found["mode-choice"]["cases"] if case["game"] == game]
        right = sum(case["chosen"] == row["best"] for case in cases)
        probing = sorted(case["probing"] for case in cases)[len(cases) // 2]
        against = within(row, "against_best", ".2f")
        yield f"| {game} | {row['best']} | {against} | {right} of {len(cases)} | {probing:.1%} |"
    depths = found["fixnorm"]["depths"].values()
    for name in found["fixnorm"]["depths"]["2"]:
        rows = [of_depth[name] for of_depth in depths]
        windows = [f"{row['width']:,.0f}" for row in rows]
        wider = [
            f"{row['wider']['width']:,.0f}, moves {row['moves']['best_rate']:.2f}" if "wider" in row else ""
            for row in rows
        ]
        yield f"| {' | '.join([name, *windows, *wider])} |"
    for name, row in found["random-patience"]["rules"].items():
        gap = "" if name == "whole budget" else within(row, "gap_pp", "+.2f")
        yield f"| {name} | {row['share_of_rounds']:.0%} | {gap} |"


def test_the_worth_of_strategies_shown_is_what_the_bench_left():
    rows = list(strategy_rows())
    assert len(rows) == 25
    for row in rows:
        assert row in README
