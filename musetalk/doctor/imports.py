"""Which packages source files import, and which no file may: read from their syntax, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["needed", "guarded", "typing", "by name"]

# What MuseTalk, LatentSync and their forks install and this project does without: package as pip knows it, to the name
# that it is imported by. (onnxruntime is back: the voice that reads texts aloud needs its CPU wheel, and nothing else.)
ELIMINATED: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in ("mmcv", "mmpose", "mmdet", "mmengine", "tensorflow", "tensorboard", "insightface")},
        **{name: name for name in ("mediapipe", "decord", "kornia", "moviepy", "omegaconf")},
        **{name: name for name in ("gdown", "lpips", "scenedetect")},
        "openmim": "mim",
        "face-alignment": "face_alignment",
        "ffmpeg-python": "ffmpeg",
        "python-speech-features": "python_speech_features",
        "deepcache": "DeepCache",
    }
)
_ABSENT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}  # what catches a missing package


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a file imports.

    Attributes:
        file: The file.
        line: Where in it.
        module: In full: "diffusers.models".
        name: What is taken from it; empty: itself.
        kind: "needed"; "guarded": inside a `try` that goes on without it; "typing": for type checkers alone; "by name":
            through `importlib.import_module` or `__import__`, when that line is reached.
    """

    file: Path
    line: int
    module: str
    name: str = ""
    kind: Kind = "needed"

    @property
    def package(self) -> str:
        """The outermost package: "diffusers"."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        what = f"from {self.module} import {self.name}" if self.name else f"import {self.module}"
        return f"{self.file.name}:{self.line}: {what}"


def source_files(roots: Iterable[Path]) -> list[Path]:
    """Python files among, and below, some places; sorted, so that findings repeat."""
    return sorted({file for root in roots for file in ([root] if root.is_file() else root.rglob("*.py"))})


def imports_in(file: Path) -> tuple[Import, ...]:
    """Return all that a file imports, wherever in it; imports relative to its own package are left out.

    Raises:
        OSError: It cannot be read.
        SyntaxError: It is no Python.
    """
    return tuple(_walk(ast.parse(file.read_text(encoding="utf-8")), file, "needed"))


def foreign(imports: Iterable[Import], own: Iterable[str]) -> list[Import]:
    """Return those that are neither of Python's own library nor of `own` packages."""
    known = {*sys.stdlib_module_names, *own}
    return [each for each in imports if each.package not in known]


def eliminated(imports: Iterable[Import]) -> list[Import]:
    """Return those of packages that no file may import, in whatever way."""
    names = set(ELIMINATED.values())
    return [each for each in imports if each.package in names]


def _walk(node: ast.AST, file: Path, kind: Kind) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        here = _kind_of(node, child, kind)
        if isinstance(child, ast.Import):
            yield from (Import(file, child.lineno, alias.name, kind=here) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
            yield from (Import(file, child.lineno, child.module, alias.name, here) for alias in child.names)
        elif isinstance(child, ast.Call) and _imports_by_name(child):
            yield from (Import(file, child.lineno, name, kind="by name") for name in _texts(child.args[:1]))
        yield from _walk(child, file, here)


def _kind_of(node: ast.AST, child: ast.AST, kind: Kind) -> Kind:
    """Return what imports are that `child` is, or that stand inside it.

    It stands in `node`, where they are of `kind`.
    """
    if isinstance(node, ast.If) and child in node.body and "TYPE_CHECKING" in _names(node.test):
        return "typing"
    if isinstance(node, ast.Try) and child in node.body and any(map(_goes_on, node.handlers)):
        return "guarded"
    return kind


def _goes_on(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or bool(_names(handler.type) & _ABSENT)


def _imports_by_name(call: ast.Call) -> bool:
    return bool(_names(call.func) & {"import_module", "__import__"})


def _names(node: ast.AST) -> set[str]:
    parts = list(ast.walk(node))
    return {p.id for p in parts if isinstance(p, ast.Name)} | {p.attr for p in parts if isinstance(p, ast.Attribute)}


def _texts(nodes: Iterable[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
