from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from musetalk.assets import PORTRAIT
from tests.helpers.media import tone, write_video, write_wav
from tests.helpers.programs import nothing_started_stays
from tests.helpers.served import DRAFTED, PACED, Served, served

if TYPE_CHECKING:
    from tests.browser.drive import Browser, BrowserContext, Clips, Request, ViewportSize, Visit, WebError

_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--process-per-site",  # scripts that one page has compiled serve the next one
]
_SCREEN: ViewportSize = {"width": 1280, "height": 900}
_WAIT_MS = 240_000  # against hanging only: a busy machine is no failure


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, one for the tests of a worker; gone before tests of other folders begin."""
    from tests.browser.drive import expect, find_chromium, sync_playwright  # noqa: PLC0415 - skips without Playwright

    expect.set_options(timeout=_WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def jobs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser") / "jobs"


@pytest.fixture(scope="package")
def models_dir(bare_models: Path, jobs_dir: Path) -> Path:
    """Small networks for every backend, and an enhancer; neither face parsing nor what is downloaded for enhancing."""
    from tests.browser.drive import ENHANCER  # noqa: PLC0415 - skips without Playwright
    from tests.helpers.enhancers import write_enhancer  # noqa: PLC0415 - slow to import

    folder = jobs_dir.with_name("models")
    shutil.copytree(bare_models, folder, copy_function=os.link, ignore=shutil.ignore_patterns("gfpgan"))
    write_enhancer(folder / "gfpgan" / ENHANCER, 0.25)
    return folder


@pytest.fixture(scope="package")
def shared_server(browser: Browser, jobs_dir: Path, models_dir: Path) -> Iterator[Served]:
    """One server for the tests of a worker; each test is a visitor of its own."""
    with served(jobs_dir, "--models-dir", str(models_dir), *DRAFTED, module=PACED) as server:
        yield server


@pytest.fixture
def server(shared_server: Served, request: pytest.FixtureRequest) -> Iterator[Served]:
    """Nothing that a test starts outlives it, and where it does, the next test does not have to wait for it."""
    for _ in nothing_started_stays(shared_server.process, request):
        yield shared_server


@pytest.fixture(scope="package")
def idle_visitors(browser: Browser) -> list[BrowserContext]:
    """Browsers that other tests are done with: without a past, but with the page's scripts, which are slow to load."""
    return []


@pytest.fixture
def new_visitor(browser: Browser, idle_visitors: list[BrowserContext]) -> Iterator[Callable[..., Visit]]:
    """Makes visitors: browsers without a past, in an empty tab. Nothing may be fetched from elsewhere, no script fail.

    Called with the address that they will open; a visitor with options (a phone) is made for that, which takes longer.
    """
    from tests.browser.drive import Visit  # noqa: PLC0415

    fetched: set[str | None] = set()
    failed: list[str] = []
    with ExitStack() as visitors:

        def make(address: str, **options: Any) -> Visit:  # noqa: ANN401 - Playwright's own
            known = not options and bool(idle_visitors)
            context = idle_visitors.pop() if known else browser.new_context(**{"viewport": _SCREEN, **options})
            context.set_default_timeout(_WAIT_MS)
            origins: set[str] = set()

            def on_request(request: Request) -> None:
                parts = urlsplit(request.url)
                fetched.add(parts.hostname)
                origins.add(f"{parts.scheme}://{parts.netloc}")

            def on_error(error: WebError) -> None:
                failed.append(str(error.error))

            def leave() -> None:
                context.remove_listener("request", on_request)
                context.remove_listener("weberror", on_error)
                if options or not forget(context, origins):
                    context.close()
                else:
                    idle_visitors.append(context)

            context.on("request", on_request)
            context.on("weberror", on_error)
            visitors.callback(leave)
            return Visit(context.pages[0] if context.pages else context.new_page(), address)

        yield make
    assert fetched - {None} == {"127.0.0.1"}
    assert failed == []


def forget(context: BrowserContext, origins: set[str]) -> bool:
    """Put away what a visitor left in the browser, but for one tab, which keeps the page's scripts at hand.

    Returns:
        Whether that could be done: not where the server is gone.
    """
    from tests.browser.drive import PlaywrightError  # noqa: PLC0415

    here = [origin for origin in origins if origin.startswith("http://127.0.0.1:")]
    if len(here) != 1 or not context.pages:
        return False
    tab, *others = context.pages
    for each in others:
        each.close()
    try:
        tab.unroute_all()
        tab.goto(f"{here[0]}/theme.css")
        tab.evaluate("sessionStorage.clear()")
    except PlaywrightError:
        return False
    session = context.new_cdp_session(tab)
    session.send("Storage.clearDataForOrigin", {"origin": here[0], "storageTypes": "all"})
    session.detach()
    context.clear_cookies()
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size(_SCREEN)
    return True


@pytest.fixture
def visit(new_visitor: Callable[..., Visit], server: Served) -> Visit:
    """The page, newly opened by a new visitor."""
    return new_visitor(server.address).open()


@pytest.fixture(scope="package")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    from tests.browser.drive import Clips  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("clips")
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    large = portrait[:360, 40:400]  # whose face has its middle at (187, 98)
    small = cv2.resize(large, (240, 240), interpolation=cv2.INTER_AREA)
    frame = np.full((360, 640, 3), 90, np.uint8)
    frame[:, :360] = large
    frame[60:300, 380:620] = small
    return Clips(
        source=write_video(folder / "two faces.mp4", np.repeat(frame[None], 30, axis=0)),
        left=(187, 98),
        right=(380 + 187 * 2 // 3, 60 + 98 * 2 // 3),
        voice=write_wav(folder / "voice.wav", tone(1.2)),
        long_voice=write_wav(folder / "long voice.wav", tone(150, rate=8_000), rate=8_000),
    )
