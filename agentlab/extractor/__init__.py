"""Fits an image feature extractor on labelled frames, and freezes it (CN110837858B)."""

from agentlab.extractor.eye import Sees
from agentlab.extractor.fit import check_recordings, fit
from agentlab.extractor.frozen import FrozenExtractor

__all__ = ["FrozenExtractor", "Sees", "check_recordings", "fit"]
