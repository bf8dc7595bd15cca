"""Shares of a mixture hold for any run of episodes, and what is malformed is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import InputError
from agentlab.play.mixture import MixturePolicy, is_mixture, parts_of


class Named:
    """Plays its own name."""

    def __init__(self, name):
        self.name = name

    def reset(self, seed):
        self.seed = seed

    def act(self, frame, info):  # noqa: ARG002
        return self.name, self.seed


def mixture(weights):
    return MixturePolicy([Named(str(part)) for part in range(len(weights))], weights)


def played(policy, seed):
    policy.reset(seed)
    return policy.name


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.integers(0, 999_000_000), st.integers(1, 300))
def test_shares_hold_for_any_run_of_seeds(weights, first, n):
    policy = mixture(weights)
    names = [played(policy, seed) for seed in range(first, first + n)]
    for part, weight in enumerate(weights):
        assert abs(names.count(str(part)) - n * weight / sum(weights)) < 4


def test_who_plays_an_episode_depends_on_its_seed_alone():
    one, other = mixture([0.3, 0.7]), mixture([0.3, 0.7])
    forwards = [played(one, seed) for seed in range(50)]
    assert [played(other, seed) for seed in reversed(range(50))] == forwards[::-1]
    assert set(forwards) == {"0", "1"}


def test_one_who_plays_is_told_the_seed_and_acts():
    policy = mixture([1.0])
    policy.reset(5)
    assert policy.act(None, {}) == ("0", 5)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("random:0.3,runs/pong:0.7", [("random", 0.3), ("runs/pong", 0.7)]),
        ("random:1", [("random", 1.0)]),
        ("mine:act:2,runs/a:b:1e-1", [("mine:act", 2.0), ("runs/a:b", 0.1)]),
    ],
)
def test_a_weight_is_what_follows_the_last_colon(text, parts):
    assert is_mixture(text)
    assert parts_of(text) == parts


def test_a_part_may_be_a_path_with_commas(tmp_path):
    folder = tmp_path / "one, two"
    folder.mkdir()
    assert parts_of(f"{folder}:2,random:1") == [(str(folder), 2.0), ("random", 1.0)]


def test_a_path_that_looks_like_a_mixture_is_a_path(tmp_path):
    (tmp_path / "a,b:0.5").mkdir()
    assert not is_mixture(str(tmp_path / "a,b:0.5"))
    assert not is_mixture("mine:act")
    assert not is_mixture("random")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("random:0.3,runs/pong", "POLICY:WEIGHT, such as random:0.3, found 'runs/pong'"),
        ("random,runs/pong:0.7", "found 'random'"),
        ("random:0.3,", "found ''"),
        (",random:0.3", "found ''"),
        ("random:0.3,:0.7", "found ':0.7'"),
        ("random:much,wandering:1", "a weight above 0 after the last colon, found 'random:much'"),
        ("random:0,wandering:1", "found 'random:0'"),
        ("random:-1,wandering:1", "found 'random:-1'"),
        ("random:nan,wandering:1", "found 'random:nan'"),
        ("random:inf,wandering:1", "found 'random:inf'"),
    ],
)
def test_a_malformed_part_is_named(text, found):
    with pytest.raises(InputError) as refusal:
        parts_of(text)
    assert found in str(refusal.value)
    assert repr(text) in str(refusal.value)
