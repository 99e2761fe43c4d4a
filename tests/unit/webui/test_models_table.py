"""The table of the Models tab."""

from __future__ import annotations

from musetalk.webui.downloads import DownloadState
from musetalk.webui.html import panels
from musetalk.webui.html.models import ModelSet, models_panel
from tests.helpers.html_page import Page

HOSTILE = """<script>alert(1)</script>"><img src=x onerror='alert(2)'>${alert(3)}{{value}}`"""


class TestModels:
    ROW = panels.ModelRow("unet.pth", "missing", 3_400_074_924, "MIT", "https://example.org/a/b?x=1", ("one", "two"))

    def test_no_rows_is_good_news(self) -> None:
        assert "needs no weights" in panels.models_table([])

    def test_row_links_to_its_source(self) -> None:
        page = Page(panels.models_table([self.ROW]))
        [link] = [found for tag, found in page.elements if tag == "a"]
        assert link["href"] == "https://example.org/a/b?x=1"
        assert "noopener" in (link["rel"] or "")
        assert "3.4 GB" in page.text
        assert "for one, two" in page.text
        assert page.having(data_state="missing")

    def test_other_schemes_are_no_links(self) -> None:
        row = panels.ModelRow("a", "ready", 0, "", "javascript:alert(1)")
        assert not [tag for tag, _ in Page(panels.models_table([row])).elements if tag == "a"]

    def test_a_set_of_unknown_size_offers_a_download_and_names_none(self) -> None:
        row = panels.ModelRow("net.bin", "missing", 0, "MIT", "https://example.org/net")
        unknown = ModelSet(
            name="landmarks",
            summary="closer crops",
            rows=(row,),
            licences=("MIT",),
            size=0,
            shared=0,
            left=0,
            missing=0,
            exact=False,
            absent=1,
            usable=False,
        )
        text = Page(models_panel([unknown], [], DownloadState())).text
        assert "Closer crops. Licence: MIT." in text
        assert "bytes" not in text
