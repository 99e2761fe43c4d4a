"""MuseTalk Hybrid's nodes for ComfyUI, which loads this folder from its `custom_nodes/`; see README.md."""

from __future__ import annotations

from pathlib import Path

from .reach import put_in_reach


def _load() -> tuple[dict[str, type], dict[str, str]]:
    """Return the nodes by their ids, and what they are called, as ComfyUI asks for them."""
    put_in_reach(Path(__file__).parent)
    from .nodes import node_classes  # noqa: PLC0415 - the package has to be in reach first

    classes = node_classes()
    return dict(classes), {name: each.TITLE for name, each in classes.items()}


NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = _load()

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
