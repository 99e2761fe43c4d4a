"""Weights: offered, downloaded, and the backend that needed them chosen, all on one page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.jobs.service import JobService
from musetalk.jobs.store import JobStore
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.webui.downloads import Downloads, weight_sets
from musetalk.webui.page import build_page
from musetalk.webui.site import Site
from musetalk.webui.uploads import Uploads
from tests.browser.drive import BY_OTHERS, Locator, Visit, expect, opened
from tests.browser.test_access import others, severe
from tests.helpers.hub import CONFIG, LARGE, SMALL, UNET, Hub, on_hub, reading, serving

pytestmark = [pytest.mark.integration, BY_OTHERS]
GONE = "some/net/gone.pth"


@dataclass(frozen=True, slots=True)
class Shop:
    """An app whose backends lack weights, and the hub that has them."""

    address: str
    hub: Hub
    models_dir: Path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with serving() as hub:
        hub.files = {UNET: LARGE, CONFIG: SMALL}
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("NO_PROXY", "*")
        config = on_hub(CONFIG, len(SMALL))
        backends = (
            PREVIEW,
            reading("mouth", config, on_hub(UNET, len(LARGE))),
            reading("other", config, on_hub(GONE, 7)),
        )
        engine = LipSync(BackendRegistry(backends))
        base = RenderSettings(models_dir=tmp_path / "models")
        jobs = JobService([engine], JobStore(tmp_path / "jobs", keep_seconds=3600, max_bytes=2**30))
        downloads = Downloads(weight_sets(backends), base.models_dir)
        page = build_page(Site(engine, jobs, base, "CPU", Uploads(tmp_path / "uploads", 2**30), downloads))
        with opened(page) as address:
            yield Shop(address, hub, base.models_dir)
            hub.go_on.set()
        downloads.close()
        jobs.close()


def section(visit: Visit, name: str) -> Locator:
    return visit.page.get_by_role("region", name=name, exact=True)


def test_a_set_is_downloaded_and_its_backend_chosen(new_visitor: Callable[..., Visit], shop: Shop) -> None:
    shop.hub.pauses = [len(SMALL), 3_000_000]
    visit = new_visitor(shop.address).open()
    radio = visit.page.get_by_role("radio", name="mouth")
    expect(radio).to_be_disabled()
    card = visit.page.locator(".mt-backend").nth(2)
    expect(card).to_contain_text("Needs a 5.1 MB download")
    visit.tab("Models")
    mouth, other = section(visit, "mouth"), section(visit, "other")
    state = mouth.locator(".mt-set-head .mt-state")
    expect(state).to_have_text("Missing")

    mouth.get_by_role("button", name="Download (5.1 MB)").dblclick()  # its second half cancels nothing
    expect(state).to_have_text("Downloading")
    expect(mouth.get_by_role("button", name="Cancel")).to_be_focused()
    expect(mouth.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile("[45]."))
    expect(mouth).to_contain_text("file 2 of 2: loading net/unet.pth")
    expect(other.get_by_role("button")).to_be_disabled()
    assert others(severe(visit)) == set()

    # Somebody else sees the same, and cancels it.
    second = new_visitor(shop.address).open()
    second.tab("Models")
    expect(section(second, "mouth").get_by_role("progressbar")).to_be_visible()
    section(second, "mouth").get_by_role("button", name="Cancel").click()
    expect(mouth).to_contain_text(re.compile("Stopping|the next download goes on from there"))
    shop.hub.go_on.set()
    expect(state).to_have_text("Missing")
    expect(mouth).to_contain_text("the next download goes on from there")

    mouth.get_by_role("button", name=re.compile(r"Continue \(\d\.\d MB left\)")).click()
    expect(state).to_have_text("Ready")
    expect(mouth.get_by_role("button")).to_have_count(0)
    assert (shop.models_dir / "net/unet.pth").read_bytes() == LARGE
    visit.tab("Dub")
    radio.check()
    expect(radio).to_be_checked()
    second.open()
    expect(second.page.get_by_role("radio", name="mouth")).to_be_enabled()


def test_a_card_downloads_what_its_backend_needs(new_visitor: Callable[..., Visit], shop: Shop) -> None:
    shop.hub.pauses = [len(SMALL), 3_000_000]
    visit = new_visitor(shop.address).open()
    mouth, other = visit.page.locator(".mt-backend").nth(2), visit.page.locator(".mt-backend").nth(3)
    assert "missing" not in visit.page.locator(".mt-backends").inner_text()
    mouth.get_by_role("button", name="Download mouth").dblclick()  # its second half cancels nothing
    expect(mouth.get_by_role("button", name="Cancel mouth")).to_be_focused()
    expect(mouth.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile("[45]."))
    expect(mouth).to_contain_text(re.compile(r"[45]\d%, \d\.\d MB of 5\.1 MB"))
    expect(other.get_by_role("button")).to_be_disabled()
    expect(mouth.get_by_role("button", name="Cancel mouth")).to_be_focused()  # though the card was drawn anew
    assert others(severe(visit)) == set()
    mouth.get_by_role("button", name="Cancel mouth").click()
    expect(mouth.get_by_role("button", name="Continue mouth")).to_be_visible()
    shop.hub.go_on.set()
    mouth.get_by_role("button", name="Continue mouth").click()
    expect(mouth).to_contain_text("Ready")
    radio = visit.page.get_by_role("radio", name="mouth")
    radio.check()
    expect(radio).to_be_checked()
    assert (shop.models_dir / "net/unet.pth").read_bytes() == LARGE
    other.get_by_role("button", name="Download other").click()
    expect(other.get_by_role("alert")).to_contain_text("does not have gone.pth of some/net")


def test_failures_say_what_to_do(new_visitor: Callable[..., Visit], shop: Shop) -> None:
    visit = new_visitor(shop.address).open()
    visit.page.get_by_role("radio", name="Draft Ready").check()
    visit.tab("Models")
    other = section(visit, "other")
    other.get_by_role("button", name="Download (25 bytes)").click()
    expect(other.get_by_role("alert")).to_contain_text("does not have gone.pth of some/net")
    download = other.get_by_role("button", name="Download (7 bytes)")
    expect(download).to_be_enabled()

    # What is refused meanwhile stands there, too, as long as it holds; then why it failed does again.
    shop.hub.pauses = [3_000_000]
    section(visit, "mouth").get_by_role("button", name="Download (5.1 MB)").click()
    expect(section(visit, "mouth").get_by_role("button", name="Cancel")).to_be_visible()
    expect(other.get_by_role("alert")).to_contain_text("does not have gone.pth of some/net")
    expect(download).to_be_disabled()
    download.evaluate("button => { button.disabled = false; button.click(); }")  # as where a page is behind
    expect(other.get_by_role("alert")).to_have_text("Mouth is being downloaded: wait until it is here, or cancel it")
    shop.hub.go_on.set()
    expect(section(visit, "mouth").locator(".mt-set-head .mt-state")).to_have_text("Ready")
    expect(other.get_by_role("alert")).to_contain_text("does not have gone.pth of some/net")
    expect(visit.page.get_by_test_id("toast-body")).to_have_count(0)
    visit.tab("Dub")
    expect(visit.page.get_by_role("radio", name="Draft Ready")).to_be_checked()
    expect(visit.page.locator(".mt-backend").nth(3).get_by_role("alert")).to_contain_text("does not have gone.pth")
