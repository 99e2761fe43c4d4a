"""Which tab shows a job: renders are shown where one renders, comparisons where one compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from musetalk.errors import MuseTalkError
from musetalk.webui.site import Site, for_toast, owner_of
from musetalk.webui.watching import Update, Watching

# On a phone, what the address names lies below all inputs. Its tab may take a moment to appear.
SHOW_STAGE = """() => {
  const named = new URL(window.location).searchParams.get("job");
  if (!named || !matchMedia("(max-width: 640px)").matches) return;
  const scroll = (left) => {
    const stage = [...document.querySelectorAll(".stage")].find((each) => each.checkVisibility());
    if (stage) stage.scrollIntoView({ block: "start" });
    else if (left) setTimeout(scroll, 100, left - 1);
  };
  scroll(20);
}"""


class JobViews:
    """Shows jobs of the list, and the one that the address names.

    Args:
        site: Whose jobs.
        tabs: All tabs.
        shown_by: By the id of its tab, what shows jobs there: "dub" and "compare".
    """

    def __init__(self, site: Site, tabs: gr.Tabs, shown_by: Mapping[str, Watching]) -> None:
        self._site = site
        self._tabs = tabs
        self._shown_by = shown_by

    @property
    def shown(self) -> list[Any]:
        """What changes when a job is shown."""
        widgets = [widget for view in self._shown_by.values() for widget in view.watched]
        return [*dict.fromkeys([self._tabs, *widgets])]

    def open(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Show a job on its tab.

        Raises:
            JobError: It is gone.
        """
        job = self._site.jobs.get(job_id, owner_of(secret, request))
        tab = "compare" if job.compare else "dub"
        return {self._tabs: gr.Tabs(selected=tab), **self._shown_by[tab].open(job)}

    def restore(self, request: gr.Request, secret: str | None) -> Update:
        """Show the job that the page's address names."""
        job_id = request.query_params.get("job")
        if not job_id:
            return {}
        try:
            return self.open(request, job_id, secret)
        except MuseTalkError as error:
            gr.Warning(for_toast(error, self._site.reader))
            return {}
