"""`python -m musetalk.live`: serve live speech alone, with the packages of requirements-streaming.txt."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from musetalk.avatars.store import VARIABLE, AvatarStore
from musetalk.errors import MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits

_ASKED_FOR = "MUSETALK_LIVE_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger("musetalk.live")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is asked to end; return the exit code."""
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # else it tells of each question for the health
    try:
        from musetalk.live.server import Door, serve_until_told  # noqa: PLC0415 - it needs websockets

        door = Door(given.host, given.port, os.environ.get(_ASKED_FOR, ""), tuple(given.origin))
        if not door.token and given.host not in _LOOPBACK:
            _log.warning("whoever reaches %s may speak: set %s to ask for a token", given.host, _ASKED_FOR)
        limits = LiveLimits(sessions=given.sessions, waiting=given.waiting)
        engine = LipSync(own_process=True)
        host = LiveHost(engine, AvatarStore(given.avatars_dir), limits, models_dir=given.models_dir)
        asyncio.run(serve_until_told(host, door, given.drain_seconds))
    except MuseTalkError as error:
        sys.stderr.write(f"musetalk: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m musetalk.live",
        description="Let avatars speak live over a WebSocket, without the app. The protocol: docs/live.md.",
        epilog=f"{_ASKED_FOR}, where it is set, is what clients have to send: Authorization: Bearer TOKEN.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    usual, add = LiveLimits(), parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=_number(0, 65_535), default=7861, help="port; 0: any that is free")
    add("--avatars-dir", type=Path, help=f"where the avatars are; unset: {VARIABLE}, else where this user keeps them")
    add("--models-dir", type=Path, default=Path("models"), help="where weights are")
    add("--sessions", type=_number(1), default=usual.sessions, help="most that speak at once")
    add("--waiting", type=_number(0), default=usual.waiting, help="most that wait for one")
    add("--drain-seconds", type=_number(0), default=20, help="how long sessions may go on after SIGTERM")
    add("--origin", type=_origin, action="append", default=[], metavar="URL", help="another site whose pages may speak")
    return parser


def _number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest or (highest is not None and value > highest):
            most = "or more" if highest is None else f"to {highest}"
            raise argparse.ArgumentTypeError(f'"{text}" is no whole number that can be: give {lowest} {most}')
        return value

    return read


def _origin(text: str) -> str:
    """Return a site as browsers tell it."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise argparse.ArgumentTypeError(f'"{text}" is no site: give it as https://example.org')
    return f"{parts.scheme}://{parts.netloc.lower()}"


if __name__ == "__main__":
    sys.exit(main())
