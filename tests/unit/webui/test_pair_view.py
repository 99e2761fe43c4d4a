"""One frame of two results: what the browser is told."""

from __future__ import annotations

import json
from fractions import Fraction

from musetalk.webui.html.pair_view import PAIR_JS, Side, pair_view
from tests.helpers.html_page import Page

HOSTILE = """<script>alert(1)</script>"><img src=x onerror='alert(2)'>"""
SIDES = (Side("one", "one", "a/1.mp4", 100), Side("two", "two (by one)", "a/2.mp4", 200, ((2, 6, "one"),)))


def test_the_browser_is_told_all_that_it_shows() -> None:
    page = Page(pair_view(SIDES, Fraction(30000, 1001), 12))
    [section] = page.having(**{"class": "mt-pair"})
    data = json.loads(section["data-pair"] or "")
    assert (round(data["fps"], 4), data["frames"]) == (29.9700, 12)
    assert data["sides"][1] == {
        "name": "two",
        "label": "two (by one)",
        "address": "a/2.mp4",
        "size": 200,
        "others": [[2, 6, "one"]],
    }
    chosen = [found["value"] for tag, found in page.elements if tag == "option" and "selected" in found]
    assert chosen == ["one", "two"]
    [frame] = page.having(**{"aria-label": "Frame"})
    assert (frame["max"], frame["value"]) == ("11", "5")
    assert page.having(**{"aria-label": "Divider between left and right"})[0]["type"] == "range"


def test_one_frame_can_be_shown() -> None:
    [frame] = Page(pair_view(SIDES, Fraction(25), 1)).having(**{"aria-label": "Frame"})
    assert frame["value"] == "0"


def test_zoom_is_explained_and_every_button_is_served() -> None:
    page = Page(pair_view(SIDES, Fraction(25), 9))
    assert "keep the zoom" in page.text
    actions = {found["data-do"] for tag, found in page.elements if tag == "button" and "data-do" in found}
    assert actions == {"back", "next", "play", "out", "in", "fit"}
    assert all(f"    {action}: () =>" in PAIR_JS for action in actions)


def test_nobodys_words_become_markup() -> None:
    page = Page(pair_view((Side(HOSTILE, HOSTILE, HOSTILE, 1), SIDES[0]), Fraction(25), 9))
    assert not [tag for tag, found in page.elements if tag in ("script", "img") or "onerror" in found]
