"""Whether a space holds an action is told as the space itself tells it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from agentlab.spaces import contains

WHOLE = st.integers(-5, 12).flatmap(lambda n: st.sampled_from([n, np.int64(n), np.int32(n), np.array(n)]))
ANYTHING = st.one_of(
    WHOLE, st.booleans(), st.floats(), st.none(), st.text(), st.builds(lambda n: np.array([n]), WHOLE.map(int))
)


@given(st.integers(1, 6), st.integers(-3, 3), ANYTHING)
def test_as_a_discrete_space_says(n: int, start: int, action: Any):
    space = spaces.Discrete(n, start=start)
    assert contains(space, action) == space.contains(action)


def test_no_number_is_too_large_to_be_refused():
    assert not contains(spaces.Discrete(3), 2**70)


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (2,), np.float32), spaces.MultiDiscrete([2, 3])])
def test_as_any_other_space_says(space: spaces.Space[Any]):
    assert contains(space, space.sample())
    assert not contains(space, 7)
