"""What is heard of a voice: in any channel, of any track, with any numbers; and what is said of it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import Cancelled, VoiceError
from musetalk.media.sound.voice import SPEECH_RATE, Voice, extract_voice, read_speech
from musetalk.media.sound.wav import read_wav
from musetalk.progress import CancelToken
from musetalk.settings import Limits
from tests.helpers.errors import raises_kind
from tests.helpers.media import decode_sound, ffmpeg, tone, write_wav

pytestmark = pytest.mark.slow

RATE = 16_000


def extract(path: Path, track: int | None = None) -> Voice:
    return extract_voice(path, path.parent, Limits(), track=track)


def heard(voice: Voice) -> np.ndarray:
    return np.concatenate(list(read_speech(voice)))


def stored(voice: Voice) -> np.ndarray:
    """The samples that are heard: float32 [n, channels]."""
    raw = ffmpeg("-i", str(voice.path), "-f", "f32le", "-")
    return np.frombuffer(raw, "<f4").reshape(-1, voice.channels)


def alike(found: np.ndarray, expected: np.ndarray) -> float:
    """How much of the expected is in what was found, whatever its level and sign."""
    return float(abs(np.corrcoef(found, expected)[0, 1]))


def write_floats(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write float samples, [n] or [n, channels], as 32-bit float WAV, whatever they are."""
    data = np.ascontiguousarray(samples, "<f4").tobytes()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    form = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def noise(count: int, level: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, count)


def test_opposite_phases_are_heard_and_kept(tmp_path: Path) -> None:
    said = tone(2.0)
    voice = extract(write_wav(tmp_path / "opposite.wav", np.stack([said, -said], axis=1)))
    assert alike(heard(voice), said) > 0.999
    assert np.abs(heard(voice)).max() == pytest.approx(np.abs(said).max(), rel=0.01)
    left, right = stored(voice).T
    np.testing.assert_array_equal(left, -right)
    assert voice.notes == (
        'the voice "opposite.wav" has left and right opposite in phase: a loudspeaker in mono will not play it',
    )


@pytest.mark.parametrize("louder", [0.4, 0.7, 1.4])
def test_opposite_phases_of_different_levels_are_heard(tmp_path: Path, louder: float) -> None:
    said = 0.5 * tone(1.0)
    voice = extract(write_wav(tmp_path / "a.wav", np.stack([said, -louder * said], axis=1)))
    assert alike(heard(voice), said) > 0.999
    assert np.square(heard(voice)).mean() > 0.2 * np.square(said).mean()


def test_where_only_a_part_is_opposite_all_of_it_is_heard(tmp_path: Path) -> None:
    said = tone(3.0)
    sign = np.where(np.arange(len(said)) < 1.5 * RATE, 1.0, -1.0)
    found = heard(extract(write_wav(tmp_path / "a.wav", np.stack([said, sign * said], axis=1))))
    for part in (slice(0, RATE), slice(2 * RATE, 3 * RATE)):
        assert alike(found[part], said[part]) > 0.999
    loudness = np.sqrt(np.square(found).reshape(-1, RATE // 4).mean(axis=1))
    assert loudness.min() > 0.4 * loudness.max()


def test_ordinary_stereo_is_the_mean_of_both(tmp_path: Path) -> None:
    left, right = tone(1.0, hertz=200) + noise(RATE, 0.01), 0.5 * tone(1.0, hertz=310) + noise(RATE, 0.01, 2)
    voice = extract(write_wav(tmp_path / "a.wav", np.stack([left, right], axis=1)))
    assert voice.speech == voice.path
    assert alike(heard(voice), left + right) > 0.999_999


PLACES = [*((3, place) for place in range(3)), (4, 3), *((6, place) for place in (2, 3, 5)), (8, 7)]


@pytest.mark.parametrize(("channels", "place"), PLACES)
def test_a_voice_in_any_channel_is_heard(tmp_path: Path, channels: int, place: int) -> None:
    said = tone(0.5)
    samples = noise(len(said) * channels, 1e-4).reshape(-1, channels)
    samples[:, place] += said
    voice = extract(write_wav(tmp_path / "a.wav", samples))
    assert alike(heard(voice), said) > 0.99
    assert voice.channels == 2
    assert max(alike(side, said) for side in stored(voice).T) > 0.99
    assert not voice.silent


def test_many_channels_without_names_are_heard(tmp_path: Path) -> None:
    said = tone(1.0)
    samples = np.zeros((RATE, 13))
    samples[:, 11] = said
    voice = extract(write_wav(tmp_path / "desk.wav", samples))
    assert alike(heard(voice), said) > 0.99
    assert voice.notes == ('the voice "desk.wav" has 13 channels: they are heard in stereo',)


def test_a_films_centre_is_heard_through_its_music(tmp_path: Path) -> None:
    said, music = 0.3 * tone(2.0), tone(2.0, hertz=97)
    silent = np.zeros_like(said)
    rumble = 0.9 * np.sin(2 * np.pi * 40 * np.arange(len(said)) / RATE)
    film = np.stack([0.4 * music, 0.4 * music, said, rumble, 0.2 * music, silent], axis=1)
    found = heard(extract(write_wav(tmp_path / "film.wav", film)))
    assert alike(found, said) > 0.9


def test_five_channels_that_cancel_each_other_are_heard(tmp_path: Path) -> None:
    said = 0.4 * tone(1.0)
    found = heard(extract(write_wav(tmp_path / "a.wav", np.stack([said, -said, said, -said], axis=1))))
    assert alike(found, said) > 0.999
    assert np.abs(found).max() > 0.5 * np.abs(said).max()


BAD = (np.nan, np.inf, -np.inf, 1e30)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("channels", [1, 2])
def test_numbers_that_are_none_are_filled_in(tmp_path: Path, value: float, channels: int) -> None:
    said = tone(1.0)
    broken = np.stack([said] * channels, axis=1)
    broken[5000], broken[9000:9003] = value, value
    voice = extract(write_floats(tmp_path / "broken.wav", broken))
    assert alike(heard(voice), said) > 0.999
    np.testing.assert_allclose(stored(voice), np.stack([said] * channels, axis=1), atol=0.05)
    assert np.isfinite(stored(voice)).all()
    assert voice.notes == (
        f'the voice "broken.wav" holds {4 * channels} samples that are no sound '
        "(NaN, infinite or far too large): they are filled in",
    )


def test_a_long_gap_of_no_numbers_is_silence(tmp_path: Path) -> None:
    said = tone(1.0)
    said[4000:8000] = np.nan
    found = heard(extract(write_floats(tmp_path / "broken.wav", said)))
    assert np.abs(found[4100:7900]).max() < 1e-6
    assert np.isfinite(found).all()


def test_nothing_but_no_numbers_is_refused_by_name(tmp_path: Path) -> None:
    said = tone(1.0)
    said[: 3 * RATE // 4] = np.nan
    with pytest.raises(VoiceError, match=r'the voice "broken\.wav" holds no sound') as caught:
        extract(write_floats(tmp_path / "broken.wav", said))
    assert caught.value.remedy


def test_another_scale_is_turned_down(tmp_path: Path) -> None:
    """A recording of 16 bits that was written as floats without dividing."""
    said = tone(1.0)
    voice = extract(write_floats(tmp_path / "loud.wav", 20_000 * said))
    assert np.abs(stored(voice)).max() == pytest.approx(1.0)
    assert alike(heard(voice), said) > 0.9999
    assert "times as loud as full scale: it is turned down" in voice.notes[0]


def several(folder: Path, *tracks: np.ndarray, options: tuple[str, ...] = (), name: str = "several.mkv") -> Path:
    """A file with several sound tracks."""
    paths = [write_wav(folder / f"track{number}.wav", samples) for number, samples in enumerate(tracks)]
    given = [part for path in paths for part in ("-i", str(path))]
    picked = [part for number in range(len(paths)) for part in ("-map", str(number))]
    ffmpeg(*given, *picked, "-c:a", "pcm_s16le", *options, str(folder / name))
    return folder / name


def test_the_default_track_is_heard_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    game, mic = tone(1.0, hertz=500), tone(1.0, hertz=200)
    options = ("-disposition:a:0", "0", "-disposition:a:1", "default", "-metadata:s:a:1", "title=Mic")
    path = several(tmp_path, game, mic, options=options)
    voice = extract(path)
    assert alike(heard(voice), mic) > 0.99
    assert voice.notes == ('the voice "several.mkv" has 2 sound tracks: number 2 (Mic) is heard, the default one',)
    for track, expected in ((1, game), (2, mic)):
        chosen = extract(path, track)
        assert alike(heard(chosen), expected) > 0.99
        assert chosen.notes == ()
    with raises_kind(VoiceError, path=path):
        extract(path, 3)
    with raises_kind(VoiceError, path=tmp_path / "track0.wav"):
        extract(tmp_path / "track0.wav", 2)


def test_without_a_default_the_first_track_is_heard(tmp_path: Path) -> None:
    first, second = tone(1.0, hertz=500), tone(1.0, hertz=200)
    voice = extract(several(tmp_path, first, second, options=("-disposition:a", "0")))
    assert alike(heard(voice), first) > 0.99
    assert voice.notes == ('the voice "several.mkv" has 2 sound tracks: number 1 is heard',)


@pytest.mark.parametrize("flag", ["comment", "visual_impaired"])
def test_without_a_default_the_films_own_speech_goes_before_what_is_said_beside_it(tmp_path: Path, flag: str) -> None:
    beside, own = tone(1.0, hertz=500), tone(1.0, hertz=200)
    path = several(tmp_path, beside, own, options=("-disposition:a:0", flag, "-disposition:a:1", "0"))
    voice = extract(path)
    assert alike(heard(voice), own) > 0.99
    assert voice.notes == ('the voice "several.mkv" has 2 sound tracks: number 2 is heard',)
    assert alike(heard(extract(path, track=1)), beside) > 0.99


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_all_through_is_said(tmp_path: Path, level: float) -> None:
    silent = noise(RATE, level)
    voice = extract(write_wav(tmp_path / "still.wav", silent))
    assert voice.silent
    assert voice.notes == ('the voice "still.wav" is silent all through: there is nothing for a mouth to say',)
    both = extract(several(tmp_path, silent, tone(1.0), options=("-disposition:a:0", "default")))
    assert both.notes[-1].endswith("there is nothing for a mouth to say; another voice track may speak")
    blip = silent.copy()
    blip[8000:12_000] += 0.01 * tone(0.25)
    assert not extract(write_wav(tmp_path / "quiet.wav", blip)).silent


@pytest.mark.parametrize("suffix", ["m4a", "webm", "flac", "wav", "mp3", "wma"])
def test_a_truncated_voice_says_how_much_of_it_is_left(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole.{suffix}"
    wav = write_wav(tmp_path / "said.wav", tone(4.0))
    ffmpeg("-i", str(wav), *(("-movflags", "+faststart") if suffix == "m4a" else ()), str(whole))
    assert extract(whole).notes == ()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    voice = extract(cut)
    assert 1.0 < voice.seconds < 3.5
    told = f"can be decoded up to {float(voice.seconds):.1f} s of 4.0 s: the rest is lost"
    assert voice.notes == (f'the voice "{cut.name}" {told}',)
    assert len(decode_sound(voice.path)) == pytest.approx(float(voice.seconds) * SPEECH_RATE, abs=2)


@pytest.mark.parametrize("suffix", ["ogg", "opus", "ts"])
def test_a_truncated_voice_of_unknown_length_says_where_it_ends(tmp_path: Path, suffix: str) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    ffmpeg("-i", str(write_wav(tmp_path / "said.wav", tone(4.0))), str(whole))
    assert extract(whole).notes == ()
    cut.write_bytes(whole.read_bytes()[: 2 * whole.stat().st_size // 3 + 1])
    voice = extract(cut)
    assert 0.5 < voice.seconds < 3.5
    told = f"is cut off: what came after {float(voice.seconds):.1f} s is lost"
    assert voice.notes == (f'the voice "{cut.name}" {told}',)


@pytest.mark.parametrize("suffix", ["webm", "mka"])
def test_a_recording_that_begins_late_is_no_longer_for_that(tmp_path: Path, suffix: str) -> None:
    """Parts of a live recording count from the beginning of it, and Matroska states where they end."""
    wav, late = write_wav(tmp_path / "said.wav", tone(1.0)), tmp_path / f"late.{suffix}"
    ffmpeg("-i", str(wav), "-output_ts_offset", "1000", str(late))
    voice = extract(late)
    assert voice.seconds == pytest.approx(1.0, abs=0.03)
    assert voice.notes == ()


def test_a_stop_ends_the_look_at_a_voice(tmp_path: Path) -> None:
    token = CancelToken()
    file = read_wav(write_floats(tmp_path / "voice.wav", np.zeros((8 * RATE, 3))))
    blocks = file.blocks(RATE, token)
    next(blocks)
    token.cancel()
    with pytest.raises(Cancelled):
        next(blocks)
