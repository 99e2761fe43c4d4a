"""`python -m musetalk inspect`: every stage of one frame on a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from musetalk.cli.options import cancel_on_signal
from musetalk.cli.setting_options import with_settings


@with_settings()
def inspect(
    *,
    video: Annotated[Path, typer.Argument(help="Video, picture, or folder of pictures.")],
    voice: Annotated[Path, typer.Argument(help="Any audio or video file with the voice.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Sheet to make: .png or .jpg.")],
    frame: Annotated[
        int | None, typer.Option(min=0, help="Output frame (default: one in which the mouth is wide open).")
    ] = None,
    settings: dict[str, Any],
) -> None:
    """Show source, box, crop, masked crop, generated, enhanced, mask, composite and difference of one frame."""
    from musetalk.settings import RenderSettings  # noqa: PLC0415 - heavy imports wait until a command runs

    chosen = RenderSettings.parse(settings)
    from musetalk.inspection.contact_sheet import check_sheet, contact_sheet, save_sheet  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.request import RenderRequest  # noqa: PLC0415

    engine = LipSync(own_process=True)
    check_sheet(out)
    engine.inputs(RenderRequest(video, voice, chosen)).writing(out, "the sheet").check()
    with cancel_on_signal() as cancel:
        at = None if frame is None else float(frame / engine.check_source(video, chosen.source).fps)
        preview = engine.preview_frame(video, voice, chosen, at=at, cancel=cancel)
    save_sheet(contact_sheet(preview), out)
    for note in preview.notes:
        typer.echo(f"note: {note}")
    typer.echo(out)
