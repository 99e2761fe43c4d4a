"""Captions of a file in the picture: all of them, when they are due, within the safe area."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.errors import CaptionsError
from musetalk.frame_steps.registry import FrameStepRegistry
from musetalk.media.captions import Caption
from musetalk.presenter.caption_step import CaptionedPicture
from musetalk.presenter.captions import LINES, fitted
from musetalk.presenter.elements import caption_element
from musetalk.presenter.layout import caption_strip
from musetalk.settings import RenderSettings
from tests.unit.presenter.test_elements import TEXTS, inside, safe

SIZES = st.tuples(st.integers(144, 1920), st.integers(144, 1920))
CAPTION = "1\n00:00:01,000 --> 00:00:02,000\n"


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=5), SIZES)
def test_every_word_is_seen_once_in_order_within_the_safe_area(lines: list[str], size: tuple[int, int]) -> None:
    shown = list(fitted([Caption(tuple(lines), 2.0, 5.0)]))
    assert "".join("".join(each.lines) for each in shown).replace(" ", "") == "".join(lines).replace(" ", "")
    assert shown[0].start == 2.0
    assert all(each.start <= each.stop <= 5.0 and len(each.lines) <= LINES for each in shown)
    assert all(one.stop <= other.start for one, other in pairwise(shown))
    for each in shown:
        assert inside(caption_element(each, caption_strip(size), min(size)).box, safe(size))


def test_captions_are_seen_when_they_are_due_and_nothing_else_changes() -> None:
    picture = np.full((240, 321, 3), 200, np.uint8)
    step = CaptionedPicture([Caption(("Below",), 1.0, 2.0)])
    for now in (0.0, 0.99, 2.0):
        assert np.array_equal(step(picture, now), picture)
    changed = (step(picture, 1.0) != picture).any(2)
    strip = caption_strip((321, 240))
    assert changed[strip.y : strip.bottom, strip.x : strip.right].mean() > 0.02
    changed[strip.y : strip.bottom, strip.x : strip.right] = False
    assert not changed.any()
    assert (picture == 200).all()


def test_letters_without_a_font_are_told_before_anything_is_rendered(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text(f"{CAPTION}Hi\n", "utf-8")
    wanted = RenderSettings.parse({"captions": str(path), "burn_captions": True, "frame_steps": ["label"]})
    label, captions = FrameStepRegistry().chosen(wanted.all_frame_steps)
    assert (label.spec.name, captions.spec.name) == ("label", "captions")
    assert captions.check() == ()
    path.write_text(f"{CAPTION}Hi\n\n2\n00:00:03,000 --> 00:00:04,000\n\U00016a40\n", "utf-8")  # of Mro, a script
    with pytest.raises(CaptionsError, match=r"line 6 of .*a\.srt") as told:
        captions.check()
    assert told.value.line == 6
    path.write_text(f"{CAPTION}Hi \U000f0000\n", "utf-8")
    (note,) = captions.check()
    assert note.endswith("left out of the captions")
