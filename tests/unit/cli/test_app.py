"""`musetalk app`: each of its options is one of the server's."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from musetalk.webui import server
from musetalk.webui.options import ServerOptions
from tests.helpers.command import musetalk


def test_options_are_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ServerOptions] = []
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(server, "serve", asked.append)
    said = ("--port", 80, "--auth", "a:1", "--auth", "b:2", "--no-owner", "--jobs-dir", "here", "--keep-hours", 0.5)
    assert musetalk("app")[0] == musetalk("app", *said)[0] == 0
    changes = {"port": 80, "auth": ("a:1", "b:2"), "owner": False, "jobs_dir": Path("here"), "keep_hours": 0.5}
    assert asked == [ServerOptions(), replace(ServerOptions(), **changes)]
    _, help_text, _ = musetalk("app", "--help")
    assert all(f"--{field.name.replace('_', '-')}" in help_text for field in fields(ServerOptions))
