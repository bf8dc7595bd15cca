"""The compiled eye sees what the eye sees, the same in every copy of it and in any company."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from agentlab.extractor import FrozenExtractor
from agentlab.extractor.compiled import CompiledEye


@pytest.fixture
def compiled(square_extractor: FrozenExtractor) -> CompiledEye:
    return CompiledEye(square_extractor.eye, square_extractor.frame_shape)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_sees_what_the_eye_sees(
    square_extractor: FrozenExtractor, frames: Any, bfloat16: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agentlab.device.bfloat16_is_fast", lambda _: bfloat16)
    found = CompiledEye(square_extractor.eye, square_extractor.frame_shape)(frames)
    with torch.inference_mode():
        expected = square_extractor.eye(torch.from_numpy(frames))
    for seen, wanted in zip(found, expected, strict=True):
        near = 0.2 if bfloat16 else 1e-4
        np.testing.assert_allclose(seen, wanted.numpy(), atol=near * float(wanted.std()))


def test_sees_a_frame_alike_in_any_company(compiled: CompiledEye, frames: Any):
    alone = np.concatenate([compiled(frames[at : at + 1])[0] for at in range(len(frames))])
    np.testing.assert_allclose(compiled(frames)[0], alone, atol=1e-2)


def test_takes_float32_where_bfloat16_is_too_far_off(
    square_extractor: FrozenExtractor, frames: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agentlab.device.bfloat16_is_fast", lambda _: True)
    monkeypatch.setattr("agentlab.extractor.compiled.CLOSE", -1.0)
    compiled = CompiledEye(square_extractor.eye, square_extractor.frame_shape)
    with pytest.warns(UserWarning, match="it computes in float32"):
        seen = compiled(frames)
    exactly = CompiledEye(square_extractor.eye, square_extractor.frame_shape, "f32")(frames)
    np.testing.assert_array_equal(seen[1], exactly[1])


def test_what_it_gave_stays_as_it_was(compiled: CompiledEye, frames: Any):
    first = compiled(frames)
    kept = copy.deepcopy(first)
    compiled(255 - frames)
    for seen, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(seen, before)


def test_copies_see_the_same(compiled: CompiledEye, frames: Any):
    expected = compiled(frames)
    for copied in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        for seen, wanted in zip(copied(frames), expected, strict=True):
            np.testing.assert_array_equal(seen, wanted)
