"""`python -m musetalk avatar` and `speak`: sources that are prepared once, and speak whatever comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetalk.avatars.settings import decided
from musetalk.cli.options import FRESH_HELP, AvatarsDir, Named, cancel_on_signal
from musetalk.cli.setting_options import option_context, with_settings
from musetalk.cli.upstream_avatars import export_cache, import_cache

if TYPE_CHECKING:
    from musetalk.avatars.manifest import Manifest

# Settings that say nothing before there is a voice.
_OF_RENDERS = ("voice_track", "measure", "debug_dir", "speech.phonemes")
_COORDS = ("use_saved_coords", "coords_dir")  # an avatar keeps the faces itself
_SHORT = 12  # digits of an id that are shown

app = typer.Typer(
    name="avatar",
    help="Prepare a source once; from then on it speaks without being looked through again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command("import")(import_cache)
app.command("export", context_settings=option_context())(export_cache)


@app.command(context_settings=option_context())
@with_settings(without=("backend", *_OF_RENDERS, *_COORDS))
def create(
    *,
    source: Annotated[Path, typer.Argument(help="Video, picture, or folder of pictures.")],
    name: Annotated[str, typer.Option("--name", help="What it is called.")],
    backend: Annotated[
        list[str] | None, typer.Option("--backend", help="What it is prepared for (default: auto); may repeat.")
    ] = None,
    avatars_dir: AvatarsDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Prepare SOURCE: its faces are found, parsed, and encoded for each backend; kept with a copy of it."""
    from musetalk.settings import RenderSettings  # noqa: PLC0415 - heavy imports wait until a command runs

    chosen = RenderSettings.parse(settings)
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.cli.console import shown_progress  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415

    folder = AvatarStore(avatars_dir).place(name)
    engine = LipSync(own_process=True)
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        avatar = engine.create_avatar(source, folder, chosen, backends=backend or (), on_progress=show, cancel=cancel)
    typer.echo(avatar.folder)
    typer.echo(f"  {_described(avatar.manifest)}")
    for note in avatar.manifest.notes:
        typer.echo(f"  note: {note}")


@app.command("list")
def list_avatars(avatars_dir: AvatarsDir = None) -> None:
    """Show all avatars."""
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.utils.files import readable  # noqa: PLC0415

    store = AvatarStore(avatars_dir)
    entries = store.entries()
    for each in entries:
        told = f"cannot be used: {each.problem}" if each.manifest is None else _described(each.manifest)
        typer.echo(f"{readable(each.folder.name)}: {readable(told)}")
    if not entries:
        typer.echo(f"there are no avatars in {store.folder}")


@app.command()
def show(
    avatar: Named,
    avatars_dir: AvatarsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print its avatar.json.")] = False,
) -> None:
    """Show one avatar, after all of its files were read and found to be what they have to be."""
    from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.utils.units import counted, size  # noqa: PLC0415

    opened = open_avatar(AvatarStore(avatars_dir).find(avatar))
    manifest = opened.manifest
    if as_json:
        typer.echo(manifest.model_dump_json(indent=1))
        return
    typer.echo(f"{manifest.name}: {opened.folder}")
    typer.echo(f"  id {manifest.id}, made by version {manifest.made_by}")
    typer.echo(f"  {_described(manifest)}")
    typer.echo(f"  faces in {counted(opened.faces.face_frames, 'frame')}, found by {manifest.detector}")
    for name, facts in sorted(manifest.files.items()):
        if "/" not in name:
            typer.echo(f"  {name}: {size(facts.size)}")
    for note in manifest.notes:
        typer.echo(f"  note: {note}")


@app.command()
def delete(avatar: Named, avatars_dir: AvatarsDir = None) -> None:
    """Delete an avatar, with its copy of the source."""
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415

    typer.echo(f"{AvatarStore(avatars_dir).delete(avatar)}: deleted")


@with_settings(without=(*decided(), *_COORDS), decided_by="the avatar")
def speak(
    *,
    avatar: Named,
    voice: Annotated[Path, typer.Argument(help="Any audio or video file with the voice.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to make: .mp4, .mov, .m4v or .mkv.")],
    avatars_dir: AvatarsDir = None,
    report: Annotated[Path | None, typer.Option(help="Write the report there, as JSON.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help=FRESH_HELP)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Let AVATAR speak VOICE to OUT: as `render` makes it of its source, without looking for what is known.

    Settings are those that it was created with, but for those given here.
    """
    from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415 - heavy imports wait until a command runs
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.cli.console import describe, shown_progress  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.request import RenderRequest  # noqa: PLC0415
    from musetalk.resume.types import ResumeOptions  # noqa: PLC0415

    engine = LipSync(own_process=True)
    with cancel_on_signal() as cancel, shown_progress(quiet) as show_progress:
        opened = open_avatar(AvatarStore(avatars_dir).find(avatar), cancel)
        request = RenderRequest.of_avatar(opened, voice, opened.settings_with(settings))
        engine.files(request, out).writing(report, "the report").check()
        resume = ResumeOptions(fresh=fresh)
        told = engine.make(request, out, resume=resume, on_progress=show_progress, cancel=cancel)
    if report is not None:
        told.save(report)
    typer.echo(describe(told, engine.registry.get(told.backend).notice))


def _described(manifest: Manifest) -> str:
    """Return an avatar in one line."""
    from fractions import Fraction  # noqa: PLC0415

    from musetalk.utils.units import counted, duration, frame_rate, size  # noqa: PLC0415

    source = manifest.source
    length = f"{counted(source.frames, 'frame')}, {duration(float(source.frames / Fraction(source.fps)))}"
    prepared = ", ".join(each.name for each in manifest.backends)
    return (
        f"{source.width}x{source.height} at {frame_rate(source.fps)}, {length}, from {source.name}; for {prepared}; "
        f"{size(manifest.size)}; id {manifest.id[:_SHORT]}"
    )
