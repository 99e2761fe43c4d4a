"""Renders that go on where they stopped, by whatever they were stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from musetalk.errors import Cancelled, DiskSpaceError, OutputError
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.resume.identity import Identity
from musetalk.resume.part_folder import PartFolder, open_part_folder, sweep_parts
from musetalk.resume.types import RenderParts
from musetalk.settings import RenderSettings
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav
from tests.helpers.numbered import OPTIONS, PART, SETTINGS, Inverter, engine
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
FRAMES = 44


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", numbered_frames(FRAMES), 25)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", tone(FRAMES / 25))


@pytest.fixture(scope="module")
def whole(film: Path, voice: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RenderReport, bytes]:
    """What an uninterrupted render says, and shows and sounds like."""
    out = tmp_path_factory.mktemp("whole") / "out.mp4"
    return engine().render(film, voice, out, SETTINGS, resume=OPTIONS), content(out)


def content(out: Path) -> bytes:
    """Digests of the decoded frames and sound, with their times."""
    return ffmpeg("-i", str(out), "-f", "framemd5", "-")


def parts_beside(out: Path) -> list[Path]:
    return sorted(out.parent.glob(".musetalk-parts-*/part-*.mp4"))


def stop_at(frames: int) -> tuple[CancelToken, Callable[[ProgressEvent], None]]:
    token = CancelToken()

    def told(event: ProgressEvent) -> None:
        if event.stage == "render" and event.done >= frames:
            token.cancel()

    return token, told


def stopped(film: Path, voice: Path, out: Path, at: int = 25) -> None:
    token, told = stop_at(at)
    with pytest.raises(Cancelled):
        engine().render(film, voice, out, SETTINGS, resume=OPTIONS, on_progress=told, cancel=token)


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the third part be written where there is no room."""
    free = PartFolder.place_to_write

    def place(self: PartFolder, number: int, video: str) -> Path:
        path = free(self, number, video)
        if number == 2:
            path.symlink_to("/dev/full")
        return path

    monkeypatch.setattr(PartFolder, "place_to_write", place)


@pytest.mark.parametrize("how", ["stop", "disk", "network"])
def test_a_stopped_render_goes_on(
    how: str,
    film: Path,
    voice: Path,
    whole: tuple[RenderReport, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, notes = tmp_path / "out.mp4", list[str]()
    if how == "stop":
        stopped(film, voice, out, 15)
        stopped(film, voice, out, 35)  # which took over what the first one had made
    elif how == "disk":
        with monkeypatch.context() as patch, pytest.raises(DiskSpaceError):
            full_disk(patch)
            engine().render(film, voice, out, SETTINGS, resume=OPTIONS)
    else:
        with pytest.raises(RuntimeError, match="gone"):
            engine(Inverter(breaks_at=6)).render(film, voice, out, SETTINGS, resume=OPTIONS)
    there = len(parts_beside(out))
    assert 0 < there < 5
    assert not out.exists()
    report = engine().render(
        film, voice, out, SETTINGS, resume=OPTIONS, on_progress=lambda event: notes.append(event.note)
    )
    assert content(out) == whole[1]
    assert list(tmp_path.iterdir()) == [out]
    assert report.resumed is not None
    assert (report.resumed.taken_over, report.resumed.made) == (there, 5 - there)
    assert report.resumed.seconds < report.wall_seconds
    assert any(f"{there} of 5 parts are there" in note for note in notes)
    assert report.measures == whole[0].measures
    assert report.measures is not None
    assert report.measures.series.picture.jitter.count(None) < FRAMES / 2


def run(film: Path, voice: Path, out: Path, what: str) -> int:
    command = [sys.executable, "-m", "tests.helpers.numbered", str(film), str(voice), str(out), what]
    return subprocess.run(command, check=False, timeout=HANG_SECONDS).returncode


def test_what_a_killed_render_left_others_may_complete_and_one_joins(
    film: Path, voice: Path, whole: tuple[RenderReport, bytes], tmp_path: Path
) -> None:
    out, made_by = tmp_path / "out.mp4", engine()
    parts = made_by.parts(film, voice, out, SETTINGS, resume=OPTIONS)
    assert (parts.count, parts.frames, parts.length) == (5, FRAMES, PART)
    assert run(film, voice, out, "kill 37") == -9
    assert len(parts_beside(out)) == 3
    assert made_by.render_parts(film, voice, out, SETTINGS, numbers=range(2, 4), resume=OPTIONS) == parts
    assert run(film, voice, out, "parts 3") == 0
    assert not out.exists()
    report = made_by.render(film, voice, out, SETTINGS, resume=OPTIONS)
    assert report.resumed is not None
    assert (report.resumed.taken_over, report.resumed.made) == (5, 0)
    assert content(out) == whole[1]
    assert report.measures == whole[0].measures
    assert report.spans == whole[0].spans
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("what", ["part", "record", "told", "pipe", "head", "deep"])
def test_what_is_damaged_is_made_anew(
    what: str, film: Path, voice: Path, whole: tuple[RenderReport, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    stopped(film, voice, out)
    folder = parts_beside(out)[0].parent
    names = {"part": "part-00000.mp4", "pipe": "part-00000.mp4", "head": "render.json", "deep": "render.json"}
    place = folder / names.get(what, "part-00001.json")
    held = place.read_bytes()
    place.unlink()
    if what == "pipe":  # which nobody writes to
        os.mkfifo(place)
    elif what == "told":  # a digit of what was measured
        curves = held.index(b'"curves": "') + 20
        place.write_bytes(held[:curves] + (b"B" if held[curves : curves + 1] == b"A" else b"A") + held[curves + 1 :])
    else:
        place.write_bytes(b"[" * 100_000 if what == "deep" else held[:-40])
    report = engine().render(film, voice, out, SETTINGS, resume=OPTIONS)
    assert sum("made anew" in warning for warning in report.warnings) == 1
    taken = None if report.resumed is None else report.resumed.taken_over
    assert taken == (None if what in ("head", "deep") else 1)
    assert content(out) == whole[1]
    assert report.measures == whole[0].measures


def test_one_output_is_made_by_one_render_at_a_time(film: Path, voice: Path, tmp_path: Path) -> None:
    out, made_by = tmp_path / "out.mp4", engine()
    others = SETTINGS.model_copy(update={"measure": False})
    inside = list[str]()

    def second(settings: RenderSettings) -> None:
        with pytest.raises(OutputError) as refused:
            engine().render(film, voice, out, settings, resume=OPTIONS)
        inside.append(str(refused.value))

    def told(event: ProgressEvent) -> None:
        if event.stage == "render" and event.done == 15:
            second(SETTINGS)
            second(others)

    made_by.render(film, voice, out, SETTINGS, resume=OPTIONS, on_progress=told)
    assert len(inside) == 2
    assert all(f"process {os.getpid()}" in said and "out.mp4" in said for said in inside)
    assert list(tmp_path.iterdir()) == [out]


def test_other_settings_take_nothing_over_and_what_was_left_goes_with_the_finished_one(
    film: Path, voice: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    stopped(film, voice, out)
    encoder = SETTINGS.encoder.model_copy(update={"crf": 30})
    report = engine().render(film, voice, out, SETTINGS.model_copy(update={"encoder": encoder}), resume=OPTIONS)
    assert report.resumed is None
    assert list(tmp_path.iterdir()) == [out]


def test_a_fresh_render_takes_nothing_over(film: Path, voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    stopped(film, voice, out)
    assert engine().render(film, voice, out, SETTINGS, resume=replace(OPTIONS, fresh=True)).resumed is None


def test_what_nobody_comes_back_to_is_swept_after_a_week(film: Path, voice: Path, tmp_path: Path) -> None:
    stopped(film, voice, tmp_path / "out.mp4")
    (kept,) = tmp_path.iterdir()
    now = kept.stat().st_mtime
    sweep_parts(tmp_path, now + 6 * 86_400)
    assert kept.exists()
    with open_part_folder(tmp_path / "x.mp4", RenderParts(kept, "", 1, 1), Identity({}), shared=True):
        sweep_parts(tmp_path, now + 8 * 86_400)
        assert kept.exists()
    sweep_parts(tmp_path, now + 8 * 86_400)
    assert not kept.exists()
