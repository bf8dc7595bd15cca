"""Seeds of a run's episodes: its own, and far from those of other runs and of evaluation."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from agentlab.evaluate import FIRST_EVALUATION_SEED
from agentlab.seeds import HIGHEST, USES, first_seed

SEEDS = st.integers(0, HIGHEST)


@given(SEEDS, st.sampled_from(USES), st.integers(0, 10_000_000))
def test_leave_room_for_ten_million_episodes_below_those_of_evaluation(seed: int, use: str, number: int):
    first = first_seed(seed, use, number)  # type: ignore[arg-type]
    assert first >= 0
    assert first + 10_000_000 < FIRST_EVALUATION_SEED
    assert first == first_seed(seed, use, number)  # type: ignore[arg-type]


@given(SEEDS.filter(lambda seed: seed + 5 < HIGHEST))
def test_of_neighbouring_runs_and_other_uses_are_thousands_apart(seed: int):
    firsts = [first_seed(seed + more, use) for more in range(5) for use in USES]
    assert min(abs(one - other) for one, other in combinations(firsts, 2)) > 0
    assert sum(abs(one - other) < 2_000 for one, other in combinations(firsts, 2)) <= 1
