"""What several threads import at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_CIRCULAR = ("diffusers", "transformers", "spandrel", "hybrid.unet3d.unet")  # the last one imports the first


def _late_imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield what functions import, and whether one thread at a time does."""
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        alone = {
            id(part)
            for block in ast.walk(function)
            if isinstance(block, ast.With) and "importing()" in {ast.unparse(item) for item in block.items}
            for part in ast.walk(block)
        }
        for each in ast.walk(function):
            if isinstance(each, ast.ImportFrom):
                yield each.module or "", id(each) in alone


@pytest.mark.parametrize("package", ["musetalk", "hybrid"])
def test_one_thread_at_a_time_imports_what_imports_itself_in_circles(package: str) -> None:
    read = ((path, path.read_text(encoding="utf-8")) for path in (_ROOT / package).rglob("*.py"))
    found = [
        (path.relative_to(_ROOT).as_posix(), name, alone)
        for path, text in read
        if any(each in text for each in _CIRCULAR)
        for name, alone in _late_imports(ast.parse(text))
        if any(f"{name}.".startswith(f"{each}.") for each in _CIRCULAR)
    ]
    assert found
    assert [each[:2] for each in found if not each[2]] == []
