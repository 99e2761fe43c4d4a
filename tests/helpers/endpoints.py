"""The app's endpoints, as programs use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradio_client import Client

from tests.helpers.programs import HANG_SECONDS


@contextmanager
def connected(address: str, auth: tuple[str, str] | None = None) -> Iterator[Client]:
    """Ask the endpoints of an app; they may take as long as a busy machine needs, which by default is five seconds."""
    client = Client(address, auth=auth, verbose=False, httpx_kwargs={"timeout": HANG_SECONDS})
    try:
        yield client
    finally:
        client.close()
