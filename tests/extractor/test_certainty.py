"""Certainty of numbers: a probability that holds, higher where they are read right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny import CONFIG, fitted

from agentlab.extractor.certainty import Certainty
from agentlab.recording import Recording

N_FEATURES = 12


def readings(n: int, seed: int, growth: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features, and the errors of two labels in tolerances: the first one's grow with a feature, the other has none."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, N_FEATURES, generator=generator)
    noise = torch.randn(n, generator=generator)
    errors = torch.stack([growth * (1.5 * features[:, 3] + 0.5 * noise).exp(), torch.full((n,), torch.nan)], dim=1)
    return features, errors


def certainty_of(growth_held_out: float = 1.0) -> Certainty:
    certainty = Certainty(N_FEATURES, 2)
    certainty.fit(*readings(600, 0), *readings(200, 1, growth_held_out))
    return certainty


def test_it_is_the_share_of_numbers_that_are_right():
    features, errors = readings(5_000, 2)
    certain, right = certainty_of()(features)[:, 0], errors[:, 0] <= 1
    assert abs(float(certain.mean()) - float(right.float().mean())) < 0.06
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        there = (certain > low) & (certain <= high)
        assert low - 0.1 < float(right[there].float().mean()) < high + 0.1


def test_it_is_that_of_held_out_frames():
    """Errors on frames that were trained on are smaller than those that people will see."""
    features, errors = readings(5_000, 2, growth=5.0)
    right = float((errors[:, 0] <= 1).float().mean())
    assert abs(float(certainty_of(growth_held_out=5.0)(features)[:, 0].mean()) - right) < 0.05
    assert float(certainty_of()(features)[:, 0].mean()) - right > 0.2


def test_a_label_without_numbers_is_certain():
    assert certainty_of()(readings(50, 3)[0])[:, 1].eq(1).all()
    assert Certainty(N_FEATURES, 2)(torch.randn(5, N_FEATURES)).eq(1).all()


def test_numbers_that_were_never_wrong_are_certain():
    certainty = Certainty(N_FEATURES, 1)
    features = torch.randn(40, N_FEATURES)
    certainty.fit(features, torch.zeros(40, 1), features, torch.zeros(40, 1))
    assert certainty(features).gt(0.99).all()


def test_an_eye_knows_how_often_it_is_right(squares: Recording, tmp_path: Path):
    config = replace(CONFIG, features=16, channels=8, epochs=12, batch_size=16)
    eye = fitted(squares, tmp_path / "eye", config)
    frames = np.concatenate([episode.frames(range(episode.n_frames)) for episode in squares])
    true = np.concatenate([episode.labels for episode in squares])
    read, certain = eye.predict_labels_with_confidence(frames)
    right = np.abs(read - true) <= eye.label_schema["square_x"].tolerance
    assert 0.2 < right.mean() < 0.95
    assert abs(certain.mean() - right.mean()) < 0.3
    assert certain[right].mean() > certain[~right].mean()
