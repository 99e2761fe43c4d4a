"""The pieces of HTML that the page is made of: pure functions, one module each."""

from musetalk.webui.header import header
from musetalk.webui.job_cards import JOB_LIST_JS, JobEntry, Keeping, job_list
from musetalk.webui.models import ModelRow, models_table
from musetalk.webui.report import report_panel
from musetalk.webui.status import STATUS_JS, status_panel
from musetalk.webui.timeline import timeline_svg

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
