"""What several test files share: the command in this process, and small real recordings."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # both as the command does, and in force only before OpenCV and
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # torch are imported
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # one of several processes of tests keeps to a core of its own
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

from command import Command, Outcome, Refuses, assert_refused, unchanged
from tiny import SQUARE, fitted, recorded

from agentlab.cli import main
from agentlab.extractor import FrozenExtractor


def pytest_configure() -> None:
    """Lets Ctrl-C be tested where it is ignored from the outset, as in the background jobs of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def agentlab(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command `agentlab` in this process; what native code prints is caught too."""

    def run(*args: object) -> Outcome:
        capfd.readouterr()
        code = main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def refuses(agentlab: Command, tmp_path: Path) -> Refuses:
    """Asserts that a command fails with exit code 2 and one line that holds all of `parts`, and changes nothing."""

    def check(args: list[object], *parts: str) -> None:
        with unchanged(tmp_path):
            outcome = agentlab(*args)
        assert_refused(outcome, *parts)

    return check


@pytest.fixture(scope="session")
def _catch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catch") / "recording"
    assert main(["record", "agentlab/Catch-v0", "--out", str(folder), "--episodes", "4"]) == 0
    return folder


@pytest.fixture
def catch(_catch: Path, tmp_path: Path) -> Path:
    """A labelled recording of Catch, four episodes, for this test alone."""
    return Path(shutil.copytree(_catch, tmp_path / "catch"))


@pytest.fixture(scope="session")
def square_extractor(tmp_path_factory: pytest.TempPathFactory) -> FrozenExtractor:
    """An extractor of squares, not to be changed."""
    folder = tmp_path_factory.mktemp("squares")
    return fitted(recorded(SQUARE, folder / "recording"), folder / "extractor")
