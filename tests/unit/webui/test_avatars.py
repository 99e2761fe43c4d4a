"""Avatars that visitors make and delete: in the background, one at a time, and nothing half done is left."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from musetalk.assets import PORTRAIT
from musetalk.avatars.store import AvatarStore
from musetalk.errors import AvatarError, JobError, MuseTalkError, SettingsError
from musetalk.faces.types import FaceBox
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.webui.avatars import Avatars, MakingState
from musetalk.webui.html.avatar_making import making_panel
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.tabs.live import LiveHandlers, LiveParts
from musetalk.webui.uploads import Uploads
from tests.helpers.errors import raises_kind
from tests.helpers.html_page import Page
from tests.helpers.programs import HANG_SECONDS


@dataclass
class Gate:
    """Finds a face, or none, when it is told to."""

    faces: Sequence[FaceBox] = ()
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    fingerprint = "gate"
    max_side = 512

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        self.begun.set()
        assert self.go_on.wait(HANG_SECONDS)
        return [list(self.faces) for _ in frames]


@pytest.fixture
def gate() -> Gate:
    return Gate([FaceBox(150.0, 40.0, 320.0, 210.0, 1.0)])


@pytest.fixture
def speaking() -> list[str]:
    return []


@pytest.fixture
def avatars(tmp_path: Path, gate: Gate, speaking: list[str]) -> Avatars:
    base = RenderSettings(models_dir=tmp_path / "none")
    engine = LipSync(detector=gate)
    return Avatars(AvatarStore(tmp_path / "avatars"), engine, base, 10**6, speaking.__contains__)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    return Path(shutil.copy(PORTRAIT, tmp_path / "me.jpg"))


def ended(avatars: Avatars) -> MakingState:
    return avatars.wait(lambda state: not state.active, HANG_SECONDS)


def kept(avatars: Avatars) -> list[str]:
    return sorted(path.name for path in avatars.store.folder.iterdir())


def test_one_is_made_though_its_upload_goes_meanwhile(avatars: Avatars, gate: Gate, upload: Path) -> None:
    avatars.make("anna", "preview", upload)
    assert gate.begun.wait(HANG_SECONDS)
    upload.unlink()
    state = avatars.state
    assert (state.name, state.phase) == ("anna", "running")
    assert state.progress is not None
    with raises_kind(JobError):
        avatars.make("bert", "preview", PORTRAIT)
    gate.go_on.set()
    assert ended(avatars).phase == "done"
    assert kept(avatars) == ["anna"]
    assert [entry.problem for entry in avatars.store.entries()] == [""]
    with pytest.raises(AvatarError, match="there is an avatar"):
        avatars.make("anna", "preview", PORTRAIT)


@pytest.mark.parametrize("cancelled", [True, False])
def test_nothing_is_left_of_one_that_is_cancelled_or_fails(
    avatars: Avatars, gate: Gate, upload: Path, cancelled: bool
) -> None:
    gate.faces = ()
    avatars.make("anna", "preview", upload)
    assert gate.begun.wait(HANG_SECONDS)
    if cancelled:
        avatars.cancel("bert")
        assert avatars.state.phase == "running"
        avatars.cancel("anna")
    gate.go_on.set()
    state = ended(avatars)
    assert (state.phase, "face" in state.error) == (("stopped", False) if cancelled else ("failed", True))
    assert kept(avatars) == []


@pytest.mark.parametrize(
    ("name", "backend", "said"),
    [
        ("..", "preview", "no avatar can be called"),
        ("a/b", "preview", "no avatar can be called"),
        ("anna", "latentsync-1.6", "cannot speak live"),
        ("anna", "musetalk-v15", "cannot speak live here"),  # its weights are not here
        ("anna", "nobody", "cannot speak live"),
    ],
)
def test_what_cannot_be_is_refused_at_once(avatars: Avatars, name: str, backend: str, said: str) -> None:
    with pytest.raises(MuseTalkError, match=said):
        avatars.make(name, backend, PORTRAIT)
    assert not avatars.state.active


def test_there_is_a_most_that_all_may_take(avatars: Avatars, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(10**6 + 1))
    with pytest.raises(AvatarError, match="together may take"):
        avatars.make("anna", "preview", large)


def test_who_may_not_make_any_may_not_delete_any(avatars: Avatars) -> None:
    avatars.allowed = False
    for refused in (lambda: avatars.make("anna", "preview", PORTRAIT), lambda: avatars.delete("anna")):
        with pytest.raises(SettingsError, match="--avatar-making"):
            refused()


def test_one_is_deleted_where_nobody_speaks_with_it(
    avatars: Avatars, gate: Gate, speaking: list[str], upload: Path
) -> None:
    gate.go_on.set()
    avatars.make("anna", "preview", upload)
    ended(avatars)
    made = avatars.store.entries()[0].manifest
    assert made is not None
    for name in ("bert", made.id, str(avatars.store.folder / "anna")):
        with raises_kind(AvatarError):
            avatars.delete(name)
    speaking.append("anna")
    with pytest.raises(AvatarError, match="is speaking"):
        avatars.delete("anna")
    speaking.clear()
    avatars.delete("anna")
    assert kept(avatars) == []


def test_a_refusal_is_told_where_it_was_asked_for(avatars: Avatars, tmp_path: Path, upload: Path) -> None:
    site = cast(Any, SimpleNamespace(avatars=avatars, reader=Reader(), uploads=Uploads(tmp_path, 10**9)))
    parts = cast(LiveParts, SimpleNamespace(choice="choice", fold="fold", making="making", timer="timer"))
    handlers = LiveHandlers(site, avatars, parts)

    def shown(acted: str) -> tuple[str, str]:
        update = cast("dict[Any, Any]", handlers.refresh(acted))
        return Page(update["choice"]).text, Page(update["making"]).text

    pressed = cast("gr.EventData", SimpleNamespace(action="make", name=" a  b/ ", backend="preview"))
    assert "There is no source to make it of" in shown(handlers.make(pressed, None))[1]
    assert "There is no source to make it of" in shown(handlers.make(pressed, str(PORTRAIT)))[1]  # which is no upload
    assert "No avatar can be called 'a b/'" in shown(handlers.make(pressed, str(upload)))[1]
    assert 'There is no avatar "a"' in shown(handlers.delete(cast("gr.EventData", SimpleNamespace(name="a"))))[0]
    for hostile in ("", "{", "[1]", "null", '{"make": []}'):
        shown(hostile)


def test_names_are_escaped() -> None:
    page = making_panel(MakingState("<i>", "running", notes=("<b>",)), ["<u>"], "<s>")
    assert not any(f"<{tag}>" in page for tag in "ibus")
