"""What outputs mean: the mean of a number's histogram is that number, whatever its size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.head.readout import N_BINS, Histogram, Scalar

HISTOGRAM = Histogram()
IN_REACH = st.floats(-50, 50, allow_nan=False, width=32)


def read(histograms: torch.Tensor) -> torch.Tensor:
    return HISTOGRAM.number(histograms.log() - HISTOGRAM.prior)


class TestHistogram:
    @settings(deadline=None)
    @given(st.lists(IN_REACH, min_size=1, max_size=5))
    def test_of_a_number_has_that_mean(self, numbers: list[float]):
        wanted = torch.tensor(numbers)
        torch.testing.assert_close(read(HISTOGRAM.spread(wanted)), wanted, rtol=2e-3, atol=3e-3)

    @settings(deadline=None)
    @given(IN_REACH, IN_REACH, st.floats(0, 1))
    def test_of_a_chance_has_the_mean_of_both_numbers(self, one: float, other: float, share: float):
        """What a network learns that is told different numbers for one state."""
        first, second = HISTOGRAM.spread(torch.tensor([one, other]))
        found = read((share * first + (1 - share) * second)[None])[0]
        size = 1 + abs(one) + abs(other)
        assert float(found) == pytest.approx(share * one + (1 - share) * other, abs=3e-3 * size)

    @settings(deadline=None)
    @given(IN_REACH)
    def test_sums_to_one_and_is_turned_round_by_a_minus(self, number: float):
        of_number, of_minus = HISTOGRAM.spread(torch.tensor([number, -number]))
        assert float(of_number.sum()) == pytest.approx(1.0, abs=1e-5)
        torch.testing.assert_close(of_number, of_minus.flip(0), atol=1e-5, rtol=0)

    def test_out_of_reach_is_that_of_the_farthest_number(self):
        far, farther = HISTOGRAM.spread(torch.tensor([1e5, 1e9]))
        torch.testing.assert_close(far, farther)
        assert torch.isfinite(far).all()
        assert int(far.argmax()) == N_BINS - 1
        assert HISTOGRAM.out_of_reach(torch.tensor([-1e5, 90.0, 1e9])).tolist() == [True, False, True]

    def test_has_the_same_values_to_the_bit_whenever_it_is_made(self):
        elsewhere = [torch.empty(1 + 37 * n) for n in range(300)]
        assert all(torch.equal(Histogram().values, HISTOGRAM.values) for _ in elsewhere)

    def test_begins_at_nothing(self):
        assert abs(float(HISTOGRAM.number(torch.zeros(N_BINS)))) < 1e-3
        outputs = torch.randn(1000, N_BINS, generator=torch.Generator().manual_seed(0)) / 10
        assert float(HISTOGRAM.number(outputs).abs().max()) < 1.0

    @pytest.mark.parametrize("number", [-60.0, -0.5, 0.0, 0.02, 1.0, 40.0])
    def test_is_learned_by_its_loss(self, number: float):
        outputs = torch.zeros(1, N_BINS, requires_grad=True)
        optimizer = torch.optim.Adam([outputs], 0.1)
        for _ in range(1_000):
            optimizer.zero_grad()
            HISTOGRAM.losses(outputs, torch.tensor([number])).mean().backward()
            optimizer.step()
        assert float(HISTOGRAM.number(outputs.detach())) == pytest.approx(number, rel=0.02, abs=0.01)


def test_a_scalar_is_its_output():
    outputs = torch.tensor([[1.5], [-3.0]])
    torch.testing.assert_close(Scalar().number(outputs), torch.tensor([1.5, -3.0]))
    assert float(Scalar().losses(outputs, torch.tensor([1.5, -3.5])).mean()) == pytest.approx(0.5 * 0.5**2 / 2)
