"""The timeline in the app: every frame is accounted for, no fallback is lost, and it stays small."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.webui.html.report import report_panel
from musetalk.webui.html.timeline import timeline_svg
from musetalk.webui.theme import STYLE

LIMIT_BYTES = 60_000
KINDS = ("face", "fallback", "rest", "cutaway", "tail")
SVG = "{http://www.w3.org/2000/svg}"


def report(
    lengths: list[tuple[str, int]], *, loudness: tuple[float, ...] = (0.2, 0.9), fps: str = "25"
) -> dict[str, Any]:
    spans, start = [], 0
    for kind, length in lengths:
        spans.append({"start": start, "stop": start + length, "kind": kind})
        start += length
    return {"spans": spans, "loudness": loudness, "fps": fps}


def parsed(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(figure)  # noqa: S314 - our own output


def shapes(figure: str, kind: str) -> list[tuple[float, float, str]]:
    """Left edge, width and tooltip of each rectangle of a kind."""
    found = []
    for path in parsed(figure).iterfind(f".//{SVG}g[@class='mt-{kind}']/{SVG}path"):
        numbers = re.findall(r"[-\d.]+", path.attrib["d"])
        found.append((float(numbers[0]), float(numbers[2]), path.findtext(f"{SVG}title") or ""))
    return found


def test_spans_are_drawn_where_they_are_and_say_which_frames() -> None:
    figure = timeline_svg(report([("face", 120), ("cutaway", 49), ("face", 30), ("tail", 1)]))
    assert shapes(figure, "cutaway") == [(600.0, 245.0, "frames 120-168, cutaway")]
    assert [text for _, _, text in shapes(figure, "face")] == ["frames 0-119, face", "frames 169-198, face"]
    assert [text for _, _, text in shapes(figure, "tail")] == ["frame 199, tail"]


def test_legend_counts_frames_of_the_kinds_there_are() -> None:
    legend = parsed(timeline_svg(report([("face", 1500), ("fallback", 6), ("face", 200)]))).find("ul")
    assert legend is not None
    assert ["".join(item.itertext()) for item in legend] == ["face painted 1,700", "fallback 6", "voice"]


def test_what_rests_has_a_color_and_a_height_of_its_own_and_its_name() -> None:
    figure = timeline_svg(report([("face", 50), ("rest", 25), ("cutaway", 25)]))
    assert shapes(figure, "rest") == [(500.0, 250.0, "frames 50-74, rest")]
    tops = {
        kind: re.findall(r"[-\d.]+", path.attrib["d"])[1]
        for kind in ("face", "rest", "cutaway")
        for path in parsed(figure).iterfind(f".//{SVG}g[@class='mt-{kind}']/{SVG}path")
    }
    assert len(set(tops.values())) == 3
    legend = parsed(figure).find("ul")
    assert legend is not None
    assert [item.find("i").attrib["class"] for item in legend][:2] == ["mt-swatch mt-face", "mt-swatch mt-rest"]  # type: ignore[union-attr]
    assert ["".join(item.itertext()) for item in legend] == ["face painted 50", "at rest 25", "cutaway 25", "voice"]
    style = STYLE.read_text(encoding="utf-8")
    colors = [re.findall(rf"--mt-{kind}: (#\w+);", style) for kind in KINDS]
    assert all(len(found) == 2 for found in colors)  # light and dark
    assert all(len(set(theme)) == len(KINDS) for theme in zip(*colors, strict=True))


@pytest.mark.parametrize(
    ("painted", "spans", "says"),
    [
        (60, [("face", 60), ("rest", 40)], "the mouth is painted in 60 and at rest in the others."),
        (
            60,
            [("face", 60), ("rest", 30), ("tail", 10)],
            "the mouth is painted in 60 and at rest in 30, the others are untouched.",
        ),
        (0, [("rest", 100)], "the voice says nothing where there is a face, all are untouched."),
    ],
)
def test_the_summary_says_where_the_mouth_rests(painted: int, spans: list[tuple[str, int]], says: str) -> None:
    known = {
        "frames": 100,
        "face_frames": painted,
        "passthrough_frames": 100 - painted,
        "fallback_frames": 0,
        "fallbacks": [],
        "video_seconds": 4.0,
        "wall_seconds": 1.0,
        "stages": {},
        "peak_rss_mb": 100.0,
        "backend": "preview",
        "device": "CPU",
        "warnings": [],
        "settings": {},
        "versions": {},
    }
    page = report_panel({**known, **report(spans)})
    assert f"100 frames (4 s of video) in 1 s: {says}" in page
    assert f"<dt>at rest</dt><dd>{dict(spans)['rest']}</dd>" in page


def test_what_a_frame_is_and_why_is_told_to_whoever_points_at_it() -> None:
    known = report([("face", 10), ("fallback", 4), ("face", 2)], fps="30000/1001")
    known["fallbacks"] = [{"start": 10, "stop": 14, "backend": "preview", "reason": 'no "memory" & <left>'}]
    seek = next(div for div in parsed(timeline_svg(known)).iterfind("div") if div.attrib.get("role") == "slider")
    facts = json.loads(seek.attrib["data-facts"])
    assert facts["frames"] == 16
    assert facts["seconds"] == pytest.approx(16 * 1.001 / 30)
    (start, stop, reason), *none = facts["stretches"]
    assert (start, stop, none) == (10, 14, [])
    assert facts["reasons"][reason] == 'painted by preview: no "memory" & <left>'
    assert set(facts["why"]) == set(KINDS)
    assert (seek.attrib["aria-valuemin"], seek.attrib["aria-valuemax"], seek.attrib["tabindex"]) == ("0", "15", "0")


def test_reasons_of_fallbacks_are_bounded() -> None:
    known = report([("fallback", 1), ("face", 1)] * 5000)
    why = "x" * 300
    known["fallbacks"] = [
        {"start": 2 * k, "stop": 2 * k + 1, "backend": "preview", "reason": f"{why} {k}"} for k in range(5000)
    ]
    assert len(timeline_svg(known).encode()) < LIMIT_BYTES


def test_is_named_and_described_for_screen_readers() -> None:
    svg = parsed(timeline_svg(report([("face", 50), ("cutaway", 25)]))).find(f"{SVG}svg")
    assert svg is not None
    assert svg.attrib["role"] == "img"
    title, description = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert svg.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]
    assert description.text == "0:03 of video: 50 frames face painted, 25 frames cutaway."


def test_one_frame_of_fallback_in_an_hour_is_drawn() -> None:
    figure = timeline_svg(report([("face", 40_000), ("fallback", 1), ("face", 49_999)]))
    [(left, width, text)] = shapes(figure, "fallback")
    assert text == "frame 40000, fallback"
    assert left == pytest.approx(444.4)
    assert width > 0


def test_merged_fallbacks_say_how_many_frames_they_are() -> None:
    figure = timeline_svg(report([("face", 99), ("fallback", 1)] * 2000))
    total = sum(int(text.split()[2]) for *_, text in shapes(figure, "fallback"))  # "frames 0-1111, 12 fallback"
    assert total == pytest.approx(2000, abs=180)  # each column rounds


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 5000)), min_size=1, max_size=2500))
def test_every_fallback_lies_under_a_mark(lengths: list[tuple[str, int]]) -> None:
    figure = timeline_svg(report(lengths))
    frames = sum(length for _, length in lengths)
    marks = [(left, left + width) for left, width, _ in shapes(figure, "fallback")]
    start = 0
    for kind, length in lengths:
        if kind == "fallback":
            middle = (start + length / 2) / frames * 1000
            assert any(left - 0.2 <= middle <= right + 0.2 for left, right in marks)
        start += length


@pytest.mark.parametrize("count", [540, 720, 20_000])
def test_size_is_bounded_however_many_spans_there_are(count: int) -> None:
    pattern = ("rest", "fallback", "cutaway")
    loudness = tuple((index * 37 % 100) / 101 for index in range(5000))
    figure = timeline_svg(report([(pattern[index % 3], 383) for index in range(count)], loudness=loudness))
    assert len(figure.encode()) < LIMIT_BYTES
    assert shapes(figure, "fallback")


@pytest.mark.parametrize(
    ("frames", "fps", "labels"),
    [
        (1, "25", ["0 s", "0.04 s"]),
        (450, "30000/1001", ["0:00", "0:05", "0:10", "0:15"]),
        (90_000, "25", ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]),
    ],
)
def test_axis_has_round_moments(frames: int, fps: str, labels: list[str]) -> None:
    axis = parsed(timeline_svg(report([("face", frames)], fps=fps))).find("div")
    assert axis is not None
    assert [label.text for label in axis] == labels


def test_no_spans_no_timeline() -> None:
    assert timeline_svg({"spans": [], "loudness": [], "fps": "25"}) == ""


def test_a_silent_report_has_no_curve() -> None:
    figure = timeline_svg(report([("face", 10)], loudness=()))
    assert "mt-voice" not in figure
