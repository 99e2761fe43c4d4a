"""`python -m scripts.inference`: MuseTalk's command line, over this pipeline."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from musetalk.cli.batch import render_rows, told_end
from musetalk.cli.main import run
from scripts.upstream import read_request


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end; exit codes as of `python -m musetalk`."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    run(lambda: _render(argv))


def _render(argv: Sequence[str] | None) -> None:
    request = read_request(argv)
    sys.stderr.write("".join(f"musetalk: note: {notice}\n" for notice in request.notices))
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.file_uses import FileUses  # noqa: PLC0415 - so that --help is quick

    beside = FileUses().reading(request.config, "the file of tasks")
    sys.exit(told_end(render_rows(request.rows, LipSync(own_process=True), beside, quiet=False), None))


if __name__ == "__main__":
    main()
