"""Downloads in the app, brought to a certain point."""

from __future__ import annotations

from musetalk.webui.downloads import Downloads, DownloadState
from tests.helpers.hub import SMALL, Hub
from tests.helpers.programs import HANG_SECONDS


def ended(downloads: Downloads) -> DownloadState:
    return downloads.wait(lambda state: not state.active, HANG_SECONDS)


def halfway(hub: Hub, downloads: Downloads) -> DownloadState:
    """Start, and come to a stop in the middle of the large file."""
    hub.pauses = [len(SMALL), 3_000_000]
    downloads.start("mouth")
    return downloads.wait(lambda state: state.done > 2_000_000, HANG_SECONDS)
