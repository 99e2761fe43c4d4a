"""Sound whose format changes on the way, whose timestamps have gaps or begin anew: nothing added, nothing lost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.media.probe import probe_source, probe_voice
from musetalk.media.sound.voice import (
    SPEECH_RATE,
    Voice,
    extract_sound_of,
    extract_voice,
    read_excerpt,
    read_speech,
    unextracted_voice,
)
from musetalk.settings import Limits
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav

pytestmark = pytest.mark.slow

SECONDS = 0.6  # of a part
QUIET = 0.01


@dataclass(frozen=True)
class Kind:
    """Two parts, (channels, rate) each, how they are coded, and in which container they lie together."""

    name: str
    suffix: str
    parts: tuple[tuple[int, int], tuple[int, int]]
    options: tuple[str, ...] = ()
    container: str = ""


MONO, STEREO, SURROUND = (1, 48_000), (2, 48_000), (6, 48_000)
BARE = ("-write_xing", "0", "-id3v2_version", "0")
KINDS = (
    Kind("mono to stereo, MP3", "mp3", ((1, 44_100), (2, 44_100)), BARE),
    Kind("24 to 44.1 kHz, MP3", "mp3", ((1, 24_000), (1, 44_100)), BARE),
    Kind("44.1 to 24 kHz, MP3", "mp3", ((2, 44_100), (1, 24_000)), BARE),
    Kind("mono to stereo, MP3 in Matroska", "mp3", ((1, 44_100), (2, 44_100)), BARE, "mkv"),
    Kind("mono to stereo, MP3 in QuickTime", "mp3", ((1, 44_100), (2, 44_100)), BARE, "mov"),
    Kind("24 to 44.1 kHz, MP3 in Matroska", "mp3", ((1, 24_000), (1, 44_100)), BARE, "mkv"),
    Kind("5.1 to stereo, AC-3", "ac3", (SURROUND, STEREO)),
    Kind("stereo to 5.1, AC-3 in MP4", "ac3", (STEREO, SURROUND), (), "mp4"),
    Kind("5.1 to stereo, AC-3 in a transport stream", "ts", (SURROUND, STEREO), ("-c:a", "ac3")),
    Kind("5.1 to stereo, AAC in a transport stream", "ts", (SURROUND, STEREO), ("-c:a", "aac")),
    Kind("mono to stereo and to another rate, ADTS", "aac", ((1, 44_100), STEREO)),
    Kind("mono to stereo and to another rate, MPEG-1 layer 2", "mp2", ((1, 32_000), STEREO)),
    Kind("5.1 to mono, Enhanced AC-3", "eac3", (SURROUND, MONO)),
    Kind("mono to stereo, chained Vorbis", "ogg", ((1, 44_100), (2, 44_100)), ("-c:a", "libvorbis")),
    Kind("stereo to mono, chained Opus", "opus", (STEREO, MONO)),
    Kind("mono to stereo, FLAC", "flac", (MONO, STEREO)),
    Kind("the same format twice, FLAC", "flac", (MONO, MONO)),
    Kind("the same format twice, chained Vorbis", "ogg", (MONO, MONO), ("-c:a", "libvorbis")),
)


def sine(path: Path, hertz: int, channels: int, rate: int, *options: str) -> Path:
    """A tone, the same in all channels; its seconds as `SECONDS`."""
    tone = f"aevalsrc=0.3*sin(2*PI*{hertz}*t):d={SECONDS}:s={rate}"
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    pan = "|".join(f"c{channel}=c0" for channel in range(channels))
    ffmpeg("-f", "lavfi", "-i", tone, "-af", f"pan={layout}|{pan}", *options, f"file:{path}")
    return path


def joined(folder: Path, kind: Kind) -> tuple[Path, float]:
    """The parts of a kind as one file, and how many seconds of sound they hold."""
    paths = [
        sine(folder / f"{number}.{kind.suffix}", hertz, channels, rate, *kind.options)
        for number, (hertz, (channels, rate)) in enumerate(zip((300, 500), kind.parts, strict=True))
    ]
    true = 2 * SECONDS if kind.suffix in ("ogg", "opus") else sum(float(packet_seconds(path)) for path in paths)
    whole = folder / f"whole.{kind.suffix}"
    whole.write_bytes(b"".join(path.read_bytes() for path in paths))
    if kind.container:
        inside = folder / f"inside.{kind.container}"
        ffmpeg("-i", str(whole), "-c", "copy", str(inside))
        whole = inside
    return whole, true


def packet_seconds(path: Path) -> Fraction:
    """What a file's packets hold, by their durations."""
    text = ffmpeg("-i", str(path), "-c", "copy", "-f", "framecrc", "-").decode()
    tick = Fraction(re.search(r"#tb 0: (\S+)", text)[1])  # type: ignore[index]
    return sum(int(line.split(",")[3]) for line in text.splitlines() if not line.startswith("#")) * tick


def heard(voice: Voice) -> np.ndarray:
    return np.concatenate(list(read_speech(voice)))


def silences(samples: np.ndarray) -> list[tuple[float, float]]:
    """Where nothing is heard for 50 ms or more: (start, length) in seconds."""
    step = SPEECH_RATE // 200
    loud = np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(axis=1) > QUIET
    edges = np.flatnonzero(np.diff(np.concatenate([[True], loud, [True]]).astype(int)))
    return [(start / 200, (stop - start) / 200) for start, stop in edges.reshape(-1, 2) if stop - start >= 10]


def hertz_of(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * SPEECH_RATE / len(samples))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_change_inside_adds_nothing(tmp_path: Path, kind: Kind) -> None:
    path, true = joined(tmp_path, kind)
    voice = extract_voice(path, tmp_path, Limits())
    # A frame of MPEG audio, in which the rate changes, ffmpeg takes for one of the rate before.
    late = 0.025 if kind.suffix == "mp3" and len({rate for _, rate in kind.parts}) > 1 else 0.001
    assert -0.03 <= float(voice.seconds) - true <= late
    samples = heard(voice)
    assert len(samples) == pytest.approx(float(voice.seconds) * SPEECH_RATE, abs=2)
    assert silences(samples) == []
    part = SPEECH_RATE // 4
    assert hertz_of(samples[part // 2 : part // 2 + part]) == pytest.approx(300, abs=8)
    assert hertz_of(samples[-part - part // 2 : -part // 2]) == pytest.approx(500, abs=8)
    changes = kind.parts[0] != kind.parts[1]
    assert any("changes its format" in note for note in voice.notes) == changes
    assert not any("lost" in note for note in voice.notes)
    assert voice.channels == min(2, max(channels for channels, _ in kind.parts))


def test_packets_of_another_rate_are_no_sound_that_is_lost(tmp_path: Path) -> None:
    """Without times all packets are taken for as long as the first ones, here three times too long."""
    path, true = joined(tmp_path, Kind("16 to 48 kHz", "aac", ((1, 16_000), STEREO)))
    assert float(probe_voice(path, Limits()).seconds) > true + 0.5
    voice = extract_voice(path, tmp_path, Limits())
    assert float(voice.seconds) == pytest.approx(true, abs=0.03)
    assert [note for note in voice.notes if "changes its format" not in note] == []


def test_a_preview_of_a_long_voice_hears_the_same(tmp_path: Path) -> None:
    path, true = joined(tmp_path, KINDS[3])
    facts = probe_voice(path, Limits())
    assert float(facts.seconds) == pytest.approx(true, abs=0.03)
    whole = heard(extract_voice(path, tmp_path, Limits()))
    excerpt = np.concatenate(list(read_excerpt(unextracted_voice(facts), 0.3, 0.7, tmp_path)))
    assert len(excerpt) == pytest.approx(0.7 * SPEECH_RATE, abs=200)
    assert silences(excerpt[SPEECH_RATE // 10 :]) == []  # MP3 needs some frames to begin
    middle = slice(len(excerpt) // 2, len(excerpt) // 2 + 2000)
    matches = [
        np.corrcoef(excerpt[middle], whole[middle.start + at : middle.stop + at])[0, 1] for at in range(4600, 5000)
    ]
    assert max(matches) > 0.95  # 0.3 s later, up to where a frame of MP3 begins
    assert list(tmp_path.glob("tmp*")) == []


@pytest.mark.parametrize("second", [STEREO, SURROUND], ids=["in one format", "where the format changes"])
def test_a_gap_stays_where_it_is(tmp_path: Path, second: tuple[int, int]) -> None:
    """Two parts of a broadcast with 0.4 s between them, sound beginning 0.2 s after the picture."""
    parts = []
    for number, (hertz, (channels, rate), start) in enumerate(((300, STEREO, 0.2), (500, second, 1.2))):
        film = write_video(tmp_path / f"film{number}.mp4", numbered_frames(25 if number == 0 else 15))
        sound = sine(tmp_path / f"{number}.ac3", hertz, channels, rate)
        part = tmp_path / f"part{number}.ts"
        offsets = ("-itsoffset", str(number), "-i", str(film), "-itsoffset", str(start), "-i", str(sound))
        ffmpeg(*offsets, "-map", "0", "-map", "1", "-c", "copy", "-copyts", "-muxdelay", "0", str(part))
        parts.append(part.read_bytes())
    path = tmp_path / "whole.ts"
    path.write_bytes(b"".join(parts))
    voice = extract_voice(path, tmp_path, Limits())
    quiet = silences(heard(voice))
    assert [round(start, 1) for start, _ in quiet] == [0.0, 0.8]
    assert [length for _, length in quiet] == pytest.approx([0.2, 0.4], abs=0.05)
    own = extract_sound_of(probe_source(path, Limits()), tmp_path, Limits())
    assert own is not None
    assert own.samples == voice.samples


@pytest.mark.parametrize("suffix", ["nut", "mkv"])
def test_hours_between_two_packets_are_not_believed(tmp_path: Path, suffix: str) -> None:
    """They would become hours of silence on disk."""
    voice = write_wav(tmp_path / "voice.wav", tone(1.0))
    path = tmp_path / f"jump.{suffix}"
    late = "asetnsamples=800:p=0,asetpts='PTS+gte(N,10)*90000/TB'"
    ffmpeg("-i", str(voice), "-af", late, "-c:a", "pcm_s16le", str(path))
    heard = extract_voice(path, tmp_path, Limits())
    assert heard.seconds == 1
    assert any("times that cannot be right" in note for note in heard.notes)


def test_a_tenth_of_a_second_is_enough(tmp_path: Path) -> None:
    assert extract_voice(write_wav(tmp_path / "short.wav", tone(0.1)), tmp_path, Limits()).seconds == Fraction(1, 10)


def test_samples_that_follow_each_other_are_the_voice_to_the_letter(tmp_path: Path) -> None:
    """Neither mono nor stereo is touched where there is nothing to mend."""
    rng = np.random.default_rng(0)
    stereo = rng.uniform(-0.5, 0.5, (30_011, 2))
    for samples in (stereo[:, 0], stereo):
        path = write_wav(tmp_path / "given.wav", samples, 44_100)
        voice = extract_voice(path, tmp_path, Limits())
        written = np.frombuffer(voice.path.read_bytes()[-samples.size * 4 :], "<f4").reshape(samples.shape)
        np.testing.assert_allclose(written, samples, atol=1 / 16_000)
        assert voice.speech == voice.path
        assert voice.notes == ()


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_times_of_ogg_pages_that_are_rounded_bend_nothing(tmp_path: Path, rate: int) -> None:
    """Vorbis has short and long blocks, and the times of pages are off by the difference."""
    times = np.arange(4 * rate) / rate
    clicks = tone(4.0, rate) * (times % 0.19 < 0.06)
    path = tmp_path / "voice.ogg"
    ffmpeg("-i", str(write_wav(tmp_path / "said.wav", clicks, rate)), "-c:a", "libvorbis", str(path))
    plain = np.frombuffer(ffmpeg("-i", str(path), "-f", "f32le", "-"), "<f4")
    voice = extract_voice(path, tmp_path, Limits())
    assert voice.samples == len(plain)
    np.testing.assert_array_equal(np.frombuffer(voice.path.read_bytes()[-plain.size * 4 :], "<f4"), plain)


@pytest.mark.parametrize("rates", [(48_000, 96_000), (96_000, 48_000), (44_100, 48_000), (16_000, 16_000)])
@pytest.mark.parametrize("seconds", [(1.5, 1.5), (1.3, 0.7)])
def test_flac_files_end_to_end_last_as_long_as_both(
    tmp_path: Path, rates: tuple[int, int], seconds: tuple[float, float]
) -> None:
    joined = tmp_path / "joined.flac"
    with joined.open("wb") as file:
        for rate, length in zip(rates, seconds, strict=True):
            part = write_wav(tmp_path / "part.wav", tone(length, rate), rate)
            ffmpeg("-i", str(part), "-c:a", "flac", str(tmp_path / "part.flac"))
            file.write((tmp_path / "part.flac").read_bytes())
    voice = extract_voice(joined, tmp_path, Limits())
    assert (voice.rate, voice.seconds) == (max(rates), Fraction(str(sum(seconds))))
    assert not list(tmp_path.glob("*.link"))


@pytest.mark.parametrize("stretch", [1.004, 0.996])
def test_a_clock_that_runs_wrong_makes_neither_gaps_nor_jumps(tmp_path: Path, stretch: float) -> None:
    path = tmp_path / "drift.mkv"
    tone = "aevalsrc=0.3*sin(2*PI*300*t):d=40:s=16000"
    ffmpeg("-f", "lavfi", "-i", tone, "-af", f"asetpts=PTS*{stretch}", "-c:a", "pcm_f32le", str(path))
    voice = extract_voice(path, tmp_path, Limits())
    assert float(voice.seconds) == pytest.approx(40 * stretch, abs=0.05)
    samples = heard(voice)
    assert silences(samples) == []
    assert np.abs(np.diff(samples)).max() < 1.1 * 0.3 * 2 * np.pi * 300 / SPEECH_RATE


@pytest.mark.parametrize(("suffix", "codec"), [("wma", "wmav2"), ("wma", "wmav1"), ("avi", "wmav2")])
@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_windows_media_audio_begins_with_its_first_sample(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    said = tone(1.0, rate=rate) * np.linspace(1, 0.2, rate)
    path = tmp_path / f"a.{suffix}"
    ffmpeg("-i", str(write_wav(tmp_path / "said.wav", said, rate)), "-c:a", codec, "-b:a", "64k", str(path))
    samples = heard(extract_voice(path, tmp_path, Limits()))
    wanted = heard(extract_voice(tmp_path / "said.wav", tmp_path, Limits()))
    shifts = range(-60, 61)
    middle = slice(100, 12_000)
    likeness = [np.corrcoef(wanted[middle], samples[middle.start + by : middle.stop + by])[0, 1] for by in shifts]
    assert max(likeness) > 0.95
    assert abs(shifts[int(np.argmax(likeness))]) <= SPEECH_RATE // 1000  # packets' times are milliseconds
    first = slice(SPEECH_RATE // 30)
    assert np.abs(samples[first]).mean() == pytest.approx(np.abs(wanted[first]).mean(), rel=0.2)
    assert len(samples) == pytest.approx(len(wanted), abs=2048 * SPEECH_RATE / rate)
    if suffix == "avi":  # in the middle it has no times as exact as that
        return
    facts = probe_voice(path, Limits())
    excerpt = np.concatenate(list(read_excerpt(unextracted_voice(facts), 0.3, 0.3, tmp_path)))
    likeness = [np.corrcoef(excerpt[1000:4000], samples[5800 + by : 8800 + by])[0, 1] for by in shifts]
    assert abs(shifts[int(np.argmax(likeness))]) <= SPEECH_RATE // 1000
