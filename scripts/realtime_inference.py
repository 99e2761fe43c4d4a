"""`python -m scripts.realtime_inference`: avatars that MuseTalk's YAML names speak, through this pipeline."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from musetalk.cli.main import run
from musetalk.cli.options import FAILED
from scripts.upstream_avatars import read_speaking


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end; exit codes as of `python -m musetalk`."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    run(lambda: _speak(argv))


def _speak(argv: Sequence[str] | None) -> None:
    request = read_speaking(argv)
    sys.stderr.write("".join(f"musetalk: note: {notice}\n" for notice in request.notices))
    from scripts.avatar_work import work_on  # noqa: PLC0415 - so that --help is quick

    if not work_on(request):
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
