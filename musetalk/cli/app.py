"""`musetalk app`: the app in the browser."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

import typer

from musetalk.cli.options import LogAs, log_as
from musetalk.webui.options import ServerOptions, uploads_folder
from musetalk.weights.hub import check_endpoint

# Of each of the server's options, which say their types and defaults themselves; in the order of --help.
_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "host": typer.Option(help="Address to listen on (default: this machine only)."),
        "port": typer.Option(help="Port (default: the first free one from 7860)."),
        "auth": typer.Option(envvar="MUSETALK_AUTH", help="user:password; more than once for more users."),
        "share": typer.Option(help="Ask Gradio for a public address."),
        "max_seconds": typer.Option(help="Longest source and voice, in seconds.", min=1),
        "max_pixels": typer.Option(help="Largest frame, in pixels.", min=1),
        "max_megabytes": typer.Option(help="Largest upload, in MiB.", min=1),
        "jobs_dir": typer.Option(help="Where renders are kept."),
        "keep_hours": typer.Option(help="How long, in hours, after they ended.", min=0),
        "max_disk_gigabytes": typer.Option(help="Disk for all of them, in GiB.", min=0.1),
        "models_dir": typer.Option(help="Where weights are."),
        "max_slowdown": typer.Option(
            help="Seconds a second of video may take where the backend is chosen automatically.", min=0.001
        ),
        "weights": typer.Option(envvar="MUSETALK_WEIGHTS", help="Fetch these first, where missing: musetalk-v15, ..."),
        "avatars_dir": typer.Option(
            envvar="MUSETALK_AVATARS",
            help="Where the avatars are that speak live (default: where this user keeps them).",
        ),
        "live_sessions": typer.Option(help="Most that speak live at once; 0: nobody may.", min=0),
        "avatar_making": typer.Option(
            envvar="MUSETALK_AVATAR_MAKING",
            help="Whether visitors may make avatars that speak live, and delete them (default: only who sits at this "
            "machine or has a login).",
        ),
        "downloads": typer.Option(
            envvar="MUSETALK_DOWNLOADS",
            help="Whether visitors may download weights (default: only who sits at this machine or has a login).",
        ),
        "owner": typer.Option(
            envvar="MUSETALK_OWNER",
            help="Whether whoever opens the page runs this server (default: while it listens on this machine only and "
            "nobody comes through a proxy).",
        ),
        "drain_seconds": typer.Option(
            help="How long renders and live sessions may go on once SIGTERM asks the server to end; renders that are "
            "not done then are queued again for the next start.",
            min=0,
        ),
        "metrics_token": typer.Option(
            envvar="MUSETALK_METRICS_TOKEN",
            help="What /metrics asks for, as `Authorization: Bearer TOKEN` (default: it answers this machine alone).",
        ),
        "workers": typer.Option(
            envvar="MUSETALK_WORKERS",
            help="Where jobs are rendered: local:0, in this process; local:N, in N processes of this machine; ray:auto "
            "or ray://HOST:PORT, on a Ray cluster (?cpus=N: CPUs of a worker), which has to see the same files.",
        ),
        "max_queue": typer.Option(
            help="Most jobs that may wait or run (default: 100, or ten for each worker where that is more); one "
            "visitor may have a tenth of them, but always ten.",
            min=1,
        ),
    }
)


def _with_server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of `ServerOptions`; what they say is its parameter `options`."""
    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "options"]
    parameters = [*map(_parameter, _OPTIONS), *own]

    @wraps(command)
    def with_options(**values: Any) -> None:  # noqa: ANN401 - whatever options hold
        said = {name: values.pop(name) for name in _OPTIONS if name in values}
        many = {name: tuple(value or ()) for name, value in said.items() if _is_many(name)}
        command(ServerOptions(**{**said, **many}), **values)

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def _parameter(name: str) -> inspect.Parameter:
    """Return an option as typer reads it."""
    (default,) = (field.default for field in fields(ServerOptions) if field.name == name)
    kind, default = (list[str] | None, None) if _is_many(name) else (get_type_hints(ServerOptions)[name], default)
    annotation = Annotated[kind, _OPTIONS[name]]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _is_many(name: str) -> bool:
    """Return whether an option may be given more than once."""
    return bool(get_type_hints(ServerOptions)[name] == tuple[str, ...])


@_with_server_options
def serve_app(options: ServerOptions, *, log: LogAs = None) -> None:
    """Serve the browser app until it is asked to end."""
    check_endpoint()
    uploads_folder(options.jobs_dir)
    from musetalk.webui.server import serve  # noqa: PLC0415 - loads the engine

    if log is not None:
        log_as(log, logging.getLogger().level)
    _log_what_is_served()
    serve(options)


def _log_what_is_served() -> None:
    """Let the log tell where the page is, and what happens to jobs."""
    logger = logging.getLogger()
    logger.setLevel(min(logger.level, logging.INFO))
