"""Pictures with captions, from files that the server may serve."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote


def file_address(path: Path) -> str:
    """Return where the page finds a file of a static path; relative, so that it holds behind any proxy's prefix."""
    return f"gradio_api/file={quote(str(path))}"


def figures(pictures: Sequence[tuple[Path, str]]) -> str:
    """Pictures side by side, each with a caption."""
    parts = (
        f'<figure><img src="{escape(file_address(path))}" alt="{escape(caption)}" loading="lazy">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for path, caption in pictures
    )
    return f'<div class="mt-pictures">{"".join(parts)}</div>'
