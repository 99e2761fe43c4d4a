"""Whose page a browser sends a request for."""

from __future__ import annotations

from urllib.parse import urlsplit


def same_site(origin: str, host: str) -> bool:
    """Return whether a page is of the site that it asks.

    Args:
        origin: What the header `Origin` says, whatever that is.
        host: What the header `Host` says.
    """
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # it is no address
        return False
