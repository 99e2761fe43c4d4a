"""No row of a batch writes over what another one reads or writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.batch.check import check_rows
from musetalk.batch.rows import Row
from musetalk.errors import OutputError
from musetalk.pipeline.file_uses import FileUses, input_files
from musetalk.pipeline.request import RenderRequest


class Weights:
    """Reads one file of weights beside the inputs."""

    def inputs(self, request: RenderRequest) -> FileUses:
        return input_files(
            request.video, request.voice, [request.settings.models_dir / "unet.pth"], request.settings.captions
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("clip.mp4", "voice.wav", "unet.pth", "batch.csv"):
        (tmp_path / name).write_text(name)
    (tmp_path / "linked.mp4").symlink_to(tmp_path / "clip.mp4")
    return tmp_path


def check(folder: Path, *outputs: str, report: str = "report.json", **settings: object) -> None:
    """Check rows with these outputs."""
    rows = [
        Row(f"line {number}", folder / "clip.mp4", folder / "voice.wav", folder / output, settings)
        for number, output in enumerate(outputs, 2)
    ]
    beside = FileUses().reading(folder / "batch.csv", "the manifest").writing(folder / report, "the report")
    check_rows(rows, Weights(), beside, reports=True)


def test_rows_of_their_own_files_pass(folder: Path) -> None:
    check(folder, "a.mp4", "b.mp4", "sub/a.mp4", captions=str(folder / "gone.srt"))
    check(folder, "a.mp4", "b.mp4", crf="wrong")  # which its own row is told


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (["a.mp4", "clip.mp4"], "the source of line 2.*give another name for the output of line 3"),
        (["linked.mp4"], "the source of line 2"),
        (["a.mp4", "batch.csv"], "the manifest"),
        (["a.mp4", "report.json"], "the report and the output of line 3"),
        (["a.mp4", "a.mp4.report.json"], "the report of line 2 and the output of line 3"),
        (["unet.pth"], "the weights"),
    ],
)
def test_what_is_in_the_way_of_another_file_is_refused(folder: Path, outputs: list[str], words: str) -> None:
    with pytest.raises(OutputError, match=words):
        check(folder, *outputs, models_dir=str(folder))


def test_the_report_of_all_is_in_nobodys_way_either(folder: Path) -> None:
    with pytest.raises(OutputError, match="the manifest"):
        check(folder, "a.mp4", report="batch.csv")
