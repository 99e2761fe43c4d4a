"""Where avatars lie, and what they may be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.avatars.manifest import MANIFEST, check_name
from musetalk.avatars.store import AvatarStore
from musetalk.errors import AvatarError
from tests.helpers.errors import raises_kind


@pytest.mark.parametrize("name", ["anna", "Anna 2", "news-anchor_1.b", "Ärztin", "7", "x" * 64])
def test_ordinary_names_are_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "-x",
        "x.",
        "x ",
        "con",
        "NUL.txt",
        "a\nb",
        "x" * 65,
        "𐐀" * 64,
        "a:b",
    ],
)
def test_what_could_lead_elsewhere_is_no_name(name: str) -> None:
    with raises_kind(AvatarError):
        check_name(name)


def test_the_variable_says_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSETALK_AVATARS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert AvatarStore().folder == tmp_path / "data" / "musetalk-hybrid" / "avatars"
    monkeypatch.setenv("MUSETALK_AVATARS", str(tmp_path / "theirs"))
    assert AvatarStore().folder == tmp_path / "theirs"
    assert AvatarStore(tmp_path / "own").folder == tmp_path / "own"


def test_a_store_lists_what_it_cannot_use_and_deletes_only_its_own(tmp_path: Path) -> None:
    store = AvatarStore(tmp_path / "store")
    assert store.entries() == []
    for folder in (store.folder / "broken", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text("{}")
    [entry] = store.entries()
    assert entry.folder.name == "broken" and entry.manifest is None and entry.problem
    with raises_kind(AvatarError):
        store.find("nobody")
    assert store.find(str(tmp_path / "elsewhere")) == tmp_path / "elsewhere"
    with raises_kind(AvatarError):
        store.delete(str(tmp_path / "elsewhere"))
    store.delete("broken")
    assert list(store.folder.iterdir()) == []
    assert (tmp_path / "elsewhere" / MANIFEST).exists()


def test_a_link_to_an_avatar_is_deleted_and_the_avatar_stays(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / MANIFEST).write_text("{}")
    (tmp_path / "link").symlink_to("anna")
    AvatarStore(tmp_path).delete("link")
    assert [path.name for path in tmp_path.iterdir()] == ["anna"] and (tmp_path / "anna" / MANIFEST).exists()


def test_what_no_folder_can_be_called_is_no_avatar(tmp_path: Path) -> None:
    with raises_kind(AvatarError):
        AvatarStore(tmp_path).find("x" * 300)
