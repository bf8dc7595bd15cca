"""Compares what Minari reads from a recording with what agentlab does: `minari_reads.py REC CONTENTS.npz`.

For environments with any release of Minari and without agentlab; exits with 1 where anything differs.
"""

import json
import sys
from pathlib import Path

import minari
import numpy as np

COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")

if __name__ == "__main__":
    dataset = minari.MinariDataset(Path(sys.argv[1]) / "data")
    ours = np.load(sys.argv[2])
    names = {key.partition("/")[0] for key in ours}
    differing = [] if len(dataset) == len(names) else [f"{len(dataset)} episodes instead of {len(names)}"]
    told = dataset.storage.get_episode_metadata(range(len(dataset)))
    for theirs, about in zip(dataset, told, strict=True):
        for name in COLUMNS:
            expected, found = ours[f"{theirs.id}/{name}"], getattr(theirs, name)
            if found.dtype != expected.dtype or not np.array_equal(found.reshape(expected.shape), expected):
                differing.append(f"episode {theirs.id}: {name}")
        seed, n_steps, options = json.loads(str(ours[f"{theirs.id}/told"]))
        if [about["seed"], about["total_steps"], about.get("options")] != [seed, n_steps, options]:
            differing.append(f"episode {theirs.id}: seed, steps or options")
    print(f"Minari {minari.__version__} reads {len(dataset)} episodes, {dataset.total_steps:,} steps:", end=" ")
    print("; ".join(differing) or "all equal")
    sys.exit(bool(differing))
