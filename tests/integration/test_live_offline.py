"""Speech of a file that is heard as live, against live speech: the same frames, with small checkpoints."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.assets import VOICE
from musetalk.audio.whisper import WhisperFeatures
from musetalk.avatars.bundle import Avatar
from musetalk.lipsync import LipSync
from musetalk.pipeline.render import render_frames
from musetalk.progress import RenderRun
from musetalk.settings import CHUNK_SECONDS
from musetalk.streaming.types import LiveOptions
from musetalk.utils.arrays import Float32Array, UInt8Array
from tests.helpers.film import settings, write_film
from tests.helpers.handed import Handed, digest_of, watch_handed
from tests.helpers.media import decode_sound, write_wav
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
PAL, NTSC = Fraction(25), Fraction(30_000, 1001)
FRAMES, FACE = 8, range(2, 7)


@pytest.fixture(autouse=True)
def handed(monkeypatch: pytest.MonkeyPatch) -> Handed:
    return watch_handed(monkeypatch)


@pytest.fixture(autouse=True)
def quick_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of Whisper, which is slow if it is called for each 80 ms; every state hears all of its window, too."""

    def encode(self: WhisperFeatures, mel: Float32Array) -> Float32Array:
        here = mel.mean(axis=0).reshape(self.window_steps, -1).mean(axis=1) + 9 * mel.mean()
        return (
            np.outer(here, np.sin(np.arange(self.states * self.width)))
            .astype(np.float32)
            .reshape(self.window_steps, self.states, self.width)
        )

    monkeypatch.setattr(WhisperFeatures, "encode", encode)


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def avatars(
    engine: LipSync, small_portrait: UInt8Array, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Fraction, Avatar]:
    made = {}
    for fps in (PAL, NTSC):
        folder = tmp_path_factory.mktemp("avatars")
        film = write_film(folder, small_portrait, FRAMES, FACE, fps)
        made[fps] = engine.create_avatar(film, folder / "me", settings(models))
    return made


def said(fps: Fraction, rate: int, folder: Path) -> Path:
    """Words that last as long as the film."""
    return write_wav(folder / "words.wav", decode_sound(VOICE, rate)[: round(FRAMES * rate / fps)], rate)


def speak(engine: LipSync, avatar: Avatar, models: Path, words: Path, out: Path, **speech: object) -> None:
    engine.speak(avatar, words, out, avatar.settings_with({"models_dir": models, "speech": speech}))


def live(
    engine: LipSync, avatar: Avatar, models: Path, words: Path, seconds: float, lookahead: int | None, **speech: object
) -> list[bytes]:
    """Digests of the live frames of words that arrive in chunks of so many seconds."""
    with wave.open(str(words)) as file:
        rate, voice = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    options, size = LiveOptions(rate, None if lookahead is None else lookahead * CHUNK_SECONDS), round(seconds * rate)
    with engine.live(avatar, avatar.settings_with({"models_dir": models, "speech": speech}), options) as session:
        for start in range(0, len(voice), size):
            session.push(voice[start : start + size], rate, timeout=HANG_SECONDS)
        session.flush()
        return [digest_of(frame.picture) for frame in session.spoken()]


@pytest.mark.parametrize(
    ("fps", "rate", "seconds", "lookahead"),
    [(PAL, 8_000, 0.01, 2), (NTSC, 16_000, 0.08, 2), (NTSC, 24_000, 0.5, 0), (PAL, 48_000, 2.0, 3)],
)
def test_a_file_can_be_heard_as_live(
    handed: Handed,
    engine: LipSync,
    avatars: dict[Fraction, Avatar],
    models: Path,
    tmp_path: Path,
    fps: Fraction,
    rate: int,
    seconds: float,
    lookahead: int,
) -> None:
    words, out = said(fps, rate, tmp_path), tmp_path / "live.mp4"
    speak(engine, avatars[fps], models, words, out, seams="live", lookahead_chunks=lookahead)
    assert len(handed.frames[out]) == FRAMES
    assert live(engine, avatars[fps], models, words, seconds, lookahead) == handed.frames[out]


def test_who_waits_for_the_whole_voice_hears_as_the_settings_say(
    handed: Handed, engine: LipSync, avatars: dict[Fraction, Avatar], models: Path, tmp_path: Path
) -> None:
    words, avatar, unknown = said(PAL, 16_000, tmp_path), avatars[PAL], {"seams": "live", "lookahead_chunks": 0}
    speak(engine, avatar, models, words, tmp_path / "whole.mp4")
    speak(engine, avatar, models, words, tmp_path / "live.mp4", **unknown)
    assert not handed.same(tmp_path / "whole.mp4", tmp_path / "live.mp4")
    assert live(engine, avatar, models, words, 0.08, None, **unknown) == handed.frames[tmp_path / "live.mp4"]


def test_a_previewed_frame_is_heard_so_too(
    engine: LipSync, avatars: dict[Fraction, Avatar], models: Path, tmp_path: Path
) -> None:
    words, film, frame = said(PAL, 16_000, tmp_path), avatars[PAL].source, FACE.start + 2
    wanted = settings(models, speech={"seams": "live"})
    shown = engine.preview_frame(film, words, wanted, at=(frame + 0.5) / 25).result
    with engine.preparing(film, words, wanted, tmp_path) as plan:
        [rendered] = render_frames(plan, frame, frame + 1, RenderRun())
    assert shown is not None
    assert np.array_equal(shown, rendered)
