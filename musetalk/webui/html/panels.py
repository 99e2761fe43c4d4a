"""The pieces of HTML that the page is made of: pure functions, one module each."""

from musetalk.webui.html.header import header
from musetalk.webui.html.job_cards import JOB_LIST_JS, JobEntry, Keeping, job_list
from musetalk.webui.html.models import ModelRow, models_table
from musetalk.webui.html.report import report_panel
from musetalk.webui.html.status import STATUS_JS, status_panel
from musetalk.webui.html.timeline import timeline_svg

__all__ = [
    "JOB_LIST_JS",
    "STATUS_JS",
    "JobEntry",
    "Keeping",
    "ModelRow",
    "header",
    "job_list",
    "models_table",
    "report_panel",
    "status_panel",
    "timeline_svg",
]
