"""What a finished report says of enhancement."""

from __future__ import annotations

from musetalk.webui.html import panels
from tests.helpers.html_page import Page
from tests.unit.webui.test_panels import report


def test_without_an_enhancer_nothing_is_said_of_one() -> None:
    known = report(enhancer="", restored_frames=0, unrestored=[])
    assert panels.report_panel(known) == panels.report_panel(report())
    assert "enhance" not in panels.report_panel(known)


def test_what_was_enhanced_is_counted_and_by_whom() -> None:
    html = panels.report_panel(report(enhancer="a.pth by spandrel", restored_frames=1200, unrestored=[]))
    assert "enhanced 1,200 enhancer a.pth by spandrel" in Page(html).text
    assert "warn" not in html


def test_what_was_not_enhanced_is_spelt_out_up_to_a_point() -> None:
    stretches = [{"start": index * 10, "stop": index * 10 + 4, "reason": "out of memory"} for index in range(7)]
    known = report(enhancer="a.pth", restored_frames=172, unrestored=stretches)
    page = Page(panels.report_panel(known))
    said = [text for path, text in page.texts if path[-1:] == ("li",) and "stayed" in text]
    assert "Frames 40 to 43 stayed as they were painted: out of memory" in said
    assert said.count("2 more stretches stayed as they were painted") == 1
    assert page.text.count("out of memory") == 5
    assert page.having(data_tone="warn")
