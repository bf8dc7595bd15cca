from __future__ import annotations

from pathlib import Path

import pytest
from command import Command, assert_refused

from agentlab.cli import main

SMALL = ["--extractor.epochs", "1", "--head.total-steps", "200", "--head.n-envs", "2", "--evaluate.episodes", "2"]


@pytest.fixture(autouse=True)
def _in_the_folder_of_the_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that commands find their modules as users' commands find theirs."""
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture(scope="session")
def catch_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole small run of Catch, not to be changed."""
    out = tmp_path_factory.mktemp("run") / "catch"
    assert main(["run", "catch", "--record.episodes", "4", *SMALL, "--out", str(out)]) == 0
    return out


@pytest.fixture
def refused(agentlab: Command):
    """Runs a command that is to be refused in one line, and gives the line."""

    def run(*args: object) -> str:
        outcome = agentlab(*args)
        assert_refused(outcome)
        return outcome.err

    return run
