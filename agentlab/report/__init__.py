"""One self-contained HTML page for a run."""

from agentlab.report.page import write_run_report
from agentlab.report.playback import record_playback

__all__ = ["record_playback", "write_run_report"]
