from __future__ import annotations

import pytest
from tiny import CATCH, fitted, recorded

from agentlab.extractor import FrozenExtractor


@pytest.fixture(scope="session")
def catch_extractor(tmp_path_factory: pytest.TempPathFactory) -> FrozenExtractor:
    """An extractor of Catch, not to be changed."""
    folder = tmp_path_factory.mktemp("catch")
    return fitted(recorded(CATCH, folder / "recording", episodes=2), folder / "extractor")
