"""Scripts: what of them is spoken and shown, and which are refused, with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.errors import ScriptError
from musetalk.presenter.script import MOST_LETTERS, Passage, Pause, Script, Slide, parse_script, read_script

PICTURES = {"a.png": Path("/pictures/a.png"), "b.png": Path("/pictures/b.png")}
TALK = """# Welcome to *MuseTalk* Hybrid

This is **bold**, _soft_ and `code`, see [here](https://x.y).
It goes on [pause 0.8] after
a pause. snake_case_name stays, 2 * 3 * 4 too. [slide a.png]

![alt](b.png)
- First *thing* [pause 1s] and more
  that goes on
- Second [GIF](say: jiff)
  1. inner one
---
> quoted
> on

[slide none]
"""


def parsed(text: str) -> Script:
    return parse_script(text, PICTURES.get)


def test_a_talk() -> None:
    assert parsed(TALK).items == (
        Passage("Welcome to MuseTalk Hybrid", "title", 1, "Welcome to MuseTalk Hybrid", 1),
        Passage("This is bold, soft and code, see here. It goes on", "text", 3),
        Pause(0.8, 4),
        Passage("after a pause. snake_case_name stays, 2 * 3 * 4 too.", "text", 4),
        Slide(PICTURES["a.png"], 5),
        Slide(PICTURES["b.png"], 7),
        Passage("First thing", "bullet", 8, "First thing and more that goes on"),
        Pause(1.0, 8),
        Passage("and more that goes on", "text", 8),
        Passage("Second [GIF](say: jiff)", "bullet", 10, "Second GIF"),
        Passage("inner one", "bullet", 11, "inner one", 1, "1."),
        Passage("quoted on", "text", 13),
        Slide(None, 16),
    )


def test_line_ends_of_other_systems() -> None:
    assert parsed("one\r\n\r\ntwo\rthree").items == (Passage("one", "text", 1), Passage("two three", "text", 3))


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**one [pause 1] two** ~~three~~", ["one", "two three"]),
        (r"\*one\* \[pause 1\] two", ["*one* [pause 1] two"]),
        ("`[pause 1]` ``a `b` <c>`` `*d*` `e[f]`", ["[pause 1] a `b` <c> *d* e[f]"]),
        ("Tom &amp; Jerry&nbsp;&lt;b&gt; &nope; AT&T", ["Tom & Jerry <b> &nope; AT&T"]),
        (
            '[a](https://x.org/(b) "c") [d]( e ) [f](/g/h.html) <https://x.org> <i@j.org>',
            ["a d f https://x.org i@j.org"],
        ),
        ("5 <6 and a < b, c > d", ["5 <6 and a < b, c > d"]),
        ("It was\n42. That is all.", ["It was 42. That is all."]),
        ("cafe\u0301 co\u00adop\u200b \ufeffhere", ["caf\u00e9 coop here"]),
        ("[one\ntwo](say: three\nfour), five", ["[one two](say: three four), five"]),
        ("one\\\ntwo  \nthree", ["one two three"]),
    ],
)
def test_markup_is_read_as_it_is_meant(text: str, spoken: list[str]) -> None:
    assert [passage.text for passage in parsed(text).passages] == spoken


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("One\n===\n\nTwo\n---\nthree", [("title", "One"), ("title", "Two"), ("text", "")]),
        ("> # One\n> - two\n>> three", [("title", "One"), ("bullet", "two three")]),
        ("  # Learning C#\n# Two ##", [("title", "Learning C#"), ("title", "Two")]),
        ("- [x] one\n• two", [("bullet", "one"), ("bullet", "two")]),
        ("- [\U0001f44d](say: thumbs up)", [("bullet", "\U0001f44d")]),
    ],
)
def test_titles_and_bullets_as_others_write_them(text: str, kinds: list[tuple[str, str]]) -> None:
    assert [(passage.kind, passage.shown) for passage in parsed(text).passages] == kinds


def test_commands_as_people_write_them() -> None:
    text = 'one [Pause: 0.5 s] ![a b]( <a.png> "title") [SLIDE none] ![](a%2Epng) two'
    commands = (Pause(0.5, 1), Slide(PICTURES["a.png"], 1), Slide(None, 1), Slide(PICTURES["a.png"], 1))
    assert parsed(text).items == (Passage("one", "text", 1), *commands, Passage("two", "text", 1))


def test_a_line_of_commands_is_no_part_of_the_bullet_above_it() -> None:
    assert parsed("- one\n[pause 1] [slide none]\ntwo\nthree").items == (
        Passage("one", "bullet", 1, "one"),
        Pause(1.0, 2),
        Slide(None, 2),
        Passage("two three", "text", 3),
    )


def test_thousands_of_signs_that_are_not_closed_take_no_time() -> None:
    for sign in ("*a ", "[a](b ", "`a ", "<a", "![", "[", "(["):
        text = sign * (MOST_LETTERS // len(sign))
        try:
            parsed(text)
        except ScriptError as error:
            assert error.line in {1, None}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "the script says nothing"),
        ("[pause 2]\n---\n\n…", None, "the script says nothing"),
        ("one\n\n```python\nx\n```", 3, "a block of code"),
        ("one\ntwo [foo 1]", 2, r"\[foo\], which means nothing here"),
        ("one\n[pause soon]", 2, "a pause of 'soon'"),
        ("[pause 31]", 1, "a pause of '31'"),
        ("[pause -1]", 1, "a pause of '-1'"),
        ("one\n\n[slide c.png]", 3, "c.png, which is not there"),
        ("![](c.png)", 1, "c.png, which is not there"),
        ("[slide]", 1, "does not say which slide"),
        ("one [pause nan] two", 1, "a pause of 'nan'"),
        ("one [pause 1_0] two", 1, "a pause of '1_0'"),
        ("one\ntwo [pause 1", 2, "brackets that are not closed"),
        ("one [Applause] two", 1, r"\[Applause\], which means nothing here"),
        ("one [^1] two", 1, r"\[\^1\], which means nothing here"),
        ("one\ntwo [word](say:)", 2, r"\[word\]\(say:\), which is no link and no note"),
        ("[](say: word)", 1, "no link and no note"),
        ("[word](saying it so)", 1, "no link and no note"),
        ("one\n\n# \U0001f600", 3, "a title without words"),
        ("one\n- …\n- two", 2, "a bullet without words"),
        ("one\n- ```python", 2, "a block of code"),
        ("a | b\n--- | ---\n1 | 2", 2, "a table"),
        ("one\ntwo <b>three</b>", 2, "HTML"),
        ("one <!-- not this --> two", 1, "HTML"),
        ("---\ntitle: one\n---\ntwo", 1, "a block of metadata"),
        ("one \U000f005bpause 1]", 1, r"U\+F005B"),
        ("one\n| a | b |", 2, "a table"),
        ("<script>", 1, "HTML"),
        ("one\n\x07", 2, r"U\+0007"),
        ("x" * (MOST_LETTERS + 1), None, "too long"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_line(text: str, line: int | None, said: str) -> None:
    with pytest.raises(ScriptError, match=said) as caught:
        parsed(text)
    assert caught.value.line == line
    assert line is None or f"line {line} " in str(caught.value)


def test_pictures_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "talk.md").write_text("\ufeffHello [slide a.png]", "utf-8")
    assert read_script(tmp_path / "talk.md").items == (Passage("Hello", "text", 1), Slide(tmp_path / "a.png", 1))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"one\n\xff\xfe", "line 2 of the script .* no text in UTF-8"),
        (b"\0" * 100, r"U\+0000"),
        (b"a" * 10**6, "too long"),
    ],
)
def test_files_that_are_no_script(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "talk.md"
    path.write_bytes(content)
    with pytest.raises(ScriptError, match=said):
        read_script(path)


def test_of_a_device_no_more_is_read_than_a_script_may_have() -> None:
    with pytest.raises(ScriptError, match="/dev/zero is too long"):
        read_script(Path("/dev/zero"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"talk\.md cannot be read"):
        read_script(tmp_path / "talk.md")
