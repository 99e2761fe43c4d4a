"""Files that are cut off or damaged: what can be shown is shown in its time, and the user is told the rest."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from musetalk.media.damage import note_on_decoding
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.sound.voice import extract_voice
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.media import ffmpeg, numbered_frames, read_number, write_video

pytestmark = pytest.mark.slow

COUNT = 60
RATE = Fraction(30000, 1001)
OUT_OF_ORDER = ["-preset", "veryfast", "-g", "12", "-bf", "3"]
FIRST_PART, LAST_PART = range(12), range(COUNT - 12, COUNT)


def film(path: Path, *options: str) -> Path:
    return write_video(path, numbered_frames(COUNT, 160, 96), RATE, *(options or OUT_OF_ORDER))


def rest(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def overwritten(path: Path, begin: float, end: float) -> Path:
    data = bytearray(path.read_bytes())
    low, high = int(len(data) * begin), int(len(data) * end)
    data[low:high] = bytes((3 * place * place + place) % 251 for place in range(high - low))
    path.write_bytes(data)
    return path


def probe(path: Path) -> Source:
    return probe_source(path, Limits())


def numbers(source: Source) -> list[int]:
    return [read_number(frame) for frame in read_frames(source)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", [*OUT_OF_ORDER, "-movflags", "+faststart"]),
        ("a.mov", ["-c:v", "prores_ks", "-movflags", "+faststart"]),
        ("a.mkv", OUT_OF_ORDER),
        ("a.webm", ["-c:v", "libvpx-vp9", "-g", "12", "-deadline", "realtime", "-cpu-used", "8"]),
        ("a.flv", OUT_OF_ORDER),
        ("a.wmv", ["-c:v", "wmv2", "-g", "12"]),
        ("a.mxf", ["-c:v", "mpeg2video", "-g", "12"]),
        ("a.rm", ["-c:v", "rv20", "-g", "12"]),
    ],
)
def test_of_a_film_that_is_cut_off_what_is_there_is_used(tmp_path: Path, name: str, options: list[str]) -> None:
    source = probe(rest(film(tmp_path / name, *options), 0.6))
    shown = numbers(source)
    assert 12 < len(shown) < COUNT - 6
    assert shown == list(range(source.frame_count))
    assert (source.fps, source.clock.variable) == (RATE, False)
    (note,) = source.notes
    assert note.startswith(f"the source is cut off: {source.seconds:.2f} of the 2.0")
    assert note.endswith(" s that it announces can be used")
    assert note_on_decoding(source.experience) == ""


def test_the_last_picture_of_a_film_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    source = probe(rest(film(tmp_path / "a.avi", "-c:v", "mjpeg", "-q:v", "2"), 0.6))
    assert numbers(source) == list(range(source.frame_count))
    assert source.notes == ("the source is cut off inside its last picture, which is left out",)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ts", OUT_OF_ORDER),
        ("a.m2ts", OUT_OF_ORDER),
        ("a.mpg", ["-c:v", "mpeg2video", "-bf", "2", "-g", "12"]),
        ("a.ogv", ["-c:v", "libtheora", "-g", "12"]),
        ("live.webm", ["-c:v", "libvpx", "-cpu-used", "8", "-g", "12", "-live", "1"]),
    ],
)
def test_a_film_that_does_not_say_how_long_it_is_is_cut_off_all_the_same(
    tmp_path: Path, name: str, options: list[str]
) -> None:
    whole = film(tmp_path / name, *options)
    assert probe(whole).notes == ()
    for part in (0.62, 0.87):
        path = tmp_path / f"{part}-{name}"
        path.write_bytes(whole.read_bytes())
        source = probe(rest(path, part))
        assert numbers(source) == list(range(source.frame_count))
        inside = "inside its last picture, which is left out"
        assert source.notes[0] in (
            f"the source is cut off {inside}",
            f"the source is cut off: what came after {source.seconds:.2f} s is lost",
        )
        assert len(source.notes) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.flv"])
def test_what_follows_a_damaged_part_stays_in_its_time(tmp_path: Path, name: str) -> None:
    source = probe(overwritten(film(tmp_path / name), 0.4, 0.55))
    shown = numbers(source)
    assert (source.fps, source.clock.variable, len(shown)) == (RATE, False, COUNT)
    for part in (FIRST_PART, LAST_PART):
        assert shown[part.start : part.stop] == list(part)
    told = (*source.notes, note_on_decoding(source.experience))
    assert any(note.startswith("the source is damaged: ") for note in told)


def test_how_much_could_not_be_decoded_is_told(tmp_path: Path) -> None:
    source = probe(overwritten(film(tmp_path / "a.mov", "-c:v", "prores_ks"), 0.5, 0.6))
    shown = numbers(source)
    lost = [k for k, number in enumerate(shown) if k != number]
    assert 3 < len(lost) < 12
    assert source.experience.missing == set(lost)
    assert {shown[k] for k in lost} == {lost[0] - 1}
    assert note_on_decoding(source.experience) == (
        f"the source is damaged: {len(lost)} of {COUNT} frames cannot be decoded; the ones next to them are shown in "
        "their place"
    )


def test_a_damaged_film_is_played_backwards_as_forwards(tmp_path: Path) -> None:
    source = probe(overwritten(film(tmp_path / "a.mov", "-c:v", "prores_ks"), 0.5, 0.6))
    shown = numbers(source)
    timeline = Timeline(2 * COUNT - 1, 2 * COUNT - 1, COUNT, "pingpong")
    played = map(
        Frame.rgb, play(source, timeline, COUNT, 2 * COUNT - 1, spool_dir=tmp_path, spool_bytes=17 * source.frame_bytes)
    )
    assert [read_number(frame) for frame in played] == shown[-2::-1]
    for k in (29, 31, 33, 35):
        assert [read_number(frame) for frame in read_frames(source, k, k + 1)] == [shown[k]]


def test_a_broadcast_that_lacks_packets_keeps_its_time(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts")
    data = path.read_bytes()
    third = len(data) // 188 // 3 * 188
    path.write_bytes(data[:third] + data[third + len(data) // 188 // 8 * 188 :])
    source = probe(path)
    shown = numbers(source)
    assert (source.fps, source.frame_count) == (RATE, COUNT)
    for part in (FIRST_PART, LAST_PART):
        assert shown[part.start : part.stop] == list(part)


def test_nothing_is_said_of_a_sound_film(tmp_path: Path) -> None:
    kinds = {
        "a.mp4": (),
        "a.mkv": (),
        "a.ts": (),
        "a.flv": (),
        "a.wmv": ("-c:v", "wmv2"),
        "a.mxf": ("-c:v", "mpeg2video"),
    }
    for name, options in kinds.items():
        source = probe(film(tmp_path / name, *options))
        assert numbers(source) == list(range(COUNT))
        assert (source.notes, note_on_decoding(source.experience)) == ((), "")


@pytest.mark.parametrize("count", [50, COUNT])
@pytest.mark.parametrize("chain", ["fps=5,fps=25", "select='not(between(n,20,24))'"])
def test_pictures_that_theora_repeats_are_neither_lost_nor_missing(tmp_path: Path, chain: str, count: int) -> None:
    whole = write_video(tmp_path / "whole.mp4", numbered_frames(count, 160, 96))
    path = tmp_path / "a.ogv"
    ffmpeg("-i", str(whole), "-vf", chain, "-fps_mode", "cfr", "-r", "25", "-c:v", "libtheora", "-g", "60", str(path))
    source = probe(path)
    shown = numbers(source)
    assert (source.fps, len(shown)) == (25, count)
    assert len(set(shown)) == (count // 5 if "fps" in chain else count - 5)
    assert shown == sorted(shown)
    assert (source.notes, note_on_decoding(source.experience)) == ((), "")
    assert [read_number(frame) for frame in read_frames(source, 22, 27)] == shown[22:27]


@pytest.mark.parametrize("name", ["a.flv", "a.mp4"])
def test_of_files_joined_end_to_end_the_first_is_used_and_that_is_said(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name)
    path.write_bytes(2 * path.read_bytes())
    source = probe(path)
    assert numbers(source) == list(range(COUNT))
    assert source.notes == ("the source is several files joined end to end: only the first of them is used",)


def test_of_ogg_films_joined_end_to_end_the_first_is_used_and_that_is_said(tmp_path: Path) -> None:
    mute, joined = film(tmp_path / "mute.mkv", "-c:v", "ffv1"), b""
    for name in ("a.ogv", "b.ogv"):
        sound = ("-f", "lavfi", "-t", "2", "-i", "sine", "-c:v", "libtheora", "-q:v", "8")
        ffmpeg("-i", str(mute), *sound, str(tmp_path / name))
        joined += (tmp_path / name).read_bytes()
    (tmp_path / "a.ogv").write_bytes(joined)
    source = probe(tmp_path / "a.ogv")
    assert numbers(source) == list(range(COUNT))
    assert source.notes == ("the source is several files joined end to end: only the first of them is used",)
    voice = extract_voice(tmp_path / "a.ogv", tmp_path, Limits())
    assert float(voice.seconds) == pytest.approx(2, abs=0.03)
    assert voice.notes == ('the voice "a.ogv" is several files joined end to end: only the first of them is heard',)
