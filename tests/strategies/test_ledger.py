"""The ledger: counts that add up over interruptions."""

from __future__ import annotations

import pytest

from agentlab.strategies.ledger import Ledger


def test_a_resumed_training_adds_to_what_was_counted_before():
    state = Ledger().state()
    state[:] = state.new_tensor([70.0, 30.0, 1_000.0, 2.0**50])
    ledger = Ledger()
    ledger.restore(state)
    ledger.trained(5)
    ledger.looked(2)
    entry = ledger.entry(seed=3, strategies={})
    assert (entry["samples_forward"], entry["samples_backward"]) == (77, 35)
    assert entry["cost"] == 77 + 2 * 35
    assert entry["seconds"] == pytest.approx(1_000, abs=100)
    assert entry["peak_memory_bytes"] == 2**50
