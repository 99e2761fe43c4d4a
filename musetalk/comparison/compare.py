"""compare: one source and one voice through several backends, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from musetalk.backends.automatic import NOT_COMPARED
from musetalk.comparison.types import COMPARISON, PLOTS, SIDE_BY_SIDE, Compared, Comparison
from musetalk.errors import PATH, BackendError, Cancelled, MuseTalkError, OutputError, SettingsError
from musetalk.pipeline.engine import Engine
from musetalk.pipeline.file_uses import FileUses, input_files, output_files
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.resume.part_folder import discard_parts
from musetalk.resume.types import ResumeOptions
from musetalk.settings import AUTO, EncoderSettings, InputSettings, SourceSettings
from musetalk.utils.files import put_in_place, readable, remove_file, temporary_folder
from musetalk.utils.stopping import ends_by, left_alone, stop_point
from musetalk.utils.temporary_folders import open_locked

_OF_EACH = {"measure": True, "use_saved_coords": True}  # settings of every render, whatever the user's are


def compare(
    engine: Engine,
    request: RenderRequest,
    folder: Path,
    backends: Sequence[str],
    *,
    on_progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    side_by_side: str = SIDE_BY_SIDE,
    source_in_step: str = "",
    named: Callable[[str], str] = str,
    fresh: bool = False,
) -> Comparison:
    """Render with each backend, measure the results, and show them together.

    Faces are looked for once: every render reads the same plan. A backend that fails does not stop the others. What
    every backend has made is kept in the folder until all of it is there: a comparison that was stopped goes on.

    Args:
        engine: What renders.
        request: What every backend is asked for; which one it names is not heeded.
        folder: Where the results go: `<backend>.mp4`, what shows all, `plots.png`, `comparison.json`, once all are
            made. Made if need be; what it holds under these names is replaced. While it holds a `comparison.json`, the
            others are of that comparison.
        backends: Names, two or more.
        on_progress: Called as work goes on.
        cancel: Ends the work.
        side_by_side: What the video that shows all results is called.
        source_in_step: What a video is called that shows the source as the results do; empty: none.
        named: From backends' names to what they are called where this is shown.
        fresh: Whether what a comparison that was stopped left is removed, and all of it made anew.

    Raises:
        MuseTalkError: It cannot be done; nothing is written.
    """
    cancel, told = cancel or CancelToken(), _Told(on_progress)
    _check(engine, request, backends)
    settings = request.settings
    shown = tuple(filter(None, (side_by_side, source_in_step)))
    inputs, encoder = settings.inputs, settings.encoder
    with _workplace(folder, comparison_files(request, folder, backends, shown)) as work:
        # A plan of the user's own is used, and kept, where the settings say so; else there is one for this comparison.
        own = settings.model_dump(mode="json", include={"use_saved_coords", "coords_dir"})
        coords_dir = settings.folders.coords_in(folder) or work / "coords"
        shared = replace(request, settings=settings.model_copy(update={**_OF_EACH, "coords_dir": coords_dir}))
        made = _render_each(engine, shared, work, folder, backends, told, cancel, named, fresh=fresh)
        parts = [_as_given(each, backend, own, work, folder) for each, backend in zip(made, backends, strict=True)]
        comparison = Comparison(request.video.name, request.voice.name, tuple(parts))
        if not comparison.rendered:
            raise _all_failed(parts, [each for each in made if isinstance(each, MuseTalkError)], named)
        comparison = _add_views(comparison, work, inputs.source, encoder, told, cancel, side_by_side, named)
        if source_in_step:
            comparison = _with_source(comparison, request.video, work / source_in_step, inputs, encoder, told, cancel)
        comparison.save(work / COMPARISON)
        cancel.check()
        _move(work, folder, _names(backends, shown))
        _discard_parts(folder, backends)
        return comparison


def _check(engine: Engine, request: RenderRequest, backends: Sequence[str]) -> None:
    """Refuse, in a moment, what cannot be compared.

    Raises:
        MuseTalkError: It cannot; all backends that cannot run are named.
    """
    twice = sorted({backend for backend in backends if backends.count(backend) > 1})
    if twice:
        raise SettingsError(f"{', '.join(twice)} is named more than once", "name each backend once")
    if AUTO in backends:
        raise SettingsError(*NOT_COMPARED)
    if len(backends) < 2:
        raise SettingsError(
            "a comparison takes two backends or more", "name them like this: musetalk-v15,latentsync-1.5"
        )
    refused = list[MuseTalkError]()
    for backend in backends:
        try:
            engine.check(request.with_backend(backend))
        except BackendError as error:
            refused.append(error)
    if refused:
        raise _joined(refused, "; ".join(error.problem for error in refused))


@contextmanager
def _workplace(folder: Path, uses: FileUses) -> Iterator[Path]:
    """A temporary folder in the one for the results, which is held; folders that were made for nothing go, too.

    Raises:
        OutputError: The results cannot be written there, or another comparison is being made there.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        uses.check()
        with temporary_folder(folder) as work, _held(folder):
            yield work
    finally:
        with suppress(OSError):  # it holds the results
            for place in made:
                place.rmdir()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other comparisons out of a folder: each would take files for its own that the other one has made.

    Raises:
        OutputError: One is being made there.
    """
    lock = None
    try:
        with suppress(FileNotFoundError, PermissionError):  # which who writes there tells
            lock = open_locked(folder.resolve())
    except BlockingIOError as error:
        problem = f'another comparison is being made in "{PATH}"'
        raise OutputError(problem, "wait until it is done, or name another folder", path=folder) from error
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def comparison_files(request: RenderRequest, folder: Path, backends: Sequence[str], shown: Sequence[str]) -> FileUses:
    """Return what a comparison reads and writes.

    Args:
        request: As for `compare`.
        folder: As for `compare`.
        backends: As for `compare`.
        shown: Names of the videos beside those of backends.
    """
    uses = input_files(request.video, request.voice)
    for backend in backends:
        uses += output_files(folder / f"{backend}.mp4", request.settings.folders)
    for name in (*shown, PLOTS, COMPARISON):
        uses = uses.writing(folder / name, name)
    return uses


def _names(backends: Sequence[str], shown: Sequence[str]) -> tuple[str, ...]:
    """Return what a comparison's files are called; what describes the others comes last."""
    return (*(f"{backend}.mp4" for backend in backends), *shown, PLOTS, COMPARISON)


def _discard_parts(folder: Path, backends: Sequence[str]) -> None:
    """Remove what was kept to go on with."""
    for backend in backends:
        discard_parts(folder / f"{backend}.mp4")


def _render_each(
    engine: Engine,
    request: RenderRequest,
    work: Path,
    folder: Path,
    backends: Sequence[str],
    told: _Told,
    cancel: CancelToken,
    named: Callable[[str], str],
    *,
    fresh: bool,
) -> list[RenderReport | MuseTalkError]:
    """Let one backend after another render into `work`, with its parts kept in `folder`; or tell why one cannot."""
    made = list[RenderReport | MuseTalkError]()
    for number, backend in enumerate(backends, 1):
        told.begin(f"{named(backend)}, {number} of {len(backends)}", number - 1)
        chosen, out = request.with_backend(backend), work / f"{backend}.mp4"
        resume = ResumeOptions(fresh=fresh, beside=folder / out.name, keep=True)
        made.append(_render(engine, chosen, out, resume, told, cancel))
    return made


def _render(
    engine: Engine, request: RenderRequest, out: Path, resume: ResumeOptions, told: _Told, cancel: CancelToken
) -> RenderReport | MuseTalkError:
    """Let one backend render, or return why it cannot; afterwards its memory is free for the next."""
    cancel.check()
    try:
        return engine.make(request, out, resume=resume, on_progress=told.tell, cancel=cancel)
    except Cancelled:
        raise
    except MuseTalkError as error:
        return error.retold(error.problem)  # a copy: with the error itself, what the render holds would be kept
    finally:
        engine.release()


def _joined(errors: Sequence[MuseTalkError], problem: str, remedy: str | None = None) -> MuseTalkError:
    """Return one error for several: of their kind, if that is one; with each remedy once, or the one that is given."""
    if remedy is None:
        remedy = "; ".join(filter(None, dict.fromkeys(error.remedy for error in errors)))
    alike = len({error.kind for error in errors}) == 1
    return errors[0].retold(problem, remedy) if alike else BackendError(problem, remedy)


def _all_failed(
    parts: Sequence[Compared], errors: Sequence[MuseTalkError], named: Callable[[str], str]
) -> MuseTalkError:
    """Return the error of a comparison without a result: each reason once, with whose it is where they differ."""
    reasons = [part.error for part in parts]
    alike = len(set(reasons)) == 1
    each = reasons[:1] if alike else [f"{named(part.backend)}: {part.error}" for part in parts]
    return _joined(errors, f"no backend could render this ({'; '.join(each)})", remedy="")


def _as_given(
    made: RenderReport | MuseTalkError, backend: str, own: Mapping[str, object], work: Path, folder: Path
) -> Compared:
    """What became of a backend, without a word of the temporary folder: as if in place, as `own` settings said."""
    if isinstance(made, MuseTalkError):
        return Compared(backend, error=str(_in_place(made, work, folder)), error_kind=made.kind)
    video = f"{backend}.mp4"
    return Compared(backend, video, replace(made, output=str(folder / video), settings={**made.settings, **own}))


def _in_place(error: MuseTalkError, work: Path, folder: Path) -> MuseTalkError:
    """The same about a file of the folder for the results, if it is about one of the temporary folder."""
    if error.path is None or not error.path.is_relative_to(work):
        return error
    return error.called(readable(folder / error.path.relative_to(work)))


def _add_views(
    comparison: Comparison,
    work: Path,
    source: SourceSettings,
    encoder: EncoderSettings,
    told: _Told,
    cancel: CancelToken,
    name: str,
    named: Callable[[str], str],
) -> Comparison:
    """Add what shows the results together."""
    from musetalk.comparison.side_by_side import Panel, write_side_by_side  # noqa: PLC0415

    told.begin("putting the results side by side", len(comparison.parts))
    panels = [Panel.of(work / part.video, report, named) for part, report in comparison.rendered]
    if len(panels) > 1:
        out = work / name
        write_side_by_side(
            panels, out, folder=work, wanted=source, encoder=encoder, on_frame=told.finishing, cancel=cancel
        )
        comparison = replace(comparison, side_by_side=out.name)
    if any(report.measures for _, report in comparison.rendered):
        with ends_by(cancel.check):
            draw_plots = left_alone(_plotting)
            stop_point()
            draw_plots(comparison, work / PLOTS, named)
        comparison = replace(comparison, plots=PLOTS)
    return comparison


def _with_source(
    comparison: Comparison,
    video: Path,
    out: Path,
    wanted: InputSettings,
    encoder: EncoderSettings,
    told: _Told,
    cancel: CancelToken,
) -> Comparison:
    """Add the source as the results show it."""
    from musetalk.comparison.source_in_step import write_source_in_step  # noqa: PLC0415

    told.begin("playing the source in step with them", len(comparison.parts))
    write_source_in_step(
        video,
        out.with_name(comparison.rendered[0][0].video),
        out,
        folder=out.parent,
        wanted=wanted.source,
        length=wanted.length,
        encoder=encoder,
        on_frame=told.finishing,
        cancel=cancel,
    )
    return replace(comparison, source_in_step=out.name)


def _plotting() -> Callable[[Comparison, Path, Callable[[str], str]], None]:
    """Return what draws plots; loading it takes seconds where a machine is busy, or has never drawn any."""
    from musetalk.comparison.plots import draw_plots  # noqa: PLC0415 - loads matplotlib

    return draw_plots


def _move(work: Path, folder: Path, names: Sequence[str]) -> None:
    """Give the results their names, the account last; what an earlier comparison left under the others goes.

    Raises:
        OutputError: They cannot be moved.
    """
    remove_file(folder / COMPARISON)
    for name in names:
        if (work / name).exists():
            put_in_place(work / name, folder / name)
        else:
            remove_file(folder / name)


class _Told:
    """Passes progress on, with one clock, and a note of whose it is at the beginning of each."""

    def __init__(self, on_progress: ProgressCallback | None) -> None:
        self._on_progress = on_progress
        self._started = time.perf_counter()
        self._note = ""
        self._turn = 0
        self._due = False

    def begin(self, note: str, turn: int) -> None:
        """Say what comes now with the next event, and with whatever notes follow; `turn` as in events."""
        self._note, self._turn, self._due = note, turn, True

    def tell(self, event: ProgressEvent) -> None:
        """Pass an event on.

        A note goes with few events: a terminal prints each, and whoever watches a job sees the last one.
        """
        if self._on_progress is None:
            return
        note = f"{self._note}: {event.note}" if event.note else self._note if self._due else ""
        self._due = False
        self._on_progress(replace(event, note=note, seconds=time.perf_counter() - self._started, turn=self._turn))

    def finishing(self, done: int, total: int) -> None:
        """Say how far the video that shows all has come."""
        self.tell(ProgressEvent("finish", done, total))
