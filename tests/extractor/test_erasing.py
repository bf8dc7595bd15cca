"""Random erasing: rectangles of one colour, no more than asked for, whatever the shape of frames."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.extractor.erasing import LARGEST, RECTANGLES, erase


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 20), st.integers(2, 40), st.integers(2, 40), st.sampled_from([(), (1,), (3,)]), st.integers(0, 99)
)
def test_at_most_two_small_rectangles_of_a_frame_change(
    n: int, height: int, width: int, depth: tuple[int, ...], seed: int
):
    torch.manual_seed(seed)
    frames = torch.randint(0, 256, (n, height, width, *depth), dtype=torch.uint8)
    before = frames.clone()
    erased = erase(frames, 1.0)
    assert torch.equal(frames, before)
    assert erased.shape == frames.shape
    changed = (erased != frames).flatten(3).any(dim=3) if depth else erased != frames
    largest = max(1, int(LARGEST * height)) * max(1, int(LARGEST * width))
    assert changed.flatten(1).sum(dim=1).max() <= RECTANGLES * largest


def test_colours_are_those_of_the_frame_itself():
    frames = torch.arange(16, dtype=torch.uint8)[:, None, None].expand(16, 20, 20)
    assert torch.equal(erase(frames, 1.0), frames)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_is_as_frequent_as_asked_for(probability: float, share: float):
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (64, 40, 40), dtype=torch.uint8)
    changed = (erase(frames, probability) != frames).flatten(1).any(dim=1)
    assert float(changed.float().mean()) == pytest.approx(share, abs=0.05)
