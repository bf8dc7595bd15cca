"""One self-contained HTML page for a run, and one for a search."""

from agentlab.report.page import write_run_report
from agentlab.report.playback import record_playback
from agentlab.report.search_page import write_search_report

__all__ = ["record_playback", "write_run_report", "write_search_report"]
