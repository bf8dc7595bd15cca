"""Where networks run and in which precision."""

from __future__ import annotations

import os

import pytest
import torch

from agentlab import device as devices
from agentlab.errors import InputError


@pytest.mark.parametrize("fast", [True, False])
def test_auto_precision_is_what_is_fast_there(monkeypatch: pytest.MonkeyPatch, fast: bool):
    monkeypatch.setattr(devices, "bfloat16_is_fast", lambda _: fast)
    assert devices.uses_bfloat16("auto", torch.device("cpu")) is fast
    assert devices.uses_bfloat16("bfloat16", torch.device("cpu"))
    assert not devices.uses_bfloat16("float32", torch.device("cpu"))


def test_an_unknown_device_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'cpu'"):
        devices.pick("cpuu")


def test_threads_and_small_numbers_are_as_before_afterwards():
    before = torch.get_num_threads()
    smallest = torch.tensor(1e-39)
    with devices.computing(before + 1):
        assert torch.get_num_threads() == before + 1
        assert float(smallest * 1.0) == 0.0
    assert torch.get_num_threads() == before
    assert float(smallest * 1.0) > 0.0


def test_they_stay_small_while_any_computing_is_under_way():
    smallest = torch.tensor(1e-39)
    with devices.computing(1):
        with devices.computing(2):
            assert float(smallest * 1.0) == 0.0
        assert float(smallest * 1.0) == 0.0
        assert torch.get_num_threads() == 1
    assert float(smallest * 1.0) > 0.0


def test_no_thread_count_takes_one_for_each_core():
    with devices.computing(0):
        assert torch.get_num_threads() == len(os.sched_getaffinity(0))


def test_fewer_than_no_threads_are_refused():
    with pytest.raises(InputError, match="at least 0, found -1"), devices.computing(-1):
        pass
