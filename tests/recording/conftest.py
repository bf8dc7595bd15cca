from __future__ import annotations

import pytest
from recording_games import CATCH, PONG, record_game


@pytest.fixture(scope="session")
def catch(tmp_path_factory):
    """A recording of two episodes of Catch, not to be changed."""
    return record_game(CATCH, tmp_path_factory.mktemp("recordings") / "catch")


@pytest.fixture(scope="session")
def pong(tmp_path_factory):
    """A recording of 150 steps of Pong, not to be changed."""
    pytest.importorskip("ale_py")
    return record_game(PONG, tmp_path_factory.mktemp("recordings") / "pong", episodes=1, max_steps=150)
