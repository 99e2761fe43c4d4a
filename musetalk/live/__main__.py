"""`python -m musetalk.live`: serve live speech alone, with the packages of requirements-streaming.txt."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from musetalk.avatars.store import VARIABLE, AvatarStore
from musetalk.errors import MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits

_ASKED_FOR = "MUSETALK_LIVE_TOKEN"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is asked to end; return the exit code."""
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        from musetalk.live.server import Door, serve_until_told  # noqa: PLC0415 - it needs websockets

        door = Door(given.host, given.port, os.environ.get(_ASKED_FOR, ""), tuple(given.origin))
        if not door.token and given.host not in _LOOPBACK:
            _log.warning("whoever reaches %s may speak: set %s to ask for a token", given.host, _ASKED_FOR)
        limits = LiveLimits(sessions=given.sessions, waiting=given.waiting)
        engine = LipSync(own_process=True)
        host = LiveHost(engine, AvatarStore(given.avatars_dir), limits, models_dir=given.models_dir)
        asyncio.run(serve_until_told(host, door))
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
    add("--port", type=_port, default=7861, help="port; 0: any that is free")
    add("--avatars-dir", type=Path, help=f"where the avatars are; unset: {VARIABLE}, else where this user keeps them")
    add("--models-dir", type=Path, default=Path("models"), help="where weights are")
    add("--sessions", type=_positive, default=usual.sessions, help="most that speak at once")
    add("--waiting", type=int, default=usual.waiting, help="most that wait for one")
    add("--origin", action="append", default=[], metavar="URL", help="a page of another site that may speak")
    return parser


def _port(text: str) -> int:
    value = int(text)
    if value not in range(2**16):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
