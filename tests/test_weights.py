"""Tensors on disk: what is written is read, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from agentlab import weights
from agentlab.errors import InputError


def network(seed: int = 0, width: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.LayerNorm(width), nn.Linear(width, 1))


def equal(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_weights_round_trip(tmp_path: Path):
    written, read = network(0), network(1)
    assert not equal(written, read)
    weights.save(tmp_path / "w", written.state_dict())
    weights.load_into(read, tmp_path / "w")
    assert equal(written, read)


def test_equal_weights_are_equal_files(tmp_path: Path):
    weights.save(tmp_path / "a", network().state_dict())
    weights.save(tmp_path / "b", dict(reversed(network().state_dict().items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_of_any_layout_are_saved(tmp_path: Path):
    square = torch.arange(6.0).reshape(2, 3)
    images = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    weights.save(tmp_path / "w", {"transposed": square.T, "images": images, "number": torch.tensor(3)})
    found = weights.load(tmp_path / "w")
    assert torch.equal(found["transposed"], square.T)
    assert torch.equal(found["images"], images)
    assert int(found["number"]) == 3


@pytest.mark.parametrize("keep", [0, 4, 7, 60, -1])
def test_a_truncated_file_is_refused(keep: int, tmp_path: Path):
    weights.save(tmp_path / "w", network().state_dict())
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:keep])
    with pytest.raises(InputError, match="truncated or garbled"):
        weights.load(tmp_path / "w")


@pytest.mark.parametrize("content", [b"garbage" * 50, b"\x05\0\0\0\0\0\0\0[1,2]", b"\x80\x04K\x01.", b"\xff" * 64])
def test_a_garbled_file_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(InputError, match="truncated or garbled") as caught:
        weights.load(tmp_path / "w")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"w: cannot be read \(No such file"):
        weights.load(tmp_path / "w")


class TestWeightsOfAnotherNetwork:
    def refused(self, tensors: dict[str, torch.Tensor], said: str, tmp_path: Path) -> None:
        weights.save(tmp_path / "w", tensors)
        module = network(1)
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        with pytest.raises(InputError, match=said):
            weights.load_into(module, tmp_path / "w")
        assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())

    def test_of_other_shapes(self, tmp_path: Path):
        said = r"w: weight '0.weight': expected shape \[3, 2\], found \[4, 2\]"
        self.refused(network(width=4).state_dict(), said, tmp_path)

    def test_with_one_missing(self, tmp_path: Path):
        tensors = {name: tensor for name, tensor in network().state_dict().items() if name != "2.bias"}
        self.refused(tensors, r"weight '2.bias': expected shape \[1\], found none", tmp_path)

    def test_with_one_more(self, tmp_path: Path):
        self.refused({**network().state_dict(), "more": torch.zeros(1)}, "weight 'more': not a weight", tmp_path)


def test_names_are_put_under_a_prefix_and_taken_from_it():
    tensors = {"a.b": torch.zeros(1), "ab": torch.ones(1)}
    both = {**weights.prefixed("x", tensors), **weights.prefixed("xy", {"c": torch.ones(2)})}
    assert set(both) == {"x.a.b", "x.ab", "xy.c"}
    assert weights.under("x", both) == tensors


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD])
def test_an_optimiser_goes_on_from_its_state_as_if_never_stopped(kind: type[torch.optim.Optimizer], tmp_path: Path):
    options = {"lr": 0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {})}

    def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        module(torch.ones(4, 2)).square().mean().backward()
        optimizer.step()

    module = network()
    optimizer = kind(module.parameters(), **options)  # type: ignore[call-arg]
    for _ in range(3):
        step(module, optimizer)
    weights.save(tmp_path / "w", weights.optimizer_state(optimizer))
    other = network(1)
    weights.fill(other, module.state_dict(), tmp_path)
    resumed = kind(other.parameters(), **options)  # type: ignore[call-arg]
    weights.restore_optimizer(resumed, weights.load(tmp_path / "w"))
    for _ in range(3):
        step(module, optimizer)
        step(other, resumed)
    assert equal(module, other)


def test_the_state_of_an_optimiser_that_has_made_no_step_is_empty():
    optimizer = torch.optim.AdamW(network().parameters())
    assert weights.optimizer_state(optimizer).keys() == {"groups"}
    weights.restore_optimizer(optimizer, {})
