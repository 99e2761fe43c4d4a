"""`python -m musetalk compare`: one video and one voice through several backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musetalk.cli.options import FAILED, cancel_on_signal, values_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musetalk.comparison.types import Comparison

_WIDEST = 240  # columns of the table


def compare(
    video: Annotated[Path, typer.Argument(help="Video, picture, or folder of pictures.")],
    voice: Annotated[Path, typer.Argument(help="Any audio or video file with the voice.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    backends: Annotated[str, typer.Option(help="Two or more, with commas: musetalk-v15,latentsync-1.5.")],
    models_dir: Annotated[Path | None, typer.Option(help="Where weights are (default: models).")] = None,
    face: Annotated[
        str | None, typer.Option(help="largest, leftmost, rightmost, all, or the point X,Y it is nearest to.")
    ] = None,
    voice_track: Annotated[int | None, typer.Option(help="Which sound track of VOICE is heard, from 1.")] = None,
    device: Annotated[str | None, typer.Option(help="What networks run on: auto, cpu, cuda, cuda:N.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Their numbers: auto, fp32, fp16, bf16.")] = None,
    look: Annotated[str | None, typer.Option(help="ours, or published: without what this program adds.")] = None,
    further: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting by its name: network.seed=1. May repeat."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Render VIDEO speaking VOICE by several backends, measure them, and show them side by side."""
    from musetalk.settings import RenderSettings  # noqa: PLC0415 - heavy imports wait until a command runs

    said = {"look": look, "models_dir": models_dir, "face": face, "voice_track": voice_track}
    said |= {"network.device": device, "network.dtype": dtype}
    settings = RenderSettings.parse(values_of(said, further))
    from musetalk.cli.console import shown_progress  # noqa: PLC0415
    from musetalk.comparison.compare import compare as compare_backends  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415

    names = [name.strip() for name in backends.split(",") if name.strip()]
    engine = LipSync()
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        comparison = compare_backends(engine, video, voice, out, names, settings, on_progress=show, cancel=cancel)
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
