"""A disk that fills up while an episode is recorded: what is committed stays, and once there is room it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SMALL_DISK = ["unshare", "--mount", "--map-root-user", "sh", "-ec"]
"""A shell with file systems of its own, which end with it."""
MOUNT = 'mount -t tmpfs -o size={size} tmpfs "$0"; cd "$0"; '

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*SMALL_DISK, MOUNT.format(size="64k"), "/mnt"], capture_output=True, check=False).returncode
    != 0,
    reason="this machine lets nobody mount a small disk",
)


def on_a_small_disk(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    script = MOUNT.format(size="1m") + script.replace("agentlab ", f"{sys.executable} -m agentlab ")
    return subprocess.run([*SMALL_DISK, script, str(folder)], capture_output=True, text=True, check=False)


def test_what_is_committed_stays_and_room_lets_it_go_on(tmp_path):
    run = on_a_small_disk(
        tmp_path,
        "head -c 600k /dev/zero > filler; "
        "agentlab record agentlab/Catch-v0 --out rec --episodes 100000 --policy random && exit 9 || echo $?; "
        "agentlab inspect rec --json --check; "
        "rm filler; "
        "agentlab record agentlab/Catch-v0 --out rec --episodes 1 --policy random --append --json; "
        "agentlab inspect rec --json --check; "
        "agentlab replay rec --verify",
    )
    assert run.returncode == 0, run.stderr
    code, rest = run.stdout.split("\n", 1)
    assert code == "2"
    (complaint,) = [line for line in run.stderr.splitlines() if line.startswith("agentlab:")]
    assert "rec: the disk is full; finished episodes are kept; make room and go on with --append" in complaint
    assert "Traceback" not in run.stderr
    full, gone_on, after = _objects(rest)
    assert full["episodes"] > 0
    assert full["damages"] == after["damages"] == []
    assert after["episodes"] == full["episodes"] + 1 + len(gone_on["recovered"])
    assert after["unfinished_episodes"] is None


def _objects(text: str) -> list[dict[str, object]]:
    """The JSON objects at the beginning of a text, one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text.startswith("{"):
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].lstrip()
    return found
