"""Previews under way: the newest of a page wins, any can be stopped, and each says how far it is."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import MediaError
from musetalk.inspection.frame import FramePreview
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.webui.drawing.shown_frame import ShownFrame, shown_frame
from musetalk.webui.html.preview_status import preview_status, stamp
from musetalk.webui.previews import Preview, Previews, Wish
from tests.helpers.html_page import Page
from tests.helpers.programs import HANG_SECONDS

WISH = Wish(Path("a.mp4"), None, RenderSettings(backend="preview"), said="as it was")


def found() -> ShownFrame:
    frame = np.zeros((4, 6, 3), np.uint8)
    return shown_frame(FramePreview(0, 0.0, 0, frame, (), (), (), None, ()), "preview", max_side=6)


class Held:
    """Work that ends when it is told to, or cancelled."""

    def __init__(self) -> None:
        self.begun, self.go, self.cancelled = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, on_progress: ProgressCallback, cancel: CancelToken) -> ShownFrame:
        self.begun.set()
        while not self.go.wait(0.01):
            if cancel.cancelled:
                self.cancelled.set()
            cancel.check()
        return found()


@pytest.fixture
def previews() -> Iterator[Previews]:
    service = Previews(at_once=1)
    yield service
    service.close()


def ended(previews: Previews, visit: str) -> Preview:
    """The newest preview of a page, when it has ended."""
    pause = threading.Event()
    while (preview := previews.newest(visit)) is None or preview.active:
        pause.wait(0.01)
    return preview


def test_what_was_found_is_there_with_what_the_page_said(previews: Previews) -> None:
    work = Held()
    asked = previews.start("ann", WISH, work)
    assert previews.newest("ann") is asked
    assert previews.shown("ann") is None
    work.go.set()
    assert ended(previews, "ann").state == "done"
    shown = previews.shown("ann")
    assert shown is asked
    assert shown.found is not None
    assert shown.wish.said == "as it was"
    assert previews.newest("bob") is None


def test_the_newest_wins_and_ends_the_older(previews: Previews) -> None:
    works = [Held(), Held(), Held()]
    first = previews.start("ann", WISH, works[0])
    assert works[0].begun.wait(HANG_SECONDS)
    second, third = (
        previews.start("ann", replace(WISH, at=at), work) for at, work in zip((1.0, 2.0), works[1:], strict=True)
    )
    assert works[0].cancelled.wait(HANG_SECONDS)
    assert (first.state, second.state) == ("stopped", "stopped")
    works[2].go.set()
    assert ended(previews, "ann") is third
    assert previews.shown("ann") is third
    assert not works[1].begun.is_set()  # it had not begun yet, and never does


def test_asked_for_the_same_again_it_goes_on(previews: Previews) -> None:
    work, other = Held(), Held()
    first = previews.start("ann", WISH, work)
    assert work.begun.wait(HANG_SECONDS)
    assert previews.start("ann", replace(WISH), other) is first
    work.go.set()
    assert ended(previews, "ann") is first
    assert not other.begun.is_set()
    other.go.set()
    assert previews.start("ann", WISH, other) is not first  # it has ended: this is another look


def test_others_wait_for_their_turn_and_are_not_ended(previews: Previews) -> None:
    ann, bob, cid = Held(), Held(), Held()
    previews.start("ann", WISH, ann)
    assert ann.begun.wait(HANG_SECONDS)
    waiting = [previews.start(visit, WISH, work) for visit, work in (("bob", bob), ("cid", cid))]
    assert [previews.place(each) for each in waiting] == [0, 1]
    assert [each.state for each in waiting] == ["waiting", "waiting"]
    for work in (ann, bob, cid):
        work.go.set()
    assert {ended(previews, visit).state for visit in ("ann", "bob", "cid")} == {"done"}


def test_stop_ends_it_and_what_was_shown_before_stays(previews: Previews) -> None:
    done, held = Held(), Held()
    done.go.set()
    first = previews.start("ann", WISH, done)
    ended(previews, "ann")
    assert not previews.stop("ann")  # nothing is under way
    second = previews.start("ann", WISH, held)
    assert held.begun.wait(HANG_SECONDS)
    assert previews.stop("ann", HANG_SECONDS)
    assert held.cancelled.is_set()
    assert second.state == "stopped"
    assert previews.newest("ann") is second
    assert previews.shown("ann") is first
    previews.forget("ann")
    assert previews.shown("ann") is previews.newest("ann") is None


def test_a_failure_says_why_and_leaves_what_was_shown(previews: Previews) -> None:
    good = Held()
    good.go.set()
    first = previews.start("ann", WISH, good)
    ended(previews, "ann")

    def bad(_on_progress: ProgressCallback, _cancel: CancelToken) -> ShownFrame:
        raise MediaError('"<b>.mp4" is no video', "give another")

    def unforeseen(_on_progress: ProgressCallback, _cancel: CancelToken) -> ShownFrame:
        raise ZeroDivisionError

    previews.start("ann", WISH, bad)
    page = preview_status(ended(previews, "ann"))
    assert "&quot;&lt;b&gt;.mp4&quot; is no video. Give another." in page
    assert 'data-state="failed"' in page
    previews.start("ann", WISH, unforeseen)
    assert "did not foresee" in preview_status(ended(previews, "ann"))
    assert previews.shown("ann") is first


def test_it_is_made_in_the_context_of_whoever_asks(previews: Previews) -> None:
    who = contextvars.ContextVar("who", default="nobody")
    asked_by: list[str] = []

    def work(_on_progress: ProgressCallback, _cancel: CancelToken) -> ShownFrame:
        asked_by.append(who.get())
        return found()

    who.set("ann")
    previews.start("ann", WISH, work)
    ended(previews, "ann")
    assert asked_by == ["ann"]


def test_closing_ends_all() -> None:
    previews, works = Previews(at_once=1), [Held(), Held()]
    for visit, work in zip("ab", works, strict=True):
        previews.start(visit, WISH, work)
    assert works[0].begun.wait(HANG_SECONDS)
    previews.close()
    assert works[0].cancelled.is_set()
    assert not works[1].begun.is_set()


def test_progress_is_told_as_the_share_of_what_is_painted_and_the_time_it_took() -> None:
    moment = [100.0]
    preview = Preview(WISH, lambda: moment[0])
    preview.state = "running"
    moment[0] = 175.0
    preview.note(ProgressEvent("plan", 0, 0))
    assert preview.share is None
    said = Page(preview_status(preview)).text
    assert "Preview by Draft: finding faces" in said
    assert "1:15 so far" in said
    preview.note(ProgressEvent("render", 32, 48))  # frames 32 to 47 of the output
    preview.note(ProgressEvent("render", 32, 48, part=4.0))
    assert preview.share == 0.25
    assert "25 %, 1:15 so far" in Page(preview_status(preview)).text
    bar = next(
        attributes for name, attributes in Page(preview_status(preview)).elements if "aria-valuenow" in attributes
    )
    assert bar["aria-valuenow"] == "25"


def test_who_waits_for_a_device_is_told_for_how_many() -> None:
    preview = Preview(WISH, lambda: 0.0)
    preview.state = "running"
    preview.note(ProgressEvent("preflight", 0, 0, before=2))
    said = Page(preview_status(preview)).text
    assert "Preview by Draft: waiting for the device: 2 with other networks have it first" in said
    preview.note(ProgressEvent("preflight", 0, 0))
    assert "loading what it needs" in Page(preview_status(preview)).text


def test_every_state_has_the_same_elements() -> None:
    states = [preview_status(None), preview_status(None, error=MediaError("no", "yes"))]
    preview = Preview(WISH, lambda: 0.0)
    states.append(preview_status(preview, 2))
    assert "waiting for 2 others" in states[-1]
    for state in ("running", "stopped"):
        preview.state = state  # type: ignore[assignment]
        states.append(preview_status(preview))
    assert len({tuple(name for name, _ in Page(state).elements) for state in states}) == 1


def test_the_stamp_names_who_painted() -> None:
    made = found()
    frame = made.sketch.ground

    def stamped(speaking: bool, *painters: str) -> str:
        shown = ShownFrame(made.sketch, frame if speaking else None, None, painters, "latentsync-1.6", "")
        return " ".join(Page(stamp(shown)).text.split())

    assert stamped(True, "latentsync-1.6") == "Painted by latentsync-1.6"
    assert stamped(True, "preview") == "Painted by Draft , not by latentsync-1.6 as asked"
    assert stamped(True) == "latentsync-1.6 paints nothing in this frame"
    assert stamped(False) == "For latentsync-1.6 : faces only, there is no voice in it yet"
