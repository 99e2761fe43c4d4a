"""`backend: auto` through the doors, with small checkpoints in the place of the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from musetalk.assets import PORTRAIT
from musetalk.comparison.compare import compare
from musetalk.errors import SettingsError
from musetalk.lipsync import LipSync
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings
from tests.helpers.command import musetalk
from tests.helpers.media import tone, write_wav
from tests.helpers.tiny_checkpoints import write_all

pytestmark = pytest.mark.integration
MUSETALK = ("musetalkV15", "sd-vae", "whisper", "face-parse-bisent")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that MuseTalk 1.5 reads, and nothing of the others."""
    folder = tmp_path_factory.mktemp("weights")
    write_all(folder, MUSETALK)
    return folder


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "voice.wav", tone(0.2))


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """What renders cost here is kept between the tests, as between a user's."""


def rendered(folder: Path, voice: Path, models: Path, *options: object) -> tuple[dict[str, Any], str, str]:
    """The report of a render by the command line, and what was printed."""
    files = (PORTRAIT, voice, "-o", folder / "out.mp4", "--report", folder / "report.json")
    code, out, told = musetalk("render", *files, "--models-dir", models, "--detector", "haar", *options)
    assert code == 0, told
    return json.loads((folder / "report.json").read_text()), out, told


def test_the_best_whose_weights_are_here_paints_where_it_is_quick_enough(
    tmp_path: Path, voice: Path, weights: Path
) -> None:
    report, out, told = rendered(tmp_path, voice, weights, "--max-slowdown", 10**9)
    assert (report["requested"], report["backend"], report["settings"]["backend"]) == ("auto", *["musetalk-v15"] * 2)
    assert report["choice"].startswith(
        "chosen automatically: musetalk-v15, since latentsync-1.6 and latentsync-1.5 are not ready here; it takes "
    )
    assert report["choice"] in out
    assert report["choice"] in told
    assert (report["fallback_frames"], report["fallbacks"], report["instead"]) == (0, [], "")
    assert "generate" in report["stages"]


def test_where_it_would_take_too_long_the_preview_paints_and_it_is_said(
    tmp_path: Path, voice: Path, weights: Path
) -> None:
    report, out, _ = rendered(tmp_path, voice, weights, "--max-slowdown", 0.000001)
    assert (report["requested"], report["backend"], report["fallback_frames"]) == ("auto", "preview", 0)
    assert "musetalk-v15 would take " in report["choice"]
    assert "max_slowdown allows " in report["choice"]
    assert report["choice"] in out


def test_without_weights_the_preview_paints_and_a_named_one_is_as_before(tmp_path: Path, voice: Path) -> None:
    report, out, _ = rendered(tmp_path, voice, tmp_path / "empty")
    assert (report["requested"], report["backend"]) == ("auto", "preview")
    assert "latentsync-1.6, latentsync-1.5, musetalk-v15 and musetalk-v1 are not ready here" in out
    named, said, _ = rendered(tmp_path, voice, tmp_path / "empty", "--backend", "preview")
    assert (named["requested"], named["backend"], named["choice"]) == ("preview", "preview", "")
    assert "automatically" not in said


def test_a_preview_frame_and_a_preflight_take_what_the_render_takes(voice: Path, weights: Path) -> None:
    engine = LipSync()
    said = {"models_dir": weights, "detector": {"name": "haar"}, "max_slowdown": 1e9}
    shown = engine.preview_frame(PORTRAIT, voice, RenderSettings.parse(said), at=0.1)
    assert [steps.backend for steps in shown.steps] == ["musetalk-v15"]
    assert shown.notes[0].startswith("Chosen automatically: musetalk-v15, since")
    assert engine.preflight(RenderRequest(PORTRAIT, voice, RenderSettings.parse(said))).sampled_faces
    engine.check(RenderRequest(PORTRAIT, voice, RenderSettings.parse(said)))


def test_it_cannot_be_compared(tmp_path: Path, voice: Path) -> None:
    with pytest.raises(SettingsError, match='"auto" is no backend to compare: it stands for one of the others'):
        compare(LipSync(), RenderRequest(PORTRAIT, voice, RenderSettings()), tmp_path / "both", ["auto", "preview"])


def test_the_doctor_says_what_it_would_take(tmp_path: Path) -> None:
    code, out, _ = musetalk("doctor", "--models-dir", tmp_path)
    assert code == 0
    assert "chosen automatically: preview, since" in " ".join(out.split())
