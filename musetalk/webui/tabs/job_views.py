"""What of the page is shown: which tab, which job on it, and the inputs that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gradio as gr

from musetalk.errors import MuseTalkError
from musetalk.jobs.job import Job
from musetalk.webui.addresses import TABS, View, view_of
from musetalk.webui.site import Site, for_toast, owner_of
from musetalk.webui.tabs.job_watcher import JobWatcher, Update

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


class PlaceInputs(Protocol):
    """The inputs beside what watches jobs of one kind."""

    @property
    def given(self) -> list[Any]:
        """What changes when something is given back."""

    def of_job(self, job: Job) -> Update:
        """Give back what a job was asked for with; what cannot be given back is said."""

    def of_kept(self, kept: str, job: Job | None = None) -> Update:
        """Give back what the browser kept of the inputs, where it kept anything; see `JobInputs`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs of one kind are shown: what watches them, and the inputs beside it."""

    watching: JobWatcher
    inputs: PlaceInputs


class JobViews:
    """Shows jobs of the list, and what the address names.

    Args:
        site: Whose jobs.
        tabs: All tabs.
        places: By the id of its tab, what shows jobs there: "dub" shows renders, "compare" comparisons,
            "presenter" talks.
    """

    def __init__(self, site: Site, tabs: gr.Tabs, places: Mapping[str, Place]) -> None:
        self._site = site
        self._tabs = tabs
        self._places = places

    @property
    def jobs(self) -> list[gr.Textbox]:
        """What holds the ids of the jobs that are shown, in the order of the places."""
        return [place.watching.job for place in self._places.values()]

    @property
    def shown(self) -> list[Any]:
        """What changes when something else is shown."""
        watched = [widget for place in self._places.values() for widget in place.watching.opened]
        inputs = [widget for place in self._places.values() for widget in place.inputs.given]
        return [*dict.fromkeys([self._tabs, *watched, *inputs])]

    def open(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Show a job on its tab, with its inputs and settings.

        Raises:
            JobError: It is gone.
        """
        job = self._job(request, job_id, secret)
        tab = _tab_of(job)
        return {**self._select(tab), **self._places[tab].watching.open_from_elsewhere(job), **self._given_back(job)}

    def edit(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Give back a job's inputs and settings, and show no job beside them.

        Raises:
            JobError: It is gone.
        """
        job = self._job(request, job_id, secret)
        tab = _tab_of(job)
        return {**self._select(tab), **self._places[tab].watching.put_away(), **self._given_back(job)}

    def show_again(self, job: Job, shown: tuple[str, ...]) -> Update:
        """Show what has become of a job, where it is shown; `shown` are the jobs that are, by their places."""
        tab = _tab_of(job)
        return self._places[tab].watching.open(job) if job.id in shown else {}

    def forget(self, shown: tuple[str, ...], owner: str) -> Update:
        """Put away what of the shown jobs there is no more."""
        there = {job.id for job in self._site.jobs.jobs(owner)}
        gone = [place for place, job in zip(self._places.values(), shown, strict=True) if job and job not in there]
        return {widget: said for place in gone for widget, said in place.watching.put_away().items()}

    def restore(self, request: gr.Request, secret: str | None, kept: str) -> Update:
        """Show what the page's address names, with the inputs that the browser kept; say of renders that are gone."""
        view = view_of(request.query_params)
        if not view.job:  # whoever is quick may be there already
            return {**(self._select(view.tab) if view.tab != TABS[0] else {}), **self._draft(kept)}
        try:
            job = self._job(request, view.job, secret)
        except MuseTalkError as error:
            gr.Warning(for_toast(error, self._site.reader), duration=None)
            return self._draft(kept)
        return {**self.open(request, job.id, secret), **self._places[_tab_of(job)].inputs.of_kept(kept, job)}

    def go(self, request: gr.Request, event: gr.EventData, secret: str | None, *shown: str) -> Update:
        """Show what the address names after a step back or forward; `shown` are the jobs that are now."""
        view = view_of(str(event.query))
        if view.job in shown:
            return self._select([*self._places][shown.index(view.job)]) if view.job else self._leave(view, event, shown)
        try:
            return self.open(request, view.job, secret) if view.job else self._leave(view, event, shown)
        except MuseTalkError as error:
            gr.Warning(for_toast(error, self._site.reader), duration=None)
            return self._leave(View(), event, shown)

    def _leave(self, view: View, event: gr.EventData, shown: tuple[str, ...]) -> Update:
        """Show a tab, and no job on it, with the inputs as they were when none was shown."""
        update = self._select(view.tab)
        if view.tab not in self._places or not shown[[*self._places].index(view.tab)]:
            return update
        update |= self._places[view.tab].watching.put_away()
        return {**update, **self._places["dub"].inputs.of_kept(str(event.kept))} if view.tab == "dub" else update

    def _draft(self, kept: str) -> Update:
        """Return the inputs as they were when no job was shown.

        Where nothing was kept, whatever was given by now stays.
        """
        return self._places["dub"].inputs.of_kept(kept) if kept else {}

    def _job(self, request: gr.Request, job_id: str, secret: str | None) -> Job:
        return self._site.jobs.get(job_id, owner_of(secret, request))

    def _select(self, tab: str) -> Update:
        return {self._tabs: gr.Tabs(selected=tab)}

    def _given_back(self, job: Job) -> Update:
        place = self._places[_tab_of(job)]
        return {**place.inputs.of_job(job), **place.watching.given_back(job)}


def _tab_of(job: Job) -> str:
    if job.attached:  # only talks have files of their own
        return "presenter"
    return "compare" if job.compare else "dub"
