"""One file over HTTP, into a file that grows: by ranges, so that nothing that has arrived is asked for again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from musetalk.errors import DownloadError
from musetalk.progress import CancelToken
from musetalk.weights.disk import unwritable
from musetalk.weights.hub import Remote, hub_errors
from musetalk.weights.weight_file import HubPlace, UrlPlace

if TYPE_CHECKING:
    import httpx2

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before another try; a try that brings something starts them anew
_SILENCE = 10.0  # seconds without a byte after which a connection counts as broken; also how late it is cancelled
_REPORT = 2**20  # bytes between two reports
_POLL = 0.1  # seconds
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be better soon
_PARTIAL, _BEYOND = 206, 416
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class _BrokenOffError(Exception):
    """A try ended early, and another may go on from there."""


def receive(
    place: HubPlace | UrlPlace, remote: Remote, part: Path, on_bytes: Callable[[int], None], cancel: CancelToken
) -> None:
    """Fetch what is missing of a file.

    Args:
        place: Where it comes from, for errors.
        remote: What the server said of it.
        part: Where it grows; its bytes so far are the file's first.
        on_bytes: Called with the bytes that are here.
        cancel: Ends it.

    Raises:
        DownloadError: The server cannot be reached any more, or refuses.
        OutputError: The disk is full or cannot be written.
        Cancelled: Through `cancel`.
    """
    import httpx2  # noqa: PLC0415 - only needed to download

    failures = 0
    with hub_errors(place), httpx2.Client(follow_redirects=True, timeout=_SILENCE) as client:
        while True:
            before = _length(part)
            try:
                if _is_whole(remote, before) or _try(client, remote, part, on_bytes, cancel):
                    return
            except (httpx2.TransportError, _BrokenOffError) as error:
                failures = 1 if _length(part) > before else failures + 1
                if failures > len(PAUSES):
                    raise _given_up(error, remote) from error
                _pause(PAUSES[failures - 1], cancel)


def _is_whole(remote: Remote, length: int) -> bool:
    return remote.size is not None and length == remote.size and length > 0


def _try(
    client: httpx2.Client, remote: Remote, part: Path, on_bytes: Callable[[int], None], cancel: CancelToken
) -> bool:
    """Ask for the rest once; returns whether that was all of it."""
    have = _length(part)
    headers = {**remote.headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", remote.address, headers=headers) as answer:
        if answer.status_code in _PASSING:
            raise _BrokenOffError(f"it answers {answer.status_code}")
        start, total = _range_of(answer)
        if answer.status_code == _BEYOND and have:
            if total == have:
                return True
            part.unlink()
            return False
        answer.raise_for_status()
        if start != have:  # the server starts over, or counts differently than we do: so do we
            have = 0
        if start not in {0, have}:
            raise _BrokenOffError("it sends another range than was asked for")
        with _opened(part, have) as file:
            reported = have
            for chunk in answer.iter_bytes():  # as they come: chunks of a fixed size would be lost half full
                cancel.check()
                _write(file, chunk, part)
                have += len(chunk)
                if have - reported >= _REPORT or have == remote.size:
                    on_bytes(have)
                    reported = have
                if remote.size is not None and have > remote.size:
                    return True  # whatever it is, it is not that file: the caller's checks say so
    if remote.size is not None and have < remote.size:
        raise _BrokenOffError(f"it sent {have} of {remote.size} bytes")
    return True


def _range_of(answer: httpx2.Response) -> tuple[int, int | None]:
    """Return where the bytes of an answer begin, and how many the file has; None: it does not say."""
    said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status_code not in {_PARTIAL, _BEYOND} or said is None:
        return 0, None
    return int(said[1] or 0), None if said[2] == "*" else int(said[2])


def _opened(part: Path, have: int) -> BinaryIO:
    try:
        return part.open("ab" if have else "wb")
    except OSError as error:
        raise unwritable(part, error) from error


def _write(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise unwritable(part, error) from error


def _given_up(error: Exception, remote: Remote) -> Exception:
    """Return what is raised once a server has failed too often."""
    if not isinstance(error, _BrokenOffError):
        return error  # `told` knows what to say of it
    host = remote.address.split("/")[2]
    return DownloadError(f"{host} fails: {error}", "try again later; the next download goes on from there")


def _pause(seconds: float, cancel: CancelToken) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        cancel.check()
        time.sleep(min(_POLL, left))
    cancel.check()


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
