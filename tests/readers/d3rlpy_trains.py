"""Trains one DQN step with d3rlpy on a recording, or on what `agentlab export REC --minari-hdf5` wrote, as Minari reads
it: `d3rlpy_trains.py PATH`; for an environment with d3rlpy and Minari, without agentlab."""

import sys
from pathlib import Path

import d3rlpy
import minari
import numpy as np

if __name__ == "__main__":
    episodes = list(minari.MinariDataset(Path(sys.argv[1]) / "data"))
    names = ("actions", "rewards", "terminations", "truncations")
    actions, rewards, terminations, truncations = (np.concatenate([getattr(e, n) for e in episodes]) for n in names)
    frames = np.concatenate([episode.observations[:-1] for episode in episodes])[:, None]
    dataset = d3rlpy.dataset.MDPDataset(frames, actions, rewards, terminations.astype(float), truncations.astype(float))
    scaler = d3rlpy.preprocessing.PixelObservationScaler()
    dqn = d3rlpy.algos.DQNConfig(observation_scaler=scaler).create(device="cpu:0")
    dqn.build_with_dataset(dataset)
    found = dqn.update(dataset.sample_transition_batch(32))
    print(
        f"d3rlpy {d3rlpy.__version__}: {len(actions):,} steps of {len(episodes)} episodes; one training step: {found}"
    )
