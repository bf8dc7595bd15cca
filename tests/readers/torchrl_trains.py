"""Trains one DQN step with TorchRL on what `agentlab export REC --minari-hdf5 FOLDER/NAME` wrote: `torchrl_trains.py
FOLDER NAME`; for an environment with TorchRL and Minari, without agentlab."""

import os
import sys
import tempfile

import torch
from torch import nn
from torchrl.data import Categorical
from torchrl.data.datasets import MinariExperienceReplay
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss

if __name__ == "__main__":
    os.environ["MINARI_DATASETS_PATH"] = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        replay = MinariExperienceReplay(sys.argv[2], 256, root=folder, load_from_local_minari=True, download=False)
        torch.manual_seed(0)
        batch = replay.sample()
    n_actions = int(batch["action"].max()) + 1
    pixels = batch["observation"]
    network = nn.Sequential(nn.Flatten(), nn.Linear(pixels[0].numel(), 64), nn.ReLU(), nn.Linear(64, n_actions))
    actor = QValueActor(network, spec=Categorical(n_actions), in_keys=["observation"], action_space="categorical")
    for key in ("observation", ("next", "observation")):
        batch[key] = batch[key].float().div(255)
    loss = DQNLoss(actor, delay_value=False, action_space="categorical")
    optimiser = torch.optim.Adam(loss.parameters(), 1e-3)
    losses = []
    for _ in range(2):
        found = loss(batch)["loss"]
        losses.append(found.item())
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    print(f"{len(replay):,} steps; a batch of {len(batch)}, frames {tuple(pixels.shape[1:])} {pixels.dtype};", end=" ")
    print(f"one training step takes the loss from {losses[0]:.3g} to {losses[1]:.3g}")
