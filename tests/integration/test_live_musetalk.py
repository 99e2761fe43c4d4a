"""MuseTalk speaking live, with small checkpoints."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from musetalk.avatars.bundle import Avatar
from musetalk.cli.weights import app
from musetalk.errors import WeightsError
from musetalk.lipsync import LipSync
from musetalk.pipeline.render import output_frames
from musetalk.progress import RenderRun
from musetalk.streaming.types import LiveFrame, LiveOptions
from musetalk.utils.arrays import Int16Array, UInt8Array
from musetalk.weights.lock import LOCK_NAME, read_lock
from tests.helpers.errors import raises_kind
from tests.helpers.film import FACE, FILM, settings
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """Nothing is left running."""


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def avatar(engine: LipSync, film: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return engine.create_avatar(film, tmp_path_factory.mktemp("avatars") / "me", settings(models))


@pytest.fixture(scope="module")
def rendered(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[UInt8Array]:
    with engine.preparing(film, words, settings(models), tmp_path_factory.mktemp("plan")) as plan:
        return [frame.picture.data for frame in output_frames(plan, 0, FILM, RenderRun())]


def samples_of(words: Path) -> Int16Array:
    with wave.open(str(words)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def spoken(
    engine: LipSync, avatar: Avatar, models: Path, words: Path, chunk: int, options: LiveOptions
) -> list[LiveFrame]:
    wanted = avatar.settings_with({"models_dir": models})
    with engine.live(avatar, wanted, options) as session:
        voice = samples_of(words)
        for start in range(0, len(voice), chunk):
            session.push(voice[start : start + chunk], timeout=HANG_SECONDS)
        session.flush()
        return list(session.spoken())


def test_live_frames_are_those_of_a_render_where_all_of_the_voice_is_waited_for(
    engine: LipSync, avatar: Avatar, models: Path, words: Path, rendered: list[UInt8Array]
) -> None:
    frames = spoken(engine, avatar, models, words, 1000, LiveOptions(lookahead=None))
    assert len(frames) == FILM
    assert all(np.array_equal(frame.picture.data, picture) for frame, picture in zip(frames, rendered, strict=True))


def test_a_voice_is_painted_while_it_arrives_the_same_however_it_is_cut(
    engine: LipSync, avatar: Avatar, models: Path, words: Path
) -> None:
    found = [spoken(engine, avatar, models, words, chunk, LiveOptions()) for chunk in (160, 1280, 10_240)]
    for frames in found:
        assert len(frames) == FILM
        assert all(
            np.array_equal(*pair)
            for pair in zip((f.picture.data for f in frames), (f.picture.data for f in found[0]), strict=True)
        )
    painted = [
        number for number, frame in enumerate(found[0]) if not np.array_equal(frame.picture.data, frame.source.data)
    ]
    assert painted == list(FACE)


def test_it_speaks_with_the_weights_that_are_exported_for_it_and_nothing_else_does(
    avatar: Avatar, film: Path, words: Path, models: Path, tmp_path: Path, rendered: list[UInt8Array]
) -> None:
    lean, options = tmp_path / "lean", LiveOptions(lookahead=None)
    command = ["export", "--streaming", str(lean), "--dtype", "fp32", "--models-dir", str(models)]
    assert CliRunner().invoke(app, command).exit_code == 0
    places = {str(path.relative_to(lean)) for path in lean.rglob("*") if path.is_file() and path.name[0] != "."}
    recorded = read_lock(lean)
    assert places == {
        "musetalkV15/musetalk.json",
        "musetalkV15/unet.lean.safetensors",
        "sd-vae/config.json",
        "sd-vae/decoder.lean.safetensors",
        "whisper/config.json",
        "whisper/preprocessor_config.json",
        "whisper/model.lean.safetensors",
        LOCK_NAME,
    }
    assert set(recorded) == places - {LOCK_NAME}
    assert all(entry.source.endswith(("MIT", "Apache-2.0")) for entry in recorded.values())
    assert CliRunner().invoke(app, ["verify", "--models-dir", str(lean)]).output.count(": ready") == len(recorded)

    engine = LipSync()
    frames = spoken(engine, avatar, lean, words, 1000, options)
    assert all(np.array_equal(frame.picture.data, picture) for frame, picture in zip(frames, rendered, strict=True))
    with pytest.raises(WeightsError, match=r"sd-vae/diffusion_pytorch_model\.safetensors missing"):
        engine.render(film, words, tmp_path / "out.mp4", settings(lean))
    with raises_kind(WeightsError, path=lean / "sd-vae"):  # its crops lie elsewhere than those that it was made with
        engine.speak(avatar, words, tmp_path / "out.mp4", avatar.settings_with({"models_dir": lean, "bbox_shift": 5}))


def test_it_begins_before_the_voice_has_ended(engine: LipSync, avatar: Avatar, models: Path, words: Path) -> None:
    wanted = avatar.settings_with({"models_dir": models})
    voice = samples_of(words)
    with engine.live(avatar, wanted, LiveOptions(lookahead=Fraction(2, 25))) as session:
        session.push(voice[: len(voice) // 2])
        frame = session.take(HANG_SECONDS)
        assert frame is not None
        assert frame.utterance == 0


def test_sessions_speak_at_the_same_time_with_one_model(
    engine: LipSync, avatar: Avatar, models: Path, words: Path
) -> None:
    wanted, options = avatar.settings_with({"models_dir": models}), LiveOptions(lookahead=None)
    alone = spoken(engine, avatar, models, words, 1000, options)
    with engine.live(avatar, wanted, options) as first, engine.live(avatar, wanted, options) as second:
        for session in (first, second):
            session.push(samples_of(words))
            session.flush()
        found = [list(session.spoken()) for session in (first, second)]
    for frames in found:
        assert len(frames) == len(alone)
        for frame, own in zip(frames, alone, strict=True):
            assert np.array_equal(frame.picture.data, own.picture.data)
