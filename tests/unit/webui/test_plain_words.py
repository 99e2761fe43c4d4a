"""The engine's words, as the page says them to visitors and to whoever runs the server."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from musetalk.webui.html.plain_words import Reader, plain

PACKAGE = Path(__file__).parents[3] / "musetalk"
VISITOR, OWNER = Reader(), Reader(owner=True, downloads=True)
READERS = (VISITOR, Reader(downloads=True), Reader(owner=True), OWNER)
# Modules whose texts no page shows.
_TERMINALS = (
    "__main__",
    "cli",
    "batch",
    "console",
    "doctor",
    "upstream",
    "inspect",
    "options",
    "server",
    "plain_words",
    "check",
)
UNWANTED = re.compile(r"python -m|pip install|limits\.|--models-dir|--fps|HF_\w+|_source\.|_voice\.")


def texts() -> Iterator[str]:
    """What the engine may say: literals, with what is filled in replaced by a word."""
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "hybrid").rglob("*.py")]:
        if any(word in path.stem or word in path.parent.name for word in _TERMINALS):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in documented | inside:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "name" for part in node.values)


def test_nothing_that_the_engine_says_reaches_the_page_as_a_command() -> None:
    said = {text for text in texts() if UNWANTED.search(text) and " " in text and not text.startswith(" ")}
    assert len(said) > 15  # that it finds them
    left = {(text, plain(text, reader)) for text in said for reader in READERS if UNWANTED.search(plain(text, reader))}
    assert left == set()


@pytest.mark.parametrize(
    ("text", "visitor", "owner"),
    [
        (
            '"a.mp4" lasts 700 s, more than the 600 s allowed: cut it shorter or raise limits.max_seconds',
            '"a.mp4" lasts 700 s, more than the 600 s allowed: cut it shorter',
            '"a.mp4" lasts 700 s, more than the 600 s allowed: '
            "cut it shorter or start the app with a larger --max-seconds",
        ),
        (
            "a.json, b.pth and 4 more missing (3.9 GB): python -m musetalk weights download musetalk-v15 "
            '--models-dir "/srv/the models"',
            "a.json, b.pth and 4 more missing (3.9 GB): whoever runs this server can download musetalk-v15",
            "a.json, b.pth and 4 more missing (3.9 GB): download musetalk-v15 on the Models tab",
        ),
        (
            "unet.pth has 4 bytes instead of 5: python -m musetalk weights download musetalk-v15 --replace; "
            "or, if it is a checkpoint of your own: python -m musetalk weights adopt unet.pth",
            "unet.pth has 4 bytes instead of 5: whoever runs this server can download musetalk-v15",
            "unet.pth has 4 bytes instead of 5: remove that file from the server's folder of models, "
            "and download musetalk-v15 on the Models tab",
        ),
        (
            "/srv/models/sd-vae/config.json is damaged or no checkpoint (EOF): "
            "delete it and download it again: python -m musetalk weights download",
            "config.json is damaged or no checkpoint (EOF): whoever runs this server can download the files",
            "config.json is damaged or no checkpoint (EOF): download the files on the Models tab",
        ),
        (
            '"/srv/my models" cannot be written (No space left on device): '
            "make room, or name another folder with --models-dir",
            '"my models" cannot be written (No space left on device): whoever runs this server has to mend that',
            '"my models" cannot be written (No space left on device): make room',
        ),
        (
            "unusable settings (mask.feather: Input should be less than 0.5; fps: a frame rate lies between 1 and 240)",
            "these settings cannot be used (“mask.feather”: input should be less than 0.5; "
            "“fps”: a frame rate lies between 1 and 240)",
            "these settings cannot be used (“mask.feather”: input should be less than 0.5; "
            "“fps”: a frame rate lies between 1 and 240)",
        ),
        ("see https://example.org/a/b or give 24000/1001", *["see https://example.org/a/b or give 24000/1001"] * 2),
    ],
)
def test_each_reader_is_told_what_they_can_do(text: str, visitor: str, owner: str) -> None:
    assert plain(text, VISITOR) == visitor
    assert plain(text, OWNER) == owner


def test_settings_are_called_as_on_the_page() -> None:
    reader = Reader(labels={"enhance.model": "Enhancement: model", "fps": "Frame rate"})
    assert plain("enhance.model is no enhancer's name", reader) == "“Enhancement: model” is no enhancer's name"
    assert (
        plain('the setting "fps" (--fps) chooses another rate', reader)
        == "the setting “Frame rate” chooses another rate"
    )
