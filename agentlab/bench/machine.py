"""What a measurement was made on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from agentlab import device as devices
from agentlab.recording.provenance import installed_version

PACKAGES = ("agentlab", "torch", "stable-baselines3", "gymnasium", "ale-py", "openvino", "numpy")
CPUINFO = Path("/proc/cpuinfo")


def describe() -> dict[str, Any]:
    """The processor, the cores that may be used, and the versions of what matters to speed and scores."""
    return {
        "processor": _processor(),
        "cores": devices.cores(),
        "versions": {name: installed_version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """The processor's model where the system tells it, else its kind."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
