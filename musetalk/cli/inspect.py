"""`python -m musetalk inspect`: every stage of one frame on a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musetalk.cli.options import cancel_on_signal, values_of


def inspect(
    video: Annotated[Path, typer.Argument(help="Video, picture, or folder of pictures.")],
    voice: Annotated[Path, typer.Argument(help="Any audio or video file with the voice.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Sheet to make: .png or .jpg.")],
    frame: Annotated[
        int | None, typer.Option(min=0, help="Output frame (default: one in which the mouth is wide open).")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="What paints the mouth (default: preview).")] = None,
    models_dir: Annotated[Path | None, typer.Option(help="Where weights are (default: models).")] = None,
    voice_track: Annotated[int | None, typer.Option(help="Which sound track of VOICE is heard, from 1.")] = None,
    mask: Annotated[str | None, typer.Option(help="Painted region, as for render.")] = None,
    enhance: Annotated[str | None, typer.Option(help="Restore faces: none, gfpgan, or a restorer's file.")] = None,
    look: Annotated[str | None, typer.Option(help="ours, or published: without what this program adds.")] = None,
    further: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting by its name: mask.feather=0.2. May repeat."),
    ] = None,
) -> None:
    """Show source, box, crop, masked crop, generated, enhanced, mask, composite and difference of one frame."""
    from musetalk.settings import RenderSettings  # noqa: PLC0415 - heavy imports wait until a command runs

    said = {"look": look, "backend": backend, "models_dir": models_dir, "mask.shape": mask, "enhance.model": enhance}
    settings = RenderSettings.parse(values_of({**said, "voice_track": voice_track}, further))
    from musetalk.inspection.contact_sheet import check_sheet, contact_sheet, save_sheet  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415

    engine = LipSync()
    check_sheet(out)
    engine.inputs(video, voice, settings).writing(out, "the sheet").check()
    with cancel_on_signal() as cancel:
        at = None if frame is None else float(frame / engine.check_source(video, settings).fps)
        preview = engine.preview_frame(video, voice, settings, at=at, cancel=cancel)
    save_sheet(contact_sheet(preview), out)
    for note in preview.notes:
        typer.echo(f"note: {note}")
    typer.echo(out)
