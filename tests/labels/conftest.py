from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from boards import copy_of, record_board, with_schema
from command import Command

from agentlab.recording import Recording


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A recording without labels, not to be changed."""
    return record_board(tmp_path_factory.mktemp("boards") / "board")


@pytest.fixture
def bare(board: Recording, tmp_path: Path) -> Recording:
    """A recording without labels and schema, for this test alone."""
    return copy_of(board, tmp_path)


@pytest.fixture
def blank(bare: Recording) -> Recording:
    """A recording with a schema and without labels, for this test alone."""
    return with_schema(bare)


@pytest.fixture
def refuses(agentlab: Command, tmp_path: Path) -> Callable[..., None]:
    """Asserts that a command fails with exit code 2 and one line that holds all of `parts`, and changes no file."""

    def contents() -> dict[str, bytes | None]:
        return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(tmp_path.rglob("*"))}

    def check(args: list[object], *parts: str) -> None:
        before = contents()
        outcome = agentlab(*args)
        assert (outcome.code, outcome.out) == (2, ""), outcome
        assert len(outcome.err.splitlines()) == 1, outcome.err
        assert outcome.err.startswith("agentlab: ")
        for part in parts:
            assert part in outcome.err
        assert contents() == before

    return check
