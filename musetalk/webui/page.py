"""The whole page: header, tabs, what happens when it opens."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from musetalk.webui.addresses import ARRIVED, FOLLOW, WITH_KEPT, build_travel
from musetalk.webui.api import add_api
from musetalk.webui.html.ending import ending_box
from musetalk.webui.html.links import build_links
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import AT_ONCE, EACH, NAME, UNQUEUED, Site, site_header
from musetalk.webui.tabs import live, models
from musetalk.webui.tabs.compare import build_compare
from musetalk.webui.tabs.dub import build_dub
from musetalk.webui.tabs.job_views import SHOW_STAGE, JobViews, Place
from musetalk.webui.tabs.jobs import build_jobs
from musetalk.webui.tabs.presenter import build_presenter, wire_draft
from musetalk.webui.tabs.told import build_told, wire_told

_CACHE_SWEEP_SECONDS = 600
_CACHE_KEEP_SECONDS = 6 * 3600  # uploads and preview frames; jobs have copies of their own
# The browser's own secret says whose jobs it sees. It is as safe as the browser's storage; this key only names it.
_STORAGE_KEY = "musetalk-visitor"


def build_page(site: Site) -> gr.Blocks:
    """Everything a visitor sees, wired to the site's engine and jobs."""
    cache = (_CACHE_SWEEP_SECONDS, _CACHE_KEEP_SECONDS)
    page = gr.Blocks(title=NAME, delete_cache=cache, analytics_enabled=False)
    with page:
        add_api(site)  # first, so that no handler of the page takes an endpoint's name
        visitor = gr.BrowserState(None, storage_key=_STORAGE_KEY, secret=_STORAGE_KEY)
        build_links()
        header = gr.HTML(site_header(site))
        ending_box()
        downloading, making = models.build_refresher(), live.build_refresher()
        told = build_told()
        looks = MediaLooks(site.engine, site.base.source, site.uploads.folder)
        with gr.Tabs() as tabs:
            with gr.Tab("Dub", id="dub") as dub_tab:
                dub = build_dub(site, visitor, header, looks)
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare = build_compare(site, visitor, header, compare_tab, dub, looks)
            with gr.Tab("Presenter", id="presenter") as presenter_tab:
                presenter = build_presenter(site, visitor, header, presenter_tab, looks, dub.estimates)
            with gr.Tab("Live", id="live") as live_tab:
                live.build_live(site, live_tab, looks, making)
            places = {
                "dub": Place(dub, dub.inputs),
                "compare": compare,
                "presenter": Place(presenter, presenter.inputs),
            }
            views = JobViews(site, tabs, places)
            with gr.Tab("Jobs", id="jobs") as jobs_tab:
                build_jobs(site, visitor, jobs_tab, views, header, dub.form)
            with gr.Tab("Models", id="models") as models_tab:
                models.build_models(site, page, models_tab, dub_tab, dub.form["backend"], downloading)

        def open_page(request: gr.Request, secret: str | None, kept: str) -> dict[Any, Any]:
            secret = secret or secrets.token_urlsafe(32)
            return {visitor: secret, header: site_header(site), **views.restore(request, secret, kept)}

        page.unload(dub.previews.leave)
        page.unload(presenter.leave)
        wire_draft(page, presenter)
        kept = gr.Textbox(visible=False, label="kept")
        opened = page.load(open_page, [visitor, kept], [visitor, *views.shown], js=WITH_KEPT, **AT_ONCE)
        opened.then(None, js=SHOW_STAGE, api_visibility="private")
        tells = wire_told(site, views, visitor, told)
        opened.then(tells.tell, [visitor, told[1], *views.jobs], tells.told, **UNQUEUED)
        travel = build_travel()
        went = travel.submit(views.go, [visitor, *views.jobs], views.shown, **EACH)
        for arrived in (opened, went):
            arrived.then(None, views.jobs, js=ARRIVED, api_visibility="private")
        changes = [tab.select for tab in (dub_tab, compare_tab, presenter_tab, live_tab, jobs_tab, models_tab)]
        changes += [job.change for job in views.jobs]
        gr.on(changes, None, views.jobs, js=FOLLOW, api_visibility="private")
    return page
