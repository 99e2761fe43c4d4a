from __future__ import annotations

from musetalk.webui.html.live_view import AvatarChoice, choice_html


def test_names_and_problems_are_escaped() -> None:
    html = choice_html([AvatarChoice("a&b", "<i>", ""), AvatarChoice("c", "", "it is <b>damaged</b>")])
    assert '<option value="a&amp;b">a&amp;b (&lt;i&gt;)</option>' in html
    assert "c: it is &lt;b&gt;damaged&lt;/b&gt;" in html


def test_what_cannot_be_used_cannot_be_chosen() -> None:
    html = choice_html([AvatarChoice("anna", "", "it is damaged")])
    assert '<option value="anna" disabled>' in html


def test_without_an_avatar_it_says_how_one_is_made() -> None:
    assert "musetalk avatar create" in choice_html([])


def test_who_may_make_one_is_told_where_and_may_delete_one() -> None:
    assert "Make one below" in choice_html([], own=True)
    anna = [AvatarChoice("anna", "")]
    assert ["Delete" in choice_html(anna, own=own) for own in (True, False)] == [True, False]
