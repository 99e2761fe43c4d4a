"""What the commands share: common options, `--set`, exit codes, cancelling on signals."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetalk.settings import nested, written_setting
from musetalk.utils.log_lines import LogFormat, log_foreign_lines, set_up_log
from musetalk.utils.processes import end_at_once

if TYPE_CHECKING:
    from musetalk.progress import CancelToken

AvatarsDir = Annotated[
    Path | None,
    typer.Option("--avatars-dir", envvar="MUSETALK_AVATARS", help="Where avatars are (default: the user's data)."),
]
Named = Annotated[str, typer.Argument(metavar="AVATAR", help="Its name, its id, or its folder.")]

LogAs = Annotated[
    LogFormat | None,
    typer.Option(
        "--log",
        envvar="MUSETALK_LOG",
        help="Log as text for people, or as json: one object a line for programs, on stderr.",
        show_default=False,
    ),
]
FRESH_HELP = "Begin anew, also where an earlier render of the same was stopped."

FAILED, USAGE, CANCELLED = 1, 2, 130  # exit codes


def log_as(form: LogFormat | None, least: int) -> None:
    """Log to stderr from now on, from a level on.

    Args:
        form: None: as text.
        least: The level; whoever asks for JSON wants to know of all that is worth knowing, too.
    """
    if form == "json":
        set_up_log(min(least, logging.INFO), form)
        log_foreign_lines()
    else:
        set_up_log(least, "text")


def values_of(said: dict[str, Any], further: list[str] | None, renamed: Mapping[str, str]) -> dict[str, Any]:
    """What options say as a tree of settings.

    Args:
        said: By dotted names; None: not said.
        further: Texts of `--set`, which win.
        renamed: Present names of settings by those of before, which `--set` may use.

    Raises:
        SettingsError: A text cannot be read, or a setting is given as a whole and in part.
    """
    known = {name: value for name, value in said.items() if value is not None}
    set_ = {
        renamed.get(name, name): value
        for name, value in (written_setting(each, f"--set {each}") for each in further or ())
    }
    return nested({**known, **set_})


@contextmanager
def cancel_on_signal() -> Iterator[CancelToken]:
    """A token that Ctrl-C and SIGTERM set, so that work ends in order; a second Ctrl-C ends the program at once."""
    from musetalk.progress import CancelToken  # noqa: PLC0415 - see the module's first line

    token = CancelToken()

    def stop(number: int, _frame: object) -> None:
        if token.cancelled and number == signal.SIGINT:
            end_at_once(CANCELLED)
        token.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
