"""`musetalk inspect`: every stage of one frame on a sheet, from the command line and from the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from musetalk.cli.main import app
from musetalk.errors import FaceError, OutputError
from musetalk.inspection.contact_sheet import contact_sheet, save_sheet
from musetalk.inspection.frame import FramePreview
from musetalk.inspection.panels import stages_of
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from tests.helpers.enhancers import write_enhancer
from tests.helpers.errors import raises_kind
from tests.helpers.film import FACE, FILM

pytestmark = pytest.mark.integration
NAMES = [
    *("source", "box and crop", "crop", "masked crop", "generated", "enhanced", "mask", "composite"),
    "difference, x8",
]


@pytest.fixture(scope="module")
def enhanced(film: Path, words: Path, tmp_path_factory: pytest.TempPathFactory) -> FramePreview:
    model = write_enhancer(tmp_path_factory.mktemp("models") / "brighter.pth", 0.1)
    wanted = RenderSettings.parse({"enhance": {"model": str(model)}, "detector": {"name": "haar"}})
    return LipSync().preview_frame(film, words, wanted, at=(FACE.start + 4) / 25)


def test_every_stage_is_there(enhanced: FramePreview) -> None:
    assert enhanced.result is not None
    [steps] = enhanced.steps
    stages = {stage.name: stage for stage in stages_of(enhanced.frame, enhanced.result, steps)}
    assert list(stages) == NAMES
    assert [name for name, stage in stages.items() if stage.picture is None] == ["masked crop"]
    assert "nothing is hidden" in stages["masked crop"].remark
    enhanced, generated = stages["enhanced"].picture, stages["generated"].picture
    assert enhanced is not None
    assert generated is not None
    middle = enhanced[200:300, 200:300].mean()
    assert middle > generated.mean()
    source, composite, difference = (stages[name].picture for name in ("source", "composite", NAMES[-1]))
    assert source is not None
    assert composite is not None
    assert difference is not None
    np.testing.assert_array_equal(difference > 0, source != composite)
    assert (difference > 0).any()


def test_a_sheet_has_nine_panels_and_a_file_of_it_is_whole(enhanced: FramePreview, tmp_path: Path) -> None:
    sheet = contact_sheet(enhanced)
    save_sheet(sheet, tmp_path / "new" / "sheet.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]
    with Image.open(tmp_path / "new" / "sheet.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), sheet)
    with raises_kind(OutputError, path=tmp_path / "sheet.mp4"):
        save_sheet(sheet, tmp_path / "sheet.mp4")


def test_without_a_painted_face_there_is_nothing_to_inspect(film: Path, words: Path) -> None:
    preview = LipSync().preview_frame(film, words, RenderSettings.parse({"detector": {"name": "haar"}}), at=0.0)
    with raises_kind(FaceError):
        contact_sheet(preview)


def test_the_command_line_makes_a_sheet(film: Path, words: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.jpg"
    inputs = ["inspect", str(film), str(words), "-o", str(out), "--frame", str(FACE.start + 2)]
    said = CliRunner().invoke(app, [*inputs, "--mask", "box", "--set", "detector.name=haar"])
    assert said.exit_code == 0, said.output
    assert "note: The output ends" not in said.output
    assert str(out) in said.output.replace("\n", "")
    with Image.open(out) as picture:
        assert picture.size == (992, 1124)


def test_a_frame_beyond_the_end_is_said_to_be_the_last(film: Path, words: Path, tmp_path: Path) -> None:
    inputs = ["inspect", str(film), str(words), "-o", str(tmp_path / "x.png"), "--set", "detector.name=haar"]
    said = CliRunner().invoke(app, [*inputs, "--set", "length=hold", "--frame", str(FILM)])
    assert isinstance(said.exception, FaceError)  # the film's last frame shows no face
    early = CliRunner().invoke(app, ["inspect", str(film), str(words), "-o", str(tmp_path / "x.gif")])
    assert isinstance(early.exception, OutputError)
