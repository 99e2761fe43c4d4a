"""Whose renders are whose, and what becomes of them when a tab or the server goes away."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from musetalk.resume.part_folder import is_folder_of_parts
from tests.browser.drive import BY_THE_APP, Clips, Visit, expect, free_port, stored
from tests.browser.test_access import others, severe
from tests.helpers.served import PACED, Served, served

pytestmark = [pytest.mark.integration, BY_THE_APP]
NewVisitor = Callable[..., Visit]


def test_visitors_see_only_their_own_renders_and_frames(new_visitor: NewVisitor, server: Served, clips: Clips) -> None:
    ann, bob = (new_visitor(server.address).open() for _ in range(2))
    job = ann.generate(clips.source, clips.voice)
    bob.button("Portrait").click()
    expect(bob.frame).to_be_visible()
    ann.say("Done")
    for visit, cards in ((ann, 1), (bob, 0)):
        visit.tab("Jobs")
        expect(visit.page.locator("#jobs")).to_contain_text("two faces" if cards else "No renders yet")
        expect(visit.cards).to_have_count(cards)

    bob.tab("Dub")  # what is drawn into a frame is drawn into one's own
    before = bob.frame.get_attribute("src") or ""
    bob.page.get_by_role("checkbox", name="Crop", exact=True).click()
    expect(bob.frame).not_to_have_attribute("src", before)
    assert bob.pixels(bob.frame).shape != (360, 640, 3)

    bob.open(f"?job={job}")
    assert "no such render of yours" in bob.toast()
    bob.say("Ready")
    expect(bob.video).to_have_count(0)
    expect(bob.page.locator("#report .mt-report")).to_have_count(0)
    assert job not in bob.page.content().replace(bob.page.url, "")


def test_a_killed_server_keeps_what_was_done_and_goes_on_with_what_was_not(
    new_visitor: NewVisitor, clips: Clips, tmp_path: Path
) -> None:
    port = str(free_port())  # the same one both times: what a browser keeps belongs to an address
    visit = new_visitor(f"http://127.0.0.1:{port}/")
    with served(tmp_path / "jobs", "--port", port, module=PACED, end_with=signal.SIGKILL) as server:
        assert server.address == visit.address
        visit.open()
        done = visit.generate(clips.source, clips.voice)
        visit.say("Done")
        visit.box("voice").get_by_role("button", name="Remove").click()
        expect(visit.box("voice")).to_contain_text("Drop a recording here")
        visit.give_voice(clips.long_voice)
        visit.held("voice", clips.long_voice.name)
        visit.button("Generate").click()
        visit.say("Rendering")
        cut = visit.job
        assert cut != done
        visit.page.goto("about:blank")

    with served(tmp_path / "jobs", "--port", port, module=PACED):
        visit.open(f"?job={done}")
        visit.say("Done")
        assert visit.play()["sound"] > 0
        visit.open(f"?job={cut}")
        visit.say("Rendering")
        visit.tab("Jobs")
        expect(visit.cards).to_have_count(2)
        expect(visit.cards.locator(".mt-state")).to_have_text(["Rendering", "Done"])
        visit.cards.first.get_by_role("button", name="Stop").click()
        expect(visit.cards.locator(".mt-state")).to_have_text(["Stopped", "Done"])
        record = stored(tmp_path / "jobs", cut, "job.json")
        kept = {"job.json", "thumbnail.jpg", record["video"], record["voice"]}
        folder = tmp_path / "jobs" / cut
        left = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        parts = {path for path in left if is_folder_of_parts(path.parts[0])}  # to go on with
        assert {path.as_posix() for path in left - parts} == kept

        visit.cards.first.get_by_role("button", name="Edit and render again").click()
        visit.say("Ready")
        expect(visit.page).to_have_url(visit.address)
        visit.held("source", "two faces")
        visit.held("voice", "long voice")
        visit.page.go_back()
        visit.cards.first.get_by_role("button", name="Retry").click()
        expect(visit.cards.locator(".mt-state")).to_have_text(["Rendering", "Done"])
        visit.cards.first.get_by_role("button", name="Stop").click()
        expect(visit.cards.locator(".mt-state")).to_have_text(["Stopped", "Done"])


def test_with_logins_nothing_is_shown_before_and_only_ones_own_after(
    new_visitor: NewVisitor, clips: Clips, tmp_path: Path
) -> None:
    with served(tmp_path / "jobs", "--auth", "ann:one", "--auth", "bob:two", module=PACED) as server:
        bob = new_visitor(server.address)
        bob.page.goto(server.address)
        expect(bob.button("Login")).to_be_visible()
        expect(bob.button("Generate")).to_have_count(0)

        ann = new_visitor(server.address)
        log_in(ann, "ann", "one")
        job = ann.generate(clips.source, clips.voice)
        ann.say("Done")
        expect(ann.video).to_have_attribute("src", re.compile("."))
        result = ann.video.get_attribute("src") or ""
        assert ann.page.request.get(result).status == 200
        closed = {"config", "gradio_api/info", "gradio_api/openapi.json", result.removeprefix(server.address)}
        assert {path: bob.page.request.get(server.address + path).status for path in closed} == dict.fromkeys(
            closed, 401
        )
        asked = bob.page.request.post(f"{server.address}gradio_api/call/status", data={"data": [job, "key"]})
        assert asked.status == 401

        log_in(bob, "bob", "two")
        bob.tab("Jobs")
        expect(bob.page.locator("#jobs")).to_contain_text("No renders yet")
        expect(bob.cards).to_have_count(0)
        bob.open(f"?job={job}")
        assert "no such render of yours" in bob.toast()
        expect(bob.video).to_have_count(0)

        # Here is one backend alone: the tab that takes two says so, and where others come from.
        bob.tab("Compare")
        expect(bob.page.get_by_role("note")).to_contain_text("A comparison takes two backends, and only Draft is ready")
        expect(bob.button("Compare")).to_be_disabled()
        assert others(severe(bob)) == set()
        bob.button("Open Models").click()
        expect(bob.page.get_by_role("tab", name="Models")).to_have_attribute("aria-selected", "true")

        bob.page.context.clear_cookies()  # at another machine, one finds what is one's own
        log_in(bob, "ann", "one")
        bob.tab("Jobs")
        expect(bob.page.locator("#jobs")).to_contain_text("two faces")
        expect(bob.cards).to_have_count(1)


def log_in(visit: Visit, name: str, password: str) -> None:
    visit.page.goto(visit.address)
    visit.fill(visit.page.get_by_label("username"), name)
    visit.fill(visit.page.get_by_label("password"), password)
    visit.button("Login").click()
    visit.arrived()
