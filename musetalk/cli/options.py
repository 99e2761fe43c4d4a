"""What the commands share: common options, `--set`, exit codes, cancelling on signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from musetalk.errors import SettingsError, one_line
from musetalk.settings import nested

if TYPE_CHECKING:
    from musetalk.progress import CancelToken

AvatarsDir = Annotated[
    Path | None,
    typer.Option("--avatars-dir", envvar="MUSETALK_AVATARS", help="Where avatars are (default: the user's data)."),
]
Named = Annotated[str, typer.Argument(metavar="AVATAR", help="Its name, its id, or its folder.")]

FAILED, USAGE, CANCELLED = 1, 2, 130  # exit codes


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
    set_ = {renamed.get(name, name): value for name, value in map(_setting, further or ())}
    return nested({**known, **set_})


def _setting(text: str) -> tuple[str, Any]:
    """A setting as `--set` takes it: its name, and the value as YAML reads it."""
    import yaml  # noqa: PLC0415

    name, equals, value = text.partition("=")
    try:
        if name and equals:
            return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {text}: the value cannot be read ({one_line(error)})") from error
    raise SettingsError(f"--set {text} is not of the form NAME=VALUE", "for example: --set network.seed=1")


@contextmanager
def cancel_on_signal() -> Iterator[CancelToken]:
    """A token that Ctrl-C and SIGTERM set, so that work ends in order; a second Ctrl-C ends the program at once."""
    from musetalk.progress import CancelToken  # noqa: PLC0415 - see the module's first line

    token = CancelToken()

    def stop(number: int, _frame: object) -> None:
        if token.cancelled and number == signal.SIGINT:
            _end_at_once()
        token.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_at_once() -> NoReturn:
    """End without waiting for threads: a network in the middle of a frame answers to nothing."""
    import psutil  # noqa: PLC0415

    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(CANCELLED)
