"""No command writes over what it reads, nor twice to one place: found before any work begins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from musetalk.errors import MediaError, OutputError
from musetalk.pipeline.file_uses import FileUses, debug_files, input_files, output_files
from musetalk.pipeline.report import save_json
from musetalk.settings import RenderSettings
from musetalk.utils.files import whole_file
from tests.helpers.errors import raises_kind

LONG = "n" * 250  # with an ending of four letters the longest name that a file can have


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "frames").mkdir()
    for name in ("clip.mp4", "voice.wav", "unet.pth", "frames/1.png", "frames/2.png"):
        (tmp_path / name).write_text(name)
    return tmp_path


def uses(folder: Path, report: str | Path, source: str = "clip.mp4", **settings: object) -> FileUses:
    """Of a render in a folder that writes a report beside its output."""
    reads = input_files(folder / source, folder / "voice.wav", [folder / "unet.pth"])
    chosen = RenderSettings.parse(settings)
    writes = output_files(folder / "out.mp4", chosen.folders)
    return (reads + writes).writing(folder / report, "the report")


def refused(some: FileUses) -> str:
    with pytest.raises(OutputError) as caught:
        some.check()
    return str(caught.value)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("clip.mp4", 'clip.mp4" is one of the inputs (the source): give another name for the report'),
        ("voice.wav", "(the voice)"),
        ("unet.pth", "(the weights)"),
        ("sub/../voice.wav", "(the voice)"),
        ("out.mp4", "would be the output and the report"),
        ("out.mp4/report.json", "would be the output, and the folder of the report"),
    ],
)
def test_a_report_over_another_file_is_refused(folder: Path, report: str, words: str) -> None:
    (folder / "sub").mkdir()
    assert words in refused(uses(folder, report))
    assert (folder / "clip.mp4").read_text() == "clip.mp4"
    assert not (folder / "out.mp4").exists()


def test_a_report_of_its_own_is_not(folder: Path) -> None:
    uses(folder, "report.json").check()
    uses(folder, "new/folder/report.json").check()
    assert (folder / "new" / "folder").is_dir()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_lead_to_the_file_itself(folder: Path, link: Callable[[Path, Path], None]) -> None:
    link(folder / "clip.mp4", folder / "report.json")
    assert "(the source)" in refused(uses(folder, "report.json"))
    link(folder / "voice.wav", folder / "linked.mp4")
    reads = input_files(folder / "linked.mp4", folder / "unet.pth")
    assert "(the source)" in refused(reads.writing(folder / "voice.wav", "the report"))


def test_a_linked_folder_is_the_folder(folder: Path) -> None:
    (folder / "again").symlink_to(folder)
    assert "(the source)" in refused(uses(folder, "again/clip.mp4"))
    assert "the output and the report" in refused(uses(folder, "again/out.mp4"))


def test_pictures_of_a_source_are_inputs_and_none_is_added(folder: Path) -> None:
    assert "(the source)" in refused(uses(folder, "frames/2.png", source="frames"))
    assert "(the source)" in refused(uses(folder, "frames/sheet.png", source="frames"))
    (folder / "frames" / "3.png").symlink_to(folder / "clip.mp4")
    assert "(the source)" in refused(uses(folder, "clip.mp4", source="frames"))
    (folder / "frames" / "unnamed").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "(the source)" in refused(uses(folder, "frames/unnamed", source="frames"))
    uses(folder, "frames/report.json", source="frames").check()


def test_spellings_that_the_file_system_takes_for_one_are_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uses(folder, "OUT.MP4").check()
    monkeypatch.setattr(Path, "samefile", lambda a, b: str(a).lower() == str(b).lower())
    assert "the output and the report" in refused(uses(folder, "OUT.MP4"))


def test_what_a_setting_asks_for_counts_too(folder: Path) -> None:
    crops, _ = debug_files(folder / "debug", "out")
    assert "a debug video and the report" in refused(uses(folder, crops, debug_dir=folder / "debug"))
    kept = folder / "coords" / "labels" / "report.json"
    assert "the saved coords" in refused(uses(folder, kept, use_saved_coords=True))
    assert "the folder of the saved coords" in refused(uses(folder, kept.parent, use_saved_coords=True))
    uses(folder, kept).check()


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_what_is_no_place_for_a_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder / "loop")
    assert "no ordinary file" in refused(uses(folder, "pipe"))
    assert "is a folder" in refused(uses(folder, "frames"))
    assert "cannot be written" in refused(uses(folder, "n" * 300))
    assert "cannot be written" in refused(uses(folder, "loop"))
    assert "no file can have such a name" in refused(uses(folder, "a\0b"))
    with raises_kind(MediaError, path=folder / "\ud800.mp4"):
        input_files(folder / "\ud800.mp4", folder / "voice.wav").check()
    with raises_kind(MediaError, path=folder / ("n" * 300)):
        input_files(folder / ("n" * 300), folder / "voice.wav").check()


def test_the_name_of_what_a_program_prints_to_is_not_given_to_a_file(folder: Path) -> None:
    """Also where it prints into an ordinary file: /dev/stdout would be gone for all programs."""
    with (folder / "printed.txt").open("w") as printed:
        (folder / "stdout").symlink_to(f"/dev/fd/{printed.fileno()}")
        (folder / "link").symlink_to("stdout")
        for name in ("stdout", "link", "/dev/stdout", "/dev/report.json"):
            assert "no ordinary file" in refused(uses(folder, name))
    uses(folder, "printed.txt").check()


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in (f"{LONG}.json", "." + "n" * 254, "x." + "n" * 253):
        save_json({"a": 1}, tmp_path / name)
        assert (tmp_path / name).read_text() == '{\n  "a": 1\n}\n'
        with whole_file(tmp_path / name) as partial:
            partial.write_text("")
    assert len(list(tmp_path.iterdir())) == 3
    for path in debug_files(tmp_path, "é" * 125):
        path.touch()


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_a_name_that_is_no_text_is_kept_in_a_report(tmp_path: Path) -> None:
    out = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.mp4")
    save_json({"output": out, "other": "café"}, tmp_path / "report.json")
    assert "café" in (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "report.json").read_bytes())["output"] == out
