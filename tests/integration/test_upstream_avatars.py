"""Avatars to and from MuseTalk's cache: the same crops, masks, latents and pictures, and the same speech."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from musetalk.avatars.bundle import Avatar
from musetalk.avatars.upstream.cache import UpstreamAvatar, UpstreamFrame
from musetalk.avatars.upstream.importing import import_avatar
from musetalk.avatars.upstream.reading import read_upstream_cache
from musetalk.cli.main import app
from musetalk.cli.upstream_avatars import export_to
from musetalk.lipsync import LipSync
from musetalk.media.lossless import LosslessWriter
from musetalk.media.reader import read_frames
from musetalk.pipeline.prepare import RenderPlan
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.film import FACE, FILM, settings
from tests.helpers.media import decode

pytestmark = pytest.mark.integration

UNMATCHED = {"color": "none", "sharpness": "none"}
BACKENDS = {"v15": "musetalk-v15", "v1": "musetalk-v1"}


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def rgb_film(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film as RGB: so is what MuseTalk keeps, and what is painted on YCbCr lands on other samples."""
    out = tmp_path_factory.mktemp("rgb") / "film.mp4"
    pictures = decode(film)
    with LosslessWriter(out, (pictures[0].shape[1], pictures[0].shape[0]), Fraction(25)) as writer:
        for picture in pictures:
            writer.write(picture)
        writer.finish()
    return out


@pytest.fixture(scope="module", params=["v15", "v1"])
def avatar(
    engine: LipSync,
    rgb_film: Path,
    models: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Avatar:
    """An avatar of the film, in which a face comes and goes."""
    wanted = settings(models, backend=BACKENDS[request.param])
    return engine.create_avatar(rgb_film, tmp_path_factory.mktemp("avatars") / "film", wanted)


@pytest.fixture(scope="module")
def speaking(avatar: Avatar, models: Path) -> RenderSettings:
    return avatar.settings_with({"models_dir": models})


@pytest.fixture(scope="module")
def exported(
    engine: LipSync, avatar: Avatar, speaking: RenderSettings, tmp_path_factory: pytest.TempPathFactory
) -> UpstreamAvatar:
    folder = tmp_path_factory.mktemp("exported") / "film"
    notes = export_to(engine, avatar, folder, speaking)
    assert any(f"{FILM - len(FACE)} of {FILM} frames show no face" in note for note in notes)
    return read_upstream_cache(folder)


@pytest.fixture(scope="module")
def imported(exported: UpstreamAvatar, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return import_avatar(exported, tmp_path_factory.mktemp("imported") / "film", "film")


def test_what_is_exported_is_what_the_avatar_speaks_with(
    engine: LipSync, avatar: Avatar, speaking: RenderSettings, exported: UpstreamAvatar, tmp_path: Path
) -> None:
    assert (exported.info.avatar_id, exported.info.video_path, BACKENDS[exported.version]) == (
        "film",
        "film.mp4",
        speaking.backend,
    )
    with engine.preparing_avatar(avatar, speaking, tmp_path) as plan:
        pictures = list(read_frames(plan.source))
        for number in range(FILM):
            frame = exported.frame(number)
            assert np.array_equal(frame.picture, pictures[number])
            assert frame.mask.any() == (number in FACE)
            if number in FACE:
                check_frame(plan, number, frame)


def check_frame(plan: RenderPlan, number: int, frame: UpstreamFrame) -> None:
    """That a frame of MuseTalk's cache has the crop, the mask and the latents that the plan has."""
    (face,) = plan.face_plan.faces(number)
    crop = plan.session.cropper.own_crop(number, face)
    mask = plan.session.masker.mask(number, face, crop)
    x0, y0, x1, y1 = frame.box
    assert (x0, y0, x1 - x0, y1 - y0) == (crop.x, crop.y, crop.width, crop.height)
    top, left = mask.y - frame.mask_box[1], mask.x - frame.mask_box[0]
    height, width = mask.alpha.shape
    shown = frame.mask[top : top + height, left : left + width]
    assert np.abs(shown / 255 - mask.alpha).max() <= 0.5 / 255 + 1e-6
    assert int(frame.mask.sum()) == int(shown.sum())
    _, latents = plan.session.generator.latents(crop.crop(frame.picture)[None])  # type: ignore[attr-defined]
    assert np.abs(latents[0] - frame.latents.numpy()).max() < 1e-5


def test_there_and_back_again_is_the_same(
    engine: LipSync, imported: Avatar, exported: UpstreamAvatar, models: Path, tmp_path: Path
) -> None:
    wanted = imported.settings_with({"models_dir": models})
    export_to(engine, imported, tmp_path / "again", wanted)
    again = read_upstream_cache(tmp_path / "again")
    assert (again.version, again.info.bbox_shift) == (exported.version, exported.info.bbox_shift)
    assert np.array_equal(again.boxes, exported.boxes)
    assert np.array_equal(again.mask_boxes, exported.mask_boxes)
    for number in range(FILM):
        one, other = again.frame(number), exported.frame(number)
        assert torch.equal(one.latents, other.latents)
        assert np.array_equal(one.picture, other.picture)
        assert np.array_equal(one.mask, other.mask)


def test_an_imported_avatar_speaks_as_that_which_was_exported(
    engine: LipSync, avatar: Avatar, imported: Avatar, words: Path, models: Path, tmp_path: Path
) -> None:
    own = frames_of(engine, avatar, models, words, tmp_path / "own.mp4")
    theirs = frames_of(engine, imported, models, words, tmp_path / "theirs.mp4")
    assert len(own) == len(theirs) == FILM
    for number, (one, other, picture) in enumerate(zip(own, theirs, decode(avatar.source), strict=True)):
        changed = np.abs(one.astype(int) - picture)
        assert (changed.max() > 30) == (number in FACE)
        # MuseTalk's masks have 256 levels; the encoder loses nothing.
        apart = np.abs(one.astype(int) - other)
        assert apart.mean() < 0.01 and apart.max() <= 6


def frames_of(engine: LipSync, avatar: Avatar, models: Path, words: Path, out: Path) -> list[UInt8Array]:
    wanted = avatar.settings_with({"models_dir": models, "encoder": {"crf": 0}, "blend": UNMATCHED})
    report = engine.speak(avatar, words, out, wanted)
    assert not any("encoded anew" in note for note in report.warnings)
    return list(decode(out))


def test_an_imported_avatar_speaks_with_other_masks_and_backends_too(
    engine: LipSync, imported: Avatar, words: Path, models: Path, tmp_path: Path
) -> None:
    mask = imported.settings_with({"models_dir": models, "mask": {"shape": "jaw"}})
    report = engine.speak(imported, words, tmp_path / "jaw.mp4", mask)
    assert any("read again" in note for note in report.warnings)
    assert not any("encoded anew" in note for note in report.warnings)  # the crops are still MuseTalk's
    preview = imported.settings_with({"backend": "preview"})
    report = engine.speak(imported, words, tmp_path / "preview.mp4", preview)
    assert (report.backend, report.face_frames) == ("preview", len(FACE))


def test_the_command_exports_and_refuses_what_musetalk_cannot_keep(
    imported: Avatar, exported: UpstreamAvatar, models: Path, tmp_path: Path
) -> None:
    out = tmp_path / "theirs"

    def export(*said: object) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["avatar", "export", str(imported.folder), str(out), *map(str, said), "--quiet"])
        return done.exit_code, done.output + str(done.exception or "")

    assert "is for MuseTalk, not for preview" in export("--set", "backend=preview")[1]
    assert not out.exists()
    code, said = export("--set", f"models_dir={models}")
    assert code == 0, said
    assert np.array_equal(read_upstream_cache(out).boxes, exported.boxes)
    assert "there already" in export("--set", f"models_dir={models}")[1]
    assert export("--set", f"models_dir={models}", "--replace")[0] == 0
