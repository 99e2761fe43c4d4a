"""Files of captions: what they show when, and where one is wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import CaptionsError
from musetalk.media.captions import Caption, as_srt, as_vtt, read_captions

TEXTS = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="<>{}&-"), min_size=1, max_size=30)
SRT = "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>One</i> line\r\n{\\an8}and <font color='red'>one</font>\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captions")


def read(folder: Path, text: str | bytes, ending: str = ".srt") -> tuple[Caption, ...]:
    path = folder / f"captions{ending}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_captions(path)


@given(st.lists(st.tuples(st.lists(TEXTS, min_size=1, max_size=3), st.integers(1, 9000)), min_size=1, max_size=9))
def test_what_was_written_is_read(folder: Path, said: list[tuple[list[str], int]]) -> None:
    now, captions = 3_590_000, list[Caption]()
    for lines, milliseconds in said:
        captions.append(Caption(tuple(lines), now / 1000, (now + milliseconds) / 1000))
        now += milliseconds
    for ending, text in ((".srt", as_srt(captions)), (".vtt", as_vtt(captions))):
        found = read(folder, text, ending)
        assert [each.lines for each in found] == [each.lines for each in captions]
        assert [each.start for each in found] == pytest.approx([each.start for each in captions])


def test_styles_are_left_out_and_lines_are_known(folder: Path) -> None:
    (srt,) = read(folder, "\ufeff" + SRT)
    assert srt == Caption(("One line", "and one"), 1.0, 2.5)
    assert srt.line == 2
    vtt = "WEBVTT - A title\n\nNOTE\nnone\n\nintro\n01:00.5 --> 01:02.000 line:0\n"
    vtt += "<v Ann>1 &lt; 2 <00:01:01.000><c.loud>x</c>\n"
    assert read(folder, vtt, ".vtt") == (Caption(("1 < 2 x",), 60.5, 62.0),)
    assert read(folder, SRT + "more\n")[0].lines == ("One line", "and one", "more")  # below an empty line


def test_what_is_seen_at_one_time_stands_below_each_other(folder: Path) -> None:
    text = as_srt([Caption(("a",), 0, 4), Caption(("b",), 1, 2), Caption(("c",), 3, 5), Caption(("d",), 7, 8)])
    found = read(folder, text)
    assert [" ".join(each.lines) for each in found] == ["a", "a b", "a", "a c", "c", "d"]
    assert all(one.stop <= other.start for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("text", "ending", "line", "said"),
    [
        (SRT + "2\n00:00:03,000 -> 00:00:04,000\nTwo\n", ".srt", 6, '"2"'),
        (SRT + "2\n00:00:61,000 --> 00:01:04,000\nTwo\n", ".srt", 7, "has no times"),
        (SRT + "2\n00:00:05,000 --> 00:00:04,000\nTwo\n", ".srt", 7, "ends before it begins"),
        (SRT + "2\n\n", ".srt", 6, "times such as"),
        ("Hello\n\n" + SRT, ".srt", 1, '"Hello"'),
        (SRT.encode() + b"\xff\n", ".srt", 6, "UTF-8"),
        ("1\n00:00:01,000 --> 00:00:02,000\nOne\n" + SRT, ".srt", 5, "within one"),
        ("".join(f"00:00:01,{place:03} --> 00:00:02,500\nOne\n\n" for place in range(101)), ".srt", 1, "at one time"),
        (f"1\n00:00:01,000 --> {'9' * 400}:00:02,000\nOne\n", ".srt", 2, "has no times"),
        (SRT, ".vtt", 1, "WEBVTT"),
        ("WEBVTT\n\n00:01 --> 00:02\nx\n", ".vtt", 3, "has no times"),
        ("", ".srt", None, "no times"),
        ("", ".txt", None, "of no kind"),
    ],
)
def test_errors_name_the_line(folder: Path, text: str | bytes, ending: str, line: int | None, said: str) -> None:
    with pytest.raises(CaptionsError) as told:
        read(folder, text, ending)
    assert said in told.value.problem
    assert told.value.line == line
    assert line is None or f"line {line} of" in told.value.problem
