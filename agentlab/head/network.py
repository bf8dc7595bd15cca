"""The network of `RewardDifferenceDQN`, and the policy around it."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from agentlab.head.readout import Histogram, Scalar

LAYERS = ("dueling", "layer_norm", "histogram", "bias")
"""What a `DifferenceNetwork` has unless it is told to do without."""

MARGIN = 0.8
"""By how many units imitated actions are to be better than others (arXiv 1704.03732)."""


class DifferenceNetwork(QNetwork):
    """The difference still to come D(s, a) for each action: an offset plus what a dueling network adds, in a unit.

    The offset holds the `R*/(1 - gamma)` common to all states, so that learning begins there, and the unit is the size
    of R*, so that games of small and of large rewards are learned alike; both are buffers, not learned. Hidden layers
    are linear, layer normalisation (arXiv 1607.06450) and ReLU (dueling: arXiv 1511.06581); the outputs are read as a
    `Histogram` or, without it, as a `Scalar`.
    """

    def __init__(
        self,
        *args: Any,
        dueling: bool = True,
        layer_norm: bool = True,
        histogram: bool = True,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        """Takes SB3's arguments, and which `LAYERS` there are; `bias` is that of hidden layers, without which they are
        scale-invariant where they are normalised."""
        super().__init__(*args, **kwargs)
        widths = [self.features_dim, *self.net_arch]
        self.q_net = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(width_in, width_out, bias=bias),
                    nn.LayerNorm(width_out) if layer_norm else nn.Identity(),
                    nn.ReLU(),
                )
                for width_in, width_out in zip(widths, self.net_arch, strict=False)
            )
        )
        self.readout = Histogram() if histogram else Scalar()
        self.state_value = nn.Linear(widths[-1], self.readout.n_outputs) if dueling else None
        self.advantage = nn.Linear(widths[-1], int(self.action_space.n) * self.readout.n_outputs)
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("unit", torch.ones(()))
        self.offset: Tensor
        self.unit: Tensor
        self.learns_in_bfloat16 = False

    def learn_in_bfloat16(self, enabled: bool) -> None:
        """Lets all layers but the first, in training mode, multiply in bfloat16; weights and sums stay float32."""
        self.learns_in_bfloat16 = enabled

    def forward(self, obs: Tensor) -> Tensor:  # type: ignore[override]
        return self.offset + self.beyond_offset(obs)

    def beyond_offset(self, obs: Tensor) -> Tensor:
        """D minus the offset, float32 `(n, n_actions)`: what the order of actions depends on."""
        return self.unit * self.readout.number(self.outputs(obs))

    def loss(self, obs: Tensor, actions: Tensor, wanted: Tensor, imitation: float = 0.0) -> Tensor:
        """The readout's loss of D of the actions `(n, 1)` for what is wanted `(n, 1)`, on average.

        With `imitation`, its weight, a loss of how far D of the actions is from the smallest by `MARGIN` is added.
        """
        outputs = self.outputs(obs)
        loss = self._losses(outputs, actions, wanted).mean()
        return loss + imitation * self._margin_loss(outputs, actions) if imitation else loss

    def losses(self, obs: Tensor, actions: Tensor, wanted: Tensor) -> Tensor:
        """The readout's loss of each, `(n,)`."""
        return self._losses(self.outputs(obs), actions, wanted)

    def _losses(self, outputs: Tensor, actions: Tensor, wanted: Tensor) -> Tensor:
        losses: Tensor = self.readout.losses(_chosen(outputs, actions), (wanted[:, 0] - self.offset) / self.unit)
        return losses

    def _margin_loss(self, outputs: Tensor, actions: Tensor) -> Tensor:
        differences = self.readout.number(outputs)
        others = differences - MARGIN * (1 - F.one_hot(actions[:, 0].long(), differences.shape[1]))
        return (differences.gather(1, actions.long())[:, 0] - others.min(dim=1).values).mean()

    def of_actions(self, obs: Tensor, actions: Tensor) -> Tensor:
        """D of the actions `(n, 1)`, float32 of the same shape."""
        return self.offset + self.unit * self.readout.number(_chosen(self.outputs(obs), actions))[:, None]

    def out_of_reach(self, differences: Tensor) -> Tensor:
        """Which of D are too large in units to be told from larger ones."""
        return self.readout.out_of_reach((differences - self.offset) / self.unit)

    def outputs(self, obs: Tensor) -> Tensor:
        """What the readout makes numbers of, float32 `(n, n_actions, n_outputs)`."""
        hidden = self.extract_features(obs, self.features_extractor)
        for number, layer in enumerate(self.q_net):
            with self._fast(number > 0):
                hidden = layer(hidden)
        with self._fast():
            outputs = F.linear(hidden, *self._last_layer()).float()
        return torch.unflatten(outputs, 1, (-1, self.readout.n_outputs))

    def _last_layer(self) -> tuple[Tensor, ...]:
        """Weight and bias of the outputs; dueling, being linear, costs less in them than in the outputs of a batch."""
        if self.state_value is None:
            return self.advantage.weight, self.advantage.bias
        per_action = (-1, self.readout.n_outputs)
        return tuple(
            (value + (advantage := torch.unflatten(own, 0, per_action)) - advantage.mean(dim=0)).flatten(0, 1)
            for value, own in zip(self.state_value.parameters(), self.advantage.parameters(), strict=True)
        )

    def _fast(self, enabled: bool = True) -> torch.autocast:
        fast = enabled and self.learns_in_bfloat16 and self.training
        return torch.autocast(self.offset.device.type, torch.bfloat16, enabled=fast)

    def _predict(self, observation: Tensor, deterministic: bool = True) -> Tensor:  # type: ignore[override]  # noqa: ARG002
        return self.beyond_offset(observation).argmin(dim=1)


class DifferencePolicy(DQNPolicy):
    """SB3's DQN policy around a `DifferenceNetwork`: acts by the smallest difference."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes SB3's arguments and the `LAYERS` of the network."""
        self._layers = {name: kwargs.pop(name) for name in LAYERS if name in kwargs}
        super().__init__(*args, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | self._layers

    def make_q_net(self) -> QNetwork:
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return DifferenceNetwork(**arguments, **self._layers).to(self.device)


def _chosen(outputs: Tensor, actions: Tensor) -> Tensor:
    """The outputs `(n, n_outputs)` of the actions `(n, 1)`."""
    return outputs[torch.arange(len(actions)), actions[:, 0].long()]
