"""The project as pip installs it: a wheel that holds all that its programs read, used far from any checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.helpers.media import tone, write_wav
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import ROOT, served

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SOURCES = ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "musetalk", "hybrid")

Musetalk = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it but the installed wheel; built from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("installed")
    source, wheels, target = folder / "source", folder / "wheels", folder / "site"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", str(source), "-w", str(wheels)], check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([*pip, "install", *offline, "--no-compile", "--target", str(target), str(wheel)], check=True)
    return target


@pytest.fixture
def musetalk(installed: Path, tmp_path: Path) -> Musetalk:
    """The installed command, run in an empty folder, where the checkout is not to be found."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(installed / "bin" / "musetalk"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )

    return run


def test_nothing_but_the_packages_is_installed(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert names == {"musetalk", "hybrid", "bin"}
    assert (installed / "hybrid" / "mask.png").is_file()


def test_it_renders_what_ships_with_it(musetalk: Musetalk, installed: Path, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(0.2))
    picture = installed / "musetalk" / "assets" / "portrait.png"
    options = ("--backend", "preview", "--detector", "haar", "--report", "report.json")
    done = musetalk("render", str(picture), voice.name, "-o", "out.mp4", *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 1000
    assert json.loads((tmp_path / "report.json").read_text())["face_frames"] == 5


def test_it_has_the_app_and_its_options(musetalk: Musetalk) -> None:
    said = musetalk("app", "--help").stdout
    assert "musetalk app [OPTIONS]" in said
    assert "--jobs-dir" in said


def test_its_page_has_its_style_texts_and_pictures(installed: Path, tmp_path: Path) -> None:
    with served(tmp_path / "jobs", module="musetalk app", packages=installed) as app:
        page = httpx.get(f"{app.address}config", timeout=HANG_SECONDS).text
        assert "mt-skip" in json.loads(page)["css"]
        assert "lower half of a crop" in page  # a text
        for name in ("bbox_shift_less.jpg", "bbox_shift_more.jpg"):
            path = installed / "musetalk" / "webui" / "assets" / name
            assert str(path) in page
            shown = httpx.get(f"{app.address}gradio_api/file={path}", timeout=HANG_SECONDS)
            assert shown.content == path.read_bytes()
