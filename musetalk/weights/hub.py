"""Metadata of files on the hub, and the hub's errors as this program's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from musetalk.errors import DownloadError
from musetalk.weights.weight_file import HubPlace, UrlPlace

_SECONDS = 20.0  # for a server to answer
_NO_HEAD = (403, 405, 501)  # answers of servers that only let files be fetched, not asked about
_REFUSED = (401, 403)
_BUSY = 429
_BY_HAND = (
    "put the files there by hand "
    "(what goes where: python -m musetalk weights list) and run: python -m musetalk weights verify"
)
_LOG_IN = "log in (hf auth login, or HF_TOKEN)"
_NEWER = "get a newer version of this program, which may know where it is now"


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server.

    Attributes:
        address: Where it is fetched.
        size: In bytes; None: the server does not say.
        tag: What the server tells one content from another by; on the hub, a hash of it. Empty: it does not say.
        headers: To send along.
    """

    address: str
    size: int | None
    tag: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # may hold the user's token


def find(place: HubPlace | UrlPlace) -> Remote:
    """Ask for a file's size and hash.

    Raises:
        DownloadError: The server cannot be reached, or does not have the file.
    """
    with hub_errors(place):
        return _on_hub(place) if isinstance(place, HubPlace) else _at_address(place)


@contextmanager
def hub_errors(place: HubPlace | UrlPlace) -> Iterator[None]:
    """Turn what the network's libraries raise into errors that say what to do.

    Raises:
        DownloadError: Instead of theirs.
    """
    import httpx2  # noqa: PLC0415 - only needed to download
    from huggingface_hub import errors  # noqa: PLC0415

    # Connections that the hub's library cannot make fail with errors of the HTTP library under it, from which its own
    # derive. In its releases before 2 that is httpx instead of httpx2, which is ours.
    kinds = (kind for kind in errors.HfHubHTTPError.__mro__ if issubclass(kind, Exception))
    under = next(kind for kind in kinds if kind.__name__ == httpx2.HTTPError.__name__)
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise DownloadError("HF_HUB_OFFLINE forbids downloads", _or_by_hand("unset it")) from error
    except errors.FileMetadataError as error:
        raise DownloadError(f"{_host(place)} does not answer like a hub", _reaching(place)) from error
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"{place.page} is only for those who agreed to its terms", _or_by_hand(f"agree there and {_LOG_IN}")
        ) from error
    except (errors.RemoteEntryNotFoundError, errors.RevisionNotFoundError) as error:
        raise _gone(place) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"{_named(place)} is not there, or not for everybody", _or_by_hand(*_elsewhere(place), _LOG_IN)
        ) from error
    except (httpx2.HTTPStatusError, errors.HfHubHTTPError) as error:
        raise _answered(place, error.response.status_code) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, under) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DownloadError(f"{_host(place)} cannot be reached ({reason})", _reaching(place)) from error


def _answered(place: HubPlace | UrlPlace, status: int) -> DownloadError:
    """Return what a server's refusal means."""
    if status in {404, 410}:
        return _gone(place)
    if status in _REFUSED:
        ways = [_LOG_IN] if isinstance(place, HubPlace) else []
        return DownloadError(
            f"{_host(place)} does not let everybody have {_name(place)} ({status})", _or_by_hand(*ways)
        )
    passing = status == _BUSY or status >= 500
    return DownloadError(f"{_host(place)} answers {status}", "try again later" if passing else _reaching(place))


def _gone(place: HubPlace | UrlPlace) -> DownloadError:
    return DownloadError(f"{_host(place)} does not have {_name(place)}", _or_by_hand(*_elsewhere(place), _NEWER))


def _name(place: HubPlace | UrlPlace) -> str:
    return f"{place.path} of {place.repository}" if isinstance(place, HubPlace) else place.address


def _named(place: HubPlace | UrlPlace) -> str:
    """Return its address for people where it was looked for."""
    mirror = _mirror(place)
    return f"{mirror}/{place.repository}" if mirror and isinstance(place, HubPlace) else place.page


def _reaching(place: HubPlace | UrlPlace) -> str:
    """Return what to do where a server does not answer, or not as it should."""
    if _mirror(place):
        return _or_by_hand("look at HF_ENDPOINT", "connect")
    return _or_by_hand("connect", *(["name a mirror with HF_ENDPOINT"] if isinstance(place, HubPlace) else []))


def _elsewhere(place: HubPlace | UrlPlace) -> list[str]:
    """Return what else can be asked where a mirror lacks something."""
    return ["unset HF_ENDPOINT"] if _mirror(place) else []


def _or_by_hand(*ways: str) -> str:
    return f"{', '.join(ways)}, or {_BY_HAND}" if ways else _BY_HAND


def _mirror(place: HubPlace | UrlPlace) -> str:
    """Return the mirror that is asked instead of the hub; empty: none is."""
    return (_endpoint() or "") if isinstance(place, HubPlace) else ""


def _on_hub(place: HubPlace) -> Remote:
    endpoint = _endpoint()
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415 - only needed to download
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # noqa: PLC0415 - documented

    address = hf_hub_url(place.repository, place.path, revision=place.revision, endpoint=endpoint)
    said = get_hf_file_metadata(address, timeout=_SECONDS, endpoint=endpoint)
    return Remote(address, said.size, said.etag or "", dict(build_hf_headers()))


def _at_address(place: UrlPlace) -> Remote:
    import httpx2  # noqa: PLC0415 - only needed to download

    answer = httpx2.head(
        place.address, headers={"Accept-Encoding": "identity"}, follow_redirects=True, timeout=_SECONDS
    )
    if answer.status_code in _NO_HEAD:
        return Remote(place.address, None, "")
    answer.raise_for_status()
    length = answer.headers.get("Content-Length", "")
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return Remote(place.address, int(length) if length.isdecimal() else None, f'"{tag}"')  # quoted: it is no hash


def _endpoint() -> str | None:
    """Return the hub, if not the usual one; read here because the library reads it once, when it is imported."""
    check_endpoint()
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def check_endpoint() -> None:
    """Make sure that HF_ENDPOINT is an address, if it is set; else libraries that load networks cannot be imported.

    Raises:
        DownloadError: It is none.
    """
    given = os.environ.get("HF_ENDPOINT", "")
    if given and not _is_address(given):
        raise DownloadError(
            f"HF_ENDPOINT is no address of a server ({given!r})",
            "unset HF_ENDPOINT, or set that variable to an address like https://huggingface.co",
        )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and not re.search(r"\s", text)
            and parts.port != 0
        )
    except ValueError:
        return False


def _host(place: HubPlace | UrlPlace) -> str:
    address = _mirror(place) or place.page
    return urlsplit(address).netloc or address
