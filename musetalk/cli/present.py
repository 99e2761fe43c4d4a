"""`python -m musetalk present`: a script in, a finished talk out."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from musetalk.cli.options import AvatarsDir, cancel_on_signal
from musetalk.cli.setting_options import with_settings
from musetalk.errors import AvatarError, SettingsError
from musetalk.presenter.layout import Aspect, LayoutName
from musetalk.presenter.presets import PRESETS

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar
    from musetalk.lipsync import LipSync
    from musetalk.presenter.options import TalkOptions
    from musetalk.presenter.report import TalkReport
    from musetalk.progress import CancelToken

STATIC = 3  # exit code where lips do not move, as `--allow-static` allows
# Which a talk decides itself.
_OWN = ("frame_steps", "captions", "burn_captions", "length", "tail", "voice_track", "speech.phonemes")


def present(
    *,
    script: Annotated[Path, typer.Argument(help="Text or Markdown: paragraphs are spoken, lists become bullets.")],
    source: Annotated[
        str | None, typer.Argument(help="Video, picture, folder of pictures, or the name of an avatar.")
    ] = None,
    motion: Annotated[
        Path | None, typer.Option(help="In place of SOURCE: what an image-to-video tool made, or its folder.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to make: .mp4, .mov, .m4v or .mkv.")],
    quality: Annotated[
        str, typer.Option(help="draft: 480p, preview; standard: 720p, best backend; high: 1080p, LatentSync, GFPGAN.")
    ] = "standard",
    layout: Annotated[
        str, typer.Option(help="full: the presenter alone; split: beside the words; slides: small.")
    ] = "full",
    aspect: Annotated[str, typer.Option(help="16:9, 9:16 or 1:1.")] = "16:9",
    voice: Annotated[str, typer.Option(help="What reads aloud: hibari, espeak, kokoro:NAME, piper:NAME.")] = "hibari",
    language: Annotated[str, typer.Option(help="Of a voice that speaks several, as de or pt-br.")] = "",
    voice_file: Annotated[
        Path | None, typer.Option("--voice-file", help="A recording of the script, in place of a voice that reads it.")
    ] = None,
    speed: Annotated[float, typer.Option(help="How fast it reads: 0.5 to 2.")] = 1.0,
    burn_captions: Annotated[bool, typer.Option("--burn-captions", help="Write captions into the picture.")] = False,
    allow_static: Annotated[
        bool, typer.Option("--allow-static", help="Where lips cannot be moved, make a still with sound; exit code 3.")
    ] = False,
    avatars_dir: AvatarsDir = None,
    report: Annotated[Path | None, typer.Option(help="Write the report there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Make a talk of SCRIPT, spoken by SOURCE, to OUT, with captions beside it."""
    _check("quality", quality, tuple(PRESETS))
    _check("layout", layout, get_args(LayoutName))
    _check("aspect", aspect, get_args(Aspect))
    if (source is None) == (motion is None):
        raise SettingsError("say who speaks", "give SCRIPT SOURCE, or SCRIPT --motion FOLDER")
    if voice_file is not None and (voice != "hibari" or language or speed != 1):
        problem = "--voice, --language and --speed say nothing beside a recording"
        raise SettingsError(problem, "leave them out, or --voice-file")
    from musetalk.presenter.options import TalkOptions  # noqa: PLC0415 - heavy imports wait until a command runs
    from musetalk.tts.spec import Reading  # noqa: PLC0415

    options = TalkOptions(
        quality=quality,  # type: ignore[arg-type]  # one of these, as was just seen
        layout=layout,  # type: ignore[arg-type]
        aspect=aspect,  # type: ignore[arg-type]
        voice=voice,
        reading=Reading(speed, language),
        recording=voice_file,
        burn_captions=burn_captions,
        allow_static=allow_static,
        settings=settings,
    )
    _make(script, partial(_presenter, source, motion, avatars_dir), out, options, report, quiet=quiet)


def _make(
    script: Path,
    presenter: Callable[[CancelToken], Path | Avatar],
    out: Path,
    options: TalkOptions,
    report: Path | None,
    *,
    quiet: bool,
) -> None:
    """Make a talk, and say what became of it.

    Args:
        script: Its file.
        presenter: Opens who speaks.
        out: The video to make.
        options: How it is made.
        report: Where the report goes; None: nowhere.
        quiet: Whether to show no progress.
    """
    from musetalk.cli.console import shown_progress  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.file_uses import FileUses  # noqa: PLC0415
    from musetalk.presenter.present import present as make_talk  # noqa: PLC0415
    from musetalk.presenter.script import read_script  # noqa: PLC0415

    written, engine = read_script(script), LipSync(own_process=True)
    beside = FileUses().reading(script, "the script").writing(report, "the report")
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        who = presenter(cancel)
        told = make_talk(engine, written, who, out, options, beside=beside, on_progress=show, cancel=cancel)
    if report is not None:
        told.save(report)
    _print(told, engine)


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SettingsError(f'there is no {name} "{value}"', f"choose one of: {', '.join(known)}")


def _presenter(source: str | None, motion: Path | None, avatars_dir: Path | None, cancel: CancelToken) -> Path | Avatar:
    """Return who speaks: a file or folder, or where there is none of that name, an avatar."""
    from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.presenter.motion import find_motion  # noqa: PLC0415

    if motion is not None:
        return find_motion(motion)
    name, store = source or "", AvatarStore(avatars_dir)
    there = os.path.lexists(name)
    if there and not Path(name).is_dir():
        return Path(name)
    try:
        found = store.find(os.path.realpath(name) if there else name)  # a folder may be an avatar's
    except AvatarError:
        if there or len(Path(name).parts) > 1 or Path(name).suffix:
            return Path(name)
        raise
    return open_avatar(found, cancel)


def _print(told: TalkReport, engine: LipSync) -> None:
    """Say what became of it.

    Raises:
        Exit: With the code of a still picture.
    """
    from musetalk.cli.console import describe  # noqa: PLC0415

    if told.render is not None:
        typer.echo(describe(told.render, engine.registry.get(told.render.backend).notice))
    else:
        typer.echo(f"{told.output}\n  still picture: the lips do not move ({told.static})")
    typer.echo(f"  captions: {', '.join(path.name for path in told.captions)}")
    for note in told.notes:
        typer.echo(f"  note: {note}")
    if told.static:
        raise typer.Exit(STATIC)


command = with_settings(without=_OWN)(present)
