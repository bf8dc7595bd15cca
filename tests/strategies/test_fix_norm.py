"""Fixed norm: what is scale-invariant keeps its norm, and one rate controls the steps of its direction."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from agentlab.strategies import FixNorm, ScaleInvariantLinear
from agentlab.strategies.invariance import guess_inputs, scale_invariant_parameters
from agentlab.strategies.scale_invariant import make_plain, make_scale_invariant

X = torch.linspace(-2, 2, 64)[:, None]
Y = X.sin()


def mlp(norm: type[nn.Module] | None = nn.LayerNorm, bias: bool = False, width: int = 16) -> nn.Sequential:
    layers = [nn.Linear(1, width, bias=bias), *([norm(width)] if norm else []), nn.GELU(), nn.Linear(width, 1)]
    return nn.Sequential(*layers)


def deeper() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(1, 16, bias=False), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 16), nn.LayerNorm(16), nn.Linear(16, 1)
    )


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(X) - Y).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


@given(st.floats(-3, 3), st.integers(1, 9), st.integers(1, 9), st.floats(0.01, 100), st.integers(0, 999))
def test_a_factor_of_the_weights_leaves_the_output_as_it_is(exponent, n_in, n_out, scale, seed):
    torch.manual_seed(seed)
    layer = ScaleInvariantLinear(n_in, n_out, scale=scale)
    x = torch.randn(7, n_in)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(10**exponent)
    assert (layer(x) - before).norm() <= 1e-5 * before.norm()


def test_the_layer_is_s_times_the_input_by_the_direction_of_the_weights():
    layer = ScaleInvariantLinear(3, 2, scale=5.0)
    x = torch.randn(4, 3)
    expected = 5.0 * x @ layer.weight.T / layer.weight.norm()
    torch.testing.assert_close(layer(x), expected)
    assert dict(layer.named_parameters()).keys() == {"weight"}


def test_weights_of_nothing_give_nothing_rather_than_nan():
    layer = ScaleInvariantLinear(3, 2, scale=5.0)
    nn.init.zeros_(layer.weight)
    assert layer(torch.ones(1, 3)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_the_constant_has_to_be_above_0(scale: float):
    with pytest.raises(ValueError, match="scale: expected a finite S above 0"):
        ScaleInvariantLinear(2, 2, scale=scale)


def test_any_layer_can_be_made_scale_invariant_and_plain_again():
    layer = nn.Conv2d(3, 8, 3)
    images = torch.randn(2, 3, 9, 9)
    before = layer(images)
    make_scale_invariant(layer)
    torch.testing.assert_close(layer(images), before)
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(7)
    torch.testing.assert_close(layer(images), before)
    make_plain(layer)
    torch.testing.assert_close(layer(images), before)
    assert type(layer) is nn.Conv2d


torch.manual_seed(0)


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (mlp(nn.LayerNorm), X, {"0.weight"}),
        (mlp(nn.BatchNorm1d), X, {"0.weight"}),
        (mlp(nn.LayerNorm, bias=True), X, set()),
        (mlp(None), X, set()),
        (nn.Sequential(ScaleInvariantLinear(1, 8), nn.GELU(), nn.Linear(8, 1)), X, {"0.weight"}),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.GELU()),
            torch.randn(8, 1, 9, 9),
            {"0.weight"},
        ),
        (nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.GELU()), torch.randn(8, 1, 9, 9), set()),
    ],
)
def test_doubling_shows_what_is_scale_invariant(model, inputs, expected):
    assert scale_invariant_parameters(model, (inputs,)).keys() == expected


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.Softmax(dim=1), nn.Sigmoid()])
def test_what_is_saturated_is_not_taken_for_invariant(activation: nn.Module):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16, bias=False), activation)
    with torch.no_grad():
        model[0].weight.mul_(20)
    assert not scale_invariant_parameters(model, (torch.randn(64, 8),))


@pytest.mark.parametrize("seed", range(20))
def test_a_bias_of_nothing_yet_is_not_overlooked(seed: int):
    torch.manual_seed(seed)
    model = mlp(nn.LayerNorm, bias=True)
    nn.init.zeros_(model[0].bias)
    assert not scale_invariant_parameters(model, (X,))


def test_a_bias_that_is_small_beside_many_inputs_is_not_overlooked():
    model = nn.Sequential(nn.Linear(20_000, 8), nn.LayerNorm(8), nn.Linear(8, 1))
    assert scale_invariant_parameters(model, (torch.randn(4, 20_000),)) == {}


def test_inputs_are_guessed_in_the_models_precision_and_draw_no_random_numbers():
    model = mlp().double()
    before = torch.get_rng_state()
    (inputs,) = guess_inputs(model)
    assert inputs.dtype == torch.float64
    assert torch.equal(torch.get_rng_state(), before)


def test_a_branch_that_is_closed_at_first_is_not_taken_for_invariant():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch, self.gate = nn.Linear(1, 1, bias=False), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x + self.gate * self.branch(x)

    assert not scale_invariant_parameters(Residual(), (X,))


def test_the_probe_leaves_the_model_and_random_numbers_as_they_were():
    model = nn.Sequential(nn.Linear(1, 4, bias=False), nn.BatchNorm1d(4), nn.Dropout(0.5)).eval()
    nn.init.uniform_(model[0].weight, 1, 2)
    before, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert scale_invariant_parameters(model, (X,)).keys() == {"0.weight"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
@pytest.mark.parametrize("normalise_update", [False, True])
def test_norms_do_not_drift_in_1000_steps(make, normalise_update):
    torch.manual_seed(0)
    model = mlp()
    begun = torch.linalg.vector_norm(model[0].weight.detach(), dtype=torch.float64).item()
    settings = {"weight_decay": 0.0} if make is torch.optim.AdamW else {}
    optimizer = FixNorm(make(model.parameters(), lr=1e-3, **settings), model, normalise_update=normalise_update)
    for _ in range(1_000):
        train(model, optimizer, 1)
        norm = torch.linalg.vector_norm(model[0].weight.detach(), dtype=torch.float64).item()
        assert abs(norm / begun - 1) <= 1e-6


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.Adafactor])
@pytest.mark.parametrize("factor", [0.1, 30.0])
def test_how_large_weights_began_changes_nothing(make, factor):
    """The effective rate alone controls the steps; the normalisation's small constant and Adam's keep it from exact."""
    losses = []
    for size in (1.0, factor):
        torch.manual_seed(0)
        model = nn.Sequential(ScaleInvariantLinear(1, 16, scale=4.0), nn.GELU(), nn.Linear(16, 1))
        with torch.no_grad():
            model[0].weight.mul_(size)
        losses.append(train(model, FixNorm(make(model.parameters(), lr=0.01), model), 50))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize(("make", "exponent"), [(torch.optim.SGD, 2), (torch.optim.Adam, 1)])
def test_the_raw_rate_is_the_effective_one_by_the_norm(make, exponent):
    torch.manual_seed(0)
    model = mlp()
    with torch.no_grad():
        model[0].weight.mul_(3)
    plain = copy.deepcopy(model)
    norm = model[0].weight.norm().item()
    fixed = FixNorm(make(model.parameters(), lr=0.01), model)
    raw = make(
        [{"params": [plain[0].weight], "lr": 0.01 * norm**exponent}, {"params": list(plain[1:].parameters())}], lr=0.01
    )
    train(model, fixed, 1)
    train(plain, raw, 1)
    torch.testing.assert_close(model[0].weight, plain[0].weight / plain[0].weight.norm() * norm)
    torch.testing.assert_close(model[3].weight, plain[3].weight)


@pytest.mark.parametrize("fan_in", [1, 16])
def test_a_normalised_update_changes_outputs_by_the_rate_at_most(fan_in):
    torch.manual_seed(0)
    model = nn.Sequential(ScaleInvariantLinear(fan_in, 64), nn.GELU(), nn.Linear(64, 1))
    before = model[0].weight.detach().clone()
    optimizer = FixNorm(torch.optim.SGD(model.parameters(), lr=1e-3), model, normalise_update=True)
    model(torch.randn(8, fan_in)).square().mean().backward()
    optimizer.step()
    moved = (model[0].weight - before).norm() / before.norm()
    assert moved.item() == pytest.approx(1e-3 / fan_in**0.5, rel=0.01)


def test_schedulers_set_its_rate_as_any_optimisers():
    model = mlp()
    optimizer = FixNorm(torch.optim.Adam(model.parameters(), lr=0.1), model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    train(model, optimizer, 1)
    scheduler.step()
    assert {group["lr"] for group in optimizer.param_groups} == {0.05}


def test_going_on_from_its_state_is_not_interrupting_it():
    torch.manual_seed(0)
    whole = mlp()
    optimizer = FixNorm(torch.optim.Adam(whole.parameters(), lr=0.01), whole)
    train(whole, optimizer, 5)
    weights, state = copy.deepcopy(whole.state_dict()), copy.deepcopy(optimizer.state_dict())
    train(whole, optimizer, 5)

    torch.manual_seed(1)
    resumed = mlp()
    again = FixNorm(torch.optim.Adam(resumed.parameters(), lr=0.01), resumed)
    resumed.load_state_dict(weights)
    again.load_state_dict(state)
    assert list(again.norms.values()) == list(optimizer.norms.values())
    train(resumed, again, 5)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_without_a_model_gradients_show_what_is_scale_invariant():
    """As Stable-Baselines3 makes an optimiser: `optimizer_class(parameters, lr=...)`."""
    torch.manual_seed(0)
    model = deeper()
    optimizer = FixNorm(model.parameters(), lr=1e-3)
    norm = model[0].weight.norm().item()
    train(model, optimizer, 20)
    assert [tensor is model[0].weight for tensor in optimizer.norms] == [True]
    assert model[0].weight.norm().item() == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 5, 15])
def test_without_a_model_too_going_on_from_its_state_is_not_interrupting_it(steps):
    torch.manual_seed(0)
    whole = deeper()
    optimizer = FixNorm(whole.parameters(), lr=1e-3)
    train(whole, optimizer, steps)
    weights, state = copy.deepcopy(whole.state_dict()), copy.deepcopy(optimizer.state_dict())
    train(whole, optimizer, 20 - steps)
    resumed = deeper()
    again = FixNorm(resumed.parameters(), lr=1e-3)
    resumed.load_state_dict(weights)
    again.load_state_dict(state)
    train(resumed, again, 20 - steps)
    assert list(again.norms.values()) == list(optimizer.norms.values())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_it_can_be_copied_while_a_scheduler_holds_it(copied):
    model = mlp()
    optimizer = FixNorm(torch.optim.Adam(model.parameters(), 0.01), model)
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    train(model, optimizer, 3)
    twin, its_optimizer = copied((model, optimizer))
    train(model, optimizer, 3)
    train(twin, its_optimizer, 3)
    assert torch.equal(model[0].weight, twin[0].weight)
    assert list(its_optimizer.norms.values()) == list(optimizer.norms.values())


def test_the_state_of_another_optimiser_is_refused():
    model = mlp()
    optimizer = FixNorm(torch.optim.Adam(model.parameters(), 0.01), model)
    with pytest.raises(ValueError, match="state_dict: expected groups with norms, found none"):
        optimizer.load_state_dict(torch.optim.Adam(model.parameters(), 0.01).state_dict())


def test_a_closure_does_what_backward_before_the_step_does():
    torch.manual_seed(0)
    model = deeper()
    twin = copy.deepcopy(model)
    optimizer, its_optimizer = FixNorm(model.parameters(), lr=1e-3), FixNorm(twin.parameters(), lr=1e-3)

    def closure():
        optimizer.zero_grad()
        loss = (model(X) - Y).square().mean()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(15)]
    assert losses[-1] == train(twin, its_optimizer, 15)
    assert torch.equal(model[0].weight, twin[0].weight)
    assert list(optimizer.norms) == [model[0].weight]


def test_an_optimiser_with_one_step_for_all_tensors_is_refused():
    model = mlp()
    with pytest.raises(ValueError, match="expected one with a step of its own for each tensor, found LBFGS"):
        FixNorm(torch.optim.LBFGS(model.parameters()), model)


def test_names_of_parameters_stay_theirs():
    model = mlp()
    optimizer = FixNorm(torch.optim.SGD(model.named_parameters(), lr=0.1), model)
    named = {
        name: tensor
        for group in optimizer.param_groups
        for name, tensor in zip(group["param_names"], group["params"], strict=True)
    }
    assert {name: id(tensor) for name, tensor in named.items()} == {
        name: id(tensor) for name, tensor in model.named_parameters()
    }


def test_a_model_with_nothing_scale_invariant_is_refused():
    model = mlp(None)
    with pytest.raises(ValueError, match="scale-invariant tensors: expected at least one, found none"):
        FixNorm(torch.optim.Adam(model.parameters()), model)
    with pytest.raises(ValueError, match="scale-invariant tensors: expected at least one, found none"):
        train(model, FixNorm(model.parameters(), lr=1e-3), 20)


@pytest.mark.parametrize("lr", [0.0, math.nan, math.inf])
def test_rates_have_to_be_above_0(lr):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    optimizer.param_groups[0]["lr"] = lr
    with pytest.raises(ValueError, match="lr: expected a finite rate above 0"):
        FixNorm(optimizer, model)


def test_weight_decay_is_refused():
    model = mlp()
    with pytest.raises(ValueError, match=r"0.weight: expected weight_decay 0, .* found 0.01"):
        FixNorm(torch.optim.AdamW(model.parameters(), weight_decay=0.01), model)


def test_a_norm_of_0_is_refused():
    model = nn.Sequential(ScaleInvariantLinear(1, 4, scale=1.0), nn.Linear(4, 1))
    nn.init.zeros_(model[0].weight)
    with pytest.raises(ValueError, match=r"0.weight: expected a norm above 0 to begin with, found 0"):
        FixNorm(torch.optim.Adam(model.parameters()), model)


def test_weights_in_bfloat16_are_refused():
    model = mlp().bfloat16()
    with pytest.raises(ValueError, match=r"0.weight: expected float32 weights.* found torch.bfloat16"):
        FixNorm(torch.optim.SGD(model.parameters(), lr=0.1), model, probe=X.bfloat16())


@pytest.mark.parametrize("shape", [(1, 4, 3), (3, 4, 3)])
def test_inputs_are_guessed_from_the_first_layer(shape):
    channels, width, kernel = shape
    model = nn.Sequential(
        nn.Conv2d(channels, width, kernel, bias=False), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 26**2, 2)
    )
    assert len(FixNorm(torch.optim.Adam(model.parameters()), model).norms) == 1


def test_inputs_that_cannot_be_guessed_have_to_be_given():
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ScaleInvariantLinear(2, 2)

        def forward(self, x, y):
            return self.layer(x + y)

    model = Pair()
    with pytest.raises(ValueError, match="probe: expected inputs for Pair"):
        FixNorm(torch.optim.Adam(model.parameters()), model)
    inputs = torch.ones(1, 2), torch.ones(1, 2)
    assert len(FixNorm(torch.optim.Adam(model.parameters()), model, probe=inputs).norms) == 1


def test_the_norms_are_those_of_numpy():
    model = mlp()
    optimizer = FixNorm(torch.optim.Adam(model.parameters()), model)
    assert list(optimizer.norms.values()) == [pytest.approx(np.linalg.norm(model[0].weight.detach().double().numpy()))]
