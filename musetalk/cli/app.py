"""`musetalk app`: the app in the browser."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from musetalk.cli.options import LogAs, log_as
from musetalk.webui.options import ServerOptions
from musetalk.weights.hub import check_endpoint

_DEFAULT = ServerOptions()
_DOWNLOADS = typer.Option(
    envvar="MUSETALK_DOWNLOADS",
    help="Whether visitors may download weights (default: only who sits at this machine or has a login).",
)
_OWNER = typer.Option(
    envvar="MUSETALK_OWNER",
    help="Whether whoever opens the page runs this server (default: while it listens on this machine only and nobody "
    "comes through a proxy).",
)
_MAX_SLOWDOWN = typer.Option(
    help="Seconds a second of video may take where the backend is chosen automatically.", min=0.001
)
_WEIGHTS = typer.Option(envvar="MUSETALK_WEIGHTS", help="Fetch these first, where missing: musetalk-v15, ...")
_AVATAR_MAKING = typer.Option(
    envvar="MUSETALK_AVATAR_MAKING",
    help="Whether visitors may make avatars that speak live, and delete them (default: only who sits at this machine "
    "or has a login).",
)
_DRAIN_SECONDS = typer.Option(
    help="How long renders and live sessions may go on once SIGTERM asks the server to end; renders that are not done "
    "then are queued again for the next start.",
    min=0,
)
_METRICS_TOKEN = typer.Option(
    envvar="MUSETALK_METRICS_TOKEN",
    help="What /metrics asks for, as `Authorization: Bearer TOKEN` (default: it answers this machine alone).",
)
_WORKERS = typer.Option(
    envvar="MUSETALK_WORKERS",
    help="Where jobs are rendered: local:0, in this process; local:N, in N processes of this machine; ray:auto or "
    "ray://HOST:PORT, on a Ray cluster (?cpus=N: CPUs of a worker), which has to see the same files.",
)
_AVATARS = typer.Option(
    envvar="MUSETALK_AVATARS", help="Where the avatars are that speak live (default: where this user keeps them)."
)


def serve_app(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: this machine only).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (default: the first free one from 7860).")] = None,
    auth: Annotated[
        list[str] | None, typer.Option(envvar="MUSETALK_AUTH", help="user:password; more than once for more users.")
    ] = None,
    share: Annotated[bool, typer.Option(help="Ask Gradio for a public address.")] = False,
    max_seconds: Annotated[
        float, typer.Option(help="Longest source and voice, in seconds.", min=1)
    ] = _DEFAULT.max_seconds,
    max_pixels: Annotated[int, typer.Option(help="Largest frame, in pixels.", min=1)] = _DEFAULT.max_pixels,
    max_megabytes: Annotated[int, typer.Option(help="Largest upload, in MiB.", min=1)] = _DEFAULT.max_megabytes,
    jobs_dir: Annotated[Path, typer.Option(help="Where renders are kept.")] = _DEFAULT.jobs_dir,
    keep_hours: Annotated[
        float, typer.Option(help="How long, in hours, after they ended.", min=0)
    ] = _DEFAULT.keep_hours,
    max_disk_gigabytes: Annotated[
        float, typer.Option(help="Disk for all of them, in GiB.", min=0.1)
    ] = _DEFAULT.max_disk_gigabytes,
    models_dir: Annotated[Path, typer.Option(help="Where weights are.")] = _DEFAULT.models_dir,
    max_slowdown: Annotated[float, _MAX_SLOWDOWN] = _DEFAULT.max_slowdown,
    weights: Annotated[list[str] | None, _WEIGHTS] = None,
    avatars_dir: Annotated[Path | None, _AVATARS] = _DEFAULT.avatars_dir,
    live_sessions: Annotated[
        int, typer.Option(help="Most that speak live at once; 0: nobody may.", min=0)
    ] = _DEFAULT.live_sessions,
    avatar_making: Annotated[bool | None, _AVATAR_MAKING] = _DEFAULT.avatar_making,
    downloads: Annotated[bool | None, _DOWNLOADS] = _DEFAULT.downloads,
    owner: Annotated[bool | None, _OWNER] = _DEFAULT.owner,
    drain_seconds: Annotated[float, _DRAIN_SECONDS] = _DEFAULT.drain_seconds,
    metrics_token: Annotated[str, _METRICS_TOKEN] = _DEFAULT.metrics_token,
    workers: Annotated[str, _WORKERS] = _DEFAULT.workers,
    log: LogAs = None,
) -> None:
    """Serve the browser app until it is asked to end."""
    check_endpoint()
    from musetalk.webui.server import serve  # noqa: PLC0415 - loads the engine

    if log is not None:
        log_as(log, logging.getLogger().level)
    _log_what_is_served()
    serve(
        ServerOptions(
            host=host,
            port=port,
            auth=tuple(auth or ()),
            share=share,
            max_seconds=max_seconds,
            max_pixels=max_pixels,
            max_megabytes=max_megabytes,
            jobs_dir=jobs_dir,
            keep_hours=keep_hours,
            max_disk_gigabytes=max_disk_gigabytes,
            models_dir=models_dir,
            max_slowdown=max_slowdown,
            downloads=downloads,
            owner=owner,
            weights=tuple(weights or ()),
            avatars_dir=avatars_dir,
            live_sessions=live_sessions,
            avatar_making=avatar_making,
            drain_seconds=drain_seconds,
            metrics_token=metrics_token,
            workers=workers,
        )
    )


def _log_what_is_served() -> None:
    """Let the log tell where the page is, and what happens to jobs."""
    logger = logging.getLogger()
    logger.setLevel(min(logger.level, logging.INFO))
