"""What the fixtures `agentlab` and `refuses` give: a command that runs and what it did, and what a refusal is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What one command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
Refuses = Callable[..., None]


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Asserts that the block changes no file below `folder`, and makes or removes none."""

    def contents() -> dict[str, bytes | None]:
        return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}

    before = contents()
    yield
    assert contents() == before


def assert_refused(outcome: Outcome, *parts: str) -> None:
    """Asserts that a command failed with exit code 2 and one line that holds all of `parts`."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert outcome.err.startswith("agentlab: ")
    for part in parts:
        assert part in outcome.err
