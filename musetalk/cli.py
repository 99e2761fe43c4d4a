"""The command line: `python -m musetalk`. Heavy imports wait until a command runs, so that --help is quick."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from musetalk.cli_common import CANCELLED, FAILED, USAGE, cancel_on_signal, values_of
from musetalk.compare_cli import compare
from musetalk.errors import Cancelled, MuseTalkError, SettingsError
from musetalk.inspect_cli import inspect
from musetalk.weights_cli import app as weights_app

if TYPE_CHECKING:
    from musetalk.batch import Task, TaskResult
    from musetalk.file_uses import FileUses
    from musetalk.pipeline import LipSync

_MASK_KNOBS = (
    *("feather", "ellipse_padding_factor", "blur_kernel_ratio", "expand_factor", "upper_boundary_ratio"),
    *("left_cheek_width", "right_cheek_width", "mouth_vertical_offset", "mouth_scale_factor", "occlusion"),
)
_SETTINGS = {  # options of `render`, and the settings that they are
    **{
        name: name for name in ("look", "backend", "models_dir", "bbox_shift", "extra_margin", "face", "length", "tail")
    },
    "voice_track": "voice_track",
    "fps": "fps",
    "alpha_background": "alpha_background",
    "deinterlace": "deinterlace",
    "use_saved_coords": "use_saved_coords",
    "coords_dir": "coords_dir",
    "detector": "detector.name",
    "mask": "mask.shape",
    **{name: f"mask.{name}" for name in _MASK_KNOBS},
    "blend": "blend.method",
    **{name: f"blend.{name}" for name in ("colour", "sharpness")},
    "enhance": "enhance.model",
    **{f"enhance_{name}": f"enhance.{name}" for name in ("strength", "region")},
    "upscale": "enhance.upscale",
    "silence": "silence.mode",
    "pause_seconds": "silence.threshold_seconds",
    "debug_dir": "debug_dir",
    "inference_steps": "latentsync.steps",
    "guidance_scale": "latentsync.guidance",
    "sampler": "latentsync.preset",
    **{name: f"latentsync.{name}" for name in ("framing", "fallback")},
    **{name: f"network.{name}" for name in ("device", "dtype", "decoder", "batch_size", "seed")},
    **{name: f"encoder.{name}" for name in ("codec", "crf", "preset")},
    **{name: f"limits.{name}" for name in ("max_seconds", "max_pixels")},
}

app = typer.Typer(
    name="musetalk",
    help="Make a video speak a voice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(weights_app)


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
) -> None:
    # What libraries remark on a file is for --verbose: what matters of it becomes an error or a note of ours.
    logging.captureWarnings(capture=True)
    logging.getLogger("PIL").setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.ERROR, format="%(levelname)s %(name)s: %(message)s")


@app.command()
def render(
    context: typer.Context,
    video: Annotated[Path | None, typer.Argument(help="Video, picture, or folder of pictures.")] = None,
    voice: Annotated[Path | None, typer.Argument(help="Any audio or video file with the voice.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to make: .mp4, .mov, .m4v or .mkv.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of tasks, instead of VIDEO and VOICE.")] = None,
    result_dir: Annotated[Path, typer.Option(help="Where a config's results go.")] = Path("results"),
    backend: Annotated[str | None, typer.Option(help="What paints the mouth (default: preview).")] = None,
    models_dir: Annotated[Path | None, typer.Option(help="Where weights are (default: models).")] = None,
    bbox_shift: Annotated[int | None, typer.Option(help="Source pixels; positive opens the mouth more.")] = None,
    extra_margin: Annotated[int | None, typer.Option(help="MuseTalk 1.5: pixels under the chin (default: 10).")] = None,
    face: Annotated[
        str | None, typer.Option(help="largest, leftmost, rightmost, all, or the point X,Y it is nearest to.")
    ] = None,
    length: Annotated[str | None, typer.Option(help="Voice longer than video: pingpong, loop or hold.")] = None,
    tail: Annotated[str | None, typer.Option(help="Voice shorter: cut, or keep the rest of the video.")] = None,
    voice_track: Annotated[
        int | None, typer.Option(help="Which sound track of VOICE is heard, from 1 (default: its default one).")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(help="Frame rate of OUT: 25, 29.97, 30000/1001 (default: the source's; pictures 25)."),
    ] = None,
    alpha_background: Annotated[
        str | None, typer.Option(help="What is laid under transparent parts: white or black (default: white).")
    ] = None,
    deinterlace: Annotated[
        str | None, typer.Option(help="Interlaced sources: auto (what looks it), on (all), or off.")
    ] = None,
    use_saved_coords: Annotated[
        bool | None, typer.Option("--use-saved-coords", help="Keep the faces found, and use them again.")
    ] = None,
    coords_dir: Annotated[Path | None, typer.Option(help="Where they are kept (default: coords/ beside OUT).")] = None,
    detector: Annotated[str | None, typer.Option(help="auto, s3fd, mtcnn, yunet or haar.")] = None,
    mask: Annotated[
        str | None, typer.Option(help="Painted region: auto, ellipse, box, or parsed: raw, jaw, neck, mouth.")
    ] = None,
    look: Annotated[
        str | None, typer.Option(help="ours, or published: without what this program adds, to compare with demos.")
    ] = None,
    feather: Annotated[float | None, typer.Option(help="Soft edge of ellipse and box, in face widths.")] = None,
    ellipse_padding_factor: Annotated[
        float | None, typer.Option(help="Ellipse and box: drawn in by this share of their size.")
    ] = None,
    blur_kernel_ratio: Annotated[
        float | None, typer.Option(help="Soft edge of parsed shapes, of the blended square (default: 0.05).")
    ] = None,
    expand_factor: Annotated[
        float | None, typer.Option(help="Side of the blended square, in crops (default: 1.5).")
    ] = None,
    upper_boundary_ratio: Annotated[
        float | None, typer.Option(help="Share of that square, from above, that is kept (default: 0.5).")
    ] = None,
    mouth_vertical_offset: Annotated[
        float | None, typer.Option(help="Move the mask down by this share of the face.")
    ] = None,
    mouth_scale_factor: Annotated[float | None, typer.Option(help="Scale the mask (default: 1).")] = None,
    occlusion: Annotated[
        bool | None,
        typer.Option(help="Keep hair, hands, glasses in front (default: where faces are parsed anyway)."),
    ] = None,
    left_cheek_width: Annotated[int | None, typer.Option(help="Of jaw: columns of 512 (default: 90).")] = None,
    right_cheek_width: Annotated[int | None, typer.Option(help="The same to the right.")] = None,
    blend: Annotated[str | None, typer.Option(help="alpha, or poisson.")] = None,
    colour: Annotated[str | None, typer.Option(help="match (to the face around the mask), or none.")] = None,
    sharpness: Annotated[str | None, typer.Option(help="match (to the source), or none.")] = None,
    enhance: Annotated[str | None, typer.Option(help="Restore faces: none, gfpgan, or a restorer's file.")] = None,
    enhance_strength: Annotated[float | None, typer.Option(help="0 to 1 (default: 0.8).")] = None,
    enhance_region: Annotated[str | None, typer.Option(help="mouth (what was painted), or face.")] = None,
    upscale: Annotated[int | None, typer.Option(help="Of the restored face: 1, 2 or 4 times 256 pixels.")] = None,
    silence: Annotated[
        str | None, typer.Option(help="In pauses: generate, keep the source's mouth, or let it come to rest.")
    ] = None,
    pause_seconds: Annotated[float | None, typer.Option(help="Shorter pauses are painted (default: 0.6).")] = None,
    device: Annotated[str | None, typer.Option(help="What networks run on: auto, cpu, cuda, cuda:N.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Their numbers: auto, fp32, fp16, bf16.")] = None,
    decoder: Annotated[str | None, typer.Option(help="sd, or tiny: far quicker, softer.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Frames at once (default: what fits).")] = None,
    seed: Annotated[int | None, typer.Option(help="Sample the latents (default: their mode).")] = None,
    inference_steps: Annotated[int | None, typer.Option(help="LatentSync: steps (default: the sampler's).")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="LatentSync: 1 to 5 (default: 1.5).")] = None,
    sampler: Annotated[str | None, typer.Option(help="LatentSync: published (DDIM, 20), or fast (DPM++, 8).")] = None,
    framing: Annotated[str | None, typer.Option(help="LatentSync: aligned, or musetalk's crops.")] = None,
    fallback: Annotated[
        str | None, typer.Option(help="What LatentSync cannot paint: musetalk paints it, or error.")
    ] = None,
    codec: Annotated[str | None, typer.Option(help="x264 or nvenc.")] = None,
    crf: Annotated[int | None, typer.Option(help="Quality, 0 to 51, lower is better (default: 18).")] = None,
    preset: Annotated[str | None, typer.Option(help="x264's speed, ultrafast to veryslow.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Longest input accepted.")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Largest frame accepted.")] = None,
    further: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting by its name: network.compile=true. May repeat."),
    ] = None,
    debug_dir: Annotated[Path | None, typer.Option(help="Write crops and masks there, as videos.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report there, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Render VIDEO speaking VOICE to OUT, or every task of a CONFIG."""
    values = values_of({name: context.params[option] for option, name in _SETTINGS.items()}, further)
    if config is not None and (video, voice, out) == (None, None, None):
        _render_config(config, result_dir, values, report, quiet)
    elif video is not None and voice is not None and out is not None and config is None:
        _render_one(video, voice, out, values, report, quiet)
    else:
        raise SettingsError("say what to render", "give VIDEO VOICE -o OUT, or --config FILE")


def _render_one(
    video: Path, voice: Path, out: Path, values: dict[str, Any], report_path: Path | None, quiet: bool
) -> None:
    from musetalk.settings import RenderSettings  # noqa: PLC0415

    settings = RenderSettings.parse(values)
    from musetalk.console import describe, shown_progress  # noqa: PLC0415
    from musetalk.pipeline import LipSync  # noqa: PLC0415

    engine = LipSync()
    engine.files(video, voice, out, settings).writing(report_path, "the report").check()
    with cancel_on_signal() as cancel, shown_progress(quiet) as show:
        report = engine.render(video, voice, out, settings, on_progress=show, cancel=cancel)
    if report_path is not None:
        report.save(report_path)
    typer.echo(describe(report, engine.registry.get(report.backend).notice))


def _render_config(
    config: Path, result_dir: Path, values: dict[str, Any], report_path: Path | None, quiet: bool
) -> None:
    from musetalk.batch import read_tasks  # noqa: PLC0415
    from musetalk.file_uses import FileUses  # noqa: PLC0415
    from musetalk.pipeline import LipSync  # noqa: PLC0415
    from musetalk.report import save_json  # noqa: PLC0415

    beside = FileUses().reading(config, "the file of tasks").writing(report_path, "the report")
    results = render_tasks(read_tasks(config, result_dir), values, LipSync(), beside, quiet=quiet)
    if report_path is not None:
        entries = [
            {"task": r.task, "error": r.error, "report": r.report.to_dict() if r.report else None} for r in results
        ]
        save_json(entries, report_path)
    if any(result.report is None for result in results):
        raise typer.Exit(FAILED)


def render_tasks(
    tasks: list[Task], overrides: dict[str, Any], engine: LipSync, beside: FileUses, *, quiet: bool
) -> list[TaskResult]:
    """Render one task after the other and say how each ended; a failed one does not stop the rest.

    Args:
        tasks: What to do.
        overrides: Settings that win over those of the tasks.
        engine: What renders.
        beside: Files that are read and written beside the tasks' own.
        quiet: Show no progress.

    Raises:
        Cancelled: The user stopped it.
        OutputError: One file would be written over another one that the batch reads or writes; nothing was done.
    """
    from musetalk.batch import check_batch, run_tasks  # noqa: PLC0415
    from musetalk.console import describe, shown_progress  # noqa: PLC0415
    from musetalk.report import RenderReport  # noqa: PLC0415
    from musetalk.settings import RenderSettings  # noqa: PLC0415
    from musetalk.units import counted  # noqa: PLC0415

    def files(task: Task, settings: RenderSettings) -> FileUses:
        return engine.files(task.video, task.voice, task.out, settings)

    check_batch(tasks, overrides, files, beside)
    with cancel_on_signal() as cancel:

        def render_task(task: Task, settings: RenderSettings) -> RenderReport:
            with shown_progress(quiet) as show:
                return engine.render(task.video, task.voice, task.out, settings, on_progress=show, cancel=cancel)

        results = []
        for result in run_tasks(tasks, overrides, render_task):
            results.append(result)
            if result.report is None:
                typer.echo(f"{result.task}: failed: {result.error}")
            else:
                notice = engine.registry.get(result.report.backend).notice
                typer.echo(f"{result.task}: {describe(result.report, notice)}")
    failed = sum(result.report is None for result in results)
    typer.echo(f"{len(results) - failed} of {counted(len(results), 'task')} done")
    return results


app.command()(compare)
app.command()(inspect)


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
    from musetalk.doctor import print_examination, print_surgical_check  # noqa: PLC0415

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
        code, text = CANCELLED, str(error)
    except SettingsError as error:
        code, text = USAGE, str(error)
    except MuseTalkError as error:
        code, text = FAILED, str(error)
    except MemoryError:
        code, text = FAILED, "there is not enough memory: scale the source down, or close other programs"
    except KeyboardInterrupt:
        code, text = CANCELLED, "cancelled"
    sys.stderr.write(f"musetalk: {' '.join(text.split())}\n")
    sys.exit(code)


def main() -> NoReturn:
    """Run the command line."""
    run(app)
