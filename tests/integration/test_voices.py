"""Voices as people have them: what is heard of them moves the mouth, and what is odd is said before the render."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from musetalk.lipsync import LipSync
from musetalk.progress import ProgressEvent
from musetalk.settings import RenderSettings
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import decode_sound, ffmpeg, numbered_frames, stream_seconds, tone, write_video, write_wav

pytestmark = pytest.mark.integration

FAST = {"encoder": {"preset": "ultrafast"}}
SILENT = 'the voice "still.wav" is silent all through: there is nothing for a mouth to say'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_video(tmp_path / "source.mp4", numbered_frames(50, 128, 96))


@pytest.fixture
def still(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "still.wav", np.zeros(8000))


def engine() -> LipSync:
    return LipSync(detector=EverywhereAFace())


def test_a_silent_voice_is_said_before_the_render(tmp_path: Path, source: Path, still: Path) -> None:
    events: list[ProgressEvent] = []
    out, settings = tmp_path / "out.mp4", RenderSettings.parse(FAST)
    report = engine().render(source, still, out, settings, on_progress=events.append)
    told = next(number for number, event in enumerate(events) if SILENT in event.note)
    assert told < next(number for number, event in enumerate(events) if event.stage == "plan")
    assert SILENT in report.warnings
    preview = engine().preview_frame(source, still, settings, at=0.2)
    assert f"T{SILENT[1:]}." in preview.notes
    assert sum("silent" in note for note in preview.notes) == 1


@pytest.mark.parametrize("kind", ["opposite phases", "third channel", "second track"])
def test_a_voice_is_heard_wherever_it_is(tmp_path: Path, source: Path, kind: str) -> None:
    said = tone(1.0)
    path, settings = tmp_path / "voice.wav", dict(FAST)
    if kind == "opposite phases":
        write_wav(path, np.stack([said, -said], axis=1))
    elif kind == "third channel":
        write_wav(path, np.stack([0 * said, 0 * said, said], axis=1))
    else:
        path, settings = tmp_path / "voice.mkv", {**FAST, "voice_track": 2}
        tracks = [write_wav(tmp_path / f"{number}.wav", samples) for number, samples in enumerate((0 * said, said))]
        given = ("-i", str(tracks[0]), "-i", str(tracks[1]), "-map", "0", "-map", "1", "-c", "copy")
        ffmpeg(*given, "-disposition:a:0", "default", str(path))
    out = tmp_path / "out.mp4"
    report = engine().render(source, path, out, RenderSettings.parse(settings))
    assert max(report.loudness) > 0.8
    sides = np.frombuffer(ffmpeg("-i", str(out), "-ac", "2", "-f", "f32le", "-"), "<f4").reshape(-1, 2)
    assert np.abs(sides).max() > 0.1


def test_a_kept_tail_has_all_of_a_sound_that_changes_its_format(tmp_path: Path) -> None:
    """A broadcast of 2 s: surround, then stereo; the voice ends after 0.4 s."""
    parts = []
    for number, (channels, layout) in enumerate(((6, "5.1"), (2, "stereo"))):
        film = write_video(tmp_path / f"film{number}.mp4", numbered_frames(25, 128, 96))
        pan = "|".join(f"c{channel}=c0" for channel in range(channels))
        sound, part = tmp_path / f"{number}.ac3", tmp_path / f"{number}.ts"
        ffmpeg("-f", "lavfi", "-i", "aevalsrc=0.3*sin(2600*t):d=1:s=48000", "-af", f"pan={layout}|{pan}", str(sound))
        begin = ("-itsoffset", str(number))
        inputs = (*begin, "-i", str(film), *begin, "-i", str(sound), "-map", "0", "-map", "1", "-c", "copy")
        ffmpeg(*inputs, "-copyts", "-muxdelay", "0", str(part))
        parts.append(part.read_bytes())
    source = tmp_path / "source.ts"
    source.write_bytes(b"".join(parts))
    voice, out = write_wav(tmp_path / "voice.wav", tone(0.4)), tmp_path / "out.mp4"
    report = engine().render(source, voice, out, RenderSettings.parse({**FAST, "tail": "keep"}))
    assert report.frames == 50
    assert abs(stream_seconds(out, "a:0") - 2) < 0.05
    loud = np.abs(decode_sound(out)[8000:-2400]).reshape(-1, 800).max(axis=1)
    assert loud.min() > 0.1
    assert any("changes its format" in warning for warning in report.warnings)


def test_a_voice_without_speech_is_said(tmp_path: Path, source: Path) -> None:
    noise = write_wav(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.02, 16_000))
    report = engine().render(source, noise, tmp_path / "out.mp4", RenderSettings.parse(FAST))
    assert any(warning.startswith("no speech is heard in the voice") for warning in report.warnings)
