"""Weights in the app: downloads in the background, who may start them, and what the page shows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from musetalk.errors import BackendError, SettingsError
from musetalk.generators.registry import PREVIEW, Backend, BackendRegistry
from musetalk.settings import RenderSettings
from musetalk.webui.backend_picker import backend_entries
from musetalk.webui.downloads import Downloads, DownloadState, bring_weights, visitors_may_download, weight_sets
from musetalk.webui.models_tab import panel
from musetalk.webui.options import ServerOptions
from musetalk.weights import MUSETALK_V15
from tests.html_page import Page
from tests.hub import Hub, on_hub, reading, serving

LARGE = bytes(range(256)) * 20_000  # 5 MB: progress is told in steps of one
SMALL = b'{"in_channels": 8}'
UNET, CONFIG, EARS = "some/net/unet.pth", "some/net/config.json", "some/ears/ears.bin"
SECONDS = 30.0


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as server:
        server.files = {UNET: LARGE, CONFIG: SMALL, EARS: LARGE[:1_500_000]}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr("musetalk.weights.stream.PAUSES", (0.0, 0.0))
        yield server


@pytest.fixture
def backends() -> tuple[Backend, ...]:
    ears = on_hub(EARS, 1_500_000)
    return (
        PREVIEW,
        reading("mouth", on_hub(CONFIG, len(SMALL)), on_hub(UNET, len(LARGE)), ears),
        reading("other", on_hub("some/net/gone.pth", 7), ears),
    )


@pytest.fixture
def downloads(hub: Hub, backends: tuple[Backend, ...], tmp_path: Path) -> Iterator[Downloads]:
    made = Downloads(weight_sets(backends), tmp_path)
    yield made
    hub.go_on.set()
    made.close()


def ended(downloads: Downloads) -> DownloadState:
    return downloads.wait(lambda state: not state.active, SECONDS)


def halfway(hub: Hub, downloads: Downloads) -> DownloadState:
    """Start, and come to a stop in the middle of the large file."""
    hub.pauses = [len(SMALL), 3_000_000]
    downloads.start("mouth")
    return downloads.wait(lambda state: state.done > 2_000_000, SECONDS)


class TestDownloads:
    def test_a_set_arrives_in_the_background(self, hub: Hub, downloads: Downloads, tmp_path: Path) -> None:
        assert downloads.state == DownloadState()
        downloads.start("mouth")
        assert ended(downloads) == DownloadState("mouth", "done")
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE
        assert (tmp_path / "net/ears.bin").read_bytes() == LARGE[:1_500_000]

    def test_progress_is_of_the_whole_set(self, hub: Hub, downloads: Downloads) -> None:
        state = halfway(hub, downloads)
        assert state.phase == "running"
        assert state.file is not None
        assert (state.file.path.name, state.file.number, state.file.count) == ("unet.pth", 2, 3)
        assert 2_000_000 < state.done < len(LARGE)
        assert state.total == len(SMALL) + len(LARGE) + 1_500_000
        hub.go_on.set()
        assert ended(downloads).phase == "done"

    def test_a_cancelled_download_goes_on_next_time(self, hub: Hub, downloads: Downloads, tmp_path: Path) -> None:
        halfway(hub, downloads)
        downloads.cancel("other")
        assert downloads.state.phase == "running"
        downloads.cancel("mouth")
        assert downloads.state.phase in ("stopping", "stopped")
        hub.go_on.set()
        assert ended(downloads) == DownloadState("mouth", "stopped")
        assert (tmp_path / "net/config.json").is_file()
        assert not (tmp_path / "net/unet.pth").exists()
        downloads.start("mouth")
        assert ended(downloads).phase == "done"
        assert re.fullmatch(r"bytes=[23]\d{6}-", hub.fetched()[1])
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE

    def test_there_is_only_one_at_a_time(self, hub: Hub, downloads: Downloads) -> None:
        halfway(hub, downloads)
        downloads.start("mouth")  # somebody else wants the same
        with pytest.raises(BackendError, match="mouth is being downloaded: wait"):
            downloads.start("other")
        hub.go_on.set()
        assert ended(downloads).phase == "done"
        assert len(hub.fetched()) == 2
        downloads.start("other")
        assert ended(downloads).name == "other"

    def test_failures_are_told_with_the_remedy(self, hub: Hub, downloads: Downloads) -> None:
        downloads.start("other")
        state = ended(downloads)
        assert state.phase == "failed"
        assert re.search(r"does not have gone\.pth of some/net: .*by hand", state.error)

    def test_without_a_network_it_says_so(
        self, hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
        downloads.start("mouth")
        assert "cannot be reached" in ended(downloads).error

    def test_what_is_not_the_file_is_refused(self, hub: Hub, downloads: Downloads, tmp_path: Path) -> None:
        hub.said[UNET] = LARGE[::-1]
        downloads.start("mouth")
        assert "the hub says" in ended(downloads).error
        assert not (tmp_path / "net/unet.pth").exists()

    def test_a_full_disk_is_told(self, hub: Hub, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("musetalk.weights.download.shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        downloads.start("mouth")
        assert re.search(r"1\.0 MB free, and \d+ MB are needed: make room", ended(downloads).error)
        assert not hub.fetched()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_what_nobody_expected_is_no_endless_download(
        self, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fall_over(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("musetalk.webui.downloads.fetch", fall_over)
        downloads.start("mouth")
        assert "unexpectedly" in ended(downloads).error

    def test_closing_ends_it(self, hub: Hub, downloads: Downloads) -> None:
        halfway(hub, downloads)
        downloads.cancel("mouth")
        hub.go_on.set()
        downloads.close()
        assert downloads.state.phase == "stopped"

    def test_unknown_names_are_refused(self, downloads: Downloads) -> None:
        with pytest.raises(SettingsError, match="no weights for"):
            downloads.start("nobody")

    def test_where_visitors_may_not_it_says_who_may(
        self, hub: Hub, backends: tuple[Backend, ...], tmp_path: Path
    ) -> None:
        downloads = Downloads(weight_sets(backends), tmp_path, allowed=False)
        with pytest.raises(SettingsError, match=r"weights download mouth.*MUSETALK_DOWNLOADS"):
            downloads.start("mouth")
        assert not hub.asked


class TestBeforeServing:
    def test_named_sets_are_there_before_anything_is_served(
        self, hub: Hub, backends: tuple[Backend, ...], tmp_path: Path
    ) -> None:
        for _ in range(2):
            bring_weights(weight_sets(backends), ["mouth"], tmp_path)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE
        assert len(hub.fetched()) == 2  # the large ones, once each

    def test_unknown_sets_are_refused_with_those_there_are(self, backends: tuple[Backend, ...], tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match='no weights for "lips": choose from: mouth, other'):
            bring_weights(weight_sets(backends), ["lips"], tmp_path)


class TestWhoMay:
    @pytest.mark.parametrize(
        ("changes", "environment", "may"),
        [
            ({}, {}, True),
            ({"host": "127.0.0.1"}, {}, True),
            ({"host": "0.0.0.0"}, {}, False),  # noqa: S104 - to be refused
            ({}, {"GRADIO_SERVER_NAME": "0.0.0.0"}, False),  # noqa: S104
            ({"share": True}, {}, False),
            ({"share": True, "auth": ("me:secret",)}, {}, True),
            ({}, {"SPACE_ID": "some/space"}, False),
            ({"auth": ("me:secret",)}, {"SPACE_ID": "some/space"}, False),
            ({"downloads": True}, {"SPACE_ID": "some/space"}, True),
            ({"downloads": False}, {}, False),
        ],
    )
    def test_strangers_may_not_unless_it_was_said(
        self, changes: dict[str, Any], environment: dict[str, str], may: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("GRADIO_SERVER_NAME", "SPACE_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert visitors_may_download(ServerOptions(**changes)) is may


class TestSets:
    def test_what_decodes_instead_is_offered_with_what_it_replaces(self, backends: tuple[Backend, ...]) -> None:
        assert [each.name for each in weight_sets(backends)] == ["mouth", "other"]
        assert [each.name for each in weight_sets([PREVIEW, reading("mine", *MUSETALK_V15)])] == [
            "mine",
            "faces",
            "taesd",
        ]

    def test_backends_that_lack_files_point_to_the_download(
        self, hub: Hub, backends: tuple[Backend, ...], downloads: Downloads, tmp_path: Path
    ) -> None:
        base = RenderSettings(models_dir=tmp_path)
        assert [entry.download for entry in backend_entries(backends, base, True)] == ["", "6.6 MB", "1.5 MB"]
        assert not any(entry.download for entry in backend_entries(backends, base, False))
        downloads.start("mouth")
        ended(downloads)
        entries = backend_entries(backends, base, True)
        assert [(bool(entry.lacks), entry.download) for entry in entries] == [
            (False, ""),
            (False, ""),
            (True, "7 bytes"),
        ]


class TestPage:
    """What the Models tab shows."""

    def shown(self, backends: tuple[Backend, ...], downloads: Any) -> Page:  # noqa: ANN401 - also stand-ins
        base = RenderSettings(models_dir=downloads.models_dir)
        engine = SimpleNamespace(registry=BackendRegistry(backends))
        return Page(panel(cast(Any, SimpleNamespace(engine=engine, base=base, downloads=downloads))))

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
        self, backends: tuple[Backend, ...], downloads: Downloads
    ) -> None:
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["missing", "missing"]
        assert self.buttons(page) == {"mouth": "download", "other": "download"}
        assert "Download (6.6 MB)" in page.text
        assert "6.6 MB, 1.5 MB of it shared. Licence: MIT." in page.text

    def test_shared_files_are_listed_once_with_who_reads_them(
        self, backends: tuple[Backend, ...], downloads: Downloads
    ) -> None:
        page = self.shown(backends, downloads)
        assert page.text.count("net/ears.bin") == 1
        assert "for mouth, other" in page.text

    def test_a_running_download_is_shown_and_can_be_cancelled(
        self, hub: Hub, backends: tuple[Backend, ...], downloads: Downloads
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
        self, backends: tuple[Backend, ...], downloads: Downloads
    ) -> None:
        known = {name: getattr(downloads, name) for name in ("sets", "models_dir", "allowed")}
        page = self.shown(backends, SimpleNamespace(state=DownloadState("mouth", "stopping"), **known))
        assert self.sets(page) == ["running", "missing"]
        assert self.buttons(page) == {}

    def test_ready_sets_offer_nothing(self, hub: Hub, backends: tuple[Backend, ...], downloads: Downloads) -> None:
        downloads.start("mouth")
        ended(downloads)
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["ready", "missing"]
        assert self.buttons(page) == {"other": "download"}
        assert "mouth is here" in page.text

    def test_stopped_downloads_offer_to_go_on(
        self, hub: Hub, backends: tuple[Backend, ...], downloads: Downloads
    ) -> None:
        halfway(hub, downloads)
        downloads.cancel("mouth")
        hub.go_on.set()
        ended(downloads)
        page = self.shown(backends, downloads)
        assert re.search(r"Continue \([34]\.\d MB left\)", page.text)
        assert "the next download goes on from there" in page.text

    def test_failures_are_announced_where_they_belong(
        self, hub: Hub, backends: tuple[Backend, ...], downloads: Downloads
    ) -> None:
        downloads.start("other")
        ended(downloads)
        page = self.shown(backends, downloads)
        assert ["hidden" in found for found in page.having(role="alert")] == [True, False]
        assert self.buttons(page) == {"mouth": "download", "other": "download"}

    def test_damaged_files_are_no_button_but_a_sentence(
        self, backends: tuple[Backend, ...], downloads: Downloads, tmp_path: Path
    ) -> None:
        (tmp_path / "net").mkdir()
        (tmp_path / "net/unet.pth").write_bytes(b"mine")
        page = self.shown(backends, downloads)
        assert self.sets(page) == ["damaged", "missing"]
        assert self.buttons(page) == {"other": "download"}
        assert "weights adopt net/unet.pth" in page.text

    def test_what_only_improves_a_backend_does_not_keep_it_from_being_ready(
        self, hub: Hub, downloads: Downloads, backends: tuple[Backend, ...]
    ) -> None:
        downloads.start("mouth")
        ended(downloads)
        backend = backends[1]
        richer = replace(backend, weights=(*backend.weights, on_hub("some/net/extra.pth", 3_000_000)))
        more = Downloads(weight_sets([richer]), downloads.models_dir)
        page = self.shown((PREVIEW, richer), more)
        assert self.sets(page) == ["ready"]
        assert "It works without 1 missing file" in page.text
        assert self.buttons(page) == {"mouth": "download"}

    def test_where_visitors_may_not_it_says_who_may(self, backends: tuple[Backend, ...], tmp_path: Path) -> None:
        page = self.shown(backends, Downloads(weight_sets(backends), tmp_path, allowed=False))
        assert self.buttons(page) == {}
        assert "Visitors cannot download here" in page.text

    def test_without_sets_there_is_a_sentence(self, tmp_path: Path) -> None:
        assert "needs no weights" in self.shown((PREVIEW,), Downloads((), tmp_path)).text

    def test_every_state_has_the_same_elements(
        self, hub: Hub, backends: tuple[Backend, ...], downloads: Downloads
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
