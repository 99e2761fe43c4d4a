"""`python -m scripts.presgen`: a script becomes a talk, by the flags of `python -m src.presgen_training`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from musetalk.cli.main import run
from musetalk.cli.options import cancel_on_signal
from musetalk.presenter.presets import PRESETS

# PresGen's own word for the middle quality is "standard", too; what else its forks say means the same here.
_ALIASES = {"fast": "draft", "medium": "standard", "hd": "high"}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end; exit codes as of `python -m musetalk`.

    Lips that cannot move are an error, where PresGen shipped a still picture and said that it had succeeded.
    """
    run(lambda: _present(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.presgen",
        description="Make a talk of a script.",
        epilog="More can be chosen by: python -m musetalk present",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--script", type=Path, required=True, help="text or Markdown")
    add("--source-video", type=Path, required=True, help="video, picture, or folder of pictures")
    add("--quality", choices=(*PRESETS, *_ALIASES), default="standard", help="size and backend")
    add("--output", type=Path, default="results/presentation.mp4", help="file to make")
    return parser


def _present(flags: argparse.Namespace) -> None:
    from musetalk.cli.console import describe, shown_progress  # noqa: PLC0415 - so that --help is quick
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.presenter.options import TalkOptions  # noqa: PLC0415
    from musetalk.presenter.present import present  # noqa: PLC0415
    from musetalk.presenter.script import read_script  # noqa: PLC0415

    engine, script = LipSync(own_process=True), read_script(flags.script)
    options = TalkOptions(quality=_ALIASES.get(flags.quality, flags.quality))
    with cancel_on_signal() as cancel, shown_progress() as show:
        told = present(engine, script, flags.source_video, flags.output, options, on_progress=show, cancel=cancel)
    if told.render is not None:
        sys.stdout.write(f"{describe(told.render, engine.registry.get(told.render.backend).notice)}\n")
    for note in told.notes:
        sys.stdout.write(f"  note: {note}\n")


if __name__ == "__main__":
    main()
