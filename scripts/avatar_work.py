"""What MuseTalk's commands about avatars do here: caches are made by this pipeline, and speak through it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from musetalk.avatars.upstream.cache import INFO, RESULTS, UpstreamAvatar
from musetalk.avatars.upstream.exporting import upstream_info
from musetalk.avatars.upstream.importing import import_avatar, played_at
from musetalk.avatars.upstream.reading import read_upstream_cache
from musetalk.avatars.upstream.writing import check_place
from musetalk.cli.console import describe, shown_progress
from musetalk.cli.options import cancel_on_signal
from musetalk.cli.upstream_avatars import export_to
from musetalk.errors import PATH, AvatarError, Cancelled, MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.files import make_room_for, temporary_folder
from musetalk.utils.stopping import ends_by
from scripts.upstream_avatars import AvatarRequest, AvatarTask

_RUNS = ("models_dir", "network")  # settings of the machine, which no avatar keeps
_SPEAKS = (*_RUNS, "speech")


class AvatarWork:
    """Makes avatars, and lets them speak.

    Args:
        request: The command line.
        cancel: Ends the work.
    """

    def __init__(self, request: AvatarRequest, cancel: CancelToken) -> None:
        self._request, self._cancel, self._engine = request, cancel, LipSync(own_process=True)

    def prepare(self, task: AvatarTask) -> None:
        """Make MuseTalk's cache of an avatar.

        Raises:
            MuseTalkError: It cannot be made.
        """
        check_place(task.folder, replace=task.replace)
        make_room_for(task.folder.parent / INFO)
        settings = RenderSettings.parse({**self._request.values, "bbox_shift": task.bbox_shift})
        create, cancel = self._engine.create_avatar, self._cancel
        with shown_progress() as show, temporary_folder(Path(tempfile.gettempdir())) as temporary:
            made = create(task.video, temporary / "avatar", settings, on_progress=show, cancel=cancel)
            chosen = made.settings_with(self._values(_RUNS))
            info = replace(
                upstream_info(made, chosen.backend, chosen.face, chosen.bbox_shift),
                avatar_id=task.name,
                video_path=str(task.video),
            )
            to = task.folder
            notes = export_to(
                self._engine, made, to, chosen, info=info, replace=task.replace, on_progress=show, cancel=cancel
            )
        typer.echo(f"{task.name}: {task.folder}")
        for note in notes:
            typer.echo(f"  note: {note}")

    def speak(self, task: AvatarTask) -> bool:
        """Let an avatar speak all of its voices; one that fails does not stop the others.

        Returns:
            Whether all were spoken.

        Raises:
            Cancelled: The user stopped it.
        """
        try:
            cache = self._cache(task)
            with temporary_folder(Path(tempfile.gettempdir())) as temporary:
                return self._speak_all(task, cache, temporary)
        except Cancelled:
            raise
        except MuseTalkError as error:
            typer.echo(f"{task.name}: failed: {error}")
            return False

    def _cache(self, task: AvatarTask) -> UpstreamAvatar:
        """Return MuseTalk's cache of an avatar; it is made where it is not there, or for something else."""
        if not (task.folder / INFO).is_file():
            if not task.prepare:
                problem = f'there is no avatar "{PATH}"'
                raise AvatarError(problem, "say preparation: True in the file of avatars", path=task.folder)
            self.prepare(task)
            return read_upstream_cache(task.folder)
        cache = read_upstream_cache(task.folder)
        wanted, found = (self._request.version, task.bbox_shift), (cache.version, cache.info.bbox_shift)
        if wanted != found and not task.prepare:
            raise AvatarError(
                f'the avatar "{PATH}" was prepared for {found[0]} with a bbox_shift of {found[1]}, not for {wanted[0]} '
                f"with one of {wanted[1]}",
                "say preparation: True in the file of avatars",
                path=task.folder,
            )
        if task.prepare and (*wanted, str(task.video)) != (*found, cache.info.video_path):
            self.prepare(replace(task, replace=True))
            return read_upstream_cache(task.folder)
        if task.prepare:
            typer.echo(f"{task.name}: {task.folder} is used as it is; to prepare it again, delete it")
        return cache

    def _speak_all(self, task: AvatarTask, cache: UpstreamAvatar, temporary: Path) -> bool:
        cancel = self._cancel
        with shown_progress() as show, ends_by(cancel.check):
            rate, run = played_at(str(self._request.values["fps"])), RenderRun(show, cancel)
            avatar = import_avatar(cache, temporary / "avatar", "avatar", fps=rate, run=run)
        settings, spoken = avatar.settings_with(self._values(_SPEAKS)), True
        for name, voice in task.clips.items():
            out = task.folder / RESULTS / f"{name}.mp4"
            try:
                make_room_for(out)
                with shown_progress() as show:
                    report = self._engine.speak(avatar, voice, out, settings, on_progress=show, cancel=cancel)
            except Cancelled:
                raise
            except MuseTalkError as error:
                typer.echo(f"{task.name}, {name}: failed: {error}")
                spoken = False
            else:
                notice = self._engine.registry.get(report.backend).notice
                typer.echo(f"{task.name}, {name}: {describe(report, notice)}")
        return spoken

    def _values(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: self._request.values[name] for name in names}


def work_on(request: AvatarRequest) -> bool:
    """Do what a command line asks for.

    Returns:
        Whether all of it was done; where not, what failed was said.

    Raises:
        MuseTalkError: An avatar that says nothing cannot be made.
        Cancelled: The user stopped it.
    """
    with cancel_on_signal() as cancel:
        work = AvatarWork(request, cancel)
        if request.config is None:
            for task in request.avatars:
                work.prepare(task)
            return True
        spoken = [work.speak(task) for task in request.avatars]
    return all(spoken)
