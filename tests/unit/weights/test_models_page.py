"""What the Models tab shows of the weights."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend
from musetalk.settings import RenderSettings
from musetalk.webui.downloads import Downloads, DownloadState, weight_sets
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.tabs.models import panel
from tests.helpers.downloading import ended, halfway
from tests.helpers.html_page import Page
from tests.helpers.hub import Hub, on_hub


class TestPage:
    """What the Models tab shows."""

    def shown(self, backends: tuple[AnyBackend, ...], downloads: Any) -> Page:  # noqa: ANN401 - also stand-ins
        base = RenderSettings(models_dir=downloads.models_dir)
        engine = SimpleNamespace(registry=BackendRegistry(backends))
        reader = Reader(owner=downloads.allowed, downloads=downloads.allowed)
        site = SimpleNamespace(engine=engine, base=base, downloads=downloads, reader=reader)
        return Page(panel(cast(Any, site)))

    def sets(self, page: Page) -> list[str | None]:
        return [
            found["data-state"] for found in page.having() if found.get("class") == "mt-set" and "data-state" in found
        ]

    def buttons(self, page: Page) -> dict[str, str]:
        """What each shown button that can be pressed does, by set."""
        found = [found for found in page.having() if "data-action" in found]
        usable = [each for each in found if "hidden" not in each and "disabled" not in each]
        return {str(each["data-set"]): str(each["data-action"]) for each in usable}

    def test_sets_offer_their_download_with_size_and_licences(
        self, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["missing", "missing"]
        assert self.buttons(page) == {"mouth": "download", "other": "download"}
        assert "Download (6.6 MB)" in page.text
        assert "6.6 MB, 1.5 MB of it shared. Licence: MIT." in page.text

    def test_shared_files_are_listed_once_with_who_reads_them(
        self, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        page = self.shown(backends, downloads)
        assert page.text.count("net/ears.bin") == 1
        assert "for mouth, other" in page.text

    def test_a_running_download_is_shown_and_can_be_cancelled(
        self, hub: Hub, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        halfway(hub, downloads)
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["running", "missing"]
        assert self.buttons(page) == {"mouth": "cancel"}
        bar = page.having(role="progressbar")[0]
        assert 30 <= int(bar["aria-valuenow"] or 0) < 50
        assert "file 2 of 3: loading net/unet.pth" in page.text
        assert page.having(role="status")
        assert "Downloading mouth" in page.text

    def test_what_is_being_stopped_cannot_be_stopped_again(
        self, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        known = {name: getattr(downloads, name) for name in ("sets", "models_dir", "allowed", "errors")}
        page = self.shown(backends, SimpleNamespace(state=DownloadState("mouth", "stopping"), **known))
        assert self.sets(page) == ["running", "missing"]
        assert self.buttons(page) == {}

    def test_ready_sets_offer_nothing(self, hub: Hub, backends: tuple[AnyBackend, ...], downloads: Downloads) -> None:
        downloads.start("mouth")
        ended(downloads)
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["ready", "missing"]
        assert self.buttons(page) == {"other": "download"}
        assert "mouth is here" in page.text

    def test_stopped_downloads_offer_to_go_on(
        self, hub: Hub, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        halfway(hub, downloads)
        downloads.cancel("mouth")
        hub.go_on.set()
        ended(downloads)
        page = self.shown(backends, downloads)
        assert re.search(r"Continue \([34]\.\d MB left\)", page.text)
        assert "the next download goes on from there" in page.text

    def test_failures_are_announced_where_they_belong(
        self, hub: Hub, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        downloads.start("other")
        ended(downloads)
        page = self.shown(backends, downloads)
        assert ["hidden" in found for found in page.having(role="alert")] == [True, False]
        assert self.buttons(page) == {"mouth": "download", "other": "download"}

    def test_damaged_files_are_no_button_but_a_sentence(
        self, backends: tuple[AnyBackend, ...], downloads: Downloads, tmp_path: Path
    ) -> None:
        (tmp_path / "net").mkdir()
        (tmp_path / "net/unet.pth").write_bytes(b"mine")
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["damaged", "missing"]
        assert self.buttons(page) == {"other": "download"}
        assert "remove that file from the server's folder of models, and download mouth on the Models tab" in page.text
        assert "python" not in page.text

    def test_what_only_improves_a_backend_does_not_keep_it_from_being_ready(
        self, hub: Hub, downloads: Downloads, backends: tuple[AnyBackend, ...]
    ) -> None:
        downloads.start("mouth")
        ended(downloads)
        backend = backends[1]
        extra = on_hub("some/net/extra.pth", 3_000_000)
        richer = replace(backend, weights=(*backend.weights, extra), optional=(extra,))
        more = Downloads(weight_sets([richer]), downloads.models_dir)
        page = self.shown((PREVIEW, richer), more)
        assert self.sets(page) == ["ready"]
        assert "It works without 1 missing file" in page.text
        assert self.buttons(page) == {"mouth": "download"}

    def test_where_visitors_may_not_it_says_who_may(self, backends: tuple[AnyBackend, ...], tmp_path: Path) -> None:
        page = self.shown(backends, Downloads(weight_sets(backends), tmp_path, allowed=False))
        assert self.buttons(page) == {}
        assert "Visitors cannot download here: whoever runs this server can fetch them, or allow downloads" in page.text

    def test_without_sets_there_is_a_sentence(self, tmp_path: Path) -> None:
        assert "needs no weights" in self.shown((PREVIEW,), Downloads((), tmp_path)).text

    def test_every_state_has_the_same_elements(
        self, hub: Hub, backends: tuple[AnyBackend, ...], downloads: Downloads
    ) -> None:
        def outline() -> list[tuple[str, str]]:
            kept = [(tag, found) for tag, found in self.shown(backends, downloads).elements if tag != "span"]
            return [(tag, str(found.get("class")).removesuffix(" mt-button-main")) for tag, found in kept]

        before = outline()
        halfway(hub, downloads)
        assert outline() == before
        hub.go_on.set()
        ended(downloads)
        assert outline() == before
