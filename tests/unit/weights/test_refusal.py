"""Downloads that are refused, and what is said of them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from musetalk.cli.app import serve_app
from musetalk.errors import BackendError, DiskSpaceError, DownloadError, WeightsError
from musetalk.webui.html.plain_words import Reader, plain
from musetalk.weights import HubPlace, fetch
from musetalk.weights.disk import unwritable
from musetalk.weights.hub import hub_errors
from musetalk.weights.weight_file import UrlPlace
from tests.helpers.errors import raises_kind
from tests.helpers.hub import CONFIG, LARGE, UNET, Hub, on_hub, sha256

_HAND, _THEIRS = "put the files there by hand", "whoever runs this server has to mend that"
_NEWER = "get a newer version of this program, which may know where it is now"
_ENDPOINT, _LOG_IN = "unset HF_ENDPOINT", "log in (hf auth login, or HF_TOKEN)"
_REFUSALS = [
    (
        (404, "EntryNotFound"),
        "HUB does not have gone.pth of some/net",
        f"{_ENDPOINT}, {_NEWER}, or {_HAND}",
        f"{_NEWER}, or {_HAND}",
        _THEIRS,
    ),
    (
        (404, "RevisionNotFound"),
        "HUB does not have gone.pth of some/net",
        f"{_ENDPOINT}, {_NEWER}, or {_HAND}",
        f"{_NEWER}, or {_HAND}",
        _THEIRS,
    ),
    (
        (404, "RepoNotFound"),
        "HUB/some/net is not there, or not for everybody",
        f"{_ENDPOINT}, {_LOG_IN}, or {_HAND}",
        f"log in, or {_HAND}",
        _THEIRS,
    ),
    (
        (403, "GatedRepo"),
        "https://huggingface.co/some/net is only for those who agreed to its terms",
        f"agree there and {_LOG_IN}, or {_HAND}",
        f"agree there and log in, or {_HAND}",
        _THEIRS,
    ),
    (
        (403, ""),
        "HUB does not let everybody have gone.pth of some/net (403)",
        f"{_LOG_IN}, or {_HAND}",
        f"log in, or {_HAND}",
        _THEIRS,
    ),
    ((429, ""), "HUB answers 429", *["try again later"] * 3),
    ((500, ""), "HUB answers 500", *["try again later"] * 3),
]


class TestRefusal:
    @pytest.mark.parametrize("key", [UNET, CONFIG])
    def test_other_contents_than_the_hubs_hash_get_no_name(self, hub: Hub, tmp_path: Path, key: str) -> None:
        hub.said[key] = hub.files[key][::-1]
        with pytest.raises(DownloadError, match="the hub says"):
            fetch([on_hub(key)], tmp_path)
        assert not list((tmp_path / "net").iterdir())

    def test_other_contents_than_this_versions_get_no_name(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match="the list of this version says 000000"):
            fetch([on_hub(UNET, digest="0" * 64)], tmp_path)
        assert not list((tmp_path / "net").iterdir())

    def test_another_size_than_this_versions_is_not_downloaded(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match="5120000 bytes instead of 7"):
            fetch([on_hub(UNET, size=7)], tmp_path)
        assert not hub.fetched()

    def test_a_name_with_a_hash_has_to_be_right(self, hub: Hub, tmp_path: Path) -> None:
        good, bad = f"net-{sha256(LARGE)[:10]}.pth", "net-0123456789.pth"
        fetch([on_hub(UNET, name=good)], tmp_path)
        with pytest.raises(DownloadError, match="its name says 0123456789"):
            fetch([on_hub(UNET, name=bad)], tmp_path)
        assert [path.name for path in (tmp_path / "net").iterdir()] == [good]

    @pytest.mark.parametrize(("refusal", "problem", "remedy", "owner", "visitor"), _REFUSALS)
    def test_the_remedy_fits_the_cause(
        self,
        hub: Hub,
        tmp_path: Path,
        refusal: tuple[int, str],
        problem: str,
        remedy: str,
        owner: str,
        visitor: str,
    ) -> None:
        hub.refusal = refusal
        with pytest.raises(BackendError) as caught:
            fetch([on_hub("some/net/gone.pth")], tmp_path)
        said = caught.value
        assert problem in said.problem.replace(hub.endpoint.removeprefix("http://"), "HUB")
        assert said.remedy.partition(" (what goes where")[0] == remedy
        assert plain(said.remedy, Reader(owner=True, downloads=True)) == owner
        assert plain(said.remedy, Reader(downloads=True)) == visitor

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://a-mirror.invalid"])
    def test_a_mirror_that_is_not_there_is_to_be_looked_at(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(
            DownloadError, match=r"cannot be reached .*: look at HF_ENDPOINT, connect, or .*by hand"
        ) as e:
            fetch([on_hub(UNET)], tmp_path)
        assert "\n" not in str(e.value)
        assert plain(e.value.remedy, Reader(owner=True)) == "connect, or put the files there by hand"
        assert plain(e.value.remedy, Reader(downloads=True)) == "whoever runs this server has to mend that"

    @pytest.mark.parametrize("endpoint", ["a-mirror", "http://a mirror", "http://[::1", "http://", "https://a:99999"])
    def test_a_mirror_that_has_no_address_is_named_in_one_line(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(DownloadError, match="HF_ENDPOINT is no address") as e:
            fetch([on_hub(UNET)], tmp_path)
        assert endpoint in e.value.problem
        assert e.value.remedy.startswith("unset HF_ENDPOINT, or set that variable to an address")
        assert "\n" not in str(e.value)
        assert "HF_ENDPOINT" not in plain(str(e.value), Reader(owner=True))
        with pytest.raises(DownloadError, match="HF_ENDPOINT is no address"):  # before the app's libraries fail
            serve_app()

    @pytest.mark.parametrize(
        ("place", "remedy"),
        [
            (HubPlace("some/net", "a.pth"), "connect, name a mirror with HF_ENDPOINT, or put the files there by hand"),
            (UrlPlace("https://example.org/a.pth"), "connect, or put the files there by hand"),  # no mirror has it
        ],
    )
    def test_without_a_network_it_says_to_connect(
        self, place: HubPlace | UrlPlace, remedy: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_ENDPOINT", raising=False)
        with pytest.raises(DownloadError, match="cannot be reached") as caught, hub_errors(place):
            raise httpx2.ConnectError("no route")
        assert caught.value.remedy.startswith(f"{remedy} (what goes where")

    @pytest.mark.parametrize(
        ("number", "remedy", "owner"),
        [
            (errno.ENOSPC, "make room; the next download goes on from there", None),
            (
                errno.EROFS,
                "make the folder writable, or name another folder with --models-dir",
                "make the folder writable",
            ),
            (errno.EFBIG, "use a disk that takes files that large, or name another folder with --models-dir", None),
            (errno.EIO, "look at the disk, or name another folder with --models-dir", "look at the disk"),
        ],
    )
    def test_a_folder_that_cannot_be_written_says_why(self, number: int, remedy: str, owner: str | None) -> None:
        error = unwritable(Path("/srv/models"), OSError(number, os.strerror(number)))
        assert (error.problem, error.remedy) == (f'"/srv/models" cannot be written ({os.strerror(number)})', remedy)
        assert plain(error.remedy, Reader(owner=True)) == (owner or remedy.partition(", or name")[0])
        assert plain(error.remedy, Reader(downloads=True)).startswith("whoever runs this server has to mend that")

    def test_files_of_another_size_are_only_replaced_on_demand(self, hub: Hub, tmp_path: Path) -> None:
        file = on_hub(UNET, size=len(LARGE))
        mine = tmp_path / file.path
        mine.parent.mkdir()
        mine.write_bytes(b"fine-tuned")
        with raises_kind(WeightsError):
            fetch([file], tmp_path, backend="mine")
        assert mine.read_bytes() == b"fine-tuned"
        fetch([file], tmp_path, replace=True)
        assert mine.read_bytes() == LARGE

    @pytest.mark.parametrize("size", [len(LARGE), None])
    def test_space_is_checked_before(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        with raises_kind(DiskSpaceError):
            fetch([on_hub(UNET, size=size)], tmp_path)
        assert not hub.fetched()
        assert bool(hub.asked) == (size is None)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
    def test_a_disk_that_fills_up_is_said_to(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("musetalk.weights.download._part_of", lambda target, _: Path("/dev/full"))
        with raises_kind(DiskSpaceError, path=Path("/dev/full")):
            fetch([on_hub(UNET)], tmp_path)
