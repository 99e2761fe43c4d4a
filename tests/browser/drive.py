"""The page as a visitor uses it. Modules that import this are skipped where there is no Playwright, but in CI."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from musetalk.lipsync import LipSync
from musetalk.webui import server as serving
from musetalk.webui.options import ServerOptions
from musetalk.webui.theme import STYLE, theme
from tests.helpers.programs import CI

if not CI:
    pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install -e .[dev]")
from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    Locator,
    Page,
    Playwright,
    Request,
    Route,
    ViewportSize,
    WebError,
    WebSocket,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

__all__ = [
    "AT_ONCE",
    "BY_OTHERS",
    "BY_THE_APP",
    "ENHANCER",
    "QUEUED",
    "TWO_FRAMES",
    "APIResponse",
    "Browser",
    "BrowserContext",
    "Clips",
    "Locator",
    "Page",
    "PlaywrightError",
    "Request",
    "Route",
    "ViewportSize",
    "Visit",
    "WebError",
    "WebSocket",
    "expect",
    "find_chromium",
    "free_port",
    "held_back",
    "opened",
    "opened_with",
    "stored",
    "sync_playwright",
]

# Tests of files with one of these marks share the server, or the engine, of one worker.
BY_THE_APP = pytest.mark.xdist_group("browser, by the app")
BY_OTHERS = pytest.mark.xdist_group("browser, by other servers")
ENHANCER = "brighter.pth"
# Addresses at which the page asks the server: of what is answered outside the queue, and of what is put into it.
AT_ONCE, QUEUED = "**/gradio_api/run/**", "**/gradio_api/queue/join*"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# By the page's own clock: a second press counts from 0.3 to 3 seconds after the first.
_PRESS_TWICE = """async (selector) => {
  document.querySelector(selector).click();
  await new Promise((resolve) => setTimeout(resolve, 400));
  document.querySelector(selector)?.click();
}"""
_ENDED = re.compile("Done|Failed|Stopped")
_SIZE = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"  # once it has come
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# The stage shows a job before the address names it.
_NAMED = """() => {
  const shown = [...document.querySelectorAll(".mt-status")].find((each) => each.checkVisibility())?.dataset.job;
  return shown && new URLSearchParams(location.search).get("job") === shown ? shown : null;
}"""
PLAY = """async (video) => {
  video.muted = true;
  video.currentTime = 0;
  await new Promise((resolve, reject) => {
    video.addEventListener("ended", resolve, { once: true });
    video.addEventListener("error", () => reject(video.error.message), { once: true });
    video.play().catch(reject);
  });
  return {
    seconds: video.currentTime,
    picture: video.webkitVideoDecodedByteCount,
    sound: video.webkitAudioDecodedByteCount,
  };
}"""


def free_port() -> int:
    """A port that nothing has, and nothing is given meanwhile: what connects is given one from 32768 on."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def opened(page: gr.Blocks) -> Iterator[str]:
    """The address of a page, which this process serves on a free port while the `with` block runs."""
    page.launch(
        server_name="127.0.0.1",
        server_port=free_port(),
        theme=theme(),
        css_paths=STYLE,
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        _frontend=False,  # else it gives up where the page takes three seconds
    )
    yield str(page.local_url).rstrip("/")
    page.close(verbose=False)


@contextmanager
def held_back(page: Page, what: str) -> Iterator[None]:
    """Let the server hear nothing of what a page asks for at addresses like `what` before the `with` block ends.

    Something is asked for in it.
    """
    held: list[Route] = []
    holding = True

    def hold(route: Route) -> None:
        if holding:
            held.append(route)
        else:
            route.continue_()

    page.route(what, hold)
    yield
    while not held:
        page.wait_for_timeout(20)  # a busy page asks later
    holding = False
    for route in held:
        route.continue_()
    page.unroute(what, hold)


@contextmanager
def opened_with(engine: Callable[..., LipSync], jobs: Path) -> Iterator[str]:
    """The address of the whole app over an engine of the test's, without weights; jobs and uploads lie in and beside
    `jobs`."""
    options = ServerOptions(host="127.0.0.1", port=free_port(), jobs_dir=jobs, models_dir=jobs / "none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "LipSync", engine)
        patch.setenv("GRADIO_TEMP_DIR", str(jobs.with_name("uploads")))
        with serving.running(options) as app:
            yield app.page.local_url or ""


def find_chromium(playwright: Playwright) -> str:
    """The system's own browser, or one that Playwright was told to install; tests download none.

    Without one, tests are skipped, and `tests/conftest.py` says so at the end; with CI=true they fail.
    """
    found = [*filter(None, map(shutil.which, _NAMES)), playwright.chromium.executable_path]
    path = next((path for path in found if Path(path).is_file()), None)
    if path is None:
        (pytest.fail if CI else pytest.skip)(
            "no Chromium: apt install chromium, or .venv/bin/playwright install chromium"
        )
    return path


@dataclass(frozen=True, slots=True)
class Clips:
    """Media that the tests upload.

    Attributes:
        source: Two copies of one face, the left one larger.
        left, right: The middle of each face, in pixels of the source.
        voice: As long as the source, a second or so.
        long_voice: Takes long enough to render that one can do something meanwhile.
    """

    source: Path
    left: tuple[int, int]
    right: tuple[int, int]
    voice: Path
    long_voice: Path


@dataclass(frozen=True, slots=True)
class Visit:
    """One open tab of the browser, showing the app."""

    page: Page
    address: str

    def open(self, query: str = "") -> Visit:
        self.page.goto(self.address + query)
        return self.arrived()

    def arrived(self) -> Visit:
        """Wait until the page is there, and knows its visitor."""
        expect(self.page.locator("#generate")).to_be_attached()  # an address may show another tab
        # The server's first answer: the browser has a secret, an addressed job is shown, the address says what is.
        self.page.wait_for_function("() => localStorage.getItem('musetalk-visitor') && window.musetalkGoing === 0")
        return self

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def tab(self, name: str) -> None:
        """Scroll up to the tabs, and open one: where a render ends, a page that is scrolled down becomes shorter."""
        tab = self.page.get_by_role("tab", name=name, exact=True)
        tab.scroll_into_view_if_needed()
        self.page.evaluate(TWO_FRAMES)
        tab.click()

    def press_twice(self, selector: str) -> None:
        """Press what asks once more before it deletes, as who means it does: neither at once nor much later."""
        self.page.evaluate(_PRESS_TWICE, selector)

    @property
    def frame(self) -> Locator:
        return self.page.locator("#frame img")

    @property
    def video(self) -> Locator:
        return self.page.locator("#result video")

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    @property
    def cards(self) -> Locator:
        return self.page.locator("#jobs .mt-job")

    @property
    def speaking(self) -> Locator:
        return self.page.locator("#speaking img")

    @property
    def job(self) -> str:
        """The job that is shown, once the address names it."""
        return str(self.page.wait_for_function(_NAMED).json_value())

    def say(self, text: str) -> None:
        """Wait for the state of the watched render; where it ends, and not well, what the page says of it is told."""
        state = self.status.locator(".mt-state")
        if text != "Done":
            expect(state).to_contain_text(text)
            return
        expect(state).to_contain_text(_ENDED)
        said = self.status.inner_text()
        assert text in said, f"the render has ended otherwise: {said}"

    def toast(self) -> str:
        """Wait for a message, put it away, and say what it said."""
        message = self.page.get_by_test_id("toast-body").first
        expect(message).to_be_visible()
        said = message.inner_text()
        message.get_by_test_id("toast-close").click()
        expect(self.page.get_by_test_id("toast-body")).to_have_count(0)
        return said

    def preview_error(self) -> str:
        """Wait for what is said of a preview that failed."""
        error = self.page.locator("#preview-status [role=alert]")
        expect(error).to_be_visible()
        return error.inner_text()

    def give_source(self, path: Path) -> None:
        self.box("source").locator("input[type=file]").set_input_files(path)

    def give_voice(self, path: Path) -> None:
        self.box("voice").locator("input[type=file]").set_input_files(path)

    def box(self, name: Literal["source", "voice"]) -> Locator:
        """Where an input is given, shown, and told about, on the tab that is open."""
        return self.page.locator(f".media-{name}:visible")

    def held(self, name: Literal["source", "voice"], file: str) -> None:
        """Wait until an input is there."""
        expect(self.box(name).locator(".mt-media[data-state=held]:not([data-busy])")).to_contain_text(file)

    def problem(self, name: Literal["source", "voice"]) -> str:
        """Wait until something is wrong with an input, and tell what is said beside it."""
        said = self.box(name).locator(".mt-problem:visible")
        expect(said).to_be_visible()
        return said.inner_text()

    def give(self, source: Path, voice: Path) -> None:
        """Upload both, and wait until the page has them."""
        self.give_source(source)
        self.held("source", source.name)
        expect(self.frame).to_be_attached()
        self.page.locator("#frame").scroll_into_view_if_needed()  # far below the screen, pictures are not fetched
        expect(self.frame).to_be_visible()
        self.give_voice(voice)
        self.held("voice", voice.name)
        expect(self.page.get_by_test_id("waveform-Voice: a recording, or speak now").first).to_be_visible()

    def generate(self, source: Path, voice: Path) -> str:
        """Upload, start, and tell the job's id."""
        self.give(source, voice)
        self.button("Generate").click()
        return self.job

    def another_tab(self) -> Visit:
        """The same visitor, in an empty tab, after this one was closed."""
        context = self.page.context
        tab = context.new_page()
        self.page.close()
        return Visit(tab, self.address)

    def unfold(self, name: str) -> None:
        self.page.get_by_role("button", name=re.compile(f"^{name}")).click()

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, and wait until it has taken that in: what measures itself does so later."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.evaluate(TWO_FRAMES)

    def choose(self, backend: str) -> None:
        """Choose what paints."""
        self.page.locator(f".mt-picker input[value='{backend}']").check()

    def fill(self, field: Locator, text: str) -> None:
        """Write into a field that has been painted, as people can.

        What is written before, while Gradio's page (6.31) still sets up a field that it has just put there, it puts
        back to what it was. Playwright's clicks wait for two frames by themselves.
        """
        field.element_handle().wait_for_element_state("stable")
        field.fill(text)

    def set_number(self, label: str, value: float) -> None:
        """Type a number beside a slider."""
        field = self.page.get_by_role("spinbutton", name=label)
        self.fill(field, str(value))
        field.press("Tab")

    def preview(self) -> np.ndarray:
        """Preview a frame with a voice: the frame speaking, int [h, w, 3], RGB."""
        speaking = self.page.locator("#speaking img")
        before = speaking.get_attribute("src") if speaking.count() else None
        self.button("Preview frame").click()
        expect(speaking).to_be_attached()
        self.page.locator("#speaking").scroll_into_view_if_needed()
        expect(speaking).to_be_visible()
        if before is not None:
            expect(speaking).not_to_have_attribute("src", before)
        expect(self.page.locator("#note .pending")).to_have_count(0)
        return self.pixels(speaking)

    def pixels(self, picture: Locator) -> np.ndarray:
        """A picture of the page as it was sent: int [h, w, 3], RGB."""
        data = self.page.request.get(picture.get_attribute("src") or "").body()
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def click_frame(self, point: tuple[int, int]) -> None:
        """Click where the frame shows a point of the source; the whole picture is shown."""
        size = self.frame.evaluate(_SIZE)
        box = self.frame.bounding_box()
        assert box is not None
        scale = min(box["width"] / size[0], box["height"] / size[1], 1.0)
        x = box["width"] / 2 + (point[0] - size[0] / 2) * scale
        y = box["height"] / 2 + (point[1] - size[1] / 2) * scale
        self.frame.click(position={"x": x, "y": y})

    def play(self) -> dict[str, Any]:
        """Play the result from its start to its end."""
        expect(self.video).to_be_visible()
        return dict(self.video.evaluate(PLAY))

    def chips(self) -> dict[str, str]:
        """The report's figures by name, once it is there."""
        chips = self.page.locator("#report .mt-chip")
        expect(chips.first).to_be_visible()
        pairs = chips.evaluate_all(
            "chips => chips.map(chip => [chip.querySelector('dt').innerText, chip.querySelector('dd').innerText])"
        )
        return dict(pairs)


def stored(jobs_dir: Path, job: str, name: str) -> dict[str, Any]:
    """What the server keeps of a job: "job.json" or "report.json"."""
    return dict(json.loads((jobs_dir / job / name).read_text(encoding="utf-8")))
