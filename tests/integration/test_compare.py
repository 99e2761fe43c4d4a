"""Comparisons of real backends, with small filled checkpoints, through the engine and through the command line."""

from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musetalk.comparison.compare import compare
from musetalk.errors import Cancelled
from musetalk.lipsync import LipSync
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressEvent
from tests.helpers.command import musetalk as command
from tests.helpers.film import FACE, FILM, settings
from tests.helpers.media import decode, stream_seconds

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]
QUICK = ("--set", "latentsync.steps=1", "--set", "latentsync.guidance=1", "--set", "detector.name=haar")


def account(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "comparison.json").read_text())
    return found


def test_three_backends_through_the_command_line(film: Path, words: Path, bare_models: Path, tmp_path: Path) -> None:
    out, names = tmp_path / "new" / "out", ["preview", "musetalk-v15", "latentsync-1.5"]
    code, said, progress = command(
        *("compare", film, words, "-o", out, "--backends", ",".join(names), "--models-dir", bare_models, *QUICK)
    )
    assert code == 0, progress
    files = [*(f"{name}.mp4" for name in names), "side-by-side.mp4", "plots.png", "comparison.json"]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    assert said.splitlines()[-len(files) :] == [str(out / name) for name in files]
    table = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert table["change outside the mask"][-3:] == ["0", "0", "0"]
    assert table["fallback frames"][-3:] == ["0", "0", "0"]
    assert all(float(text) > 0 for text in table["mouth sharpness"][-4:])
    assert "note: preview: Preview backend" in said
    assert "(latentsync-1.5, 3 of 3)" in progress
    for part in account(out)["parts"]:
        measures = part["report"]["measures"]
        assert (measures["frames"], measures["face_frames"]) == (FILM, len(FACE))
        assert measures["outside"] == {"greatest": 0, "pixels": 0, "frames": 0}
        shown = [value is not None for value in measures["series"]["picture"]["sharpness"]]
        assert shown == [frame in FACE for frame in range(FILM)]
    for stream in ("v:0", "a:0"):
        ends = [stream_seconds(out / name, stream) for name in files[:-2]]
        assert max(ends) - min(ends) < Fraction(1, 25)


def test_faces_are_looked_for_once_and_results_are_those_of_a_render(
    film: Path, words: Path, bare_models: Path, tmp_path: Path
) -> None:
    engine, chosen = LipSync(), settings(bare_models)
    comparison = compare(engine, RenderRequest(film, words, chosen), tmp_path / "out", ["preview", "musetalk-v15"])
    first, second = (part["report"]["known_frames"] for part in account(tmp_path / "out")["parts"])
    assert (first, second) == (0, FILM)
    assert [part.error for part in comparison.parts] == ["", ""]
    alone = engine.render(film, words, tmp_path / "alone.mp4", chosen)
    assert alone.measures is None
    assert np.array_equal(decode(tmp_path / "alone.mp4"), decode(tmp_path / "out" / "musetalk-v15.mp4"))


def test_one_that_was_stopped_goes_on_with_what_its_backends_had_made(
    film: Path, words: Path, bare_models: Path, tmp_path: Path
) -> None:
    engine, chosen, names = LipSync(), settings(bare_models), ["preview", "musetalk-v15"]
    cancel = CancelToken()

    def stop_the_second(event: ProgressEvent) -> None:
        if event.turn == 1 and event.stage == "render":
            cancel.cancel()

    asked = RenderRequest(film, words, chosen)
    with pytest.raises(Cancelled):
        compare(engine, asked, tmp_path / "out", names, on_progress=stop_the_second, cancel=cancel)
    assert all(path.name.startswith(".musetalk-parts-") for path in (tmp_path / "out").iterdir())
    made = compare(engine, asked, tmp_path / "out", names)
    whole = compare(engine, asked, tmp_path / "whole", names)
    [(_, first), (_, second)] = made.rendered
    assert first.resumed is not None
    assert (first.resumed.taken_over, first.resumed.made) == (1, 0)
    assert second.resumed is None
    assert [report.measures for _, report in made.rendered] == [report.measures for _, report in whole.rendered]
    for name in (*(f"{name}.mp4" for name in names), "side-by-side.mp4"):
        assert np.array_equal(decode(tmp_path / "out" / name), decode(tmp_path / "whole" / name))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


def test_a_result_that_is_another_backends_says_so(film: Path, words: Path, bare_models: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(bare_models, models, copy_function=os.link, ignore=shutil.ignore_patterns("latentsync*"))
    names = "musetalk-v15,latentsync-1.5"
    code, said, progress = command(
        *("compare", film, words, "-o", tmp_path / "out", "--backends", names, "--models-dir", models, *QUICK, "-q")
    )
    assert (code, progress) == (0, "")
    assert f"{len(FACE)}: this is musetalk-v15's result" in said
    assert "note: latentsync-1.5: this result is musetalk-v15's: latentsync-1.5 painted nothing of it (" in said
    first, second = (part["report"] for part in account(tmp_path / "out")["parts"])
    assert (first["fallback_frames"], second["fallback_frames"]) == (0, len(FACE))
    assert first["measures"]["picture"] == second["measures"]["picture"]


@pytest.mark.parametrize(
    ("arguments", "code", "words_said"),
    [
        (("--backends", "preview,musetalk-v15,nonsense"), 1, 'backend "musetalk-v15" cannot run; there is no backend'),
        (("--backends", "preview"), 2, "a comparison takes two backends or more"),
        (("--backends", "preview,preview"), 2, "preview is named more than once"),
        (("--backends", "preview,musetalk-v15", "--set", "nonsense"), 2, "NAME=VALUE"),
        ((), 2, "--backends"),
    ],
)
def test_what_cannot_be_compared_is_said_at_once(
    film: Path, words: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, words_said: str
) -> None:
    status, _, complaint = command(
        *("compare", film, words, "-o", tmp_path / "out", "--models-dir", tmp_path / "none", *arguments)
    )
    assert status == code
    assert words_said in complaint
    assert list(tmp_path.iterdir()) == []
