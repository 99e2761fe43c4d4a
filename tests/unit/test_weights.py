"""Files of weights: what is known of them, how they arrive, what happens when they do not, and their lean copies."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from musetalk.errors import BackendError, Cancelled, OutputError, SettingsError
from musetalk.generators.musetalk import load_unet
from musetalk.generators.vae import load_tiny, load_vae
from musetalk.networks.checkpoint import load_state_dict
from musetalk.progress import CancelToken
from musetalk.speech.whisper import load_whisper, whisper_lacks
from musetalk.weights import (
    MUSETALK_V15,
    TAESD,
    WEIGHT_SETS,
    FetchProgress,
    HubPlace,
    UrlPlace,
    WeightFile,
    adopt,
    fetch,
    first_of,
    lacking,
    preferred,
    verify,
)
from musetalk.weights.export import export
from musetalk.weights.lock import LOCK_NAME, guarded, read_lock
from musetalk.weights.registry import S3FD, SD_VAE, WHISPER
from musetalk.weights_cli import app
from tests.hub import Hub, on_hub, serving
from tests.tiny_checkpoints import write_all

LARGE = bytes(range(256)) * 20_000  # 5 MB: several chunks
SMALL = b'{"in_channels": 8}'
UNET = "some/net/unet.pth"
CONFIG = "some/net/config.json"


def sha256(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def parts(models: Path) -> list[Path]:
    return sorted(models.rglob("*.part"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as server:
        server.files = {UNET: LARGE, CONFIG: SMALL}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_made_up")
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr("musetalk.weights.stream.PAUSES", (0.0, 0.0))
        yield server


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_all(folder, ("musetalkV15", "sd-vae", "taesd"))
    return folder


class TestRegistry:
    @pytest.mark.parametrize("name", WEIGHT_SETS)
    def test_every_file_says_where_it_is_from_and_what_it_has_to_be(self, name: str) -> None:
        files = [known for file in WEIGHT_SETS[name] for known in (file, *file.alternatives)]
        assert len({file.path for file in files}) == len(files)
        for file in files:
            assert isinstance(file.place, HubPlace)
            assert re.fullmatch("[0-9a-f]{40}", file.place.revision)
            assert re.fullmatch("[0-9a-f]{64}|", file.sha256)
            assert file.source.startswith("https://huggingface.co/")
            assert file.licence
            assert file.size is None or file.size > 0
            assert file.path.name == file.place.path.rpartition("/")[2]

    def test_names_that_hold_a_hash_hold_the_files_own(self) -> None:
        assert S3FD.path.stem.endswith(S3FD.sha256[:10])

    def test_what_both_musetalks_need_is_the_same(self) -> None:
        assert set(WEIGHT_SETS["musetalk-v1"][2:]) == set(MUSETALK_V15[2:])


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
        with pytest.raises(BackendError, match="fails: it answers 503: try again later"):
            fetch([on_hub(UNET)], tmp_path)
        assert len(hub.fetched()) == 3

    def test_it_waits_while_another_process_downloads(self, hub: Hub, tmp_path: Path) -> None:
        token = CancelToken()
        token.cancel()
        with guarded(tmp_path, CancelToken()), pytest.raises(Cancelled):
            fetch([on_hub(CONFIG)], tmp_path, cancel=token)
        assert not hub.asked


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
        with pytest.raises(BackendError, match=r"weights\.lock\.json says"):
            fetch([self.at(hub)], tmp_path)

    def test_missing_files_are_named(self, hub: Hub, tmp_path: Path) -> None:
        del hub.files[UNET]
        with pytest.raises(BackendError, match=f"does not have http.*{UNET}: "):
            fetch([self.at(hub)], tmp_path)


class TestVerify:
    def placed(self, models: Path, contents: bytes = LARGE, **known: object) -> WeightFile:
        file = WeightFile(PurePosixPath("net/unet.pth"), HubPlace("some/net", "unet.pth"), "MIT", **known)  # type: ignore[arg-type]
        (models / "net").mkdir()
        (models / file.path).write_bytes(contents)
        return file

    def test_unknown_files_are_recorded_and_compared_ever_after(self, tmp_path: Path) -> None:
        file = self.placed(tmp_path)
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["recorded"]
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["ready"]
        (tmp_path / file.path).write_bytes(LARGE[::-1])
        (verdict,) = verify([file], tmp_path)
        assert verdict.state == "damaged"
        assert LOCK_NAME in verdict.why

    def test_known_files_are_compared_with_what_is_known(self, tmp_path: Path) -> None:
        file = self.placed(tmp_path, size=len(LARGE), sha256=sha256(LARGE))
        assert [verdict.state for verdict in verify([file, file], tmp_path)] == ["ready"]
        (tmp_path / file.path).write_bytes(LARGE[::-1])
        assert "the list of this version says" in verify([file], tmp_path)[0].why
        (tmp_path / file.path).write_bytes(LARGE[1:])
        assert "5119999 bytes instead of 5120000" in verify([file], tmp_path)[0].why
        (tmp_path / file.path).unlink()
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["missing"]

    def test_a_folder_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        assert {verdict.state for verdict in verify(MUSETALK_V15, tmp_path / "models")} == {"missing"}
        assert not (tmp_path / "models").exists()

    def test_it_can_be_cancelled(self, tmp_path: Path) -> None:
        token = CancelToken()
        with pytest.raises(Cancelled):
            verify([self.placed(tmp_path)], tmp_path, lambda _path, _done: token.cancel(), token)

    def test_a_damaged_record_is_complained_of(self, tmp_path: Path) -> None:
        file = self.placed(tmp_path)
        (tmp_path / LOCK_NAME).write_text("{")
        with pytest.raises(BackendError, match="delete it"):
            verify([file], tmp_path)
        assert file.state(tmp_path) == "ready"

    def test_files_of_ones_own_are_adopted(self, tmp_path: Path) -> None:
        file = self.placed(tmp_path, b"fine-tuned", size=len(LARGE), sha256=sha256(LARGE))
        assert file.state(tmp_path) == "damaged"
        adopt(file, tmp_path)
        assert file.state(tmp_path) == "ready"
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["ready"]
        (tmp_path / file.path).write_bytes(b"fine-tuner")
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["damaged"]

    def test_only_what_is_there_can_be_adopted(self, tmp_path: Path) -> None:
        with pytest.raises(BackendError, match="put it there first"):
            adopt(S3FD, tmp_path)


class TestLacking:
    def test_missing_files_are_one_sentence_with_the_command(self) -> None:
        (sentence,) = lacking(MUSETALK_V15, Path("models") / "..", "musetalk-v15")
        assert (
            "musetalkV15/musetalk.json, musetalkV15/unet.pth, sd-vae/config.json and 6 more missing (4.0 GB)"
            in sentence
        )
        assert 'python -m musetalk weights download musetalk-v15 --models-dir "' in sentence

    def test_unknown_sizes_are_not_made_up(self, tmp_path: Path) -> None:
        (sentence,) = lacking(WEIGHT_SETS["taesd"], tmp_path)
        assert "at least 9.8 MB" in sentence

    def test_each_damaged_file_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "s3fd").mkdir()
        (tmp_path / S3FD.path).write_bytes(b"cut short")
        (sentence,) = lacking([S3FD], tmp_path, "musetalk-v15")
        assert "has 9 bytes instead of 89843225" in sentence
        assert "download musetalk-v15" in sentence

    def test_alternatives_serve(self, tmp_path: Path) -> None:
        first, other = on_hub(UNET, size=3), on_hub("some/net/unet.bin", size=5)
        file = WeightFile(first.path, first.place, "MIT", 3, alternatives=(other,))
        (tmp_path / "net").mkdir()
        (tmp_path / other.path).write_bytes(b"12345")
        assert lacking([file], tmp_path) == ()
        assert [verdict.path for verdict in verify([file], tmp_path)] == [other.path]
        (tmp_path / first.path).write_bytes(b"12345")  # is read first, and has the wrong size
        assert file.state(tmp_path) == "damaged"


class TestExport:
    TENSORS = {  # noqa: RUF012 - read only
        "encoder.weight": torch.linspace(-1, 1, 12).reshape(3, 4),
        "encoder.bias": torch.tensor([0.1, 0.2, 0.3]),
        "encoder.huge": torch.full((2, 2), 1e6),
        "encoder.count": torch.tensor(7),
        "decoder.weight": torch.ones(3, 3),
    }

    def exported(self, models: Path, dtype: str = "fp16") -> tuple[WeightFile, Path]:
        place = HubPlace("some/net", "net.pth")
        file = WeightFile(PurePosixPath("net/net.pth"), place, "MIT", used=("encoder.",))
        (models / "net").mkdir(exist_ok=True)
        torch.save(self.TENSORS, models / file.path)
        assert export([file], models, dtype) == (PurePosixPath("net/net.lean.safetensors"),)  # type: ignore[arg-type]
        return file, models / "net/net.lean.safetensors"

    def test_copies_hold_what_is_used_in_half_the_space(self, tmp_path: Path) -> None:
        _, copy = self.exported(tmp_path)
        held = load_file(copy)
        assert set(held) == {name for name in self.TENSORS if name.startswith("encoder.")}
        assert held["encoder.weight"].dtype == torch.float16
        assert torch.equal(held["encoder.weight"], self.TENSORS["encoder.weight"].half())
        for name in ("encoder.bias", "encoder.huge", "encoder.count"):  # small, beyond fp16, or no fractions
            assert held[name].dtype == self.TENSORS[name].dtype
            assert torch.equal(held[name], self.TENSORS[name])

    def test_fp32_copies_are_exact(self, tmp_path: Path) -> None:
        _, copy = self.exported(tmp_path, "fp32")
        held = load_file(copy)
        assert all(torch.equal(value, self.TENSORS[name]) for name, value in held.items())

    def test_views_of_one_memory_are_written_apart(self, tmp_path: Path) -> None:
        whole = torch.arange(8.0).reshape(2, 4)
        file = on_hub("some/net/net.pth")
        (tmp_path / "net").mkdir()
        torch.save({"upper": whole[:1], "turned": whole.t()}, tmp_path / file.path)
        export([file], tmp_path, "fp16")
        held = load_file(preferred(tmp_path / file.path))
        assert torch.equal(held["turned"].float(), whole.t())

    def test_copies_are_preferred_while_they_stand_for_the_original(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        original = tmp_path / file.path
        assert preferred(original) == copy
        os.utime(copy, (1, 1))  # copied without dates: still made from this very file
        assert preferred(original) == copy
        later = original.stat().st_mtime_ns + 10**9
        os.utime(original, ns=(later, later))  # another file of the same size
        assert preferred(original) == original
        original.unlink()
        assert preferred(original) == copy
        assert file.state(tmp_path) == "ready"
        assert [verdict.path for verdict in verify([file], tmp_path)] == [PurePosixPath("net/net.lean.safetensors")]

    def test_copies_of_a_file_of_another_ending_follow_that_file(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        original, never_there = tmp_path / file.path, tmp_path / "net/net.safetensors"
        names = (never_there.name, original.name)
        assert preferred(never_there) == first_of(tmp_path / "net", *names) == copy
        later = copy.stat().st_mtime_ns + 10**9
        os.utime(original, ns=(later, later))  # another file by now
        assert preferred(never_there) == never_there
        assert first_of(tmp_path / "net", *names) == original
        original.unlink()
        assert first_of(tmp_path / "net", *names) == copy
        copy.unlink()
        assert first_of(tmp_path / "net", *names) is None

    def test_originals_of_another_size_are_preferred(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        torch.save({"other": torch.ones(1)}, tmp_path / file.path)
        os.utime(tmp_path / file.path, (1, 1))
        assert preferred(tmp_path / file.path) == tmp_path / file.path
        copy.write_bytes(b"\xff" * 20)
        assert preferred(tmp_path / file.path) == tmp_path / file.path

    def test_changed_copies_are_found(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["recorded", "ready"]
        save_file({"other": torch.ones(1)}, copy)
        assert verify([file], tmp_path)[1].state == "damaged"

    def test_a_copy_stands_only_for_what_it_was_made_from(self, models: Path, tmp_path: Path) -> None:
        shutil.copytree(models / "sd-vae", tmp_path / "sd-vae")
        (copy,) = export(SD_VAE, tmp_path, "fp16")
        named = [tmp_path / "sd-vae" / f"diffusion_pytorch_model.{ending}" for ending in ("safetensors", "bin")]
        assert [preferred(path) for path in named] == [tmp_path / copy, named[1]]
        assert [verdict.path for verdict in verify(SD_VAE[1:], tmp_path)].count(copy) == 1

    def test_nothing_to_export_is_said_so(self, tmp_path: Path) -> None:
        with pytest.raises(BackendError, match="nothing to export"):
            export(MUSETALK_V15, tmp_path, "fp16")


class TestTinyCheckpoints:
    def test_backends_take_them_and_read_them(self, models: Path) -> None:
        needed = [file for file in MUSETALK_V15 if file.path.parts[0] in {"musetalkV15", "sd-vae"}]
        assert lacking([*needed, *WEIGHT_SETS["taesd"]], models) == ()
        unet, vae = load_unet(models / "musetalkV15"), load_vae(models / "sd-vae")
        assert (unet.config.in_channels, unet.config.cross_attention_dim) == (8, 384)
        with torch.inference_mode():
            latents = vae.encode(torch.zeros(1, 3, 256, 256)).latent_dist.mean
        assert latents.shape == (1, 4, 32, 32)

    def test_they_are_the_same_every_time(self, models: Path, tmp_path: Path) -> None:
        write_all(tmp_path, ("sd-vae",))
        for path in sorted((tmp_path / "sd-vae").iterdir()):
            assert path.read_bytes() == (models / "sd-vae" / path.name).read_bytes()

    def test_their_lean_copies_load(self, models: Path, tmp_path: Path) -> None:
        shutil.copytree(models, tmp_path, dirs_exist_ok=True)
        export(MUSETALK_V15, tmp_path, "fp16")
        for path in (tmp_path / "musetalkV15/unet.pth", tmp_path / "sd-vae/diffusion_pytorch_model.safetensors"):
            lean, whole = load_state_dict(preferred(path)), load_state_dict(path)
            assert lean.keys() == whole.keys()
            assert all(torch.allclose(lean[name].float(), whole[name], rtol=1e-3, atol=1e-6) for name in whole)
            assert preferred(path).stat().st_size < 0.75 * path.stat().st_size

    @pytest.mark.parametrize(
        ("folder", "load"), [("musetalkV15", load_unet), ("sd-vae", load_vae), ("taesd", load_tiny)]
    )
    def test_networks_load_from_lean_copies_alone(
        self, models: Path, tmp_path: Path, folder: str, load: Callable[[Path], torch.nn.Module]
    ) -> None:
        shutil.copytree(models, tmp_path, dirs_exist_ok=True)
        whole = load(tmp_path / folder).state_dict()
        files = [file for file in (*MUSETALK_V15, *TAESD) if file.path.parts[0] == folder]
        export(files, tmp_path, "fp16")
        for path in (tmp_path / folder).iterdir():
            if path.suffix != ".json" and not path.name.endswith(".lean.safetensors"):
                path.unlink()
        assert lacking(files, tmp_path) == ()
        lean = load(tmp_path / folder).state_dict()
        assert {value.dtype for value in lean.values()} == {torch.float32}
        assert all(torch.allclose(lean[name], whole[name], rtol=1e-3, atol=1e-6) for name in whole)
        assert any(not torch.equal(lean[name], whole[name]) for name in whole)  # it was the copy that was read

    def test_whisper_loads_from_its_lean_copy_alone(self, tmp_path: Path) -> None:
        write_all(tmp_path, ("whisper",))
        folder = tmp_path / "whisper"
        mel = np.linspace(-1, 1, 80 * 3000, dtype=np.float32).reshape(80, 3000)
        whole = load_whisper(folder)
        export(WHISPER, tmp_path, "fp16")
        (folder / "pytorch_model.bin").unlink()
        assert whisper_lacks(folder) == lacking(WHISPER, tmp_path) == ()
        lean = load_whisper(folder)
        assert lean.fingerprint != whole.fingerprint  # what was heard with the one is not taken for the other's
        np.testing.assert_allclose(lean.encode(mel), whole.encode(mel), atol=0.02)


class TestCommands:
    def run(self, *words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    def known(self, monkeypatch: pytest.MonkeyPatch, *files: WeightFile) -> None:
        monkeypatch.setattr("musetalk.weights.WEIGHT_SETS", {"mine": files, "musetalk-v15": files[:1]})
        monkeypatch.setattr("musetalk.generators.registry.BackendRegistry", tuple)  # none besides

    def test_list_shows_all_there_is(self, tmp_path: Path) -> None:
        shown = self.run("list", "--models-dir", str(tmp_path))
        for files in WEIGHT_SETS.values():
            assert all(f"{file.path}" in shown and file.source in shown for file in files)
        assert "missing, 3.4 GB, MIT" in shown
        assert "missing, size unknown, MIT" in shown

    def test_download_then_verify(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known(monkeypatch, on_hub(CONFIG), on_hub(UNET))
        assert "1 downloaded, 0 were there" in self.run("download", "--models-dir", str(tmp_path))
        shown = self.run("download", "mine", "--models-dir", str(tmp_path))
        assert "net/unet.pth: downloaded" in shown
        assert "1 downloaded, 1 were there" in shown
        assert "net/unet.pth: ready" in self.run("verify", "mine", "--models-dir", str(tmp_path))
        (tmp_path / "net/unet.pth").write_bytes(LARGE[::-1])
        assert "net/unet.pth: damaged" in self.run("verify", "--models-dir", str(tmp_path), code=1)

    def test_only_named_backends_have_to_be_there(self, tmp_path: Path) -> None:
        assert "has no weights" in self.run("verify", "--models-dir", str(tmp_path))
        assert "missing" in self.run("verify", "musetalk-v15", "--models-dir", str(tmp_path), code=1)

    def test_adopt_and_export(self, tmp_path: Path) -> None:
        write_all(tmp_path, ("taesd",))
        (tmp_path / LOCK_NAME).unlink()
        path = "taesd/diffusion_pytorch_model.safetensors"
        self.run("verify", "taesd", "--models-dir", str(tmp_path), code=1)
        assert "used as it is" in self.run("adopt", path, "--models-dir", str(tmp_path))
        self.run("verify", "taesd", "--models-dir", str(tmp_path))
        shown = self.run("export", "taesd", "--dtype", "fp32", "--models-dir", str(tmp_path))
        assert "taesd/diffusion_pytorch_model.lean.safetensors: " in shown
        assert json.loads((tmp_path / LOCK_NAME).read_text())["files"][path]["own"]

    @pytest.mark.parametrize("words", [("download", "nobody"), ("adopt", "nothing.pth")])
    def test_unknown_names_list_the_known(self, words: tuple[str, ...], tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"nobody|nothing"):
            self.run(*words, "--models-dir", str(tmp_path))
