"""The whole page: header, tabs, what happens when it opens."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from musetalk.webui.api import add_api
from musetalk.webui.compare import build_compare
from musetalk.webui.dub import build_dub
from musetalk.webui.ending import ending_box
from musetalk.webui.job_views import SHOW_STAGE, JobViews
from musetalk.webui.jobs_tab import build_jobs
from musetalk.webui.links import build_links
from musetalk.webui.models_tab import build_models, build_refresher
from musetalk.webui.site import AT_ONCE, NAME, Site, site_header

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
        refresher = build_refresher()
        with gr.Tabs() as tabs:
            with gr.Tab("Dub", id="dub") as dub_tab:
                dub = build_dub(site, visitor, header)
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare = build_compare(site, visitor, header, compare_tab, dub)
            views = JobViews(site, tabs, {"dub": dub, "compare": compare})
            with gr.Tab("Jobs", id="jobs") as jobs_tab:
                build_jobs(site, visitor, jobs_tab, views, header)
            with gr.Tab("Models", id="models") as models_tab:
                build_models(site, models_tab, dub_tab, dub.form.backend, refresher)

        def open_page(request: gr.Request, secret: str | None) -> dict[Any, Any]:
            secret = secret or secrets.token_urlsafe(32)
            return {visitor: secret, header: site_header(site), **views.restore(request, secret)}

        page.unload(dub.previews.leave)
        opened = page.load(open_page, visitor, [visitor, *views.shown], **AT_ONCE)
        opened.then(None, js=SHOW_STAGE, api_visibility="private")
    return page
