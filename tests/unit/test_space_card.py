"""The block at the top of README.md, by which Hugging Face builds the Space.

Keys and values as its reference says (https://huggingface.co/docs/hub/spaces-config-reference); what the hub refuses
makes a push fail, what it does not know it ignores.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
HARDWARE = {
    *("cpu-basic", "cpu-upgrade", "zero-a10g", "t4-small", "t4-medium", "l4x1", "l4x4", "l40sx1", "l40sx4", "l40sx8"),
    *("a10g-small", "a10g-large", "a10g-largex2", "a10g-largex4", "a100-large", "a100x4", "a100x8"),
}
ZERO_PYTHONS = {"3.10", "3.12"}  # other versions fall back to 3.10 there
LONGEST_DESCRIPTION = 60


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found, "README.md does not begin with a block of YAML"
    values = yaml.safe_load(found[1])
    assert isinstance(values, dict)
    return values


def test_it_names_and_describes_the_space(card: dict[str, Any]) -> None:
    assert card["title"] == "MuseTalk Hybrid"
    assert 0 < len(card["short_description"]) <= LONGEST_DESCRIPTION
    assert not card["emoji"].isascii()
    assert {card["colorFrom"], card["colorTo"]} <= COLOURS
    assert card["tags"] == [str(tag) for tag in card["tags"]]
    assert isinstance(card["pinned"], bool)


def test_it_has_the_package_s_licence(card: dict[str, Any]) -> None:
    assert f'\nlicense = "{card["license"]}"\n'.lower() in (ROOT / "pyproject.toml").read_text(encoding="utf-8").lower()


def test_its_gradio_is_one_that_the_requirements_allow(card: dict[str, Any]) -> None:
    assert card["sdk"] == "gradio"
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    gradio = next((wanted for wanted in requirements if wanted.name == "gradio"), None)
    assert gradio, "requirements.txt does not ask for gradio"
    assert gradio.specifier.contains(card["sdk_version"])
    assert Version(card["sdk_version"]).release[2:], "the hub wants the whole version"


def test_its_python_is_one_that_the_package_and_the_hardware_allow(card: dict[str, Any]) -> None:
    version = card["python_version"]
    assert isinstance(version, str), "quote it: 3.10 is the number 3.1"
    stated = re.search(r'^requires-python = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert stated and SpecifierSet(stated[1]).contains(version)
    assert card["suggested_hardware"] in HARDWARE
    if card["suggested_hardware"] == "zero-a10g":
        assert ".".join(version.split(".")[:2]) in ZERO_PYTHONS


def test_its_app_is_there_and_may_take_its_time_to_start(card: dict[str, Any]) -> None:
    assert (ROOT / card["app_file"]).is_file()
    assert re.fullmatch(r"\d+[mh]", card["startup_duration_timeout"])
