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


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"talk\.md cannot be read"):
        read_script(tmp_path / "talk.md")
