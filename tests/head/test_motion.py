"""What the networks of a head see of a state."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import preprocess_obs

from agentlab.head.motion import MOTION_SCALE, MotionExtractor
from agentlab.head.spaces import StackedFeatures


def test_is_the_newest_percepts_and_their_change_since_each_earlier_frame():
    extractor = MotionExtractor(StackedFeatures(3, 2))
    seen = extractor(torch.tensor([[1.0, 2, 3, 4, 5, 7]]))
    expected = [5, 7, MOTION_SCALE * 4, MOTION_SCALE * 5, MOTION_SCALE * 2, MOTION_SCALE * 3]
    assert seen.tolist() == [expected]
    assert extractor.features_dim == 6


def test_leaves_out_what_is_overlooked_in_every_frame():
    extractor = MotionExtractor(StackedFeatures(2, 3, overlooked=[1]))
    state = torch.tensor([[1.0, 2, 3, 4, 5, 6]])
    changed = torch.tensor([[1.0, -9, 3, 4, 99, 6]])
    assert extractor.features_dim == 4
    assert torch.equal(extractor(state), extractor(changed))
    assert extractor(state).tolist() == [[4, 6, MOTION_SCALE * 3, MOTION_SCALE * 3]]


def test_of_any_other_space_is_all_of_it():
    for space in (spaces.Box(-1, 1, (2, 3)), spaces.Discrete(4), spaces.MultiBinary(5)):
        extractor = MotionExtractor(space)
        state = preprocess_obs(torch.as_tensor(np.asarray(space.sample()))[None], space)
        seen = extractor(state)
        assert isinstance(state, torch.Tensor)
        assert seen.shape == (1, extractor.features_dim)
        assert torch.equal(seen, state.flatten(1))


def test_learns_nothing_and_adds_nothing_to_the_weights():
    extractor = MotionExtractor(StackedFeatures(4, 12))
    assert not list(extractor.parameters())
    assert not extractor.state_dict()
