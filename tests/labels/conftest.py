from __future__ import annotations

from pathlib import Path

import pytest
from boards import copy_of, record_board, with_schema

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
