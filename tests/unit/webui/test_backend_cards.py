"""The cards of backends: what they say, and what can be chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

import hybrid.spec
from musetalk.backends.musetalk.spec import V15
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.webui.downloads import DownloadState
from musetalk.webui.form.backend_picker import (
    BackendEntry,
    backend_cards,
    backend_entries,
    backend_picker,
    picker_entries,
)
from musetalk.webui.html.card_weights import CardWeights
from musetalk.weights import FetchProgress, HubPlace, WeightFile
from tests.helpers.html_page import Page

LARGE = CardWeights(missing=3, left=4_000_000_000, offered=True)


def buttons(page: Page) -> list[tuple[str | None, bool, bool]]:
    """What the cards' buttons of downloads do, whether they are shown, and whether they can be pressed."""
    found = [each for tag, each in page.elements if tag == "button" and "data-action" in each]
    return [(each["data-action"], "hidden" not in each, "disabled" not in each) for each in found]


class TestBackends:
    ENTRIES = (
        BackendEntry("preview", "a mouth warp", ()),
        BackendEntry("big", "a network", ("x.pth, y.pth and z.pth are missing: fetch them",), "4.0 GB", weights=LARGE),
    )

    def test_what_lacks_something_says_so_in_a_few_words_and_cannot_be_chosen(self) -> None:
        page = Page(backend_cards(self.ENTRIES, "preview"))
        radios = [found for tag, found in page.elements if tag == "input"]
        assert [(radio["value"], "checked" in radio, "disabled" in radio) for radio in radios] == [
            ("preview", True, False),
            ("big", False, True),
        ]
        assert "Needs a 4.0 GB download" in page.text
        assert "x.pth" not in page.text
        described = {found.get("id") for _, found in page.elements}
        assert all(radio["aria-describedby"] in described for radio in radios)

    def test_the_backend_that_goes_by_loudness_is_a_draft_and_no_lip_sync(self) -> None:
        page = Page(backend_cards(self.ENTRIES, "preview"))
        assert "Draft Ready Moves the mouth by loudness, which is no lip-sync" in page.text
        assert page.having(name="mt-backend", value="preview")

    def test_a_download_is_started_and_ended_by_one_button(self) -> None:
        def shown(download: DownloadState | None = None, **errors: str) -> Page:
            return Page(backend_cards(self.ENTRIES, "preview", download, errors))

        assert buttons(shown()) == [("download", False, True), ("download", True, True)]
        running = DownloadState("big", "running", 1_000_000_000, 4_000_000_000)
        assert buttons(shown(running))[1] == ("cancel", True, True)
        assert buttons(shown(replace(running, phase="stopping")))[1] == ("cancel", True, False)
        assert buttons(shown(replace(running, name="another")))[1] == ("download", True, False)
        failed = shown(DownloadState("another", "done"), big="there is no connection: try again later")
        assert buttons(failed)[1] == ("download", True, True)
        assert "There is no connection: try again later" in failed.text

    def test_progress_is_on_the_card(self) -> None:
        file = FetchProgress(PurePosixPath("x.pth"), 5, 9, 1, 3, False)
        page = Page(backend_cards(self.ENTRIES, "preview", DownloadState("big", "running", 10**9, 4 * 10**9, file)))
        [bar] = [bar for bar in page.having(role="progressbar") if bar["aria-label"] == "Download of big"]
        assert (bar["aria-valuenow"], bar["aria-valuetext"]) == ("25", "25%, 1.0 GB of 4.0 GB")
        assert "25%, 1.0 GB of 4.0 GB" in page.text

    @pytest.mark.parametrize(
        ("weights", "said", "offered"),
        [
            (CardWeights(missing=1, left=5_000_000), "Needs a 5.0 MB download", False),
            (CardWeights(missing=1, offered=True), "Needs a download", True),
            (CardWeights(missing=1, left=5, damaged=2, offered=True), "2 files damaged", False),
            (CardWeights(offered=True), "A package is missing", False),
        ],
    )
    def test_the_button_is_there_where_a_download_may_be_started_and_helps(
        self, weights: CardWeights, said: str, offered: bool
    ) -> None:
        page = Page(backend_cards([BackendEntry("b", "s", ("a package is missing: get it",), weights=weights)], "b"))
        assert said in page.text
        assert buttons(page) == [("download", offered, True)]
        assert ("hidden" in page.having(data_tab="Models")[0]) == (weights.damaged == 0)

    def test_what_was_begun_is_continued(self) -> None:
        entry = BackendEntry("big", "a network", ("missing",), weights=replace(LARGE, begun=True))
        assert "Continue big" in " ".join(Page(backend_cards([entry], "big")).text.split())

    def test_the_component_holds_the_name(self) -> None:
        picker = backend_picker(self.ENTRIES, "preview")
        assert picker.value == "preview"
        assert picker.get_config()["html_template"] == "${cards}"

    def test_what_another_would_paint_can_be_chosen_and_says_who(self) -> None:
        entry = BackendEntry("big", "a network", ("x.pth is missing",), "4 GB", "small", LARGE)
        page = Page(backend_cards([entry], "big"))
        [radio] = [found for tag, found in page.elements if tag == "input"]
        assert "disabled" not in radio
        assert "Needs a 4.0 GB download; small paints until then" in page.text


class TestEntries:
    def entries(self, *backends: AnyBackend) -> dict[str, BackendEntry]:
        base = RenderSettings(models_dir=Path("no-weights-here"))
        return {entry.name: entry for entry in backend_entries(backends, base, downloads=False)}

    def test_without_anybodys_weights_nobody_stands_in(self) -> None:
        entries = self.entries(*BackendRegistry())
        assert [name for name, entry in entries.items() if entry.choosable] == ["preview"]
        assert not any(entry.instead for entry in entries.values())

    def test_a_backend_that_is_ready_stands_in_for_one_that_is_not(self) -> None:
        ready = replace(V15, weights=())
        entries = self.entries(ready, hybrid.spec.V15)
        assert [(entry.choosable, bool(entry.lacks), entry.instead) for entry in entries.values()] == [
            (True, False, ""),
            (True, True, "musetalk-v15"),
        ]

    def test_the_first_card_takes_the_best_and_says_which_that_is_now(self, tmp_path: Path) -> None:
        base = RenderSettings(models_dir=tmp_path)
        first, *others = picker_entries(LipSync(), base, downloads=True)
        assert others == backend_entries(BackendRegistry(), base, downloads=True)
        page = Page(backend_cards([first], "auto"))
        assert "Automatic Now Draft The best backend that is ready and quick enough here" in page.text
        assert "quick enough here. Chosen automatically: Draft, since latentsync-1.6" in page.text
        [radio] = page.having(name="mt-backend", value="auto")
        assert ("disabled" in radio, radio["data-groups"]) == (False, "")

    def test_it_shows_the_settings_of_the_one_that_it_takes(self) -> None:
        ready = replace(V15, weights=())
        base = RenderSettings(models_dir=Path("no-weights-here"), max_slowdown=1e9)
        first, *_ = picker_entries(LipSync(BackendRegistry([PREVIEW, ready])), base, downloads=True)
        assert (first.state, first.groups) == ("Now musetalk-v15", ready.ui_groups)

    def test_what_is_missing_is_counted_and_offered_where_it_may_be(self, tmp_path: Path) -> None:
        file = WeightFile(PurePosixPath("net/x.pth"), HubPlace("some/net", "x.pth"), "MIT", size=7_000_000)
        lacking = replace(PREVIEW, name="big", weights=(file,))
        base = RenderSettings(models_dir=tmp_path)
        [entry] = backend_entries([lacking], base, downloads=True)
        assert entry.weights == CardWeights(missing=1, left=7_000_000, offered=True)
        [refused] = backend_entries([lacking], base, downloads=False)
        assert (refused.weights.offered, refused.download) == (False, "")
