"""The network: shapes for any frame, positions read off exactly, and dropout that obeys its rule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.extractor.network import (
    N_COMPONENTS,
    BlockwiseConv2d,
    ExtractorNetwork,
    Keypoints,
    dropout_probabilities,
)

SHAPES = [(84, 84), (96, 96, 3), (210, 160, 3), (33, 47), (8, 8), (20, 300, 1)]


def network(shape: tuple[int, ...] = (33, 47), dropout: float = 0.0) -> ExtractorNetwork:
    torch.manual_seed(0)
    return ExtractorNetwork(shape, n_features=6, channels=4, keypoints=3, dropout=[dropout] * N_COMPONENTS)


def frames(shape: tuple[int, ...] = (33, 47), n: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bfloat16", [False, True])
def test_frames_of_any_shape_become_float32_features(shape: tuple[int, ...], bfloat16: bool):
    module = network(shape)
    module.normalise(frames(shape, 3))
    module.fit_in_bfloat16(bfloat16)
    features = module(frames(shape))
    assert features.shape == (2, 6)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


def test_positions_are_worked_out_in_float32_whatever_convolutions_compute_in():
    module, seen = Keypoints(4, 3, 21, 21), torch.randn(5, 4, 21, 21, generator=torch.Generator().manual_seed(0))
    seen, expected = seen.bfloat16().float(), None
    with torch.no_grad():
        module.patterns.weight.copy_(module.patterns.weight.bfloat16())
        module.patterns.bias.zero_()
        logits = module.patterns(seen).bfloat16().float().flatten(2)
        expected = (logits.softmax(dim=2) @ module.cells).transpose(1, 2).flatten(1)
        with torch.autocast("cpu", torch.bfloat16):
            found = module(seen)[:, : expected.shape[1]]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_grey_frames_with_and_without_a_channel_axis_are_the_same():
    grey, with_axis = network((33, 47)), network((33, 47, 1))
    torch.testing.assert_close(grey(frames()), with_axis(frames()[..., None]))


def test_a_frame_has_the_same_features_in_any_batch():
    module = network().eval()
    batch = frames(n=5)
    torch.testing.assert_close(module(batch)[3:4], module(batch[3:4]), rtol=1e-4, atol=1e-5)


def test_pixels_are_taken_from_their_mean_image_in_units_of_their_spread():
    module = network()
    seen = frames(n=50)
    module.normalise(seen)
    pixels = (seen.float().unsqueeze(1) - module.pixel_mean) * module.pixel_scale
    torch.testing.assert_close(pixels.mean(dim=0), torch.zeros(1, 33, 47), atol=1e-5, rtol=0)
    assert float(pixels.std()) == pytest.approx(1.0, abs=1e-3)


def test_a_screen_that_never_changes_is_no_division_by_zero():
    module = network()
    module.normalise(torch.full((4, 33, 47), 7, dtype=torch.uint8))
    assert module(frames()).isfinite().all()


def test_every_pixel_can_reach_the_features():
    module = network()
    pixels = frames(n=1).float().requires_grad_()
    module(pixels).abs().sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad != 0).float().mean() > 0.99


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 15), st.integers(2, 15), st.data())
def test_keypoints_find_the_place_of_a_bright_cell(rows: int, columns: int, data: st.DataObject):
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    keypoints = Keypoints(channels=2, n=1, rows=rows, columns=columns)
    with torch.no_grad():
        keypoints.patterns.weight.copy_(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
        keypoints.patterns.bias.zero_()
    maps = torch.zeros(1, 2, rows, columns)
    maps[0, 0, row, column] = 200.0
    x, y, strength = keypoints(maps)[0].tolist()
    assert (x + 1) / 2 * (columns - 1) == pytest.approx(column, abs=1e-4)
    assert (y + 1) / 2 * (rows - 1) == pytest.approx(row, abs=1e-4)
    assert strength == pytest.approx(200.0, abs=1e-3)


def test_keypoints_see_nothing_in_an_even_map_but_its_middle():
    keypoints = Keypoints(channels=1, n=2, rows=5, columns=7)
    found = keypoints(torch.ones(1, 1, 5, 7))[0]
    torch.testing.assert_close(found[:4], torch.zeros(4), atol=1e-6, rtol=0)


def test_rescaled_features_are_the_same_ones_on_another_scale():
    module = network().eval()
    before = module(frames())
    mean, scale = torch.linspace(-1, 1, 6), torch.linspace(0.5, 3, 6)
    module.rescale_features(mean, scale)
    torch.testing.assert_close(module(frames()), (before - mean) / scale, rtol=1e-4, atol=1e-5)


class TestDropout:
    @given(st.floats(0, 0.999, allow_subnormal=False), st.integers(1, 20), st.integers(0, 2**32))
    def test_probabilities_are_the_highest_times_a_uniform_number(self, highest: float, n: int, seed: int):
        found = dropout_probabilities(highest, n, torch.Generator().manual_seed(seed))
        uniform = torch.rand(n, generator=torch.Generator().manual_seed(seed))
        assert found == pytest.approx((highest * uniform).tolist(), rel=1e-5, abs=1e-12)
        assert all(0 <= probability <= highest for probability in found)

    def test_probabilities_are_those_of_the_seed(self):
        one, same, other = (dropout_probabilities(0.5, 5, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
        assert one == same != other

    def test_each_component_has_a_probability_of_its_own(self):
        wanted = [0.001 * (index + 1) for index in range(N_COMPONENTS)]
        module = ExtractorNetwork((33, 47), n_features=6, channels=4, keypoints=3, dropout=wanted)
        found = [part.p for part in module.modules() if isinstance(part, torch.nn.Dropout | torch.nn.Dropout2d)]
        assert found == wanted

    def test_acts_in_training_only(self):
        module = network(dropout=0.5)
        module.train()
        assert not torch.equal(module(frames()), module(frames()))
        module.eval()
        assert torch.equal(module(frames()), module(frames()))


class TestScoreboard:
    def made(self, n_features: int) -> ExtractorNetwork:
        torch.manual_seed(0)
        return ExtractorNetwork(
            (33, 47), n_features, channels=4, keypoints=3, dropout=[0.0] * N_COMPONENTS, scoreboard=[3, 1]
        )

    def test_is_seen_by_the_last_features_alone_and_they_see_nothing_else(self):
        module, seen = self.made(16), frames()
        module.normalise(frames(n=5))
        other_board, other_game = seen.clone(), seen.clone()
        for rows in (slice(3), slice(32, 33)):
            other_board[:, rows] = 255 - other_board[:, rows]
        other_game[:, 3:32] = 255 - other_game[:, 3:32]
        torch.testing.assert_close(module(other_board)[:, :12], module(seen)[:, :12], rtol=0, atol=0)
        torch.testing.assert_close(module(other_game)[:, 12:], module(seen)[:, 12:], rtol=0, atol=0)
        assert (module(other_board)[:, 12:] != module(seen)[:, 12:]).all()

    def test_features_are_rescaled_as_all_others(self):
        module, seen = self.made(16), frames()
        mean, scale = torch.randn(16), torch.rand(16) + 0.5
        before = module(seen)
        module.rescale_features(mean, scale)
        torch.testing.assert_close(module(seen), (before - mean) / scale, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(("n_features", "apart"), [(1, 0), (3, 0), (4, 1), (7, 1), (15, 3), (128, 4)])
    def test_takes_at_most_a_quarter_of_the_features_and_without_any_is_seen_as_all_else_is(
        self, n_features: int, apart: int
    ):
        module, pixels = self.made(n_features), frames(n=1).float().requires_grad_()
        features = module(pixels)
        assert features.shape == (1, n_features)
        features[:, : n_features - apart].abs().sum().backward()
        assert pixels.grad is not None
        assert bool((pixels.grad[:, :3] != 0).any()) == (apart == 0)

    @pytest.mark.parametrize("rows", [[33, 0], [20, 13], [-1, 2]])
    def test_leaves_rows_to_the_game(self, rows: list[int]):
        with pytest.raises(ValueError, match="scoreboard: expected fewer rows than 33"):
            ExtractorNetwork((33, 47), 16, 4, 3, [0.0] * N_COMPONENTS, scoreboard=rows)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 3), st.integers(2, 5))
def test_a_trained_blockwise_convolution_is_the_one_that_was_trained(height: int, width: int, depth: int, block: int):
    module = BlockwiseConv2d(depth, 5, block)
    cells = torch.randn(2, depth, height, width)
    torch.testing.assert_close(module.eval()(cells), module.train()(cells), atol=1e-5, rtol=1e-5)
