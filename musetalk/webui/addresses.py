"""What each view is called in the browser's address, and the scripts that keep address and page the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

import gradio as gr

TABS = (
    "dub",
    "compare",
    "presenter",
    "live",
    "jobs",
    "models",
)  # their ids; the first one is what the plain address shows
_JOBS_OF = ("dub", "compare", "presenter")  # the tabs that show jobs
KEPT = "musetalk-drafts"  # under which the browser's tab keeps what its inputs hold

# While the page is being made to show what the address says, the address must not follow what the page still shows:
# this is 1 until that has arrived, from the page's opening on. Whoever goes further meanwhile is followed afterwards,
# for answers to two questions may come in any order: what was asked for is kept beside it.
_GOING, _ASKED, _GO = "window.musetalkGoing", "window.musetalkAsked", "window.musetalkGo"
LEAVE_IT = f"if (({_GOING} ?? 1) > 0) return;"

_KEPT = f'sessionStorage.getItem("{KEPT}") ?? ""'
WITH_KEPT = f"""(visitor) => {{
  {_ASKED} = window.location.search;
  return [visitor, {_KEPT}];
}}"""
_TRAVEL = f"""
{_GO} = () => {{
  {_GOING} = 1;
  {_ASKED} = window.location.search;
  trigger("submit", {{ query: {_ASKED}.slice(1), kept: {_KEPT} }});
}};
window.addEventListener("popstate", () => {{
  {LEAVE_IT}
  {_GO}();
}});
"""
_LAND = f"""
  if ({_ASKED} !== window.location.search) return void {_GO}();
  {_GOING} = 0;
"""


def _follow(how: str, before: str = "") -> str:
    """Return a script, given the jobs that are shown, that lets the address say what is shown.

    A moment later the page shows all of what has changed, the tab as well.
    """
    return f"""(...jobs) => {{
  {before}
  setTimeout(() => {{
    {LEAVE_IT}
    const tab = document.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId;
    const job = jobs[{list(_JOBS_OF)}.indexOf(tab)];
    const address = new URL(window.location);
    for (const name of ["tab", "job"]) address.searchParams.delete(name);
    if (job) address.searchParams.set("job", job);
    else if (tab && tab !== "{TABS[0]}") address.searchParams.set("tab", tab);
    if (address.href !== window.location.href) history.{how}(null, "", address);
  }});
}}"""


FOLLOW = _follow("pushState")
ARRIVED = _follow("replaceState", _LAND)  # what is not there any more was not found


@dataclass(frozen=True, slots=True)
class View:
    """What of the page is shown.

    Attributes:
        tab: Its id, one of `TABS`; says nothing where there is a job, which knows its own.
        job: The id of the job that is shown on it; empty: none.
    """

    tab: str = TABS[0]
    job: str = ""


def view_of(query: str | Mapping[str, str]) -> View:
    """Return the view that an address names by its query, be it text or parsed.

    A tab that there is not counts as not said.
    """
    said = {name: values[0] for name, values in parse_qs(query).items()} if isinstance(query, str) else query
    tab = said.get("tab", "")
    return View(tab if tab in TABS else TABS[0], said.get("job", ""))


def build_travel() -> gr.HTML:
    """Return a component that is not seen: "submit" says that somebody went back or forward, with {query, kept}."""
    return gr.HTML("", js_on_load=_TRAVEL, visible="hidden")
