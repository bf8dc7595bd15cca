"""Fits an image feature extractor on labelled frames, and freezes it (CN110837858B).

Words, for n frames:

- *eye*: the network that makes features of frames, and the predictors that make labels of features; an *extractor* is
  an eye, frozen, with its folder;
- *features*: what the network makes of a frame, `(n, n_features)`;
- *outputs*: what the predictors make of features, one or more numbers a label and one for its presence;
- *signals*: the outputs on one scale, for a head to see;
- *percepts*: all that a head sees of a frame: the signals, and with `sees="all"` the features;
- *rows*: the labels in their own units, `(n, n_labels)`, NaN where one is absent.

A head's *state* is the percepts of the last frames, stacked.
"""

from agentlab.extractor.eye import Sees
from agentlab.extractor.fit import check_recordings, fit
from agentlab.extractor.frozen import FrozenExtractor
from agentlab.extractor.with_strategies import StrategicSeams, require_sound

__all__ = ["FrozenExtractor", "Sees", "StrategicSeams", "check_recordings", "fit", "require_sound"]
