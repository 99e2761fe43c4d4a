"""The account of a comparison as HTML, and the moments that are shown of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from musetalk.comparison.table import rows
from musetalk.comparison.types import Compared, Comparison
from musetalk.pipeline.report import Fallback, RenderReport
from musetalk.settings import RenderSettings
from musetalk.webui.form.backend_picker import BackendEntry, lacking_list
from musetalk.webui.html.comparison import comparison_panel
from tests.helpers.html_page import Page
from tests.helpers.reports import some_report

HOSTILE = """<script>alert(1)</script>"><img src=x onerror='alert(2)'>"""


def report(backend: str, **changes: object) -> RenderReport:
    made = some_report(Path("out.mp4"), RenderSettings(backend=backend), frames=30)
    return RenderReport(**{name: getattr(made, name) for name in made.__dataclass_fields__} | changes)


def compared(*parts: Compared) -> dict[str, Any]:
    return Comparison("film.mp4", "voice.wav", parts, "side-by-side.mp4", "plots.png").to_dict()


BOTH = (
    Compared("musetalk-v15", "musetalk-v15.mp4", report("musetalk-v15", warnings=("the face is small",))),
    Compared("latentsync-1.5", "latentsync-1.5.mp4", report("latentsync-1.5")),
)


def test_each_backend_has_a_column_and_its_own_warnings() -> None:
    page = Page(comparison_panel(compared(*BOTH), "plots"))
    heads = [text for path, text in page.texts if path[-2:] == ("tr", "th") and "thead" in path]
    assert heads[:3] == ["Measured", "musetalk-v15", "latentsync-1.5"]
    [about] = [text for path, text in page.texts if path[-1] == "li"]
    assert about == "The face is small"
    assert [found["src"] for tag, found in page.elements if tag == "img"] == ["plots"]
    names = {found.get("id") for tag, found in page.elements if tag == "h2"}
    assert {found.get("aria-labelledby") for tag, found in page.elements if tag == "section"} - {None} == names


def test_what_failed_says_why_and_the_others_stand() -> None:
    page = Page(comparison_panel(compared(BOTH[0], Compared("preview", error="no face was found: use another")), ""))
    assert "No face was found: use another" in page.text
    assert page.text.index("1 of 2 backends failed") < page.text.index("Measured")
    assert "The face is small" in page.text
    assert not [tag for tag, _ in page.elements if tag == "img"]


def test_a_result_of_another_backend_is_said_to_be_its() -> None:
    whole = "this result is musetalk-v15's: latentsync-1.5 painted nothing of it (no weights)"
    record_fallback = report(
        "latentsync-1.5",
        fallbacks=(Fallback(0, 30, "no weights", "musetalk-v15"),),
        fallback_frames=30,
        warnings=(whole,),
        instead="musetalk-v15",
    )
    page = Page(comparison_panel(compared(BOTH[0], Compared("latentsync-1.5", "x.mp4", record_fallback)), ""))
    assert page.text.count("painted nothing of it") == 1
    assert len(page.having(**{"class": "mt-swapped"})) == 1
    assert page.text.index("painted nothing of it") < page.text.index("Measured")
    assert "this is musetalk-v15's result" in [text for path, text in page.texts if path[-2:] == ("th", "span")]


def test_results_are_labelled_as_they_have_to_be() -> None:
    assert "only a warp" in comparison_panel(compared(*BOTH), "", {"musetalk-v15": "only a warp"})


def test_each_result_can_be_downloaded() -> None:
    page = Page(comparison_panel(compared(*BOTH), "", videos={"Side by side": "x/1", "musetalk-v15": "x/2"}))
    links = {found["href"]: "download" in found for tag, found in page.elements if tag == "a"}
    assert links == {"x/1": True, "x/2": True}


def test_the_settings_that_all_had_are_folded() -> None:
    page = Page(comparison_panel(compared(*BOTH), ""))
    rows = [text for path, text in page.texts if "details" in path and path[-1] == "th"]
    assert "latentsync.guidance" in rows
    assert "backend" not in rows


def test_nobodys_words_become_markup() -> None:
    hostile = report(HOSTILE, warnings=(HOSTILE,))
    account = compared(Compared(HOSTILE, HOSTILE, hostile), Compared("b", error=HOSTILE))
    html = comparison_panel(account, HOSTILE, videos={HOSTILE: HOSTILE})
    html += lacking_list([BackendEntry(HOSTILE, "", (HOSTILE,), HOSTILE)], [HOSTILE])
    assert not [tag for tag, found in Page(html).elements if tag == "script" or "onerror" in found]


def test_what_is_not_ready_says_what_it_lacks() -> None:
    assert lacking_list([], ["one", "two"]) == ""
    page = Page(lacking_list([BackendEntry("big", "a network", ("unet.pth is missing: fetch it",))], ["one", "two"]))
    assert "A comparison takes two" not in page.text
    assert "Not ready here: big" in page.text
    assert "unet.pth is missing: fetch it" in page.text


def test_one_backend_alone_is_told_what_is_missing() -> None:
    big = BackendEntry("big", "a network", ("unet.pth is missing: fetch it",), "4 GB")
    page = Page(lacking_list([big], ["preview"]))
    assert "A comparison takes two backends, and only Draft is ready here." in page.text
    assert "big (4 GB to download)" in page.text
    assert [found["data-tab"] for tag, found in page.elements if tag == "button"] == ["Models"]
    visitors = Page(lacking_list([replace(big, download="")], []))
    assert "none is ready here. Another one needs its weights on the server" in visitors.text


def test_each_measure_says_which_way_is_better() -> None:
    measures = rows(compared(*BOTH))
    page = Page(comparison_panel(compared(*BOTH), ""))
    said = [text for path, text in page.texts if path[-2:] == ("th", "span") and "tbody" in path]
    assert [text.partition(";")[0].lower() for text in said] == [row.better for row in measures]
    assert all("better" in row.better for row in measures)


def test_the_contract_of_parts_is_kept() -> None:
    assert set(asdict(BOTH[0])) >= {"backend", "video", "report", "error"}
