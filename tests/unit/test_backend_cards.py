"""The cards of backends: what they say, and what can be chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from musetalk.generators.registry import LATENTSYNC, MUSETALK, PREVIEW, Backend
from musetalk.settings import RenderSettings
from musetalk.webui.backend_picker import BackendEntry, backend_cards, backend_entries, backend_picker
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

    def test_what_another_would_paint_can_be_chosen_and_says_who(self) -> None:
        page = Page(backend_cards([BackendEntry("big", "a network", ("x.pth is missing",), "4 GB", "small")], "big"))
        [radio] = [found for tag, found in page.elements if tag == "input"]
        assert "disabled" not in radio
        assert "Weights missing: small can paint instead" in page.text
        assert "x.pth is missing" in page.text.lower()
        assert "Download in the Models tab (4 GB)" in page.text
        assert len(page.having(data_tone="warn")) == 1


class TestEntries:
    def entries(self, *backends: Backend) -> dict[str, BackendEntry]:
        base = RenderSettings(models_dir=Path("no-weights-here"))
        return {entry.name: entry for entry in backend_entries(backends, base, downloads=False)}

    def test_without_anybodys_weights_nobody_stands_in(self) -> None:
        entries = self.entries(PREVIEW, *MUSETALK, *LATENTSYNC)
        assert [name for name, entry in entries.items() if entry.choosable] == ["preview"]
        assert not any(entry.instead for entry in entries.values())

    def test_a_backend_that_is_ready_stands_in_for_one_that_is_not(self) -> None:
        ready = replace(MUSETALK[0], lacks=lambda _settings: ())
        entries = self.entries(ready, LATENTSYNC[0])
        assert [(entry.choosable, bool(entry.lacks), entry.instead) for entry in entries.values()] == [
            (True, False, ""),
            (True, True, "musetalk-v15"),
        ]
