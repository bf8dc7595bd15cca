"""Exploration: how often actions are random in each environment, and for how long they are held."""

from __future__ import annotations

import numpy as np
import pytest

from agentlab.head.exploration import LADDER, HeldExploration

N_ACTIONS = 3
CHOSEN = np.zeros(8, np.int64)


def astray(rate: float, longest_hold: int = 1, steps: int = 6_000) -> np.ndarray:
    """Which actions `(steps, 8)` of a while are others than the chosen ones."""
    exploration = HeldExploration(8, N_ACTIONS, longest_hold, seed=0)
    return np.stack([exploration.explore(CHOSEN, rate) != CHOSEN for _ in range(steps)])


@pytest.mark.parametrize("longest_hold", [1, 100])
def test_the_boldest_environment_explores_at_the_rate_and_the_shyest_at_a_power_of_it(longest_hold: int):
    shares = astray(0.4, longest_hold).mean(axis=0)
    others = (N_ACTIONS - 1) / N_ACTIONS  # a random action may be the chosen one
    assert shares[0] == pytest.approx(0.4 * others, abs=0.03 if longest_hold == 1 else 0.05)
    assert shares[-1] == pytest.approx(0.4**LADDER * others, abs=0.005)
    assert (np.diff(shares[:5]) < 0).all()


def test_environments_go_astray_each_for_itself():
    assert not astray(0.3).all(axis=1).any()


def test_a_random_action_is_held_for_a_while():
    for longest_hold, low, high in ((1, 0.1, 0.3), (100, 0.6, 1.0)):
        boldest = astray(0.3, longest_hold)[:, 0]
        assert low < boldest[1:][boldest[:-1]].mean() < high  # how often one that is astray stays so


def test_at_rate_one_all_is_random_and_at_rate_zero_nothing():
    assert astray(1.0).mean() == pytest.approx(2 / 3, abs=0.02)
    assert not astray(0.0).any()


def test_a_single_environment_is_in_between():
    exploration = HeldExploration(1, 1_000, 1, seed=0)
    shares = np.mean([exploration.explore(np.zeros(1, np.int64), 0.9) != 0 for _ in range(4_000)])
    assert shares == pytest.approx(0.9 ** ((1 + LADDER) / 2), abs=0.04)
