"""One self-contained HTML page for a run, one for a search, and one for a recording, which can be a video too."""

from agentlab.report.page import write_run_report
from agentlab.report.playback import record_playback
from agentlab.report.recording_page import write_recording_page
from agentlab.report.search_page import write_search_report
from agentlab.report.thoughts import Onlooker
from agentlab.report.video import write_video

__all__ = [
    "Onlooker",
    "record_playback",
    "write_recording_page",
    "write_run_report",
    "write_search_report",
    "write_video",
]
