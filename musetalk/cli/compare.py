"""`python -m musetalk compare`: one video and one voice through several backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetalk.cli.options import FAILED, FRESH_HELP, cancel_on_signal
from musetalk.cli.setting_options import with_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musetalk.comparison.types import Comparison

_WIDEST = 240  # columns of the table


@with_settings(without=("backend", "max_slowdown", "measure", "use_saved_coords", "coords_dir"))
def compare(
    *,
    video: Annotated[Path, typer.Argument(help="Video, picture, or folder of pictures.")],
    voice: Annotated[Path, typer.Argument(help="Any audio or video file with the voice.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    backends: Annotated[str, typer.Option(help="Two or more, with commas: musetalk-v15,latentsync-1.5.")],
    fresh: Annotated[bool, typer.Option("--fresh", help=FRESH_HELP)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Render VIDEO speaking VOICE by several backends, measure them, and show them side by side."""
    from musetalk.settings import RenderSettings  # noqa: PLC0415 - heavy imports wait until a command runs

    chosen = RenderSettings.parse(settings)
    from musetalk.cli.console import shown_progress  # noqa: PLC0415
    from musetalk.comparison.compare import compare as compare_backends  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.request import RenderRequest  # noqa: PLC0415

    names = [name.strip() for name in backends.split(",") if name.strip()]
    engine = LipSync(own_process=True)
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        comparison = compare_backends(
            engine, RenderRequest(video, voice, chosen), out, names, on_progress=show, cancel=cancel, fresh=fresh
        )
    notices = {part.backend: engine.registry.get(part.backend).notice for part in comparison.parts}
    _print(comparison, out, (f"{name}: {notice}" for name, notice in notices.items() if notice))
    if any(part.error for part in comparison.parts):
        raise typer.Exit(FAILED)


def _print(comparison: Comparison, out: Path, notices: Iterable[str]) -> None:
    """The table, what has to be known beside it, and where the files are."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from musetalk.comparison.table import remarks, rows  # noqa: PLC0415
    from musetalk.comparison.types import COMPARISON  # noqa: PLC0415

    plain = comparison.to_dict()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for name in (*(part.backend for part in comparison.parts), "the source"):
        table.add_column(name, justify="right")
    for row in rows(plain):
        table.add_row(row.label, *row.texts, row.source)
    Console(width=_WIDEST).print(table)  # on a narrow terminal lines break; nothing is cut off
    for remark in (*remarks(plain), *notices):
        typer.echo(f"note: {remark}")
    videos = [part.video for part in comparison.parts if part.video]
    for name in filter(None, (*videos, comparison.side_by_side, comparison.plots, COMPARISON)):
        typer.echo(out / name)
