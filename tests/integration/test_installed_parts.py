"""A detector and an enhancer of other packages are chosen by their names, as those built in are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musetalk.assets import PORTRAIT
from musetalk.backends.registry import BackendRegistry
from musetalk.doctor.environment import examine
from musetalk.errors import SettingsError
from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.settings import RenderSettings, setting_fields
from musetalk.webui.form.enhancement import enhancers
from musetalk.webui.form.settings_form import may_be_named
from musetalk.webui.form.table import WIDGETS
from tests.helpers.command import musetalk
from tests.helpers.errors import raises_kind
from tests.helpers.media import tone, write_wav
from tests.helpers.toys import install

pytestmark = pytest.mark.integration
MIDDLE = """
from musetalk.faces.detection.spec import DetectorSpec
from musetalk.faces.types import FaceBox

class Middle:
    max_side = 480
    fingerprint = "middle-1"

    def detect(self, frames):
        return [[FaceBox(0.3 * w, 0.2 * h, 0.7 * w, 0.2 * h + 0.4 * w, 1.0)] for h, w, _ in (f.shape for f in frames)]

SPEC = DetectorSpec("middle", "The middle", lambda _settings, _place: Middle())
"""
NEGATIVE = """
from musetalk.enhancers.spec import EnhancerSpec

class Negative:
    name, size, device = "negative 1.0", 256, "cpu"

    def enhance(self, faces, check=None):
        return 255 - faces

SPEC = EnhancerSpec("negative", lambda _place: Negative())
"""


def test_they_are_found_by_name_through_every_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, MIDDLE, "middle", "musetalk.detectors")
    install(tmp_path, monkeypatch, NEGATIVE, "negative", "musetalk.enhancers")
    voice, out, account = write_wav(tmp_path / "voice.wav", tone(0.2)), tmp_path / "out.mp4", tmp_path / "report.json"
    chosen = ("--detector", "middle", "--enhance-model", "negative", "--preset", "ultrafast")
    code, _, complaint = musetalk(
        "render", PORTRAIT, voice, "-o", out, "--backend", "preview", "--report", account, *chosen
    )
    assert code == 0, complaint
    report = json.loads(account.read_text(encoding="utf-8"))
    assert (report["detector"], report["enhancer"]) == ("middle-1", "negative 1.0")
    assert report["face_frames"] == report["restored_frames"] == report["frames"] > 0

    setting_fields.cache_clear()  # as a program that begins now
    said = {field.name: field.words for field in setting_fields(RenderSettings)}
    setting_fields.cache_clear()
    assert said["detector.name"] == "auto, s3fd, mtcnn, yunet, haar, middle"
    assert said["enhance.model"] == "none, gfpgan, gfpgan-original, negative, FILE"
    assert RenderSettings.model_json_schema()["$defs"]["DetectorSettings"]["properties"]["name"]["enum"][-1] == "middle"
    assert dict(examine(BackendRegistry(()), tmp_path)["Faces"])["The middle detector"] == "ready"
    assert ("The middle", "middle") in WIDGETS["detector.name"].build().choices  # type: ignore[attr-defined]
    assert "negative" in enhancers(tmp_path) and may_be_named("negative")


WITH_WEIGHTS = """
from dataclasses import replace
from pathlib import PurePosixPath
from musetalk.weights import HubPlace, WeightFile
SPEC = replace(SPEC, weights=(WeightFile(PurePosixPath("mid/net.pth"), HubPlace("some/mid", "net.pth"), "MIT", 7),))
"""


def test_what_it_reads_is_listed_and_missed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, MIDDLE + WITH_WEIGHTS, "middle", "musetalk.detectors")
    models = tmp_path / "models"
    assert "mid/net.pth" in musetalk("weights", "list", "--models-dir", models)[1]
    wanted = ("--backend", "preview", "--detector", "middle", "--models-dir", models)
    code, _, complaint = musetalk("render", PORTRAIT, PORTRAIT, "-o", tmp_path / "x.mp4", *wanted)
    assert code == 1 and "weights download middle" in complaint


def test_an_unknown_detector_is_refused_with_those_there_are() -> None:
    with raises_kind(SettingsError, names=("detector.name",)) as caught:
        RenderSettings.parse({"detector": {"name": "eagle"}})
    assert "Input should be 'auto', 's3fd', 'mtcnn', 'yunet' or 'haar'" in caught.value.problem
    assert not may_be_named("eagle")


def test_a_broken_one_is_told_and_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "import no_such_package\n", "middle", "musetalk.detectors")
    registry = DetectorRegistry()
    assert [spec.name for spec in registry] == ["s3fd", "mtcnn", "yunet", "haar"]
    assert [each.name for each in registry.broken] == ["middle"]
    settings = RenderSettings.parse({"detector": {"name": "middle"}})
    code, _, complaint = musetalk("render", PORTRAIT, PORTRAIT, "-o", tmp_path / "x.mp4", "--detector", "middle")
    assert settings.detector.name == "middle"
    assert code == 1 and "no_such_package" in complaint
