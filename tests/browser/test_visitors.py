"""Whose renders are whose, and what becomes of them when a tab or the server goes away."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.drive import BrowserContext, Clips, Page, Visit, expect, free_port, stored
from tests.helpers.served import PACED, Served, served

pytestmark = pytest.mark.integration
NewVisitor = Callable[..., BrowserContext]


def test_visitors_see_only_their_own_renders(new_visitor: NewVisitor, server: Served, clips: Clips) -> None:
    ann, bob = (Visit(new_visitor().new_page(), server.address).open() for _ in range(2))
    jobs = {}
    for visit in (ann, bob):
        jobs[visit] = visit.generate(clips.source, clips.voice)
    for visit in (ann, bob):
        visit.say("Done")
        visit.tab("Jobs")
        expect(visit.cards).to_have_count(1)
        assert visit.cards.locator("[data-action=open]").get_attribute("data-job") == jobs[visit]

    bob.open(f"?job={jobs[ann]}")
    assert "no such render of yours" in bob.toast()
    bob.say("Ready")
    expect(bob.video).to_have_count(0)
    expect(bob.page.locator("#report .mt-report")).to_have_count(0)
    assert jobs[ann] not in bob.page.content().replace(bob.page.url, "")


def test_a_closed_tab_loses_nothing(new_visitor: NewVisitor, server: Served, clips: Clips) -> None:
    context = new_visitor()
    first = Visit(context.new_page(), server.address).open()
    job = first.generate(clips.source, clips.long_voice)
    first.say("Rendering")
    first.page.close()

    second = Visit(context.new_page(), server.address).open(f"?job={job}")
    second.say("Rendering")
    figures = second.status.locator(".mt-figures")
    expect(figures).to_contain_text(re.compile("frame .* of 3,750"))
    seen = figures.inner_text()
    expect(figures).not_to_have_text(seen)
    second.button("Stop").click()
    second.say("Stopped")


def test_a_killed_server_keeps_what_was_done_and_says_what_was_not(
    new_visitor: NewVisitor, clips: Clips, tmp_path: Path
) -> None:
    port = str(free_port())  # the same one both times: what a browser keeps belongs to an address
    context = new_visitor()
    with served(tmp_path / "jobs", "--port", port, module=PACED, end_with=signal.SIGKILL) as server:
        visit = Visit(context.new_page(), server.address).open()
        done = visit.generate(clips.source, clips.voice)
        visit.say("Done")
        visit.page.close()
        visit = Visit(context.new_page(), server.address).open()
        cut = visit.generate(clips.source, clips.long_voice)
        visit.say("Rendering")
        visit.page.close()

    with served(tmp_path / "jobs", "--port", port, module=PACED) as server:
        visit = Visit(context.new_page(), server.address).open(f"?job={done}")
        visit.say("Done")
        assert visit.play()["sound"] > 0
        visit.open(f"?job={cut}")
        visit.say("Failed")
        expect(visit.status).to_contain_text("server was stopped while this was being rendered")
        visit.tab("Jobs")
        expect(visit.cards).to_have_count(2)
        expect(visit.cards.locator(".mt-state")).to_have_text(["Failed", "Done"])
        expect(visit.cards.first).to_contain_text("start it again")
        record = stored(tmp_path / "jobs", cut, "job.json")
        kept = {"job.json", "thumbnail.jpg", record["video"], record["voice"]}
        folder = tmp_path / "jobs" / cut
        left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert left == kept

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
    with served(tmp_path / "jobs", "--auth", "ann:one", "--auth", "bob:two") as server:
        stranger = new_visitor().new_page()
        stranger.goto(server.address)
        expect(stranger.get_by_role("button", name="Login")).to_be_visible()
        expect(stranger.get_by_role("button", name="Generate")).to_have_count(0)

        ann, bob, ann_elsewhere = (
            logged_in(new_visitor().new_page(), server.address, *login)
            for login in (("ann", "one"), ("bob", "two"), ("ann", "one"))
        )
        job = ann.generate(clips.source, clips.voice)
        ann.say("Done")
        result = ann.video.get_attribute("src") or ""
        assert ann.page.request.get(result).status == 200
        closed = {"config", "gradio_api/info", "gradio_api/openapi.json", result.removeprefix(server.address)}
        assert {path: stranger.request.get(server.address + path).status for path in closed} == dict.fromkeys(
            closed, 401
        )
        asked = stranger.request.post(f"{server.address}gradio_api/call/status", data={"data": [job, "key"]})
        assert asked.status == 401

        for visit, cards in ((ann, 1), (bob, 0), (ann_elsewhere, 1)):
            visit.tab("Jobs")
            expect(visit.page.locator("#jobs")).to_contain_text("two faces" if cards else "No renders yet")
            expect(visit.cards).to_have_count(cards)
        bob.open(f"?job={job}")
        assert "no such render of yours" in bob.toast()
        expect(bob.video).to_have_count(0)


def logged_in(page: Page, address: str, name: str, password: str) -> Visit:
    page.goto(address)
    page.get_by_label("username").fill(name)
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    return Visit(page, address).open()
