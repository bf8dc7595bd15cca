from __future__ import annotations

from typing import Any

import pytest
from tiny import CATCH, SQUARE, fitted, recorded

from agentlab.extractor import FrozenExtractor
from agentlab.recording import Recording


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Twelve episodes of eleven frames, not to be changed."""
    return recorded(SQUARE, tmp_path_factory.mktemp("squares") / "recording", episodes=12)


@pytest.fixture(scope="session")
def catches(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Two episodes of Catch, not to be changed."""
    return recorded(CATCH, tmp_path_factory.mktemp("catches") / "recording", episodes=2)


@pytest.fixture(scope="session")
def square_extractor(squares: Recording, tmp_path_factory: pytest.TempPathFactory) -> FrozenExtractor:
    """An extractor of squares, not to be changed."""
    return fitted(squares, tmp_path_factory.mktemp("squares") / "extractor")


@pytest.fixture
def frames(squares: Recording) -> Any:
    return squares[0].frames(range(11))
