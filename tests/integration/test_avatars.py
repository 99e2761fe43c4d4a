"""Avatars from a source to a finished video: the same pixels as of a render, from what was kept."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.avatars.bundle import Avatar, file_facts, open_avatar, source_digest
from musetalk.avatars.manifest import FACES, LABELS, MANIFEST, manifest_id
from musetalk.backends.latent.vae import VaeEncoder
from musetalk.errors import AvatarError, Cancelled, FaceError, OutputError, SettingsError
from musetalk.faces.parsing.labels import FaceLabel
from musetalk.faces.parsing.parser import BiSeNetParser
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.pipeline.first_costs import BESIDE_NETWORKS
from musetalk.pipeline.forecast import CostBook, RenderKind
from musetalk.pipeline.render import render_frames
from musetalk.progress import CancelToken, ProgressEvent, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from scripts.generate import main as generate
from tests.helpers.command import musetalk
from tests.helpers.errors import raises_kind
from tests.helpers.film import FACE, FILM, settings, write_film, write_words
from tests.helpers.handed import Handed, watch_handed

pytestmark = pytest.mark.integration
PREVIEW = RenderSettings.parse({"backend": "preview", "detector": {"name": "haar"}, "blend": {"sharpness": "none"}})


class Faces:
    """Labels each face as an oval of skin that moves with it, with hair above."""

    at_once, fingerprint = 4, "ovals"

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        y, x = np.mgrid[:512, :512]
        oval = ((x - 256) / 150) ** 2 + ((y - 270) / 200) ** 2 < 1
        made = np.where(oval, FaceLabel.SKIN, np.where(y < 90, FaceLabel.HAIR, FaceLabel.BACKGROUND))
        return np.stack([np.roll(made, int(crop.mean()) % 7, axis=1) for crop in crops]).astype(np.uint8)


@pytest.fixture(autouse=True)
def handed(monkeypatch: pytest.MonkeyPatch) -> Handed:
    return watch_handed(monkeypatch)


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def avatar(engine: LipSync, film: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return engine.create_avatar(film, tmp_path_factory.mktemp("avatars") / "anna", PREVIEW)


@pytest.fixture
def copied(avatar: Avatar, tmp_path: Path) -> Path:
    return Path(shutil.copytree(avatar.folder, tmp_path / "copied"))


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small parser sees no face; this one does."""
    monkeypatch.setattr(BiSeNetParser, "labels", lambda _, crops: Faces().labels(crops))


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, whoever looks for faces, reads or encodes them fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this was known")

    def shut() -> None:
        monkeypatch.setattr("musetalk.pipeline.prepare.find_faces", refuse)
        monkeypatch.setattr("musetalk.pipeline.prepare.parse_faces", refuse)
        monkeypatch.setattr("musetalk.pipeline.components.ComponentLoader._load_detector", refuse)
        monkeypatch.setattr("musetalk.pipeline.components.ComponentLoader._parser", refuse)
        monkeypatch.setattr(VaeEncoder, "encode", refuse)

    return shut


def test_it_speaks_as_its_source_is_rendered(
    handed: Handed, engine: LipSync, avatar: Avatar, film: Path, tmp_path: Path, blind: Callable[[], None]
) -> None:
    longer = write_words(tmp_path, 2 * FILM + 3)
    rendered = engine.render(film, longer, tmp_path / "rendered.mp4", PREVIEW)
    blind()
    spoken = engine.speak(avatar, longer, tmp_path / "spoken.mp4")
    assert handed.same(tmp_path / "spoken.mp4", tmp_path / "rendered.mp4")
    assert (spoken.avatar, spoken.avatar_id) == ("anna", avatar.id)
    assert (rendered.avatar, rendered.avatar_id) == ("", "")
    told = ("frames", "face_frames", "spans", "loudness", "detector", "warnings", "versions")
    assert [getattr(spoken, name) for name in told] == [getattr(rendered, name) for name in told]
    assert "plan" in rendered.stages and "plan" not in spoken.stages
    assert {path.name for path in avatar.folder.iterdir()} == {MANIFEST, FACES, "source.mp4"}


@pytest.mark.usefixtures("seeing")
def test_networks_find_their_latents_and_labels_in_it(
    handed: Handed, engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path, blind: Callable[[], None]
) -> None:
    parsed = settings(models, mask={"shape": "jaw"}, silence={"mode": "rest"})
    engine.render(film, words, tmp_path / "rendered.mp4", parsed)
    engine.create_avatar(film, tmp_path / "anna", parsed, backends=["musetalk-v15", "preview"])
    engine.release()  # nor may what lies in memory help
    blind()
    made = open_avatar(tmp_path / "anna")
    report = engine.speak(made, words, tmp_path / "spoken.mp4", made.settings_with({"models_dir": str(models)}))
    assert handed.same(tmp_path / "spoken.mp4", tmp_path / "rendered.mp4")
    assert report.backend == "musetalk-v15" and report.fallback_frames == 0
    assert {LABELS, "latents-1.safetensors", "parsed-1.npz", "parsed-2.npz"} <= set(made.manifest.files)
    warped = made.settings_with({"models_dir": str(models), "backend": "preview", "silence": {"mode": "generate"}})
    assert engine.speak(made, words, tmp_path / "warped.mp4", warped).warnings == ()


@pytest.mark.usefixtures("seeing")
def test_what_it_was_not_prepared_for_is_done_and_told(
    handed: Handed, engine: LipSync, avatar: Avatar, film: Path, words: Path, models: Path, tmp_path: Path
) -> None:
    """The look may change: what that needs is read again; crops that lie elsewhere are encoded anew."""
    networks = settings(models, bbox_shift=0)
    made = engine.create_avatar(film, tmp_path / "anna", networks)
    moved = made.settings_with({"models_dir": str(models), "bbox_shift": 9})
    engine.release()
    report = engine.speak(made, words, tmp_path / "spoken.mp4", moved)
    engine.render(film, words, tmp_path / "rendered.mp4", settings(models, bbox_shift=9))
    assert handed.same(tmp_path / "spoken.mp4", tmp_path / "rendered.mp4")
    assert [note for note in report.warnings if f"{len(FACE)} of {len(FACE)} crops were encoded anew" in note]
    masked = avatar.settings_with({"models_dir": str(models), "mask": {"shape": "neck"}})
    report = engine.speak(avatar, words, tmp_path / "masked.mp4", masked)
    assert [note for note in report.warnings if "read again" in note]
    same = PREVIEW.model_copy(update={"models_dir": models, "mask": masked.mask})
    engine.render(film, words, tmp_path / "again.mp4", same)
    assert handed.same(tmp_path / "masked.mp4", tmp_path / "again.mp4")


def test_two_avatars_share_a_network_and_nothing_else(
    handed: Handed,
    engine: LipSync,
    film: Path,
    words: Path,
    bare_models: Path,
    small_portrait: UInt8Array,
    tmp_path: Path,
) -> None:
    other = write_film(tmp_path, np.ascontiguousarray(small_portrait[:, ::-1]), FILM, FACE)
    wanted = settings(bare_models)
    made = [engine.create_avatar(each, tmp_path / f"number{at}", wanted) for at, each in enumerate((film, other))]
    for at, source in enumerate((film, other)):
        engine.render(source, words, tmp_path / f"rendered{at}.mp4", wanted)
    engine.release()
    for turn, at in enumerate((0, 1, 0)):
        own, out = made[at].settings_with({"models_dir": str(bare_models)}), tmp_path / f"spoken{turn}.mp4"
        engine.speak(made[at], words, out, own)
        assert handed.same(out, tmp_path / f"rendered{at}.mp4")
    assert not handed.same(tmp_path / "rendered0.mp4", tmp_path / "rendered1.mp4")


def test_its_faces_are_not_in_the_forecast(avatar: Avatar, words: Path, tmp_path: Path) -> None:
    book, kind = tmp_path / "costs.json", RenderKind.of(avatar.settings)
    slow = BESIDE_NETWORKS.model_copy(update={"plan": 1e6, "parse": 1e6, "frames": 1})
    book.write_text(json.dumps({kind.key: slow.model_dump()}))
    told = list[ProgressEvent]()
    engine = LipSync(costs=CostBook(book, lambda _: slow))
    engine.speak(avatar, words, tmp_path / "spoken.mp4", on_progress=told.append)
    assert any(re.search(r"renders made here it takes about \d+ s;", event.note) for event in told)


def test_a_shorter_voice_has_the_faces_of_the_whole_source(engine: LipSync, avatar: Avatar, tmp_path: Path) -> None:
    """A render looks no further than its voice; an avatar has seen what comes, and live speech with it cannot know."""
    short = write_words(tmp_path, FACE.start + 4)
    report = engine.speak(avatar, short, tmp_path / "short.mp4")
    whole = engine.speak(avatar, write_words(tmp_path, FILM), tmp_path / "whole.mp4")
    assert (report.frames, report.face_frames, whole.face_frames) == (FACE.start + 4, 4, len(FACE))
    with raises_kind(FaceError):
        engine.speak(avatar, write_words(tmp_path, FACE.start - 1), tmp_path / "none.mp4")


def test_it_is_the_same_avatar_however_often_it_is_made(
    engine: LipSync, avatar: Avatar, film: Path, tmp_path: Path
) -> None:
    again = engine.create_avatar(film, tmp_path / "again", PREVIEW, name="Another Name")
    assert (again.id, again.name) == (avatar.id, "Another Name")
    other = engine.create_avatar(film, tmp_path / "other", PREVIEW.model_copy(update={"length": "loop"}))
    assert other.id != avatar.id


@pytest.mark.parametrize("as_folder", [False, True])
def test_pictures_speak_too(
    handed: Handed, engine: LipSync, words: Path, small_portrait: UInt8Array, tmp_path: Path, as_folder: bool
) -> None:
    source = tmp_path / ("pictures" if as_folder else "portrait.png")
    if as_folder:
        source.mkdir()
        for number in (2, 10, 1):  # in the order of their numbers, not of their letters
            Image.fromarray(np.roll(small_portrait, number, axis=1)).save(source / f"view {number}.png")
    else:
        Image.fromarray(small_portrait).save(source)
    made = engine.create_avatar(source, tmp_path / "anna", PREVIEW)
    engine.speak(made, words, tmp_path / "spoken.mp4")
    engine.render(source, words, tmp_path / "rendered.mp4", PREVIEW)
    assert handed.same(tmp_path / "spoken.mp4", tmp_path / "rendered.mp4")


def test_a_plan_without_a_voice_covers_the_source_and_reads_none_of_it(
    engine: LipSync, avatar: Avatar, tmp_path: Path
) -> None:
    with engine.preparing_avatar(avatar, avatar.settings, tmp_path) as plan:
        assert (plan.voice, plan.presence, plan.source.experience.frames) == (None, None, 0)
        assert (plan.timeline.frame_count, plan.timeline.spoken_count) == (FILM, FILM)
        assert [plan.timeline.source_frame(frame) for frame in (FILM, FILM + 1)] == [FILM - 2, FILM - 3]
        assert {frame for each in plan.segments if each.tracks for frame in range(each.start, each.stop)} == set(FACE)
        heard = EnvelopeTrack(np.ones((FILM, 2), np.float32), np.ones(FILM, np.bool_))
        voiced = replace(plan, session=replace(plan.session, speech=heard))
        made = list(render_frames(voiced, 0, FILM, RenderRun()))
        source = list(map(Frame.rgb, play(plan.source, plan.timeline, 0, FILM, spool_dir=plan.folder)))
    assert [at for at, pair in enumerate(zip(made, source, strict=True)) if not np.array_equal(*pair)] == list(FACE)
    assert list(tmp_path.iterdir()) == []


def test_what_was_decided_stays_decided(engine: LipSync, avatar: Avatar, words: Path, tmp_path: Path) -> None:
    with raises_kind(SettingsError, names=("detector.name",)):
        engine.speak(avatar, words, tmp_path / "spoken.mp4", RenderSettings(backend="preview"))
    with raises_kind(SettingsError, names=("face",)):
        avatar.settings_with({"face": "all"})
    with raises_kind(OutputError, path=avatar.source):
        engine.speak(avatar, words, avatar.source)
    assert open_avatar(avatar.folder).id == avatar.id


def test_nothing_is_left_of_one_that_was_stopped_or_could_not_be_made(
    engine: LipSync, avatar: Avatar, film: Path, sample: Path, bare_models: Path, tmp_path: Path
) -> None:
    networks = settings(bare_models)
    for stage, last, wanted in (("plan", 1, PREVIEW), ("parse", FILM, networks), ("finish", 0, PREVIEW)):
        cancel = CancelToken()

        def stop(event: ProgressEvent, at: tuple[str, int] = (stage, last), token: CancelToken = cancel) -> None:
            if (event.stage, event.done) == at:
                token.cancel()

        with pytest.raises(Cancelled):
            engine.create_avatar(film, tmp_path / "a", wanted, on_progress=stop, cancel=cancel)
    Image.new("RGB", (320, 240)).save(tmp_path / "grey.png")
    with raises_kind(FaceError):
        engine.create_avatar(tmp_path / "grey.png", tmp_path / "b", PREVIEW)
    with raises_kind(AvatarError, path=avatar.folder):
        engine.create_avatar(sample, avatar.folder, PREVIEW)
    assert [path.name for path in tmp_path.iterdir()] == ["grey.png"]


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object], *, sealed: bool = True) -> None:
    """Change a manifest; `sealed`: as somebody would who makes their own, so that its id fits again."""
    values = json.loads((folder / MANIFEST).read_text())
    change(values)
    if sealed:
        values["id"] = manifest_id(values)
    (folder / MANIFEST).write_text(json.dumps(values))


def overwritten(path: Path, at: int) -> None:
    stored = bytearray(path.read_bytes())
    stored[at] ^= 1
    path.write_bytes(stored)


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: overwritten(folder / "source.mp4", 1000), "source.mp4 has other content"),
        (lambda folder: (folder / "source.mp4").write_bytes(b""), "0 bytes"),
        (lambda folder: (folder / FACES).unlink(), "missing"),
        (lambda folder: linked(folder / FACES), "no file of its own"),
        (lambda folder: (folder / MANIFEST).write_text("{" * 100_000), "no JSON"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "no description"),
        (lambda folder: (folder / MANIFEST).unlink(), "no avatar"),
        (lambda folder: linked(folder / MANIFEST), "no file of its own"),
        (lambda folder: ((folder / MANIFEST).unlink(), os.mkfifo(folder / MANIFEST)), "no file of its own"),
        (lambda folder: rewritten(folder, lambda its: its.update(format=2)), "of format 2"),
        (lambda folder: rewritten(folder, lambda its: its.update(extra=1)), "extra"),
        (lambda folder: rewritten(folder, lambda its: its.update(name="../x")), "can be called"),
        (lambda folder: rewritten(folder, lambda its: its["source"].update(width=2), sealed=False), "its id"),
        (lambda folder: rewritten(folder, lambda its: its["source"].update(width=2)), "another source"),
        (lambda folder: rewritten(folder, lambda its: its["source"].update(frames=2**40)), "source.frames"),
        (lambda folder: rewritten(folder, lambda its: its["source"].update(fps="0/1")), "source.fps"),
        (lambda folder: rewritten(folder, lambda its: its["source"].update(name="\x1b[2J")), "source.name"),
        (lambda folder: rewritten(folder, lambda its: its.update(notes=["\ud800"])), "notes.0"),
        (lambda folder: rewritten(folder, lambda its: its["source"].update(file="/etc/hosts")), "does not list"),
        (lambda folder: rewritten(folder, lambda its: its["files"].update({"../x": its["files"][FACES]})), "'../x'"),
        (lambda folder: rewritten(folder, lambda its: its["files"][FACES].update(size=2**50)), "bytes instead of"),
        (lambda folder: rewritten(folder, lambda its: its["backends"][0].update(parsed="x.npz")), "does not list"),
        (lambda folder: rewritten(folder, lambda its: its["settings"].update(debug_dir="debug")), "debug_dir"),
        (lambda folder: rewritten(folder, lambda its: its["settings"].update(face=["a"])), "face"),
    ],
)
def test_what_is_damaged_is_refused_with_the_reason(
    copied: Path, damage: Callable[[Path], object], reason: str
) -> None:
    damage(copied)
    with pytest.raises(AvatarError, match=re.escape(reason)):
        open_avatar(copied)


def test_faces_that_cannot_be_are_refused(copied: Path, avatar: Avatar) -> None:
    far = replace(avatar.faces, boxes=avatar.faces.boxes + np.float32([0, 0, 1e9, 1e9, 0]))
    far.save(copied / FACES, source_digest(avatar.manifest.files))
    rewritten(copied, lambda its: its["files"].update({FACES: file_facts(copied / FACES).model_dump()}))
    with pytest.raises(AvatarError, match="far outside"):
        open_avatar(copied)


def test_it_may_be_renamed_and_moved(engine: LipSync, copied: Path, avatar: Avatar, words: Path) -> None:
    rewritten(copied, lambda its: its.update(name="berta", made_by="9.9"))
    moved = open_avatar(copied.rename(copied.with_name("berta")))
    assert (moved.id, moved.name) == (avatar.id, "berta")
    report = engine.speak(moved, words, copied.with_name("out.mp4"))
    assert report.avatar == "berta"


def test_the_command_line_makes_shows_speaks_and_deletes(
    handed: Handed, film: Path, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSETALK_AVATARS", str(tmp_path / "store"))
    look = ("--detector", "haar", "--feather", "0.2", "--preset", "ultrafast")
    code, said, complaint = musetalk("avatar", "create", film, "--name", "anna", "--backend", "preview", *look)
    assert code == 0, complaint
    assert f"{FILM} frames" in said and str(tmp_path / "store" / "anna") in said
    code, said, _ = musetalk("avatar", "show", "anna", "--json")
    assert code == 0
    own = json.loads(said)
    assert own["settings"]["mask"]["feather"] == 0.2
    spoken, rendered, report = tmp_path / "spoken.mp4", tmp_path / "rendered.mp4", tmp_path / "report.json"
    code, said, complaint = musetalk("speak", own["id"][:8], words, "-o", spoken, "--report", report, "--crf", "30")
    assert code == 0, complaint
    assert "the avatar anna" in said
    assert json.loads(report.read_text())["avatar_id"] == own["id"]
    code, _, complaint = musetalk("render", film, words, "-o", rendered, *look, "--backend", "preview", "--crf", "30")
    assert code == 0, complaint
    assert handed.same(spoken, rendered)
    code, said, _ = musetalk("avatar", "list")
    assert code == 0 and said.startswith("anna: ")
    code, _, complaint = musetalk("speak", "anna", words, "-o", spoken, "--set", "face=all")
    assert code == 2 and 'the setting "face" is decided by the avatar' in complaint
    code, said, _ = musetalk("avatar", "delete", "anna")
    assert code == 0 and not (tmp_path / "store" / "anna").exists()
    code, _, complaint = musetalk("avatar", "show", "anna")
    assert code == 1 and "no avatar" in complaint


def test_the_forks_command_line_speaks_with_it(
    handed: Handed, avatar: Avatar, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: LipSync
) -> None:
    out = tmp_path / "spoken.mp4"
    flags = ["--avatar_id", "anna", "--avatar_root", str(avatar.folder.parent), "--audio_path", str(words)]
    flags += ["--output_path", str(out), "--batch_size", "4"]
    with pytest.raises(SystemExit) as ended:
        generate([*flags, "--fps", "25"])
    assert ended.value.code == 0
    assert "the avatar anna" in capsys.readouterr().out
    engine.speak(avatar, words, tmp_path / "same.mp4")
    assert handed.same(out, tmp_path / "same.mp4")
    with pytest.raises(SystemExit) as ended:
        generate([*flags, "--fps", "30"])
    assert ended.value.code == 2
    assert "--fps 30" in capsys.readouterr().err
