"""`python -m musetalk weights`: list, download, verify, adopt and export files of weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from musetalk.errors import SettingsError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from musetalk.weights import FetchProgress, WeightFile

_FAILED = 1
_USUAL = "musetalk-v15"  # what is downloaded where nothing is named

app = typer.Typer(
    name="weights",
    help="See, fetch and check the files that backends read.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

ModelsDir = Annotated[Path, typer.Option(help="Where weights are.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[BACKEND]...", help="Of which; `list` names them.")]


class LeanChoice(str, Enum):
    """Number types of lean copies."""

    FP16 = "fp16"
    FP32 = "fp32"


@app.command("list")
def list_files(names: Names = None, models_dir: ModelsDir = Path("models")) -> None:
    """Show which files each backend reads, whether they are there, and where they come from."""
    from musetalk.weights.weight_file import readable_size  # noqa: PLC0415 - heavy imports wait until a command runs

    for name, files in _chosen(names).items():
        typer.echo(f"{name}:")
        for file in files:
            size = "size unknown" if file.size is None else readable_size(file.size)
            typer.echo(f"  {file.path}: {file.state(models_dir)}, {size}, {file.licence}, {file.source}")


@app.command()
def download(
    names: Names = None,
    models_dir: ModelsDir = Path("models"),
    replace: Annotated[bool, typer.Option("--replace", help="Also replace files of another size.")] = False,
) -> None:
    """Download what a backend reads (default: musetalk-v15); goes on where it was interrupted."""
    from musetalk.weights import fetch  # noqa: PLC0415

    chosen = names or [_USUAL]
    files = _files(chosen)
    with _progress_display() as show:
        fetched = fetch(files, models_dir, on_progress=show, replace=replace, backend=" ".join(chosen))
    for path in fetched:
        typer.echo(f"{path}: downloaded")
    typer.echo(f"{len(fetched)} downloaded, {len(files) - len(fetched)} were there: {models_dir}")


@app.command("verify")
def verify_files(names: Names = None, models_dir: ModelsDir = Path("models")) -> None:
    """Read the files that are there, and compare them with what is known of them."""
    from musetalk.weights import verify  # noqa: PLC0415

    verdicts = verify((*_files(names), *_exported(names, models_dir)), models_dir)
    wanted = bool(names)  # of a backend that nobody named, nothing has to be there
    shown = [verdict for verdict in verdicts if wanted or verdict.state != "missing"]
    for verdict in shown:
        why = f" ({verdict.why})" if verdict.why else ""
        typer.echo(f"{verdict.path}: {verdict.state}{why}")
    if not shown:
        typer.echo(f"{models_dir} has no weights")
    if any(verdict.state in {"damaged", "missing"} for verdict in shown):
        raise typer.Exit(_FAILED)


@app.command("adopt")
def adopt_file(
    path: Annotated[str, typer.Argument(help="Below the folder of models, as `list` shows it.")],
    models_dir: ModelsDir = Path("models"),
) -> None:
    """Use a checkpoint of your own, fine-tuned for example, in place of the published one."""
    from musetalk.weights import adopt  # noqa: PLC0415

    known = {choice.path: choice for file in _files(None) for choice in (file, *file.alternatives)}
    file = known.get(PurePosixPath(path))
    if file is None:
        raise SettingsError(f'no backend reads "{path}"', "python -m musetalk weights list shows what they read")
    verdict = adopt(file, models_dir)
    typer.echo(f"{verdict.path}: {verdict.why}")


@app.command("export")
def export_files(
    names: Names = None,
    dtype: Annotated[LeanChoice, typer.Option(help="Of kernels and matrices.")] = LeanChoice.FP16,
    models_dir: ModelsDir = Path("models"),
    streaming: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a new folder of models instead, with only what live speech of prepared avatars reads "
            "(of musetalk-v15, if no backend is named).",
        ),
    ] = None,
) -> None:
    """Write lean copies (safetensors, only what is used) beside the files; they are read instead from then on."""
    from musetalk.weights.export import export, export_streaming  # noqa: PLC0415
    from musetalk.weights.weight_file import readable_size  # noqa: PLC0415

    if streaming is not None:
        places = export_streaming(_streamed(names or [_USUAL], models_dir), models_dir, streaming, dtype.value)
        sizes = [(streaming / place).stat().st_size for place in places]
        for place, size in zip(places, sizes, strict=True):
            typer.echo(f"{place}: {readable_size(size)}")
        typer.echo(f"{readable_size(sum(sizes))}: {streaming}")
        return
    files = _files(names)
    _check_copies(files, models_dir)
    for copy in export(files, models_dir, dtype.value):
        typer.echo(f"{copy}: {readable_size((models_dir / copy).stat().st_size)}")


def _exported(names: list[str] | None, models_dir: Path) -> Iterator[WeightFile]:
    """Yield what is only where weights were exported for live speech, of the named backends or of all."""
    from musetalk.backends.registry import BackendRegistry  # noqa: PLC0415
    from musetalk.weights.variants import lean_path  # noqa: PLC0415

    for backend in BackendRegistry():
        for file in backend.streaming or () if not names or backend.name in names else ():
            if file not in backend.weights and lean_path(models_dir / file.path).is_file():
                yield replace(file, alternatives=())


def _streamed(names: list[str], models_dir: Path) -> tuple[WeightFile, ...]:
    """Return what live speech reads of the named sets, each file once; sets that are no backend's are read whole.

    Raises:
        SettingsError: There is none of a name, or a backend does not speak live.
        WeightsError: Files are missing, or none is read.
    """
    from musetalk.backends.registry import BackendRegistry  # noqa: PLC0415
    from musetalk.errors import WeightsError  # noqa: PLC0415
    from musetalk.weights import lacking  # noqa: PLC0415

    backends = BackendRegistry().by_name
    wanted: dict[WeightFile, None] = {}
    for name in names:
        backend = backends.get(name)
        files = _chosen([name])[name] if backend is None else backend.streaming
        if files is None:
            remedy = f"choose from: {', '.join(each.name for each in backends.values() if each.streaming)}"
            raise SettingsError(f'"{name}" does not say what it reads to speak live', remedy)
        missing = (
            lacking(files, models_dir, name) if backend is None else backend.missing_weights(models_dir, prepared=True)
        )
        if missing:
            raise WeightsError(f'the weights of "{name}" are not complete', "; ".join(missing))
        wanted |= dict.fromkeys(files)
    if not wanted:
        raise WeightsError(f"{' and '.join(names)} reads no weights", "it speaks live as it is")
    return tuple(wanted)


def _check_copies(files: tuple[WeightFile, ...], models_dir: Path) -> None:
    """Make sure that no lean copy takes the place of a checkpoint, by a link for instance.

    Raises:
        OutputError: One would.
    """
    from musetalk.pipeline.file_uses import FileUse, FileUses  # noqa: PLC0415
    from musetalk.weights.lock import LOCK_NAME  # noqa: PLC0415
    from musetalk.weights.variants import is_checkpoint, lean_path  # noqa: PLC0415

    present = (file.present(models_dir) for file in files)
    originals = [models_dir / file.path for file in present if file is not None and is_checkpoint(Path(file.path))]
    copies = dict.fromkeys(map(lean_path, originals))
    FileUses(
        tuple(FileUse(path, "the weights") for path in originals),
        (
            *(FileUse(path, "the lean copy") for path in copies),
            FileUse(models_dir / LOCK_NAME, "the record of files"),
        ),
    ).check_conflicts()


def _chosen(names: list[str] | None) -> dict[str, tuple[WeightFile, ...]]:
    """The named sets, or all.

    Raises:
        SettingsError: There is none of a name.
    """
    from musetalk.backends.registry import BackendRegistry  # noqa: PLC0415
    from musetalk.pipeline.weight_sets import all_weight_sets  # noqa: PLC0415

    sets = all_weight_sets(BackendRegistry())
    unknown = [name for name in names or () if name not in sets]
    if unknown:
        raise SettingsError(f'there are no weights for "{unknown[0]}"', f"choose from: {', '.join(sets)}")
    return {name: sets[name] for name in names or sets}


def _files(names: list[str] | None) -> tuple[WeightFile, ...]:
    """The files of the named sets, or of all; each once."""
    return tuple(dict.fromkeys(file for files in _chosen(names).values() for file in files))


@contextmanager
def _progress_display() -> Iterator[Callable[[FetchProgress], None]]:
    """A progress callback that draws on stderr while the `with` block runs: bars on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines().update
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars).update


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[tuple[PurePosixPath, bool], TaskID] = {}

    def update(self, event: FetchProgress) -> None:
        key = event.path, event.checking
        if key not in self._tasks:
            title = f"{event.path}{' (checking)' if event.checking else ''}"
            self._tasks[key] = self._bars.add_task(title, total=event.total or None)
        self._bars.update(self._tasks[key], completed=event.done, total=event.total or None)


class _Lines:
    def __init__(self) -> None:
        self._last: tuple[PurePosixPath, bool, int] | None = None

    def update(self, event: FetchProgress) -> None:
        """Write a line at every tenth of a file; where its size is unknown, only as it begins."""
        tenth = event.done * 10 // event.total if event.total else 0
        if (event.path, event.checking, tenth) != self._last:
            self._last = (event.path, event.checking, tenth)
            what = "checking" if event.checking else "downloading"
            sys.stderr.write(f"[{event.number}/{event.count}] {what} {event.path}: {tenth * 10} %\n")
            sys.stderr.flush()
