"""Who is meant by a click, a number or a key in the previewed frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from musetalk.faces.types import FaceBox
from musetalk.webui.drawing.lines_legend import lines_legend
from musetalk.webui.drawing.overlays import OverlayBase, number_plates
from musetalk.webui.tabs.face_picking import face_at, face_buttons, face_of, no_such_face, point_of
from tests.helpers.html_page import Page

LARGE, SMALL = FaceBox(100.0, 200.0, 500.0, 700.0, 9.0), FaceBox(480.0, 200.0, 540.0, 270.0, 9.0)
FAR = FaceBox(1000.0, 200.0, 1100.0, 300.0, 9.0)


def sketch(*boxes: FaceBox, chosen: tuple[FaceBox, ...] = ()) -> OverlayBase:
    """A frame of 1200 x 800, shown at half that size."""
    ground = np.zeros((400, 600, 3), np.uint8)
    return OverlayBase(ground, (1200, 800), boxes, frozenset(chosen), (), (), (), ())


def clicked(shown: OverlayBase, x: float, y: float) -> int | None:
    return face_at(shown, round(x / 2), round(y / 2))


def test_a_click_means_the_face_it_is_on_and_a_little_around_it() -> None:
    shown = sketch(LARGE, FAR)
    assert clicked(shown, 300, 450) == clicked(shown, 110, 690) == clicked(shown, 300, 760) == 0
    assert clicked(shown, 1050, 250) == clicked(shown, 1005, 205) == 1


@pytest.mark.parametrize("place", [(700, 450), (900, 250), (1050, 500), (20, 20), (1190, 790)])
def test_a_click_beside_all_of_them_means_nobody(place: tuple[int, int]) -> None:
    assert clicked(sketch(LARGE, FAR), *place) is None


def test_where_no_face_is_there_is_nobody_to_choose() -> None:
    empty = sketch()
    assert clicked(empty, 600, 400) is face_of(empty, 1) is face_of(empty, "next") is None
    assert no_such_face(empty) == "This frame shows no face."


def test_of_two_that_overlap_the_one_is_meant_that_the_click_is_nearer_to_for_its_size() -> None:
    shown = sketch(LARGE, SMALL)
    assert clicked(shown, 505, 235) == 1
    assert clicked(shown, 440, 450) == 0


def test_a_click_on_a_number_means_its_face() -> None:
    shown = sketch(LARGE, FAR)
    for index, (left, top, width, height) in enumerate(number_plates(shown)):
        assert face_at(shown, int(left + width / 2), int(top + height / 2)) == index


def test_the_point_kept_means_the_same_face_to_the_engine_which_takes_the_nearest_middle() -> None:
    shown = sketch(LARGE, SMALL)
    for index, place in ((0, (440, 240)), (1, (505, 235)), (0, (300, 450))):
        assert clicked(shown, *place) == index
        x, y = point_of(shown, index, place[0] // 2, place[1] // 2)
        middles = [np.hypot(box.center[0] - x, box.center[1] - y) for box in shown.boxes]
        assert int(np.argmin(middles)) == index
    assert point_of(shown, 0, 150, 225) == pytest.approx((300, 450), abs=2)  # as clicked, where that will do
    assert point_of(shown, 1) == SMALL.center


def test_numbers_begin_at_one_and_next_goes_around() -> None:
    boxes = (LARGE, SMALL, FAR)
    shown = sketch(*boxes, chosen=(SMALL,))
    assert [face_of(shown, number) for number in (1, 2, 3)] == [0, 1, 2]
    assert [face_of(shown, asked) for asked in (0, 4, -1, "1", None, 1.5)] == [None] * 6
    assert face_of(shown, "next") == 2
    assert face_of(replace(shown, chosen=frozenset({FAR})), "next") == 0
    assert face_of(replace(shown, chosen=frozenset(boxes)), "next") == 0  # all of them are chosen, none in particular
    assert no_such_face(shown) == "This frame shows 3 faces."


def test_every_face_has_a_button_and_the_chosen_one_is_pressed() -> None:
    page = Page(face_buttons(sketch(LARGE, FAR, chosen=(FAR,)), "Face <2> is chosen."))
    buttons = [attributes for name, attributes in page.elements if name == "button"]
    assert [(each["data-face"], each["aria-pressed"]) for each in buttons] == [("1", "false"), ("2", "true")]
    assert "Face <2> is chosen." in page.text
    assert "<button" not in face_buttons(None)


def test_the_lines_are_explained_as_far_as_they_are_drawn() -> None:
    outlined = replace(sketch(LARGE, FAR, chosen=(LARGE,)), outlines=(np.zeros((4, 2), np.float32),))
    text = Page(lines_legend(outlined, ["faces"])).text
    assert "the face that will speak" in text
    assert "another face" in text
    assert "half source, half new mouth" in text
    assert "backend is shown" not in text
    assert lines_legend(outlined, []) == lines_legend(sketch(), ["faces", "crop"]) == ""
    assert "another face" not in lines_legend(sketch(LARGE, chosen=(LARGE,)), ["faces"])
