"""The fold of LatentSync and the Compare tab, with networks as small as their loaders allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.browser.drive import PLAY, BrowserContext, Clips, Locator, Visit, expect, stored
from tests.browser.test_access import others, severe, sticking_out
from tests.media import tone, write_video, write_wav
from tests.served import ROOT, Served, served

pytestmark = pytest.mark.integration
FRAMES = 10


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare") / "jobs"


@pytest.fixture(scope="module")
def latentsync_server(jobs: Path, bare_models: Path) -> Iterator[Served]:
    with served(jobs, "--models-dir", str(bare_models)) as server:
        yield server


@pytest.fixture
def visit(new_visitor: Callable[..., BrowserContext], latentsync_server: Served) -> Visit:
    return Visit(new_visitor().new_page(), latentsync_server.address).open()


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A face and a voice, of few frames."""
    folder = tmp_path_factory.mktemp("short")
    portrait = cv2.cvtColor(cv2.imread(str(ROOT / "assets" / "portrait.png")), cv2.COLOR_BGR2RGB)
    frames = np.repeat(cv2.resize(portrait[:360, 40:400], (240, 240))[None], FRAMES, axis=0)
    return write_video(folder / "face.mp4", frames), write_wav(folder / "voice.wav", tone(FRAMES / 25))


def set_quickly(visit: Visit) -> None:
    """Choose LatentSync on the Dub tab, and the quickest that its folds offer."""
    visit.page.locator(".mt-picker input[value='latentsync-1.5']").check()
    for fold in ("LatentSync", "Network", "Faces"):
        visit.page.get_by_role("button", name=re.compile(f"^{fold}")).click()
    visit.page.get_by_role("spinbutton", name="Steps").fill("1")
    visit.page.get_by_role("radio", name="Nobody: end with an error").click()
    visit.page.get_by_role("radio", name="fp32").click()
    visit.page.get_by_role("radio", name="Haar").click()


def compare(visit: Visit, source: Path, voice: Path, *backends: str) -> str:
    """Compare on the tab that is shown, and tell the job's id."""
    visit.page.locator("input[type=file][accept*=video]").last.set_input_files(source)
    visit.page.locator("input[type=file][accept*=audio]").last.set_input_files(voice)
    expect(visit.page.get_by_test_id("waveform-Voice: a recording, or speak now").last).to_be_visible()
    for box in visit.page.locator(".compared input").all():
        box.set_checked(box.evaluate("box => box.closest('label').innerText.trim()") in backends)
    visit.button("Compare").click()
    return visit.job


def state(visit: Visit) -> Locator:
    return visit.page.locator("#compare-status .mt-state")


def pair(visit: Visit) -> list[str]:
    """The addresses of the two pictures."""
    images = visit.page.get_by_test_id("imageslider-image")
    expect(images).to_have_count(2)
    return [image.get_attribute("src") or "" for image in images.all()]


def test_what_the_fold_says_is_what_is_rendered(visit: Visit, short: tuple[Path, Path], jobs: Path) -> None:
    shift = visit.page.get_by_label("Mouth opening (bbox_shift)").first
    expect(shift).to_be_visible()
    expect(visit.page.get_by_role("button", name="LatentSync")).to_be_hidden()
    visit.page.locator(".mt-picker input[value='latentsync-1.5']").check()
    expect(shift).to_be_hidden()
    visit.page.locator(".mt-picker input[value='preview']").check()
    visit.give(*short)  # before the networks are chosen, which take their time for a first frame
    set_quickly(visit)
    expect(shift).to_be_hidden()
    visit.page.get_by_role("radio", name="MuseTalk's crops").click()
    expect(shift).to_be_visible()
    fold = visit.page.get_by_role("button", name=re.compile("^LatentSync"))
    fold.click()
    expect(shift).to_be_visible()
    fold.click()
    visit.page.get_by_role("radio", name="Aligned").click()
    visit.button("Generate").click()
    job = visit.job
    expect(visit.status.locator(".mt-state")).to_contain_text("Done")
    assert visit.chips()["backend"] == "latentsync-1.5, cpu"
    settings = stored(jobs, job, "report.json")["settings"]
    said = {"preset": "published", "steps": 1, "framing": "aligned", "fallback": "error"}
    assert settings["latentsync"].items() >= said.items()
    assert (settings["network"]["dtype"], settings["detector"]["name"]) == ("fp32", "haar")


def test_two_backends_are_shown_side_by_side(visit: Visit, short: tuple[Path, Path], jobs: Path) -> None:
    set_quickly(visit)
    visit.tab("Compare")
    job = compare(visit, *short, "preview", "latentsync-1.5")
    expect(state(visit)).to_contain_text("Done")
    account = stored(jobs, job, "comparison.json")
    assert [part["backend"] for part in account["parts"]] == ["preview", "latentsync-1.5"]
    assert [part["report"]["settings"]["latentsync"]["steps"] for part in account["parts"]] == [1, 1]
    video = visit.page.locator("#side-by-side video")
    expect(video).to_be_visible()
    assert video.evaluate(PLAY)["sound"] > 0
    table = visit.page.locator(".mt-compared")
    expect(table.locator("thead th")).to_contain_text(["Measured", "preview", "latentsync-1.5"])
    expect(visit.page.locator(".mt-plots img")).to_have_js_property("complete", True)
    expect(visit.page.locator("#comparison")).to_contain_text("warped to the loudness of the voice")

    label = visit.page.locator("#pair-caption")
    expect(label).to_contain_text(f"Frame {(FRAMES - 1) // 2}: preview | latentsync-1.5")
    before = pair(visit)
    assert before[0] != before[1]
    visit.page.locator("#pair-frame input[type=range]").press("ArrowRight")
    expect(label).to_contain_text(f"Frame {(FRAMES + 1) // 2}:")
    right = visit.page.get_by_label("On the right")
    right.click()
    visit.page.get_by_role("option", name="preview").click()
    expect(label).to_contain_text("latentsync-1.5 | preview")
    links = visit.page.locator(".mt-downloads a")
    expect(links).to_have_text(["Side by side", "preview", "latentsync-1.5"])
    with visit.page.expect_download() as download:
        links.last.click()
    assert download.value.suggested_filename == "latentsync-1.5.mp4"
    assert others(severe(visit)) == set()

    visit.page.goto("about:blank")
    visit.page.goto(f"{visit.address}?job={job}")
    expect(table).to_be_visible()
    expect(label).to_contain_text("preview | latentsync-1.5")
    assert len(pair(visit)) == 2
    visit.tab("Jobs")
    expect(visit.cards).to_contain_text("face + voice: preview beside latentsync-1.5")
    visit.cards.get_by_role("button", name="Open").click()
    expect(visit.page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(table).to_be_visible()
    assert len(pair(visit)) == 2  # shown anew, though it is the job that was shown before


def test_a_comparison_is_stopped(visit: Visit, short: tuple[Path, Path], clips: Clips) -> None:
    visit.tab("Compare")
    compare(visit, short[0], clips.long_voice, "preview", "musetalk-v15")
    expect(state(visit)).to_contain_text("Rendering")
    visit.button("Stop").click()
    expect(state(visit)).to_have_text("Stopped")


def test_one_backend_is_no_comparison(visit: Visit, short: tuple[Path, Path]) -> None:
    visit.tab("Compare")
    visit.page.locator("input[type=file][accept*=video]").last.set_input_files(short[0])
    visit.page.locator("input[type=file][accept*=audio]").last.set_input_files(short[1])
    expect(visit.page.get_by_test_id("waveform-Voice: a recording, or speak now").last).to_be_visible()
    for box in visit.page.locator(".compared input").all()[1:]:
        box.set_checked(False)
    visit.button("Compare").click()
    assert "two backends or more" in visit.toast()


def test_a_phone_reaches_the_tab(new_visitor: Callable[..., BrowserContext], latentsync_server: Served) -> None:
    context = new_visitor(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visit = Visit(context.new_page(), latentsync_server.address).open()
    visit.page.get_by_role("tab", name="Compare").tap()
    for name in ("Compare", "Portrait"):
        visit.button(name).tap(trial=True)
    assert sticking_out(visit) == []
    assert others(severe(visit)) == set()
