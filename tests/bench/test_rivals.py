"""Rivals of hard clusters do what their papers say."""

from __future__ import annotations

import numpy as np
import pytest

from agentlab.bench.rivals import FreshSubsets, PrunedEpochs

N = 1_000


def test_rs2_takes_no_sample_twice_before_all_had_their_turn():
    sampler = FreshSubsets(N, n_stages=20, size=100, seed=0)
    drawn = []
    for stage in range(20):
        sampler.begin_stage(stage)
        drawn += list(sampler)
    assert sorted(drawn[:N]) == sorted(drawn[N:]) == list(range(N))
    assert drawn[:N] != drawn[N:]


def test_rs2_s_subsets_may_span_two_turns():
    sampler = FreshSubsets(N, n_stages=3, size=700, seed=0)
    drawn = []
    for stage in range(3):
        sampler.begin_stage(stage)
        drawn += list(sampler)
    assert sorted(drawn[:N]) == sorted(drawn[N : 2 * N]) == list(range(N))


def epochs_of(sampler: PrunedEpochs, losses: np.ndarray, stages: range) -> tuple[np.ndarray, np.ndarray]:
    """How often each sample came in these stages, and what it counted in all."""
    times, weights = np.zeros(N), np.zeros(N)
    for stage in stages:
        sampler.begin_stage(stage)
        drawn = np.array(list(sampler))
        sampler.note(0, losses[drawn].astype(np.float32))
        np.add.at(times, drawn, 1)
        np.add.at(weights, drawn, sampler.weights)
    return times, weights


def test_infobatch_leaves_out_half_of_what_is_easy_and_weighs_the_rest_up():
    losses = np.linspace(0, 1, N)
    sampler = PrunedEpochs(N, n_stages=400, size=250, seed=0)
    epochs_of(sampler, losses, range(8))
    times, weights = epochs_of(sampler, losses, range(8, 300))
    easy = losses < 0.5
    assert times[easy].mean() / times[~easy].mean() == pytest.approx(0.5, abs=0.03)
    assert weights[easy].mean() / weights[~easy].mean() == pytest.approx(1.0, abs=0.03)


def test_infobatch_ends_with_all_samples():
    losses = np.linspace(0, 1, N)
    sampler = PrunedEpochs(N, n_stages=400, size=250, seed=0)
    epochs_of(sampler, losses, range(364))
    times, weights = epochs_of(sampler, losses, range(364, 400))
    assert np.ptp(times) <= 2
    assert np.array_equal(times, weights)
