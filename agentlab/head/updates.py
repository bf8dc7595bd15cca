"""A DQN head's updates as a training that modes are tried on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from agentlab.head.network import DifferenceNetwork
from agentlab.strategies.modes import FLOAT32, Mode

if TYPE_CHECKING:
    from agentlab.head.dqn import RewardDifferenceDQN

Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Observations, actions, and what D should be."""

PROBED = 1_024
"""Steps from the memory that modes are judged on."""


class Updates:
    """The `Training` of a `RewardDifferenceDQN`, judged on a sample of its memory."""

    def __init__(self, dqn: RewardDifferenceDQN, imitation: float) -> None:
        self._dqn, self._imitation = dqn, imitation
        self._probed: Batch | None = None

    @property
    def model(self) -> nn.Module:
        return self._dqn.q_net

    def step(self, batch: Batch) -> Tensor:
        return self._dqn.update(*batch, imitation=self._imitation)

    @torch.no_grad()
    def probe(self) -> Tensor:
        if self._probed is None:
            sample = self._dqn.replay_buffer.sample(PROBED)
            wanted = self._dqn.wanted(sample, self._dqn.q_net, self._dqn.q_net_target)
            self._probed = sample.observations, sample.actions, wanted
        with _in_bfloat16(self._dqn.q_net, False):
            return self._dqn.q_net.losses(*self._probed)

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts():
            part.load_state_dict(state[name])

    def _parts(self) -> list[tuple[str, Any]]:
        return [("policy", self._dqn.policy), ("optimizer", self._dqn.policy.optimizer)]


@contextmanager
def _in_bfloat16(network: nn.Module, enabled: bool = True) -> Iterator[None]:
    assert isinstance(network, DifferenceNetwork)
    before = network.learns_in_bfloat16
    network.learn_in_bfloat16(enabled)
    try:
        yield
    finally:
        network.learn_in_bfloat16(before)


UPDATE_MODES = (FLOAT32, Mode("bfloat16", around_stage=_in_bfloat16))
"""The modes of a head's updates: `float32`, and `bfloat16` in all layers but the first."""
