"""The cards of backends: what they say, and what can be chosen."""

from __future__ import annotations

from musetalk.webui.backend_picker import BackendEntry, backend_cards, backend_picker
from tests.html_page import Page


class TestBackends:
    ENTRIES = (
        BackendEntry("preview", "a mouth warp", ()),
        BackendEntry("big", "a network", ("x.pth is missing: fetch it",)),
    )

    def test_what_lacks_something_is_shown_with_the_remedy_but_disabled(self) -> None:
        page = Page(backend_cards(self.ENTRIES, "preview"))
        radios = [found for tag, found in page.elements if tag == "input"]
        assert [(radio["value"], "checked" in radio, "disabled" in radio) for radio in radios] == [
            ("preview", True, False),
            ("big", False, True),
        ]
        assert "x.pth is missing: fetch it" in page.text
        assert page.having(data_tab="Models") == []
        described = {found.get("id") for _, found in page.elements}
        assert all(radio["aria-describedby"] in described for radio in radios)

    def test_what_can_be_downloaded_here_points_to_the_tab(self) -> None:
        page = Page(backend_cards([BackendEntry("big", "a network", ("it is missing",), "4.0 GB")], "preview"))
        assert len(page.having(data_tab="Models", type="button")) == 1
        assert "Download in the Models tab (4.0 GB)" in page.text

    def test_the_component_holds_the_name(self) -> None:
        picker = backend_picker(self.ENTRIES, "preview")
        assert picker.value == "preview"
        assert picker.get_config()["html_template"] == "${cards}"
