"""The command line in the process of the tests: what `python -m musetalk` does, without what it takes to start it."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from musetalk.cli.main import main


def musetalk(*arguments: object, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run a command in this process; its exit code, and what it printed on stdout and stderr."""
    out, complaint = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before, folder, root, pillow = sys.argv, Path.cwd(), logging.getLogger(), logging.getLogger("PIL")
    handlers, levels = list(root.handlers), (root.level, pillow.level)
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(complaint):
        os.chdir(cwd or folder)
        sys.argv = ["musetalk", *map(str, arguments)]
        try:
            main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv = before
            os.chdir(folder)
            logging.captureWarnings(capture=False)
            root.handlers[:] = handlers
            root.setLevel(levels[0])
            pillow.setLevel(levels[1])
    assert isinstance(code, int)
    return code, *(stream.buffer.getvalue().decode() for stream in (out, complaint))  # type: ignore[attr-defined]
