"""`musetalk batch`: many renders from a manifest. What is shown of a batch, for every command that does one."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetalk.batch.silence import silence_of
from musetalk.cli.options import CANCELLED, FAILED, cancel_on_signal
from musetalk.cli.setting_options import with_settings
from musetalk.utils.log_lines import logs_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from musetalk.batch.ledger import Ledger
    from musetalk.batch.outcome import BatchReport, RowResult
    from musetalk.batch.rows import Row
    from musetalk.batch.run import BatchOptions
    from musetalk.batch.watch import Standing, Watcher
    from musetalk.lipsync import LipSync
    from musetalk.pipeline.file_uses import FileUses

_SHORT_OF = (("failed", "failed"), ("set aside", "set_aside"), ("not begun, or stopped", "stopped"))
_MOST_TOLD = 20  # failures that are told at the end; the report has all
_LINE_SECONDS = 10.0  # between lines on how far it is, where nothing ends
_OUTPUT_DIR = typer.Option(
    "--output-dir",
    "-o",
    metavar="PATH|URL",
    help="Where results go: a folder, or s3://BUCKET/PREFIX (default: the manifest's folder).",
)
_ON = typer.Option(
    "--on",
    metavar="PLACE",
    help="local:0: in this process; local:N: N worker processes; ray:auto or ray://HOST:PORT: a Ray cluster.",
)
_log = logging.getLogger(__name__)


@with_settings()
def batch(
    *,
    manifest: Annotated[Path, typer.Argument(help="CSV, JSON Lines or YAML: source, voice, output, settings.")],
    output_dir: Annotated[str | None, _OUTPUT_DIR] = None,
    on: Annotated[str, _ON] = "local:0",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a batch that was stopped or failed.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse all where a file is missing or a row's settings are wrong.")
    ] = False,
    retries: Annotated[int, typer.Option(min=0, max=100, help="How often what may pass is tried again.")] = 3,
    stall_minutes: Annotated[
        float, typer.Option(min=0, help="A worker that gives no sign of life for so long is ended (0: never).")
    ] = 30,
    ledger: Annotated[
        Path | None,
        typer.Option(help="What is done is kept there (default: with the results; of URLs, with the manifest)."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="The report of all (default: with the ledger).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Render every row of a MANIFEST: what is the same once, one failure without the others, on several workers."""
    from musetalk.batch.manifest import read_manifest  # noqa: PLC0415 - so that --help is quick
    from musetalk.batch.opening import open_ledger  # noqa: PLC0415
    from musetalk.batch.places import check_place  # noqa: PLC0415
    from musetalk.batch.retries import RetryPolicy  # noqa: PLC0415
    from musetalk.batch.run import BatchOptions  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.file_uses import FileUses  # noqa: PLC0415
    from musetalk.pipeline.report import save_json  # noqa: PLC0415
    from musetalk.storage.locations import location_of  # noqa: PLC0415

    check_place(on)
    outputs = manifest.parent if not output_dir else location_of(output_dir)
    folder = outputs if isinstance(outputs, Path) else manifest.parent
    ledger = ledger or folder / f"{manifest.stem}.ledger"
    report = report or folder / f"{manifest.stem}.report.json"
    rows = read_manifest(manifest, outputs, overrides=settings)
    engine = LipSync(own_process=True)
    beside = FileUses().reading(manifest, "the manifest").writing(ledger, "the ledger").writing(report, "the report")
    with _refusing():
        beside.check()
    below = None if isinstance(outputs, Path) else outputs
    policy = RetryPolicy(attempts=retries + 1)
    options = BatchOptions(policy, stall_seconds=60 * stall_minutes, strict=strict, below=below)
    with open_ledger(ledger, resume=resume, outputs=[row.output for row in rows]) as opened:
        made = do_rows(rows, engine, opened, beside, options, on=on, quiet=quiet)
        save_json(made.to_dict(), report)
    raise typer.Exit(told_end(made, report))


def do_rows(
    rows: Sequence[Row],
    engine: LipSync,
    ledger: Ledger,
    beside: FileUses,
    options: BatchOptions,
    *,
    on: str,
    quiet: bool,
) -> BatchReport:
    """Check rows, render them, and show how it goes on.

    Args:
        rows: What to do.
        engine: What renders in this process, and names backends.
        ledger: What is done.
        beside: Files that are read and written beside the rows' own.
        options: How it is done.
        on: Where; see `open_executor`.
        quiet: Show no progress.

    Raises:
        MuseTalkError: Nothing was done, or no worker is left.
    """
    from musetalk.batch.check import check_rows  # noqa: PLC0415
    from musetalk.batch.places import open_executor, reached  # noqa: PLC0415
    from musetalk.batch.run import run_batch  # noqa: PLC0415

    with _refusing():
        check_rows(rows, engine, beside, reports=options.reports)
    with cancel_on_signal() as cancel, shown(quiet) as watcher, reached(on), open_executor(on, engine) as executor:
        return run_batch(
            rows,
            executor,
            ledger,
            engine=engine,
            options=options,
            watcher=watcher,
            cancel=cancel,
        )


@contextmanager
def _refusing() -> Iterator[None]:
    """Inside the `with` block, files that are in each other's way refuse the batch, as its manifest's lines do.

    Raises:
        ManifestError: They are.
    """
    from musetalk.errors import ManifestError, MediaError, OutputError  # noqa: PLC0415

    try:
        yield
    except (MediaError, OutputError) as error:
        raise ManifestError(error.problem, error.remedy, path=error.path) from error


def render_rows(rows: Sequence[Row], engine: LipSync, beside: FileUses, *, quiet: bool) -> BatchReport:
    """Render rows in this process, without a ledger, and say of each how it ended; see `do_rows`."""
    from musetalk.batch.opening import open_ledger  # noqa: PLC0415
    from musetalk.batch.places import HERE  # noqa: PLC0415
    from musetalk.batch.run import BatchOptions  # noqa: PLC0415
    from musetalk.cli.console import describe  # noqa: PLC0415

    with open_ledger(None) as ledger:
        made = do_rows(rows, engine, ledger, beside, BatchOptions(stall_seconds=0, reports=False), on=HERE, quiet=quiet)
    for row in made.rows:
        if row.report is not None:
            typer.echo(f"{row.row}: {describe(row.report, engine.registry.get(row.report.backend).notice)}")
    return made


def told_end(made: BatchReport, report: Path | None) -> int:
    """Show how a batch ended; returns the exit code: 0, or where not all is done 1, or 130 where it was stopped."""
    from musetalk.cli.console import print_table  # noqa: PLC0415
    from musetalk.utils.files import readable  # noqa: PLC0415
    from musetalk.utils.units import counted, duration, number  # noqa: PLC0415

    counts = made.counts
    whole = sum(row.whole for row in made.rows)
    typer.echo(f"{whole:,} of {counted(len(made.rows), 'row')} done in {duration(made.seconds)}")
    further = [("rendered now", "done"), ("made before", "skipped"), ("the same as another row", "duplicate")]
    table = [(title, f"{counts[state]:,}") for title, state in further if counts[state]]
    table += [(title, f"{counts[state]:,}") for title, state in _SHORT_OF if counts[state]]
    if counts["fallback_frames"]:
        table.append(("painted by a fallback", counted(counts["fallback_frames"], "frame")))
    for name, share in made.workers.items():
        speed = f"{number(share.video_seconds / share.seconds, 2)} x real time" if share.seconds else "nothing"
        pieces = f", {counted(share.pieces, 'piece')} of long ones" if share.pieces else ""
        lost = f", lost {counted(share.losses, 'time')}" if share.losses else ""
        silent = f", once {said}" if (said := silence_of(share.silent_seconds)) else ""
        done = f"{counted(share.renders, 'render')}{pieces}, {duration(share.seconds)}"
        table.append((name, f"{done}, {speed}{lost}{silent}"))
    print_table("", table)
    for row in made.failed[:_MOST_TOLD]:
        typer.echo(_line(row))
    if len(made.failed) > _MOST_TOLD:
        typer.echo(f"and {counted(len(made.failed) - _MOST_TOLD, 'more failure')}")
    if report is not None:
        typer.echo(f"report: {readable(report)}")
    if made.stopped:
        typer.echo("musetalk: cancelled", err=True)
        return CANCELLED
    return 0 if made.complete else FAILED


@contextmanager
def shown(quiet: bool) -> Iterator[Watcher]:
    """A watcher that draws on stderr while the `with` block runs: live on a terminal, else lines; little when quiet."""
    from musetalk.batch.watch import Unwatched  # noqa: PLC0415

    if quiet:
        yield Unwatched()
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

        said = TextColumn("{task.fields[said]}", markup=False)
        columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), said)
        with Progress(*columns, console=Console(stderr=True)) as bars:
            yield _Bars(bars)
    else:
        yield _Lines()


class _Bars:
    """The whole, and below it what each worker does."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._whole = bars.add_task("batch", total=None, said="")
        self._workers: dict[str, TaskID] = {}

    def row(self, result: RowResult) -> None:
        """See `Watcher`."""
        if not result.whole:
            self._bars.print(_line(result), markup=False)

    def standing(self, standing: Standing) -> None:
        """See `Watcher`."""
        self._bars.update(self._whole, completed=standing.ended, total=standing.works, said=_left(standing))
        for worker in standing.running.keys() - self._workers.keys():
            self._workers[worker] = self._bars.add_task(worker, total=100, said="")
        for worker, task in self._workers.items():
            doing = standing.running.get(worker)
            if doing is None:
                self._bars.update(task, completed=0, said="")
            else:
                said = ", ".join(filter(None, (doing.row, silence_of(doing.silent))))
                self._bars.update(task, completed=round(100 * doing.share), said=said)

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._bars.print(text, markup=False)


class _Lines:
    """A line for each row that ends, and now and then one on how far it is, and on workers that are silent."""

    def __init__(self) -> None:
        self._next = 0.0
        self._told: tuple[int, list[str]] = (-1, [])

    def row(self, result: RowResult) -> None:
        """See `Watcher`."""
        if result.state != "skipped":
            self._say(_line(result))

    def standing(self, standing: Standing) -> None:
        """See `Watcher`."""
        now = time.monotonic()
        silent = [
            f"{worker} {said} ({doing.row})"
            for worker, doing in sorted(standing.running.items())
            if (said := silence_of(doing.silent))
        ]
        if (standing.ended, silent) == self._told or now < self._next:
            return
        self._next, self._told = now + _LINE_SECONDS, (standing.ended, silent)
        said = ", ".join(filter(None, (_left(standing), *silent)))
        self._say(f"[{standing.seconds:7.1f} s] {standing.ended:,} of {standing.works:,} ended {said}".rstrip())

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._say(text)

    def _say(self, text: str) -> None:
        if logs_json():
            _log.info("%s", text)
            return
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _left(standing: Standing) -> str:
    from musetalk.utils.units import roughly  # noqa: PLC0415

    known = standing.left_seconds is not None and standing.ended < standing.works
    return f"{roughly(standing.left_seconds or 0)} left" if known else ""


def _line(result: RowResult) -> str:
    from musetalk.utils.files import readable  # noqa: PLC0415
    from musetalk.utils.units import duration  # noqa: PLC0415

    if result.whole:
        return f"{result.row}: {result.state}: {readable(result.output)} ({duration(result.seconds)})"
    return f"{result.row}: {result.state.replace('_', ' ')}: {result.error}"
