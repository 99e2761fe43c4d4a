"""Titles, bullets and captions: when they are seen, and that none leaves the safe area, whatever is written."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from musetalk.errors import ScriptError
from musetalk.presenter.captions import caption_words
from musetalk.presenter.drawing import MOST_PIXELS, draw_element, read_slide
from musetalk.presenter.elements import Element, elements_of
from musetalk.presenter.layout import SAFE, Aspect, Box, LayoutName, Size, canvas_size, fill, place
from musetalk.presenter.script import parse_script
from musetalk.presenter.step import FADE, Schedule, TalkPicture, shows
from musetalk.presenter.talk import ShownSlide, SpokenPassage, Talk
from musetalk.presenter.talk_file import TalkFile
from musetalk.presenter.type_setting import set_text
from musetalk.tts.types import TimedWord
from musetalk.utils.arrays import UInt8Array

LAYOUTS, ASPECTS = get_args(LayoutName), get_args(Aspect)
WORDS = st.one_of(
    st.text("abcdefgh-ij", min_size=1, max_size=8),
    st.text("mW", min_size=30, max_size=120),  # no line is so long
    st.text("אבגדהוזחטי", min_size=1, max_size=12),
    st.text("مرحبابكمفيالعرض", min_size=1, max_size=12),
    st.text("字幕表示中文日本語한국", min_size=1, max_size=40),
    st.sampled_from(["\U0001f600", "\U0001f469\u200d\U0001f680", "\U0001f1e9\U0001f1ea", "e\u0301", "ﷺ"]),
)
TEXTS = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)
BLOCKS = st.tuples(st.sampled_from(["# {}", "## {}", "- {}", "  - {}", "12. {}", "{}"]), TEXTS)


def talk_of(script: str, slides: tuple[ShownSlide, ...] = ()) -> Talk:
    """A script as if each word took half a second."""
    now, passages = 0.25, list[SpokenPassage]()
    for passage in parse_script(script, Path).passages:
        words = list[TimedWord]()
        for text in (passage.shown or passage.text).split():
            words.append(TimedWord(text, now, now + 0.5))
            now += 0.5
        passages.append(SpokenPassage(passage, tuple(words)))
        now += 0.5
    return Talk(now, tuple(passages), slides, ())


def safe(canvas: Size) -> Box:
    width, height = canvas
    left, top = round(SAFE * width), round(SAFE * height)
    return Box(left, top, width - 2 * left, height - 2 * top)


def inside(box: Box, outer: Box) -> bool:
    return box.x >= outer.x and box.y >= outer.y and box.right <= outer.right and box.bottom <= outer.bottom


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("aspect", ASPECTS)
@settings(max_examples=5, deadline=None)
@given(blocks=st.lists(BLOCKS, min_size=1, max_size=8))
def test_nothing_leaves_the_safe_area(layout: LayoutName, aspect: Aspect, blocks: list[tuple[str, str]]) -> None:
    script = "\n\n".join(form.format(text) for form, text in blocks)
    if not any(letter.isalnum() for letter in script.replace("12.", "")):
        return
    try:
        talk = talk_of(script)
    except ScriptError:  # it says nothing
        return
    places = place(layout, aspect, 240, captions=True)
    captions = caption_words(each.words for each in talk.passages)
    for element in elements_of(talk, places, captions):
        assert inside(element.box, safe(places.canvas))
        for line in element.lines:  # whole
            assert inside(Box(line.x, line.y, line.text.width, line.text.height), element.box)
            assert element.kind != "caption" or not line.text.lines or not line.text.lines[-1].endswith("…")
        layer = draw_element(element)
        assert layer.colors.shape == (element.box.height, element.box.width, 3)
        assert layer.alpha is not None
        assert layer.alpha.shape == (element.box.height, element.box.width, 1)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_no_letter_of_a_burnt_caption_is_lost(aspect: Aspect) -> None:
    talk = talk_of(" ".join(["W" * 42, "m" * 100, "WE SAY IT ALOUD AND IN CAPITALS", "THAT FOLLOW EACH OTHER"]))
    captions = caption_words(each.words for each in talk.passages)
    shown = elements_of(talk, place("full", aspect, 480, captions=True), captions)
    letters = "".join("".join(line.text.lines) for element in shown for line in element.lines)
    assert letters.replace(" ", "") == talk.passages[0].passage.text.replace(" ", "")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_words_do_not_cover_each_other_nor_the_presenter_beside_them(layout: LayoutName, aspect: Aspect) -> None:
    talk = talk_of("# Title of a talk\n\n- one bullet\n- another one that is quite a bit longer\n- third\n\nText.")
    places = place(layout, aspect, 480, captions=True)
    elements = elements_of(talk, places, caption_words(each.words for each in talk.passages))
    for now in np.arange(0, talk.seconds, 0.25):
        seen = [element.box for element in Schedule(elements).seen(float(now)) if shows(element, float(now)) > 0.6]
        apart = [*seen, places.presenter] if not places.covered else seen
        for number, box in enumerate(apart):
            assert not any(overlap(box, other) for other in apart[number + 1 :])


def overlap(one: Box, other: Box) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bullets_come_with_their_first_word(layout: LayoutName) -> None:
    talk = talk_of("# Title\n\n- one two\n- three four\n\nSome text.\n\n# Next\n\n- five")
    elements = elements_of(talk, place(layout, "16:9", 240, captions=False), ())
    starts = {each.passage.shown: each.start for each in talk.passages if each.passage.shown}
    found = sorted(element.start for element in elements)
    assert found == sorted(starts.values())
    for element in elements:
        assert shows(element, element.start - 0.1) == pytest.approx(0.0, abs=1e-6)
        assert shows(element, element.start) == pytest.approx(0.5)
        assert shows(element, element.start + 0.1) == pytest.approx(1.0)
        assert FADE == 0.2


def test_a_title_takes_its_bullets_with_it() -> None:
    talk = talk_of("# One\n\n- a\n- b\n\n# Two\n\n- c")
    elements = elements_of(talk, place("split", "16:9", 240, captions=False), ())
    two = next(each.start for each in talk.passages if each.passage.shown == "Two")
    assert [element.stop for element in elements if element.start < two] == [two] * 3
    assert [element.stop for element in elements if element.start >= two] == [talk.seconds] * 2


def test_bullets_that_do_not_fit_follow_on_a_page_of_their_own() -> None:
    talk = talk_of("\n".join(f"- this is bullet number {number} of many" for number in range(40)))
    elements = elements_of(talk, place("split", "16:9", 240, captions=False), ())
    seen = Schedule(elements)
    for passage in talk.passages:
        boxes = [element.box for element in seen.seen(passage.stop)]
        assert boxes
        assert not any(overlap(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :])


def test_slides_take_the_place_of_words(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "a.png")
    slides = (ShownSlide(tmp_path / "a.png", 2.0, 3), ShownSlide(None, 4.0, 5))
    talk = talk_of("# Title\n\n- one\n- two three four five six seven eight", slides)
    for layout in LAYOUTS:
        elements = elements_of(talk, place(layout, "16:9", 240, captions=False), ())
        assert [element.kind for element in elements if element.start <= 3.0 < element.stop] == ["slide"]
        assert not [element for element in elements if element.kind == "slide" and element.stop > 4.0]
        assert any(element.start == 4.0 for element in elements)  # what was shown before comes back


def presented(talk: Talk, layout: LayoutName, aspect: Aspect, picture: UInt8Array, now: float) -> UInt8Array:
    file = TalkFile(talk=talk, layout=layout, aspect=aspect, shorter=144)
    return TalkPicture(file)(picture, now)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_picture_has_its_shape_and_the_presenter_in_it(tmp_path: Path, aspect: Aspect) -> None:
    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "a.png")
    talk = talk_of("# Title\n\nSome text here.", (ShownSlide(tmp_path / "a.png", 1.5, 3),))
    green = np.zeros((90, 90, 3), np.uint8)
    green[..., 1] = 200
    for layout, least in (("full", 0.7), ("split", 0.3), ("slides", 0.03)):
        for now, red in ((0.0, False), (2.0, True)):
            picture = presented(talk, layout, aspect, green, now)
            assert picture.shape[1::-1] == canvas_size(aspect, 144)
            is_green = (picture[..., 1] > 150) & (picture[..., 0] < 60)
            assert is_green.mean() > (0.01 if red else least)
            assert (((picture[..., 0] > 150) & (picture[..., 1] < 60)).mean() > 0.05) == red


def test_the_same_frame_is_the_same_whatever_was_drawn_before() -> None:
    talk = talk_of("# Title\n\n- one\n- two")
    file = TalkFile(talk=talk, layout="full", shorter=144, captions=True)
    picture = np.full((90, 160, 3), 90, np.uint8)
    one = TalkPicture(file)
    early = [one(picture, now) for now in (0.0, 0.4, 0.8, 1.6)]
    assert not picture[picture != 90].any()
    for now, drawn in zip((1.6, 0.8), (early[3], early[2]), strict=True):
        assert np.array_equal(TalkPicture(file)(picture, now), drawn)


def test_a_picture_fills_its_box_or_stands_in_it_whole() -> None:
    box = Box(10, 20, 160, 90)
    part, at = fill((512, 512), box)
    assert at == box
    assert part.width == 512
    assert 0 < part.y < 512 - part.height - part.y  # less is cut above, where heads are
    part, at = fill((90, 400), box)
    assert (part.width, part.height) == (90, 400)
    assert inside(at, box)


def test_slides_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ScriptError, match=r"line 7 of the script shows .*a\.png, which is no picture"):
        read_slide(tmp_path / "a.png", 7)
    for side in (int(MOST_PIXELS**0.5) + 10, 20_000):  # Pillow itself has an opinion of the second
        Image.new("1", (side, side)).save(tmp_path / "b.png")
        with pytest.raises(ScriptError, match=r"line 3 of the script shows .*b\.png, a picture of .*too large"):
            read_slide(tmp_path / "b.png", 3)


def test_deep_grey_slides_keep_their_greys_and_no_file_starts_a_program(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 32768, np.uint16)).save(tmp_path / "a.png")
    assert np.all(read_slide(tmp_path / "a.png") == 128)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.eps")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.eps").read_bytes())  # Pillow hands these to Ghostscript
    with pytest.raises(ScriptError, match="no picture that can be read"):
        read_slide(tmp_path / "b.png", 1)


def test_transparent_slides_show_the_background(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(tmp_path / "a.png")
    assert read_slide(tmp_path / "a.png").max() < 40


def test_a_word_of_a_whole_script_is_set_like_one_of_a_page() -> None:
    page, script = (set_text("W" * letters, 200, 60, 20, 10) for letters in (1_000, 100_000))
    assert page.lines == script.lines
    assert page.lines[-1].endswith("…")


def test_elements_can_be_told_apart() -> None:
    talk = talk_of("- one\n- one")
    elements: tuple[Element, ...] = elements_of(talk, place("split", "16:9", 240, captions=False), ())
    assert len(set(elements)) == 2  # they are kept drawn by what they are
