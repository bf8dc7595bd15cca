"""Training strategies, each usable alone on any PyTorch loop; `extractor.learner` has the seams they stand in at."""

from agentlab.strategies.fix_norm import FixNorm as FixNorm
from agentlab.strategies.hard_clusters import HardClusters as HardClusters
from agentlab.strategies.hard_clusters import Judgement as Judgement
from agentlab.strategies.mode_choice import Loop as Loop
from agentlab.strategies.mode_choice import ModeChoice as ModeChoice
from agentlab.strategies.modes import Mode as Mode
from agentlab.strategies.random_patience import RandomPatience as RandomPatience
from agentlab.strategies.scale_invariant import ScaleInvariantLinear as ScaleInvariantLinear
