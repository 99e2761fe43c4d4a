"""The command line: `python -m musetalk`. Heavy imports wait until a command runs, so that --help is quick."""

from __future__ import annotations

import gc
import io
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from musetalk.cli.app import serve_app
from musetalk.cli.avatar import app as avatar_app
from musetalk.cli.avatar import speak
from musetalk.cli.batch import batch, render_rows, told_end
from musetalk.cli.compare import compare
from musetalk.cli.inspect import inspect
from musetalk.cli.options import CANCELLED, FAILED, FRESH_HELP, USAGE, LogAs, cancel_on_signal, log_as
from musetalk.cli.present import command as present
from musetalk.cli.setting_options import option_context, with_settings
from musetalk.cli.weights import app as weights_app
from musetalk.errors import Cancelled, MuseTalkError, OutOfMemoryError, SettingsError, one_line
from musetalk.utils.files import readable
from musetalk.utils.log_lines import facts, logs_json

_log = logging.getLogger(__name__)
app = typer.Typer(
    name="musetalk",
    help="Make a video speak a voice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(weights_app)
app.add_typer(avatar_app)


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
    log: LogAs = None,
) -> None:
    if not gc.isenabled():  # by `main`; what the start has made lives as long as the program
        gc.freeze()
        gc.enable()
    # What libraries remark on a file is for --verbose: what matters of it becomes an error or a note of ours.
    logging.captureWarnings(capture=True)
    logging.getLogger("PIL").setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    log_as(log, logging.DEBUG if verbose else logging.ERROR)


@app.command(context_settings=option_context())
@with_settings()
def render(
    *,
    video: Annotated[Path | None, typer.Argument(help="Video, picture, or folder of pictures.")] = None,
    voice: Annotated[Path | None, typer.Argument(help="Any audio or video file with the voice.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to make: .mp4, .mov, .m4v or .mkv.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of tasks, instead of VIDEO and VOICE.")] = None,
    result_dir: Annotated[Path, typer.Option(help="Where a config's results go.")] = Path("results"),
    report: Annotated[Path | None, typer.Option(help="Write the report there, as JSON.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help=FRESH_HELP)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    settings: dict[str, Any],
) -> None:
    """Render VIDEO speaking VOICE to OUT, or every task of a CONFIG."""
    if config is not None and fresh:
        raise SettingsError("--fresh is for one render", "give VIDEO VOICE -o OUT, or leave it out")
    if config is not None and (video, voice, out) == (None, None, None):
        _render_config(config, result_dir, settings, report, quiet)
    elif video is not None and voice is not None and out is not None and config is None:
        _render_one(video, voice, out, settings, report, quiet, fresh=fresh)
    else:
        raise SettingsError("say what to render", "give VIDEO VOICE -o OUT, or --config FILE")


def _render_one(
    video: Path, voice: Path, out: Path, values: dict[str, Any], report_path: Path | None, quiet: bool, *, fresh: bool
) -> None:
    from musetalk.settings import RenderSettings  # noqa: PLC0415

    settings = RenderSettings.parse(values)
    from musetalk.cli.console import describe, shown_progress  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.request import RenderRequest  # noqa: PLC0415
    from musetalk.resume.types import ResumeOptions  # noqa: PLC0415

    engine, resume = LipSync(own_process=True), ResumeOptions(fresh=fresh)
    request = RenderRequest(video, voice, settings)
    engine.files(request, out).writing(report_path, "the report").check()
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        report = engine.make(request, out, resume=resume, on_progress=show, cancel=cancel)
    if report_path is not None:
        report.save(report_path)
    typer.echo(describe(report, engine.registry.get(report.backend).notice))


def _render_config(
    config: Path, result_dir: Path, values: dict[str, Any], report_path: Path | None, quiet: bool
) -> None:
    from musetalk.batch.manifest import read_manifest  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.pipeline.file_uses import FileUses  # noqa: PLC0415
    from musetalk.pipeline.report import save_json  # noqa: PLC0415

    beside = FileUses().reading(config, "the file of tasks").writing(report_path, "the report")
    rows = read_manifest(config, result_dir, overrides=values)
    made = render_rows(rows, LipSync(own_process=True), beside, quiet=quiet)
    if report_path is not None:
        save_json(made.to_dict(reports=True), report_path)
    raise typer.Exit(told_end(made, report_path))


app.command("app")(serve_app)
app.command(context_settings=option_context())(batch)
app.command(context_settings=option_context())(speak)
app.command("present", context_settings=option_context())(present)
app.command(context_settings=option_context())(compare)
app.command(context_settings=option_context())(inspect)


@app.command()
def doctor(
    models_dir: Annotated[Path, typer.Option(help="Where weights are.")] = Path("models"),
    surgical: Annotated[
        bool, typer.Option("--surgical", help="Run a clip through each backend, and show what networks are given.")
    ] = False,
    backends: Annotated[
        str | None, typer.Option(help="Of --surgical: only these, with commas; imports are left out.")
    ] = None,
) -> None:
    """Show versions, devices, ffmpeg, and which backends can run or what they lack."""
    from musetalk.cli.doctor import print_examination, print_surgical_check  # noqa: PLC0415

    if surgical:
        raise typer.Exit(FAILED if print_surgical_check(models_dir, backends) else 0)
    print_examination(models_dir)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command and end; errors become one line and an exit code (1 failed, 2 bad usage, 130 cancelled)."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text, as stderr knows already
    try:
        command()
        sys.exit(0)
    except Cancelled as error:
        code, text, kind = CANCELLED, str(error), error.kind
    except SettingsError as error:
        code, text, kind = USAGE, str(error), error.kind
    except MuseTalkError as error:
        code, text, kind = FAILED, str(error), error.kind
    except MemoryError:
        said = "there is not enough memory: scale the source down, or close other programs"
        code, text, kind = FAILED, said, OutOfMemoryError.kind
    except KeyboardInterrupt:
        code, text, kind = CANCELLED, "cancelled", Cancelled.kind
    said = readable(one_line(text))
    if logs_json():
        _log.error("%s", said, extra=facts(kind=kind))
    else:
        sys.stderr.write(f"musetalk: {said}\n")
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line.

    Args:
        arguments: Of a program that is one of its commands by another name; None: the process's own.
    """
    run(partial(app, arguments, prog_name=None if arguments is None else "musetalk"))
