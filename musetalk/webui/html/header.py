"""The line at the top of the page."""

from __future__ import annotations

from html import escape


def header(name: str, version: str, device: str, queue: str) -> str:
    """Return what this is, what it runs on, how busy it is. All arguments are plain text and are escaped."""
    return (
        f'<div class="mt-header"><h1 class="mt-name">{_MARK}{escape(name)}</h1>'
        f'<ul class="mt-header-facts" aria-label="About this server"><li>{escape(version)}</li>'
        f"<li>{escape(device)}</li><li>{escape(queue)}</li></ul></div>"
    )


_MARK = (
    '<svg class="mt-mark" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">'
    '<path d="M3 8v4M6.5 5.5v9M10 3v14M13.5 6.5v7M17 8.5v3"/></svg>'
)
