"""The newest frame of a render: small, now and then, and gone when the render has ended."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from musetalk.pipeline.newest_frame import small_jpeg
from musetalk.progress import ProgressEvent, RenderRun
from musetalk.webui.html import panels
from tests.helpers.html_page import Page
from tests.unit.webui.test_panels import running


def test_a_frame_is_made_small_and_keeps_its_colors() -> None:
    picture = np.zeros((1080, 1920, 3), np.uint8)
    picture[:, :, 0] = 200  # red
    made = Image.open(io.BytesIO(small_jpeg(picture)))
    assert made.size == (640, 360)
    red, green, _ = np.asarray(made.convert("RGB"))[100, 100]
    assert (red > 180, green < 30) == (True, True)
    assert Image.open(io.BytesIO(small_jpeg(picture[:50, :70]))).size == (70, 50)


def test_one_frame_goes_with_the_next_event_and_few_are_made() -> None:
    told, made = list[ProgressEvent](), list[int]()

    def jpeg() -> bytes:
        made.append(1)
        return b"jpeg"

    run = RenderRun(told.append)
    for done in range(50):
        run.show(jpeg)
        run.emit("render", done, 50)
    assert [event.picture for event in told[:2]] == [b"jpeg", b""]
    assert len(made) == sum(event.picture == b"jpeg" for event in told) < 50
    RenderRun().show(jpeg)  # nobody watches
    assert len(made) == sum(event.picture == b"jpeg" for event in told)


def test_the_status_shows_it() -> None:
    shown = Page(panels.status_panel(running("render", 3, 9), newest='a"b'))
    [picture] = [found for tag, found in shown.elements if tag == "img"]
    assert (picture["src"], picture["alt"]) == ('a"b', "The newest frame")
    [hidden] = Page(panels.status_panel(running("render", 3, 9))).having(**{"class": "mt-newest"})
    assert "hidden" in hidden
