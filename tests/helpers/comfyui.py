"""A stand-in for ComfyUI: the few modules that its node pack asks, and how it loads, checks and runs nodes.

Written from ComfyUI's own sources (nodes.py, execution.py, folder_paths.py, comfy/utils.py, comfy/model_management.py
and comfy_api/latest, as of November 2026): what is told here is what nodes can rely on, and no more.
"""

# ruff: noqa: ANN401 - values of ComfyUI are of any type
from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

PACK = Path(__file__).parents[2] / "integrations" / "comfyui"
MODULES = ("folder_paths", "server", "comfy", "comfy.model_management", "comfy.utils", "comfy_execution")
_WIDGETS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class InterruptProcessingException(Exception):  # ComfyUI's name
    pass


@dataclass
class ExecutionBlocker:
    message: str | None


@dataclass
class Components:
    images: Any
    frame_rate: Fraction
    audio: Any = None


class VideoFromFile:
    def __init__(self, file: str | io.BytesIO, *, start_time: float = 0) -> None:
        self.file, self._start = file, start_time

    def get_stream_source(self) -> str | io.BytesIO:
        return self.file

    def get_active_trim_window(self) -> tuple[float, float]:
        return self._start, 0.0

    def as_trimmed(self, start_time: float) -> VideoFromFile:
        return VideoFromFile(self.file, start_time=start_time)

    def save_to(self, path: str) -> None:
        from tests.helpers.media import ffmpeg  # noqa: PLC0415

        ffmpeg("-i", str(self.file), "-ss", str(self._start), "-y", path)


class VideoFromComponents:
    def __init__(self, components: Components) -> None:
        self._components = components

    def get_components(self) -> Components:
        return self._components


@dataclass
class ComfyUI:
    """A ComfyUI whose folders are inside `root`.

    Attributes:
        bars: What progress bars were told: node, value, total, whether with a picture.
        texts: What was shown on nodes: text, node.
        cancel_in: The text on a node at which somebody presses Cancel, once; empty: nobody does.
        unloaded: How often its models were.
        pack: The node pack.
    """

    root: Path
    bars: list[tuple[str, float, float, bool]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    cancel_in: str = ""
    unloaded: int = 0
    pack: types.ModuleType | None = None
    _interrupted: bool = False

    def __post_init__(self) -> None:
        for name in ("input", "output", "temp", "custom_nodes"):
            (self.root / name).mkdir(parents=True)

    def folder(self, name: str) -> Path:
        return self.root / name

    @property
    def nodes(self) -> dict[str, Any]:
        assert self.pack is not None
        return dict(self.pack.NODE_CLASS_MAPPINGS)

    def cancel(self, value: bool = True) -> None:
        self._interrupted = value

    def check(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise InterruptProcessingException

    def modules(self) -> dict[str, types.ModuleType]:
        found = {name: types.ModuleType(name) for name in (*MODULES, "comfy_execution.graph_utils", "comfy_api")}
        found["comfy_api.latest"] = types.ModuleType("comfy_api.latest")
        impl = types.SimpleNamespace(VideoFromFile=VideoFromFile, VideoFromComponents=VideoFromComponents)
        vars(found["comfy_api.latest"])["InputImpl"] = impl
        vars(found["comfy_execution.graph_utils"])["ExecutionBlocker"] = ExecutionBlocker
        vars(found["comfy"])["model_management"] = found["comfy.model_management"]
        vars(found["comfy.model_management"]).update(
            InterruptProcessingException=InterruptProcessingException,
            interrupt_current_processing=self.cancel,
            processing_interrupted=lambda: self._interrupted,
            throw_exception_if_processing_interrupted=self.check,
            unload_all_models=self._unload,
            soft_empty_cache=lambda: None,
        )
        vars(found["comfy.utils"])["ProgressBar"] = self._bar_class()
        server = types.SimpleNamespace(send_progress_text=self._text)
        vars(found["server"])["PromptServer"] = types.SimpleNamespace(instance=server)
        vars(found["folder_paths"]).update(
            get_temp_directory=lambda: str(self.folder("temp")),
            models_dir=str(self.root / "models"),
            get_output_directory=lambda: str(self.folder("output")),
            get_annotated_filepath=self._annotated,
            get_save_image_path=_save_path,
        )
        return found

    def _unload(self) -> None:
        self.unloaded += 1

    def _text(self, text: str, node: str) -> None:
        self.texts.append((text, node))
        if self.cancel_in and text == self.cancel_in:
            self.cancel_in = ""
            self.cancel()

    def _annotated(self, name: str) -> str:
        for folder in ("output", "input", "temp"):
            if name.endswith(f" [{folder}]"):
                return os.path.join(self.folder(folder), name.removesuffix(f" [{folder}]"))  # noqa: PTH118 - as it does
        return os.path.join(self.folder("input"), name)  # noqa: PTH118

    def _bar_class(comfy) -> type:  # noqa: N805
        class ProgressBar:
            def __init__(self, total: int, node_id: str | None = None) -> None:
                self.node = node_id

            def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
                comfy.check()  # its hook does
                comfy.bars.append((str(self.node), value, total or 0, preview is not None))

        return ProgressBar

    def object_info(self) -> dict[str, Any]:
        """Return what the page is told of the nodes."""
        return {name: _info(name, node, node.TITLE) for name, node in self.nodes.items()}

    # --- what execution.py does ---

    def validate(self, node: str, inputs: dict[str, Any]) -> list[str]:
        """Return what ComfyUI would refuse; linked inputs are lists."""
        made, errors = self.nodes[node], []
        declared = made.INPUT_TYPES()
        check: Any = getattr(made, "VALIDATE_INPUTS", None)
        own = check.__code__.co_varnames[: check.__code__.co_argcount] if check else ()
        for name, (kind, options) in {**declared["required"], **declared.get("optional", {})}.items():
            if name not in inputs:
                errors += [f"{name} is missing"] if name in declared["required"] else []
                continue
            if isinstance(inputs[name], list):
                continue
            if not isinstance(kind, list) and kind in _WIDGETS:
                inputs[name] = _WIDGETS[kind](inputs[name])
            if name in own:
                continue
            value = inputs[name]
            if "min" in options and not options["min"] <= value <= options["max"]:
                errors.append(f"{name} is out of range")
            if isinstance(kind, list) and value not in kind:
                errors.append(f"{name} not in list")
        constants = {name: None if isinstance(value, list) else value for name, value in inputs.items() if name in own}
        if check and (told := check(**constants)) is not True:
            errors.append(told)
        return errors

    def run(self, node: str, **inputs: Any) -> Any:
        """Check and execute a node: its outputs, one for each of its sockets; widgets hold what they do unless told."""
        made = self.nodes[node]
        declared = made.INPUT_TYPES()
        widgets = {name: each[1]["default"] for name, each in declared["required"].items() if "default" in each[1]}
        given = {**widgets, **inputs}
        plain = (str, int, float, bool)
        links = {name: value if isinstance(value, plain) else ["1", 0] for name, value in given.items()}
        refused = self.validate(node, links)
        assert not refused, refused
        self.check()
        hidden = dict.fromkeys(declared.get("hidden", {}), "7")
        with torch.inference_mode():  # as all nodes run
            returned = getattr(made(), made.FUNCTION)(**given, **hidden)
        if isinstance(returned, dict):
            json.dumps(returned["ui"])  # it is sent to the page
            outputs = returned["result"]
        else:
            outputs = returned
        assert len(outputs) == len(made.RETURN_TYPES) == len(made.RETURN_NAMES)
        return returned if isinstance(returned, dict) else outputs


def _save_path(prefix: str, folder: str, width: int = 0, height: int = 0) -> tuple[str, str, int, str, str]:
    place = Path(folder, prefix)
    if not place.resolve().is_relative_to(Path(folder).resolve()):
        raise ValueError("Saving image outside the output folder is not allowed.")
    place.parent.mkdir(parents=True, exist_ok=True)
    numbers = [0]
    for each in place.parent.iterdir():
        digits = each.name.removeprefix(f"{place.name}_").partition("_")[0]
        if each.name.startswith(f"{place.name}_") and digits.isdigit():
            numbers.append(int(digits))
    return str(place.parent), place.name, max(numbers) + 1, str(Path(prefix).parent), prefix


def _info(name: str, node: Any, title: str) -> dict[str, Any]:
    inputs = node.INPUT_TYPES()
    return {
        "input": inputs,
        "input_order": {category: list(names) for category, names in inputs.items()},
        "output": list(node.RETURN_TYPES),
        "output_is_list": [False] * len(node.RETURN_TYPES),
        "output_name": list(node.RETURN_NAMES),
        "output_tooltips": list(getattr(node, "OUTPUT_TOOLTIPS", ())),
        "name": name,
        "display_name": title,
        "description": node.DESCRIPTION,
        "category": node.CATEGORY,
        "output_node": getattr(node, "OUTPUT_NODE", False),
        "python_module": "custom_nodes.musetalk-hybrid",
    }


def load_pack(place: Path) -> types.ModuleType:
    """Load a folder of nodes as ComfyUI does: by its path, under a name that is the path."""
    name = str(place).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, place / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def comfyui(root: Path) -> Iterator[ComfyUI]:
    """A ComfyUI that has loaded the pack from a link; nothing of it is imported afterwards."""
    comfy = ComfyUI(root)
    link = comfy.folder("custom_nodes") / "musetalk-hybrid"
    link.symlink_to(PACK, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, module in comfy.modules().items():
            patch.setitem(sys.modules, name, module)
        patch.setattr(sys, "path", [*sys.path])
        before = set(sys.modules)
        comfy.pack = load_pack(link)
        try:
            yield comfy
        finally:
            for name in set(sys.modules) - before:
                if name.startswith(str(root).replace(".", "_x_")):
                    del sys.modules[name]


def batch(frames: Any) -> Any:
    """Return uint8 frames [B, H, W, 3] as ComfyUI's IMAGE."""
    return torch.from_numpy(frames.copy()).float() / 255


def defaults_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what widgets hold that nobody touched."""
    return {name: options["default"] for name, (_, options) in inputs.items() if "default" in options}
