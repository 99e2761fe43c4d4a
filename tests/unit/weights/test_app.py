"""Weights in the app: downloads in the background, and who may start them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.spec import AnyBackend
from musetalk.errors import JobError, SettingsError
from musetalk.settings import RenderSettings
from musetalk.webui.access import Access
from musetalk.webui.downloads import Downloads, DownloadState, bring_weights, weight_sets
from musetalk.webui.form.backend_picker import backend_entries
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.options import ServerOptions
from musetalk.webui.tabs.models import ModelsHandlers, problems_of
from musetalk.weights import MUSETALK_V15, WEIGHT_SETS
from tests.helpers.downloading import ended, halfway
from tests.helpers.errors import raises_kind
from tests.helpers.hub import LARGE, SMALL, UNET, Hub, reading


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
        with raises_kind(JobError):
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

    def test_failures_are_told_until_that_set_is_asked_for_again(self, hub: Hub, downloads: Downloads) -> None:
        downloads.start("other")
        failed = ended(downloads).error
        downloads.start("mouth")
        assert ended(downloads).phase == "done"
        assert downloads.errors == {"other": failed}
        hub.files["some/net/gone.pth"] = b"7 bytes"
        downloads.start("other")
        assert ended(downloads).phase == "done"
        assert downloads.errors == {}

    def test_a_refusal_is_told_with_its_set_while_it_holds(self, hub: Hub, downloads: Downloads) -> None:
        site = cast(Any, SimpleNamespace(downloads=downloads, reader=Reader(downloads=True)))
        handlers = ModelsHandlers(site, *(cast(Any, None),) * 3)
        halfway(hub, downloads)
        acted = handlers.act(cast(Any, SimpleNamespace(action="download", set="other")))
        assert problems_of(site, acted) == {"other": "mouth is being downloaded: wait until it is here, or cancel it"}
        hub.go_on.set()
        ended(downloads)
        assert problems_of(site, acted) == {}  # nothing is in the way any more
        downloads.allowed = False
        acted = handlers.act(cast(Any, SimpleNamespace(action="download", set="other")))
        assert list(problems_of(site, acted)) == ["other"]
        for hostile in ("", "{", "[1]", "null", '{"set": 1}'):
            assert problems_of(site, hostile) == {}

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
        self, hub: Hub, backends: tuple[AnyBackend, ...], tmp_path: Path
    ) -> None:
        downloads = Downloads(weight_sets(backends), tmp_path, allowed=False)
        with pytest.raises(SettingsError, match=r"weights download mouth.*MUSETALK_DOWNLOADS"):
            downloads.start("mouth")
        assert not hub.asked


class TestBeforeServing:
    def test_named_sets_are_there_before_anything_is_served(
        self, hub: Hub, backends: tuple[AnyBackend, ...], tmp_path: Path
    ) -> None:
        for _ in range(2):
            bring_weights(weight_sets(backends), ["mouth"], tmp_path)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE
        assert len(hub.fetched()) == 2  # the large ones, once each

    def test_unknown_sets_are_refused_with_those_there_are(
        self, backends: tuple[AnyBackend, ...], tmp_path: Path
    ) -> None:
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
        assert Access(ServerOptions(**changes)).downloads is may
        if "downloads" not in changes:
            assert Access(ServerOptions(**changes)).avatar_making is may
            assert Access(ServerOptions(avatar_making=not may, **changes)).avatar_making is not may


class TestSets:
    def test_what_decodes_instead_is_offered_with_what_it_replaces(self, backends: tuple[AnyBackend, ...]) -> None:
        assert [each.name for each in weight_sets(backends)] == ["mouth", "other"]
        assert [each.name for each in weight_sets([PREVIEW, reading("mine", *MUSETALK_V15)])] == [
            "mine",
            "faces",
            "taesd",
            "gfpgan",
            "landmarks",
            "yunet",
            *(name for name in WEIGHT_SETS if name.startswith("piper:")),
            "kokoro",
        ]

    def test_backends_that_lack_files_point_to_the_download(
        self, hub: Hub, backends: tuple[AnyBackend, ...], downloads: Downloads, tmp_path: Path
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
