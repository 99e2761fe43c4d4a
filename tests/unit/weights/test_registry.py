"""What is known of the files of weights, and what is said where some are missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from musetalk.weights import MUSETALK_V15, WEIGHT_SETS, HubPlace, WeightFile, lacking, verify
from musetalk.weights.catalog import LANDMARKS, S3FD
from tests.helpers.hub import UNET, on_hub


class TestRegistry:
    @pytest.mark.parametrize("name", WEIGHT_SETS)
    def test_every_file_says_where_it_is_from_and_what_it_has_to_be(self, name: str) -> None:
        files = [known for file in WEIGHT_SETS[name] for known in (file, *file.alternatives)]
        assert len({file.path for file in files}) == len(files)
        for file in files:
            on_hub = isinstance(file.place, HubPlace)
            assert (on_hub and re.fullmatch("[0-9a-f]{40}", file.place.revision)) or file.sha256
            assert re.fullmatch("[0-9a-f]{64}|", file.sha256)
            assert re.fullmatch("[0-9a-f]{64}|", file.unconfirmed)
            authors = ("https://github.com/", "https://www.adrianbulat.com/")
            assert file.source.startswith("https://huggingface.co/" if on_hub else authors)
            assert file.licence
            assert file.size is None or file.size > 0
            assert file.path.name == (file.place.path if on_hub else file.place.address).rpartition("/")[2]

    def test_names_that_hold_a_hash_hold_the_files_own(self) -> None:
        assert S3FD.path.stem.endswith(S3FD.sha256[:10])
        assert f"-{LANDMARKS.sha256[:10]}." in LANDMARKS.path.name

    def test_what_both_musetalks_need_is_the_same(self) -> None:
        assert set(WEIGHT_SETS["musetalk-v1"][2:]) == set(MUSETALK_V15[2:])


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
        (sentence,) = lacking([LANDMARKS], tmp_path)
        assert f"{LANDMARKS.path} missing: python" in sentence

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
