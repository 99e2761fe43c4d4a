"""`python -m scripts.create_avatar`: MuseTalk's cache of an avatar, made by this pipeline."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from musetalk.cli.main import run
from scripts.upstream_avatars import read_creation


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end; exit codes as of `python -m musetalk`."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    run(lambda: _create(argv))


def _create(argv: Sequence[str] | None) -> None:
    request = read_creation(argv)
    sys.stderr.write("".join(f"musetalk: note: {notice}\n" for notice in request.notices))
    from scripts.avatar_work import work_on  # noqa: PLC0415 - so that --help is quick

    work_on(request)


if __name__ == "__main__":
    main()
