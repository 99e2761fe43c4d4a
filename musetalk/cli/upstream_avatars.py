"""`python -m musetalk avatar import` and `export`: avatars from and to MuseTalk's own cache."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetalk.avatars.settings import decided
from musetalk.cli.options import AvatarsDir, Named, cancel_on_signal
from musetalk.cli.setting_options import with_settings

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar
    from musetalk.avatars.upstream.cache import UpstreamInfo
    from musetalk.lipsync import LipSync
    from musetalk.progress import CancelToken, ProgressCallback
    from musetalk.settings import RenderSettings

# Settings that say nothing here.
_SPOKEN = ("voice_track", "measure", "debug_dir", "use_saved_coords", "coords_dir", "speech.phonemes")


def import_cache(
    *,
    cache: Annotated[Path, typer.Argument(metavar="DIR", help="MuseTalk's folder of the avatar.")],
    name: Annotated[str, typer.Option("--name", help="What it is called.")],
    fps: Annotated[str, typer.Option(help="Frames a second at which its pictures are played.")] = "25",
    avatars_dir: AvatarsDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Make an avatar of one that MuseTalk prepared (latents.pt, coords.pkl, full_imgs/, mask/, ...); needs no weights.

    Its crops, masks and latents are kept as they are. Nothing in its files is ever run.
    """
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415 - heavy imports wait until a command runs
    from musetalk.avatars.upstream.importing import import_avatar, played_at  # noqa: PLC0415
    from musetalk.avatars.upstream.reading import read_upstream_cache  # noqa: PLC0415
    from musetalk.cli.console import shown_progress  # noqa: PLC0415
    from musetalk.progress import RenderRun  # noqa: PLC0415
    from musetalk.utils.stopping import ends_by  # noqa: PLC0415
    from musetalk.utils.units import counted, frame_rate  # noqa: PLC0415

    folder, rate = AvatarStore(avatars_dir).place(name), played_at(fps)
    with cancel_on_signal() as cancel, shown_progress(quiet) as show, ends_by(cancel.check):
        found = read_upstream_cache(cache)
        avatar = import_avatar(found, folder, name, fps=rate, run=RenderRun(show, cancel))
    typer.echo(avatar.folder)
    typer.echo(
        f"  {counted(len(found), 'frame')} at {frame_rate(avatar.manifest.source.fps)}, for {avatar.settings.backend}"
    )
    for note in avatar.manifest.notes:
        typer.echo(f"  note: {note}")


@with_settings(without=(*decided(), *_SPOKEN), decided_by="the avatar")
def export_cache(
    *,
    avatar: Named,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace an avatar of MuseTalk's there.")] = False,
    avatars_dir: AvatarsDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Write AVATAR to DIR as MuseTalk keeps its own, with the crops, masks and latents that it speaks with."""
    from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415 - heavy imports wait until a command runs
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.cli.console import shown_progress  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415

    engine = LipSync(own_process=True)
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        opened = open_avatar(AvatarStore(avatars_dir).find(avatar), cancel)
        chosen = opened.settings_with(settings)
        notes = export_to(engine, opened, folder, chosen, replace=replace, on_progress=show, cancel=cancel)
    typer.echo(folder)
    for note in notes:
        typer.echo(f"  note: {note}")


def export_to(
    engine: LipSync,
    avatar: Avatar,
    folder: Path,
    settings: RenderSettings,
    *,
    info: UpstreamInfo | None = None,
    replace: bool = False,
    on_progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> tuple[str, ...]:
    """Write MuseTalk's cache of an avatar.

    Args:
        engine: What would speak.
        avatar: The avatar.
        folder: What to make; appears whole or not at all.
        settings: From `Avatar.settings_with`, for one of MuseTalk's backends.
        info: The facts that MuseTalk keeps; None: as the avatar's own are.
        replace: Whether a cache that is there goes.
        on_progress: Called as work goes on, from this thread.
        cancel: Ends the work.

    Returns:
        What the user should know, a sentence each.

    Raises:
        MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
    """
    from musetalk.avatars.upstream.exporting import export_avatar, upstream_info  # noqa: PLC0415
    from musetalk.avatars.upstream.writing import check_place  # noqa: PLC0415
    from musetalk.progress import RenderRun  # noqa: PLC0415
    from musetalk.utils.stopping import ends_by  # noqa: PLC0415

    run = RenderRun(on_progress, cancel)
    info = info or upstream_info(avatar, settings.backend, settings.face, settings.bbox_shift)
    check_place(folder, replace=replace)
    with engine.preparing_avatar(avatar, settings, Path(tempfile.gettempdir()), run) as plan, ends_by(run.cancel.check):
        export_avatar(plan, info, folder, run=run, replace=replace)
    return tuple(run.warnings)
