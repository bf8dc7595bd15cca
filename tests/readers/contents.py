"""Writes what agentlab reads from a recording to a NumPy file: `contents.py REC OUT.npz`; for `minari_reads.py`."""

import json
import sys

import numpy as np

from agentlab import Recording

COLUMNS = ("actions", "rewards", "terminations", "truncations")

if __name__ == "__main__":
    recording = Recording(sys.argv[1])
    held = {}
    for episode in recording:
        held |= {f"{episode.index}/{name}": getattr(episode, name) for name in COLUMNS}
        held[f"{episode.index}/observations"] = episode.frames(range(episode.n_frames))
        held[f"{episode.index}/told"] = np.array(json.dumps([episode.seed, episode.n_steps, episode.options]))
    np.savez_compressed(sys.argv[2], **held)
    print(f"agentlab reads {len(recording)} episodes, {recording.total_steps:,} steps")
