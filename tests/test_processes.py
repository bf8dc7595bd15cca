"""Processes end when they are told to, whatever they are at, and say nothing about it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children, get_context
from pathlib import Path

import pytest

import agentlab.processes
from agentlab.errors import InputError
from agentlab.processes import processes

LONG = bytes(50_000_000)
"""Is still on its way through a pipe when its reader is told to end."""


class FailedError(Exception):
    """What goes wrong where the outcomes are awaited."""


def process_id(*_: object) -> int:
    return os.getpid()


def wait_forever(folder: Path) -> None:
    file = folder / str(os.getpid())
    file.touch()
    try:
        signal.pause()
    finally:
        file.unlink()


def never_end(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    while True:
        with contextlib.suppress(SystemExit):
            signal.pause()


def begun(folder: Path, n: int) -> list[int]:
    """The processes that wait forever, as soon as they are so many."""
    deadline_s = time.monotonic() + 60
    while len(files := list(folder.iterdir())) < n:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return [int(file.name) for file in files]


def fail(begin) -> None:
    with processes(2) as pool:
        begin(pool)
        raise FailedError


@pytest.fixture
def quiet_end(capfd):
    """No process is left at the end, and none said anything."""
    yield
    assert active_children() == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("quiet_end")
def test_one_that_is_reading_its_work_leaves_no_half_of_it_to_another():
    def begin(pool):
        pool.submit(process_id).result()
        for _ in range(3):
            pool.submit(process_id, LONG)
        time.sleep(0.02)

    with pytest.raises(FailedError):
        fail(begin)


@pytest.mark.usefixtures("quiet_end")
def test_on_an_error_what_runs_is_ended_and_what_waits_is_not_begun(tmp_path):
    def begin(pool):
        for _ in range(20):
            pool.submit(wait_forever, tmp_path)
        begun(tmp_path, 2)

    with pytest.raises(FailedError):
        fail(begin)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quiet_end")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_one_that_is_only_starting_ends_quietly(stop):
    def begin(pool):
        for _ in range(2):
            pool.submit(process_id)
        for process in active_children():
            os.kill(process.pid, stop)

    with pytest.raises(FailedError):
        fail(begin)


@pytest.mark.usefixtures("quiet_end")
def test_an_interrupt_is_not_for_them():
    with processes(1) as pool:
        process = pool.submit(process_id).result()
        os.kill(process, signal.SIGINT)
        assert pool.submit(process_id).result() == process


@pytest.mark.usefixtures("quiet_end")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_somebody_else_ends_at_work_is_an_error(stop, tmp_path):
    def end_it(pool):
        at_work = pool.submit(wait_forever, tmp_path)
        os.kill(*begun(tmp_path, 1), stop)
        at_work.result()

    with pytest.raises(InputError, match="a process ended in the midst of its part of the work"):
        fail(end_it)


@pytest.mark.usefixtures("quiet_end")
@pytest.mark.parametrize("which", [min, max])
def test_those_that_wait_for_the_lock_of_a_killed_one_are_killed(which, monkeypatch):
    monkeypatch.setattr(agentlab.processes, "TIME_TO_END_S", 0.5)

    def kill_one(pool):
        for sleeping in [pool.submit(time.sleep, 0.2), pool.submit(time.sleep, 0.2)]:
            sleeping.result()
        os.kill(which(process.pid for process in active_children()), signal.SIGKILL)  # one of the two holds the lock
        pool.submit(process_id).result()

    with pytest.raises(InputError, match="a process ended in the midst of its part of the work"):
        fail(kill_one)


@pytest.mark.usefixtures("quiet_end")
def test_a_second_interrupt_kills_what_does_not_end(tmp_path, monkeypatch):
    def interrupt_twice(pool):
        pool.submit(never_end, tmp_path)
        begun(tmp_path, 1)
        shutdown = pool.shutdown

        def interrupted(**_):
            monkeypatch.setattr(pool, "shutdown", shutdown)
            raise KeyboardInterrupt

        monkeypatch.setattr(pool, "shutdown", interrupted)

    with pytest.raises(KeyboardInterrupt):
        fail(interrupt_twice)


def test_other_processes_are_left_alone(tmp_path):
    other = get_context("spawn").Process(target=wait_forever, args=(tmp_path,), daemon=True)
    other.start()
    begun(tmp_path, 1)
    with pytest.raises(FailedError):
        fail(lambda pool: pool.submit(process_id).result())
    assert other.is_alive()
    other.kill()
    other.join()


def test_they_do_not_outlive_the_process_that_waits_for_them(tmp_path):
    with subprocess.Popen([sys.executable, __file__, str(tmp_path)]) as parent:
        children = begun(tmp_path, 1)
        parent.kill()
    deadline_s = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


if __name__ == "__main__":
    fail(lambda pool: pool.submit(wait_forever, Path(sys.argv[1])).result())
