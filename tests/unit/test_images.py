"""The files of the images, held to what the program takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from typer.main import get_command

from musetalk.batch.places import check_place
from musetalk.cli.main import app
from musetalk.live.__main__ import main as serve_live

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
TARGETS = ("cpu", "cuda", "live")
ALL_TARGETS = (*TARGETS, "cluster")


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """By its name, what a stage is made from and its instructions, each with what it says."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    instructions: list[tuple[str, str]] = []
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, said = line.partition(" ")
        if word == "FROM":
            base, _, name = said.split()
            found[name] = base, (instructions := [])
        else:
            instructions.append((word, said.strip()))
    return found


def lineage(name: str) -> Iterator[tuple[str, str]]:
    """The instructions of a stage, those of what it is made from first."""
    base, own = stages()[name]
    if base in stages():
        yield from lineage(base)
    yield from own


def last(name: str, word: str) -> str:
    return [said for found, said in lineage(name) if found == word][-1]


def test_the_base_is_pinned() -> None:
    assert re.search(r"^ARG PYTHON=python:3\.12-slim@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert {base for name, (base, _) in stages().items() if base not in stages()} == {"scratch", "${PYTHON}"}


@pytest.mark.parametrize("target", ALL_TARGETS)
def test_packages_come_before_code_and_nothing_runs_as_root(target: str) -> None:
    instructions = list(lineage(target))
    installed = max(place for place, (word, said) in enumerate(instructions) if word == "RUN" and "pip install" in said)
    copied = [place for place, (word, said) in enumerate(instructions) if word == "COPY" and "--from=code" in said]
    assert copied
    assert all(place > installed for place in copied)
    assert last(target, "USER").isdecimal()


@pytest.mark.parametrize("target", ALL_TARGETS)
def test_what_is_copied_is_there_and_not_ignored(target: str) -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, said in (*lineage(target), *stages()["code"][1]):
        if word == "COPY" and "--from" not in said:
            for name in said.split()[:-1]:
                assert (ROOT / name).exists()
                assert name in kept


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_the_app_takes_what_its_image_says(target: str) -> None:
    assert json.loads(last(target, "ENTRYPOINT")) == ["python", "-m", "musetalk"]
    name, *arguments = json.loads(last(target, "CMD"))
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    given = command.make_context(name, arguments).params
    volumes = json.loads(last(target, "VOLUME"))
    assert str(given["models_dir"]) in volumes
    assert str(given["jobs_dir"].parent) in volumes  # beside it go uploads
    assert (given["host"], given["port"]) == ("0.0.0.0", 7860)  # noqa: S104 - nothing listens here


def test_live_speech_takes_what_its_image_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(last("live", "ENTRYPOINT")) == ["python", "-m", "musetalk.live"]
    with pytest.raises(SystemExit) as ended:
        serve_live([*json.loads(last("live", "CMD")), "--help"])
    assert ended.value.code == 0
    assert "--models-dir" in capsys.readouterr().out


def test_machines_of_a_cluster_find_its_head_and_end_before_they_are_killed() -> None:
    services = COMPOSE["services"]
    [where] = json.loads(last("cluster", "CMD"))
    assert where == "--address=ray-head:6379"
    assert services["ray-head"]["command"][0] == "--head"
    assert not {"command", "entrypoint"} & set(services["ray-worker"])
    [patience] = re.findall(r"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=(\d+)", last("cluster", "ENV"))
    [minutes] = re.findall(r"^(\d+)m$", services["ray-worker"]["stop_grace_period"])
    assert int(patience) < 60 * int(minutes)
    *command, on, place = services["batch"]["entrypoint"]
    assert (command, on) == (["python", "-m", "musetalk", "batch"], "--on")
    check_place(place)


def test_the_image_has_the_ray_that_the_extra_asks_for() -> None:
    extra = r'^cluster = \["(.+)"\]$'
    [wanted] = map(Requirement, re.findall(extra, (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    [fixed] = map(Requirement, re.findall(r'"(ray\S*==\S+)"', DOCKERFILE))
    [version] = fixed.specifier
    assert (fixed.name, fixed.extras) == (wanted.name, wanted.extras)
    assert wanted.specifier.contains(version.version)


def test_health_is_asked_where_it_is_told() -> None:
    for target in TARGETS:
        assert f"127.0.0.1:{json.loads(last(target, 'CMD'))[-3 if target == 'live' else 4]}" in last(
            target, "HEALTHCHECK"
        )


def test_services_are_made_of_targets_and_say_what_the_program_reads() -> None:
    code = "".join(path.read_text() for path in (ROOT / "musetalk").rglob("*.py"))
    for service in COMPOSE["services"].values():
        assert service["build"]["target"] in stages()
        assert set(service["build"].get("args", {})) <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        for name in service.get("environment", {}):
            assert f'"{name}"' in code or name.startswith("AWS_")  # read by what reaches stores
        for volume in service.get("volumes", ()):
            name, inside, *_ = volume.split(":")
            assert name in COMPOSE["volumes"]
            assert inside in json.loads(last(service["build"]["target"], "VOLUME"))
