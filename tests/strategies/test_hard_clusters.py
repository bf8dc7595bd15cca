"""Hard clusters: what is wrong is looked for, clustered and taken with its like; label errors are set aside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.strategies import HardClusters, Judgement
from agentlab.strategies.hard_clusters import CANDIDATES, LOOKED_AT_ONCE

N = 3_000
ANGLES = np.random.default_rng(0).uniform(0, 2 * np.pi, N)
FEATURES = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
HARD = (ANGLES > 1.0) & (ANGLES < 1.2) | (ANGLES > 4.0) & (ANGLES < 4.1)
"""Two places on a circle where the model errs."""


class Judge:
    """Knows what is wrong beforehand, and remembers what it was asked."""

    def __init__(self, wrong=HARD, confidence=0.5, features=FEATURES):
        self.wrong, self.confidence, self.features = wrong, np.broadcast_to(confidence, len(features)), features
        self.asked: list[np.ndarray] = []

    def __call__(self, indices):
        self.asked.append(indices)
        return Judgement(self.wrong[indices], self.features[indices], self.confidence[indices])


def begun(sampler: HardClusters, *rounds: int) -> HardClusters:
    for number in rounds or (0, 1):
        sampler.begin_round(number)
    return sampler


def test_the_first_round_is_a_random_share_of_all_samples():
    judge = Judge()
    sampler = begun(HardClusters(N, judge, first_share=0.1, seed=1), 0)
    drawn = list(sampler)
    assert len(set(drawn)) == len(drawn) == len(sampler) == 300
    assert not judge.asked
    assert abs(np.mean(drawn) - N / 2) < N / 10
    assert drawn != list(begun(HardClusters(N, judge, first_share=0.1, seed=2), 0))


def test_the_rest_is_looked_at_until_there_are_enough_errors():
    judge = Judge()
    sampler = begun(HardClusters(N, judge, errors=10, looks=N))
    looked_at = np.concatenate(judge.asked)
    assert len(looked_at) == LOOKED_AT_ONCE == sampler.choice.looked_at
    assert len(set(looked_at)) == len(looked_at)
    assert not set(looked_at) & set(begun(HardClusters(N, judge), 0))
    assert len(sampler.choice.errors) == 10
    assert HARD[sampler.choice.errors].all()


def test_suspects_do_not_stand_in_for_errors():
    """Many samples are wrong with confidence, round after round; errors are looked for beside them."""
    sure = np.random.default_rng(1).random(N) < 0.3
    judge = Judge(wrong=HARD | sure, confidence=np.where(sure, 1.0, 0.5))
    sampler = HardClusters(N, judge, errors=20, looks=N, first_share=0.1, source="errors", quarantine_after=9)
    begun(sampler, 0, 1, 2, 3)
    assert sampler.suspected.sum() > 100
    assert len(sampler.choice.errors) == 20
    assert not sure[sampler.choice.errors].any()


def test_it_looks_at_no_more_than_it_may():
    judge = Judge(wrong=np.zeros(N, bool))
    sampler = begun(HardClusters(N, judge, first_share=0.1, looks=700))
    assert sampler.choice.looked_at == sum(map(len, judge.asked)) == 700
    assert len(sampler.choice.random) + len(sampler.choice.replayed) == len(sampler)


def test_the_order_of_the_look_is_new_each_round():
    judge = Judge(wrong=np.zeros(N, bool))
    begun(HardClusters(N, judge, first_share=0.1, looks=100), 0, 1, 2)
    assert len(set(judge.asked[0]) & set(judge.asked[1])) < 20


def test_where_all_is_wrong_more_is_looked_at_to_choose_what_is_similar_from():
    judge = Judge(wrong=np.ones(N, bool))
    sampler = begun(HardClusters(N, judge, errors=400, first_share=0.3, second_share=0.2, looks=N))
    assert len(sampler.choice.errors) == 400
    assert len(sampler.choice.similar) == 180
    assert sampler.choice.looked_at == 400 + CANDIDATES * 180 == len(np.concatenate(judge.asked))
    assert len(set(sampler)) == len(sampler)


def test_similar_samples_lie_where_the_errors_are():
    sampler = begun(HardClusters(N, Judge(), errors=50, n_clusters=4, looks=N, second_share=0.2))
    choice = sampler.choice
    assert len(choice.similar) == 60
    distances = np.abs(ANGLES[choice.similar][:, None] - ANGLES[HARD][None]).min(axis=1)
    assert np.quantile(distances, 0.9) < 0.1
    assert len(set(choice.indices)) == len(choice.indices) == len(sampler)


def test_every_cluster_gets_as_many_whatever_its_size():
    """One place of errors is 20 times as common as the other."""
    wrong = (ANGLES > 1.0) & (ANGLES < 2.0) | (ANGLES > 4.0) & (ANGLES < 4.05)
    sampler = begun(HardClusters(N, Judge(wrong), first_share=0.2, errors=300, n_clusters=2, looks=N))
    near_rare = np.abs(ANGLES[sampler.choice.similar] - 4.025) < 0.6
    assert near_rare.mean() == pytest.approx(0.5, abs=0.02)


def test_extras_may_be_the_errors_themselves():
    choice = begun(HardClusters(N, Judge(), source="errors", errors=20, looks=N, n_clusters=4)).choice
    assert set(choice.similar) <= set(choice.errors)
    assert len(choice.similar) == 60


def test_samples_that_were_trained_on_are_replayed():
    sampler = begun(HardClusters(N, Judge(), replay_share=0.3), 0)
    first = set(sampler)
    sampler.begin_round(1)
    assert len(sampler.choice.replayed) == 90
    assert set(sampler.choice.replayed) <= first


def test_clusters_are_of_directions_not_of_lengths():
    lengths = np.random.default_rng(1).uniform(0.1, 100, (N, 1)).astype(np.float32)
    long, short = (begun(HardClusters(N, Judge(features=FEATURES * scale), looks=N)) for scale in (lengths, 1))
    assert sorted(long.choice.similar) == sorted(short.choice.similar)


@pytest.mark.parametrize("n_errors", [0, 1, 3])
def test_fewer_errors_than_clusters_are_enough(n_errors):
    wrong = np.zeros(N, bool)
    wrong[np.setdiff1d(np.arange(N), list(begun(HardClusters(N, Judge()), 0)))[:n_errors]] = True
    sampler = begun(HardClusters(N, Judge(wrong), n_clusters=16, looks=N))
    assert len(sampler.choice.errors) == n_errors
    assert len(sampler.choice.clusters) == n_errors
    assert len(list(sampler)) == len(sampler)


def test_errors_that_are_all_alike_are_one_cluster():
    features = np.ones_like(FEATURES)
    assert len(begun(HardClusters(N, Judge(features=features), looks=N)).choice.clusters) == 1


def test_what_is_wrong_with_confidence_again_and_again_is_set_aside():
    mislabelled = np.zeros(N, bool)
    mislabelled[::100] = True
    judge = Judge(mislabelled | HARD, confidence=np.where(mislabelled, 0.99, 0.5))
    sampler = HardClusters(N, judge, looks=N, errors=N, first_share=0.2, quarantine_after=3)
    begun(sampler, 0, 1, 2)
    assert not len(sampler.quarantined)
    begun(sampler, 3)
    assert len(sampler.quarantined) > 20
    assert mislabelled[sampler.quarantined].all()
    begun(sampler, 4)
    assert not set(sampler.quarantined) & set(sampler)


def test_what_is_learnt_meanwhile_is_not_set_aside():
    judge = Judge(confidence=0.99)
    sampler = begun(HardClusters(N, judge, looks=N, errors=N), 0, 1, 2)
    judge.wrong = np.zeros(N, bool)
    sampler.begin_round(3)
    judge.wrong = HARD
    begun(sampler, 4, 5)
    assert not len(sampler.quarantined)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.05, 1),
    st.floats(0.01, 0.49),
    st.floats(0.01, 0.49),
    st.integers(0, 999),
    st.sampled_from(["pool", "errors"]),
)
def test_all_rounds_are_equally_long_and_equal_for_equal_seeds(first, second, replay, seed, source):
    rounds = []
    for _ in range(2):
        sampler = HardClusters(
            N, Judge(), first_share=first, second_share=second, replay_share=replay, source=source, seed=seed
        )
        rounds.append([list(begun(sampler, number)) for number in range(3)])
    assert rounds[0] == rounds[1]
    assert {len(drawn) for drawn in rounds[0]} == {len(sampler)}


def test_in_time_every_sample_is_trained_on():
    sampler = HardClusters(N, Judge(wrong=np.zeros(N, bool)), first_share=0.1, second_share=0.1, replay_share=0.1)
    seen: set[int] = set()
    for number in range(13):
        sampler.begin_round(number)
        seen |= set(sampler)
    assert len(seen) == N


@pytest.mark.parametrize("interrupted", [1, 2, 3, 4])
def test_going_on_at_any_round_is_not_interrupting_it(interrupted):
    judge = Judge(confidence=np.random.default_rng(0).uniform(0.8, 1, N))
    whole = [list(begun(sampler, number)) for sampler in [HardClusters(N, judge)] for number in range(5)]
    before = begun(HardClusters(N, judge), *range(interrupted))
    resumed = HardClusters(N, judge)
    resumed.load_state_dict(before.state_dict())
    assert [list(begun(resumed, number)) for number in range(interrupted, 5)] == whole[interrupted:]


@pytest.mark.parametrize(
    ("wrong_setting", "message"),
    [
        ({"first_share": 0.0}, "first_share: expected a share above 0 and at most 1, found 0"),
        ({"first_share": 1.5}, "first_share: expected a share above 0 and at most 1, found 1.5"),
        ({"second_share": -0.1}, "second_share: expected a share above 0 and at most 1, found -0.1"),
        ({"replay_share": float("nan")}, "replay_share: expected a share above 0 and at most 1, found nan"),
        ({"second_share": 0.8, "replay_share": 0.3}, "second_share and replay_share: expected less than 1 together"),
        ({"second_share": 0.8, "replay_share": 0.2}, "second_share and replay_share: expected less than 1 together"),
        ({"quarantine_confidence": 1.1}, "quarantine_confidence: expected a share above 0 and at most 1, found 1.1"),
        ({"labels": []}, r"labels: expected 3000 whole numbers, found float64 of shape \[0\]"),
        ({"labels": [0.0, float("nan")] * (N // 2)}, "labels: expected 3000 whole numbers, found float64"),
        ({"errors": 0}, "errors: expected at least 1, found 0"),
        ({"n_clusters": 0}, "n_clusters: expected at least 1, found 0"),
        ({"source": "both"}, "source: expected 'pool' or 'errors', found 'both'"),
        ({"labels": [0, 1, 3] * 1000}, "labels: expected samples of every class, found none of class 2"),
        (
            {"labels": [0, 1, 2] * 1000, "n_classes": 4},
            "labels: expected samples of every class, found none of class 3",
        ),
    ],
)
def test_bad_settings_are_named(wrong_setting, message):
    with pytest.raises(ValueError, match=message):
        HardClusters(N, Judge(), **wrong_setting)


def test_features_that_are_not_finite_are_refused():
    features = FEATURES.copy()
    features[::7, 1] = np.inf
    with pytest.raises(ValueError, match="features: expected finite numbers, found inf"):
        begun(HardClusters(N, Judge(features=features)))


def test_a_judgement_of_other_samples_is_refused():
    with pytest.raises(ValueError, match="judgement: expected one of 300 samples"):
        begun(HardClusters(N, lambda at: Judge()(at[1:])))


def test_a_round_of_nothing_but_suspects_is_refused():
    everything = Judge(wrong=np.ones(N, bool), confidence=1.0)
    sampler = HardClusters(N, everything, first_share=1.0, errors=N, quarantine_after=1, looks=N)
    with pytest.raises(ValueError, match="expected some that may be trained on, found all 3000 quarantined"):
        begun(sampler, 0, 1, 2)


def test_a_classifier_is_judged_by_its_most_likely_class():
    logits = torch.tensor([[3.0, 0.0], [0.0, 1.0]], requires_grad=True)
    judged = Judgement.of_classes(torch.ones(2, 3), logits, torch.tensor([0, 0]))
    assert judged.wrong.tolist() == [False, True]
    assert judged.features.shape == (2, 3)
    np.testing.assert_allclose(judged.confidence, [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1))], rtol=1e-6)


def test_judging_records_no_gradients():
    recorded = []

    def judge(indices):
        recorded.append(torch.is_grad_enabled())
        return Judge()(indices)

    begun(HardClusters(N, judge))
    assert recorded
    assert not any(recorded)


def test_it_is_a_sampler_of_torch():
    sampler = begun(HardClusters(N, Judge()), 0)
    loader = torch.utils.data.DataLoader(torch.arange(N), batch_size=32, sampler=sampler)
    assert torch.cat(list(loader)).tolist() == list(sampler)


def test_rounds_go_on_until_validation_is_good_enough():
    sampler = HardClusters(N, Judge(), good_enough=0.9)
    assert [sampler.after_round(score) for score in (0.5, 0.4, 0.89, 0.9)] == [False, False, False, True]


def test_rounds_go_on_until_validation_stops_rising():
    sampler = HardClusters(N, Judge(), stale_after=2)
    assert [sampler.after_round(score) for score in (0.5, 0.4, 0.6, 0.6)] == [False] * 4
    resumed = HardClusters(N, Judge(), stale_after=2)
    resumed.load_state_dict(sampler.state_dict())
    assert resumed.after_round(0.6)


def test_a_score_that_is_no_number_is_no_better_and_forgets_nothing():
    sampler = HardClusters(N, Judge(), stale_after=3)
    assert [sampler.after_round(score) for score in (0.9, float("nan"), 0.5, 0.6)] == [False, False, False, True]


def test_unless_told_rounds_go_on():
    sampler = HardClusters(N, Judge())
    assert not any(sampler.after_round(score) for score in (1.0, 0.5, 0.4, 0.3))
