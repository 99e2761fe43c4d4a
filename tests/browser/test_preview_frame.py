"""The preview frame: whose it is, since when it is out of date, how it is ended, and how faces are chosen in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

import musetalk.webui.server as serving
from musetalk.arrays import UInt8Array
from musetalk.generators.registry import PREVIEW, Backend, BackendRegistry
from musetalk.generators.types import Clip, Traits
from musetalk.pipeline import LipSync
from musetalk.settings import RenderSettings
from musetalk.webui.options import ServerOptions
from tests.browser.drive import BrowserContext, Clips, Locator, Visit, expect, free_port

pytestmark = pytest.mark.integration
HELD = "musetalk-v1"


class Inverter:
    """Paints the negative of what it sees."""

    crop_size = 64
    clip_length = 8
    traits = Traits()
    device = "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        return 255 - clip.crops


class Held(Inverter):
    """Has done one of four steps, and goes no further until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def generate(self, clip: Clip) -> UInt8Array:
        clip.step(1, 4)
        pause = threading.Event()
        try:
            while not pause.wait(0.02):
                clip.check()
        finally:
            self.stopped.set()
        return clip.crops


def _given(generator: Inverter, _settings: RenderSettings) -> Inverter:
    return generator


@pytest.fixture(scope="module")
def held() -> Held:
    return Held()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, held: Held) -> Iterator[str]:
    jobs = tmp_path_factory.mktemp("previews") / "jobs"
    stands_in = {"musetalk-v15": Inverter(), HELD: held}
    backends = [
        Backend(name, f"a stand-in for {name}", "", lambda _: (), partial(_given, it)) for name, it in stands_in.items()
    ]
    options = ServerOptions(host="127.0.0.1", port=free_port(), jobs_dir=jobs, models_dir=jobs / "none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "LipSync", partial(LipSync, BackendRegistry((PREVIEW, *backends))))
        patch.setenv("GRADIO_TEMP_DIR", str(jobs.with_name("uploads")))
        with serving.running(options) as page:
            yield page.local_url or ""


@pytest.fixture
def visit(new_visitor: Callable[..., BrowserContext], address: str) -> Visit:
    return Visit(new_visitor().new_page(), address).open()


def choose(visit: Visit, backend: str) -> None:
    visit.page.locator(f".mt-picker input[value={backend}]").check()


def part(visit: Visit, name: str) -> Locator:
    return visit.page.locator(f"#{name}")


def previewed(visit: Visit, *, by: str) -> None:
    """Wait for the frame that a backend painted."""
    expect(part(visit, "stamp")).to_have_text(f"Painted by {by}")
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()


def test_the_newest_click_wins_and_the_picture_says_whose_it_is(visit: Visit, clips: Clips, held: Held) -> None:
    visit.give(clips.source, clips.voice)
    expect(part(visit, "stamp")).to_contain_text("faces only")
    expect(part(visit, "stale")).to_contain_text("Not in this picture yet: Voice.")
    held.stopped.clear()
    choose(visit, HELD)
    visit.button("Preview frame").click()
    expect(part(visit, "preview-status")).to_contain_text(f"Preview by {HELD}: painting")
    expect(part(visit, "preview-status")).to_contain_text("25 %")
    choose(visit, "musetalk-v15")
    visit.button("Preview frame").click()
    previewed(visit, by="musetalk-v15")
    assert held.stopped.wait(60)
    expect(part(visit, "stale")).to_be_hidden()
    expect(visit.page.get_by_text("The same frame, speaking: musetalk-v15")).to_be_visible()


def test_what_has_changed_since_is_named_until_it_is_shown_or_taken_back(visit: Visit, clips: Clips) -> None:
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").click()
    previewed(visit, by="preview")
    stale = part(visit, "stale")
    expect(stale).to_be_hidden()
    for fold in ("Mask", "Blending", "Enhancement", "Pauses", "Length", "Output"):
        visit.unfold(fold)  # nothing is changed by looking at it
    expect(visit.page.get_by_role("spinbutton", name="Padding")).to_be_visible()
    expect(stale).to_be_hidden()
    visit.set_number("Padding", 0.4)
    choose(visit, "musetalk-v15")
    expect(stale).to_contain_text("Not in this picture yet: Backend, Padding.")
    choose(visit, "preview")
    expect(stale).to_contain_text("Not in this picture yet: Padding.")
    visit.set_number("Padding", 0)
    expect(stale).to_be_hidden()
    visit.page.get_by_label("Preview at (s)").fill("0:01")
    expect(stale).to_contain_text("Not in this picture yet: Preview at.")
    expect(part(visit, "stamp")).to_have_text("Painted by preview")


def test_stop_ends_a_preview_and_keeps_what_was_shown(visit: Visit, clips: Clips, held: Held) -> None:
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").click()
    previewed(visit, by="preview")
    before, stop = visit.frame.get_attribute("src"), visit.button("Stop")
    expect(stop).to_be_disabled()
    held.stopped.clear()
    choose(visit, HELD)
    visit.button("Preview frame").click()
    status = part(visit, "preview-status")
    expect(status.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    expect(visit.page.locator(".progress-text, .meta-text, .meta-text-center, .eta-bar")).to_have_count(0)
    stop.click()
    expect(status).to_contain_text("Preview stopped")
    assert held.stopped.wait(60)
    expect(stop).to_be_disabled()
    assert visit.frame.get_attribute("src") == before
    expect(part(visit, "stamp")).to_have_text("Painted by preview")
    visit.say("Ready")
