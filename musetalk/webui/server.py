"""From options to a running server, and back down without leaving anything running."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from musetalk.avatars.store import AvatarStore
from musetalk.backends.registry import BackendRegistry
from musetalk.batch.places import HERE, reached
from musetalk.comparison.viewing import compare_for_viewing
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.dispatch.engine import WorkersEngine
from musetalk.dispatch.opening import workers_at
from musetalk.doctor.environment import devices
from musetalk.errors import SettingsError
from musetalk.jobs.room import Room
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits
from musetalk.pipeline.first_costs import guessed_costs
from musetalk.pipeline.forecast import COSTS, CostBook
from musetalk.runtime.allocator import keep_large_buffers
from musetalk.settings import Limits, RenderSettings
from musetalk.utils.temporary_folders import sweep
from musetalk.webui.access import Access, Heeding
from musetalk.webui.avatars import Avatars
from musetalk.webui.backend_names import titled
from musetalk.webui.downloads import Downloads, bring_weights, weight_sets
from musetalk.webui.form.table import OWN_STYLE
from musetalk.webui.live import add_live_route
from musetalk.webui.monitoring.metrics import Metrics
from musetalk.webui.monitoring.readiness import Readiness
from musetalk.webui.monitoring.routes import Monitoring, add_monitoring_routes
from musetalk.webui.offer import add_offer_route
from musetalk.webui.options import ServerOptions, uploads_folder
from musetalk.webui.page import build_page
from musetalk.webui.shutdown import EndSignals, drain
from musetalk.webui.site import Site
from musetalk.webui.texts import FOLDER
from musetalk.webui.theme import STYLE, theme
from musetalk.webui.uploads import Uploads
from musetalk.webui.zerogpu.engine import make_engine

# Gradio keeps some 110 KiB a visit, and the newest 10,000 of them by default. A forgotten one loses nothing of ours.
_SESSIONS = 500
# After every event Gradio sums up all those it keeps (10,000 by default), for a monitoring page that we do not serve.
_EVENTS = {"GRADIO_ANALYTICS_MAX_EVENTS": "100", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000"}
# How often Gradio looks for events that wait: by default a thousand times a second, 6 % of a core with nobody there.
_LOOK_SECONDS = 0.02
_log = logging.getLogger(__name__)


def serve(options: ServerOptions) -> None:
    """Serve the app until the process is asked to end.

    Raises:
        MuseTalkError: It cannot be served like that.
    """
    signals = EndSignals()
    signals.heed()
    settings = RenderSettings(models_dir=options.models_dir)
    if any(backend.gpu is not None and not backend.configured(settings).lacks() for backend in BackendRegistry()):
        keep_large_buffers()  # before the page's threads begin
    with running(options) as app:
        signals.listen()
        if signals.wait():
            drain(app.jobs, app.live, options.drain_seconds, signals)


@dataclass(frozen=True, slots=True)
class RunningApp:
    """The app while it is served.

    Attributes:
        page: The page; its address is `local_url`.
        jobs: Takes and renders jobs.
        live: Serves live sessions.
    """

    page: gr.Blocks
    jobs: JobService
    live: LiveHost


@contextmanager
def running(options: ServerOptions) -> Iterator[RunningApp]:
    """The app, served while the `with` block runs.

    Raises:
        MuseTalkError: It cannot be served like that; where its workers cannot be reached, nothing was made or served.
    """
    with reached(options.workers), _running(options) as app:
        yield app


@contextmanager
def _running(options: ServerOptions) -> Iterator[RunningApp]:
    sweep(Path(tempfile.gettempdir()))  # of a server that was killed; jobs, the store sees to
    for name, value in _EVENTS.items():
        os.environ.setdefault(name, value)
    logins = [_login(entry) for entry in options.auth]
    limits = Limits(
        max_pixels=options.max_pixels,
        max_seconds=options.max_seconds,
        max_bytes=options.max_megabytes * 2**20,
    )
    base = RenderSettings(models_dir=options.models_dir, max_slowdown=options.max_slowdown, limits=limits)
    costs = CostBook(options.jobs_dir / COSTS, lambda kind: guessed_costs(kind, lambda: engine.rate(kind.device)))
    engine = make_engine(LipSync(costs=costs, own_process=True))
    sets = weight_sets(engine.registry)
    bring_weights(sets, options.weights, options.models_dir)
    max_bytes = round(options.max_disk_gigabytes * 2**30)
    kept = JobStore(options.jobs_dir, keep_seconds=options.keep_hours * 3600, max_bytes=max_bytes)
    comparing = partial(compare_for_viewing, named=titled)
    store = AvatarStore(options.avatars_dir)
    workers = None if options.workers == HERE else Dispatcher()
    rendering = engine if workers is None else WorkersEngine(engine, workers)
    room = Room(options.max_queue)
    jobs = JobService(
        [rendering], kept, compare=comparing, named=titled, costs=costs, avatars=store, room=room, slots=workers
    )
    uploads = Uploads(uploads_folder(options.jobs_dir), max_bytes)
    # Served where they are: Gradio would else copy each result to its own folder before it is shown.
    gr.set_static_paths([kept.root, FOLDER])
    access = Access(options)
    downloads = Downloads(sets, options.models_dir, allowed=access.downloads)
    limited = LiveLimits(sessions=max(1, options.live_sessions))
    live = LiveHost(engine, store, limited, models_dir=options.models_dir)
    avatars = Avatars(store, engine, base, max_bytes, live.speaking, allowed=access.avatar_making)
    speaking = avatars if options.live_sessions else None
    site = Site(engine, jobs, base, devices()[-1], uploads, downloads, access=access, avatars=speaking, workers=workers)
    page = build_page(site)
    until_end = ExitStack()
    try:
        _launch(page, options, logins, site)
        painters = [backend.configured(base) for backend in engine.registry]
        readiness = Readiness(jobs, painters, workers=workers)
        monitoring = Monitoring(readiness, Metrics(jobs, uploads, live, readiness, workers), options.metrics_token)
        _add_routes(page, live if options.live_sessions else None, monitoring)
        if workers is not None:  # once the page is served: Gradio gives up where it is slow to answer itself
            until_end.enter_context(workers_at(options.workers, workers, engine))
        _log.info("serving on %s", page.local_url)
        yield RunningApp(page, jobs, live)
    finally:
        page.close(verbose=False)
        live.close()
        avatars.close()
        site.previews.close()
        site.readings.close()
        downloads.close()
        jobs.close()
        until_end.close()


def _add_routes(page: gr.Blocks, live: LiveHost | None, monitoring: Monitoring) -> None:
    """Answer beside a page that is served who wants no page; `live`: None: nobody may speak live."""
    if live is not None:
        add_live_route(page, live)
        add_offer_route(page, live)
    add_monitoring_routes(page, monitoring)


def _launch(page: gr.Blocks, options: ServerOptions, logins: list[tuple[str, str]], site: Site) -> None:
    """Serve a page; others may add routes then."""
    page.launch(
        server_name=options.host,
        server_port=options.port,
        auth=logins or None,
        share=options.share,
        max_file_size=site.base.limits.max_bytes,
        theme=theme(),
        css_paths=STYLE,
        css=OWN_STYLE or None,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        state_session_capacity=_SESSIONS,
        prevent_thread_lock=True,
        quiet=True,
        app_kwargs={"middleware": [Middleware(Heeding, heed=site.heed)]},
        # Gradio has asked itself whether it answers by then. It would ask for the page, too, and give up where that
        # takes three seconds, which the first time it may on a busy machine.
        _frontend=False,
    )
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = _LOOK_SECONDS


def _login(entry: str) -> tuple[str, str]:
    name, colon, password = entry.partition(":")
    if not (name and colon and password):
        raise SettingsError("a login is not of the form user:password", "correct --auth (or MUSETALK_AUTH)")
    return name, password
