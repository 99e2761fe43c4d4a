"""How the app is served."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from musetalk.settings import MAX_SLOWDOWN


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the app is served.

    Attributes:
        host: Address to listen on; None: the environment's GRADIO_SERVER_NAME, else this machine only.
        port: Port; None: the environment's GRADIO_SERVER_PORT, else the first free one from 7860.
        auth: "user:password" of everybody who may log in; empty: no login.
        share: Ask Gradio for a public address.
        max_seconds: Longest source and voice.
        max_pixels: Largest frame.
        max_megabytes: Largest upload, in MiB.
        jobs_dir: Where jobs are kept.
        keep_hours: How long, after they ended.
        max_disk_gigabytes: Disk that all jobs together may take, in GiB; uploads that are no jobs yet, as much again.
        models_dir: Where weights are.
        max_slowdown: Seconds of work that a second of video may take where the backend is chosen automatically.
        downloads: Whether visitors may download weights; None: only who sits at this machine or has a login.
        owner: Whether whoever opens the page runs the server; None: while only this machine can open it, and nobody
            comes through a proxy.
        weights: Sets of weights to fetch, as far as they are missing, before anything is served.
        avatars_dir: Where the avatars are that speak live; None: where this user keeps avatars.
        live_sessions: Most that speak live at once; 0: nobody may.
        avatar_making: Whether visitors may make avatars that speak live, and delete them; None: as with downloads.
        drain_seconds: How long what runs may go on once the process is asked to end by SIGTERM.
        workers: Where jobs are rendered; see `open_executor`.
        max_queue: Most jobs that may wait or run; None: 100, or ten for each worker where that is more.
        metrics_token: What `/metrics` asks for; empty: it is for this machine alone.
    """

    host: str | None = None
    port: int | None = None
    auth: tuple[str, ...] = ()
    share: bool = False
    max_seconds: float = 600.0
    max_pixels: int = 3840 * 2160
    max_megabytes: int = 2048
    jobs_dir: Path = Path("jobs")
    keep_hours: float = 24.0
    max_disk_gigabytes: float = 10.0
    models_dir: Path = Path("models")
    max_slowdown: float = MAX_SLOWDOWN
    downloads: bool | None = None
    owner: bool | None = None
    weights: tuple[str, ...] = ()
    avatars_dir: Path | None = None
    live_sessions: int = 4
    avatar_making: bool | None = None
    drain_seconds: float = 20.0
    metrics_token: str = ""
    workers: str = "local:0"
    max_queue: int | None = None


def uploads_folder(jobs_dir: Path) -> Path:
    """Return a folder of our own for Gradio's files: its default is shared with every other app on the machine.

    Called before Gradio is imported, too, which else makes a folder in its default one that may be another user's.

    Args:
        jobs_dir: Where jobs are kept; the folder lies beside.
    """
    folder = os.environ.setdefault("GRADIO_TEMP_DIR", str(jobs_dir.resolve().with_name(f"{jobs_dir.name}-uploads")))
    return Path(folder)
