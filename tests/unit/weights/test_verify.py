"""Files of weights against what is known or was recorded of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from musetalk.errors import Cancelled, CheckpointError, WeightsError
from musetalk.progress import CancelToken
from musetalk.weights import MUSETALK_V15, HubPlace, WeightFile, adopt, verify
from musetalk.weights.catalog import S3FD
from musetalk.weights.lock import LOCK_NAME
from tests.helpers.errors import raises_kind
from tests.helpers.hub import LARGE, sha256


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

    def test_what_one_source_alone_says_refuses_no_file(self, tmp_path: Path) -> None:
        file = self.placed(tmp_path, unconfirmed=sha256(LARGE[::-1]))
        for state in ("recorded", "ready"):
            (verdict,) = verify([file], tmp_path)
            assert verdict.state == state
            assert f"the one public source that gives any says {sha256(LARGE[::-1])[:12]}" in verdict.why
        (verdict,) = verify([replace(file, unconfirmed=sha256(LARGE))], tmp_path)
        assert (verdict.state, verdict.why) == ("ready", "")

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
        with raises_kind(CheckpointError, path=tmp_path / LOCK_NAME):
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
        with raises_kind(WeightsError, path=tmp_path / S3FD.path):
            adopt(S3FD, tmp_path)
