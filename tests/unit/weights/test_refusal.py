"""Downloads that are refused, and what is said of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from musetalk.errors import BackendError, OutputError
from musetalk.weights import fetch
from tests.hub import CONFIG, LARGE, UNET, Hub, on_hub, sha256


class TestRefusal:
    @pytest.mark.parametrize("key", [UNET, CONFIG])
    def test_other_contents_than_the_hubs_hash_get_no_name(self, hub: Hub, tmp_path: Path, key: str) -> None:
        hub.said[key] = hub.files[key][::-1]
        with pytest.raises(BackendError, match="the hub says"):
            fetch([on_hub(key)], tmp_path)
        assert not list((tmp_path / "net").iterdir())

    def test_other_contents_than_this_versions_get_no_name(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(BackendError, match="the list of this version says 000000"):
            fetch([on_hub(UNET, digest="0" * 64)], tmp_path)
        assert not list((tmp_path / "net").iterdir())

    def test_another_size_than_this_versions_is_not_downloaded(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(BackendError, match="5120000 bytes instead of 7"):
            fetch([on_hub(UNET, size=7)], tmp_path)
        assert not hub.fetched()

    def test_a_name_with_a_hash_has_to_be_right(self, hub: Hub, tmp_path: Path) -> None:
        good, bad = f"net-{sha256(LARGE)[:10]}.pth", "net-0123456789.pth"
        fetch([on_hub(UNET, name=good)], tmp_path)
        with pytest.raises(BackendError, match="its name says 0123456789"):
            fetch([on_hub(UNET, name=bad)], tmp_path)
        assert [path.name for path in (tmp_path / "net").iterdir()] == [good]

    def test_missing_files_are_named(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(BackendError, match=r"does not have gone\.pth of some/net: .*by hand.*weights verify"):
            fetch([on_hub("some/net/gone.pth")], tmp_path)

    def test_missing_repositories_are_named(self, hub: Hub, tmp_path: Path) -> None:
        with pytest.raises(BackendError, match=r"huggingface\.co/some/other is not there"):
            fetch([on_hub("some/other/unet.pth")], tmp_path)

    def test_without_a_network_it_says_what_to_do(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
        with pytest.raises(BackendError, match=r"127\.0\.0\.1:1 cannot be reached .*by hand") as caught:
            fetch([on_hub(UNET)], tmp_path)
        assert "\n" not in str(caught.value)

    def test_files_of_another_size_are_only_replaced_on_demand(self, hub: Hub, tmp_path: Path) -> None:
        file = on_hub(UNET, size=len(LARGE))
        mine = tmp_path / file.path
        mine.parent.mkdir()
        mine.write_bytes(b"fine-tuned")
        with pytest.raises(BackendError, match=r"download mine --models-dir .* --replace; .*adopt net/unet\.pth"):
            fetch([file], tmp_path, backend="mine")
        assert mine.read_bytes() == b"fine-tuned"
        fetch([file], tmp_path, replace=True)
        assert mine.read_bytes() == LARGE

    @pytest.mark.parametrize("size", [len(LARGE), None])
    def test_space_is_checked_before(
        self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        with pytest.raises(OutputError, match=r"1\.0 MB free, and 72 MB are needed"):
            fetch([on_hub(UNET, size=size)], tmp_path)
        assert not hub.fetched()
        assert bool(hub.asked) == (size is None)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
    def test_a_disk_that_fills_up_is_said_to(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("musetalk.weights.download._part_of", lambda target, _: Path("/dev/full"))
        with pytest.raises(OutputError, match=r"No space left on device.*make room"):
            fetch([on_hub(UNET)], tmp_path)
