"""Files of weights on their way: whole, interrupted, continued."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from musetalk.errors import Cancelled, DownloadError
from musetalk.progress import CancelToken
from musetalk.weights import FetchProgress, UrlPlace, WeightFile, fetch
from musetalk.weights.lock import guarded, read_lock
from tests.helpers.errors import raises_kind
from tests.helpers.hub import CONFIG, LARGE, SMALL, UNET, Hub, on_hub, sha256


def parts(models: Path) -> list[Path]:
    return sorted(models.rglob("*.part"))


class TestDownload:
    def test_files_arrive_whole_and_are_recorded(self, hub: Hub, tmp_path: Path) -> None:
        files = (on_hub(UNET), on_hub(CONFIG))
        events: list[FetchProgress] = []
        assert fetch(files, tmp_path, events.append) == tuple(file.path for file in files)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE
        assert (tmp_path / "net/config.json").read_bytes() == SMALL
        entry = read_lock(tmp_path)["net/unet.pth"]
        assert (entry.sha256, entry.size, entry.own) == (sha256(LARGE), len(LARGE), False)
        assert entry.source == "https://huggingface.co/some/net"
        assert not parts(tmp_path)
        unet = [event for event in events if event.path.name == "unet.pth"]
        assert [event.done for event in unet if not event.checking] == sorted({e.done for e in unet if not e.checking})
        assert (unet[-1].done, unet[-1].total, unet[-1].checking) == (len(LARGE), len(LARGE), True)
        assert {(event.number, event.count) for event in events} == {(1, 2), (2, 2)}

    def test_what_is_there_is_not_asked_for(self, hub: Hub, tmp_path: Path) -> None:
        fetch([on_hub(CONFIG)], tmp_path)
        hub.asked.clear()
        assert fetch([on_hub(CONFIG)], tmp_path) == ()
        assert not hub.asked

    def test_the_users_token_stays_with_the_hub(self, hub: Hub, tmp_path: Path) -> None:
        fetch([on_hub(UNET)], tmp_path)
        assert hub.tokens == {"127.0.0.1"}  # contents come from another host

    def test_an_interrupted_download_goes_on_where_it_was(self, hub: Hub, tmp_path: Path) -> None:
        hub.cuts = [3_000_000, 1_000_000]
        fetch([on_hub(UNET)], tmp_path)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE
        first, second, third = hub.fetched()
        assert first == ""
        assert 0 < int(second[6:-1]) < int(third[6:-1]) < len(LARGE)

    def test_a_server_that_starts_over_is_followed(self, hub: Hub, tmp_path: Path) -> None:
        hub.cuts, hub.ranges = [3_000_000], False
        fetch([on_hub(UNET)], tmp_path)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE

    def test_a_cancelled_download_goes_on_next_time(self, hub: Hub, tmp_path: Path) -> None:
        token = CancelToken()

        def stop_halfway(event: FetchProgress) -> None:
            if event.done > 2_000_000:
                token.cancel()

        with pytest.raises(Cancelled):
            fetch([on_hub(UNET)], tmp_path, stop_halfway, token)
        (part,) = parts(tmp_path)
        have = part.stat().st_size
        assert 2_000_000 < have < len(LARGE)
        assert not (tmp_path / "net/unet.pth").exists()
        fetch([on_hub(UNET)], tmp_path)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE
        assert hub.fetched() == ["", f"bytes={have}-"]

    def test_a_part_of_other_contents_is_not_continued(self, hub: Hub, tmp_path: Path) -> None:
        hub.cuts, hub.status = [3_000_000], 0
        token = CancelToken()
        with pytest.raises(Cancelled):
            fetch([on_hub(UNET)], tmp_path, lambda event: token.cancel() if event.done > 2**20 else None, token)
        hub.files[UNET] = LARGE[::-1]
        fetch([on_hub(UNET)], tmp_path)
        assert (tmp_path / "net/unet.pth").read_bytes() == LARGE[::-1]
        assert not parts(tmp_path)

    def test_a_whole_part_is_only_checked(self, hub: Hub, tmp_path: Path) -> None:
        token = CancelToken()
        with pytest.raises(Cancelled):
            fetch([on_hub(UNET)], tmp_path, lambda event: token.cancel() if event.checking else None, token)
        hub.asked.clear()
        fetch([on_hub(UNET)], tmp_path)
        assert not hub.fetched()

    def test_it_gives_up_on_a_server_that_keeps_failing(self, hub: Hub, tmp_path: Path) -> None:
        hub.status = 503
        with raises_kind(DownloadError):
            fetch([on_hub(UNET)], tmp_path)
        assert len(hub.fetched()) == 3

    def test_it_waits_while_another_process_downloads(self, hub: Hub, tmp_path: Path) -> None:
        token = CancelToken()
        token.cancel()
        with guarded(tmp_path, CancelToken()), pytest.raises(Cancelled):
            fetch([on_hub(CONFIG)], tmp_path, cancel=token)
        assert not hub.asked


class TestAddresses:
    def at(self, hub: Hub, name: str = "net.pth") -> WeightFile:
        return WeightFile(PurePosixPath("net", name), UrlPlace(f"{hub.endpoint}/cdn/{UNET}"), "MIT")

    def test_files_at_addresses_arrive_and_go_on(self, hub: Hub, tmp_path: Path) -> None:
        hub.cuts = [3_000_000]
        fetch([self.at(hub)], tmp_path)
        assert (tmp_path / "net/net.pth").read_bytes() == LARGE
        assert len(hub.fetched()) == 2
        assert not hub.tokens

    def test_what_came_first_is_what_has_to_come(self, hub: Hub, tmp_path: Path) -> None:
        fetch([self.at(hub)], tmp_path)
        (tmp_path / "net/net.pth").unlink()
        hub.files[UNET] = LARGE[::-1]
        with raises_kind(DownloadError, path=tmp_path / "net/net.pth"):
            fetch([self.at(hub)], tmp_path)

    def test_missing_files_are_named(self, hub: Hub, tmp_path: Path) -> None:
        del hub.files[UNET]
        with pytest.raises(DownloadError, match=f"does not have http.*{UNET}: "):
            fetch([self.at(hub)], tmp_path)
