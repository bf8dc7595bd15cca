"""The sample recordings are small, hold what they say, and happen again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_minari import assert_minari_reads_the_same

from agentlab.recording import Recording, first_difference, make_env, verify

SAMPLES = Path(__file__).parents[2] / "recordings"


@pytest.fixture(params=["catch", "pong"])
def sample(request):
    if request.param == "pong":
        pytest.importorskip("ale_py")
    return Recording(SAMPLES / request.param)


def test_they_are_under_12_mb_together():
    assert sum(file.stat().st_size for file in SAMPLES.rglob("*")) < 12e6


def test_every_frame_is_labelled_but_for_what_is_not_on_the_screen(sample):
    for episode in sample:
        labels = dict(zip(sample.label_schema, episode.labels.T, strict=True))
        for name, values in labels.items():
            thing, _, what = name.rpartition("_")
            is_absent = labels[f"{thing}_visible"] == 0 if what in "xy" and f"{thing}_visible" in labels else False
            np.testing.assert_array_equal(np.isnan(values), is_absent, err_msg=name)


def test_minari_reads_them(sample):
    assert_minari_reads_the_same(sample)


def test_catch_happens_again():
    verification = verify(Recording(SAMPLES / "catch"))
    assert (verification.difference, verification.episodes) == (None, 24)


def test_an_episode_of_pong_happens_again():
    pytest.importorskip("ale_py")
    recording = Recording(SAMPLES / "pong")
    with make_env(recording) as env:
        assert first_difference(min(recording, key=lambda episode: episode.n_steps), env) is None
