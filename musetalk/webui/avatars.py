"""The avatars that speak live, as the page shows, makes and deletes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from musetalk.avatars.store import AvatarStore
from musetalk.errors import PATH, AvatarError, JobError, SettingsError, write_error
from musetalk.jobs.job import JobProgress
from musetalk.jobs.meter import ProgressMeter
from musetalk.lipsync import LipSync
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.settings import AUTO, RenderSettings
from musetalk.utils.files import link_or_copy, temporary_folder
from musetalk.utils.units import size
from musetalk.webui.background import Background, WorkState

_REAL_TIME = 1.0  # seconds of work for a second of video, beyond which live speech falters
SWITCHED_OFF = (
    "avatars are not made on this page",
    "whoever runs this server can make them, or start it with --avatar-making",
)


@dataclass(frozen=True, slots=True)
class MakingState(WorkState):
    """How the avatar stands that is made, or was made last.

    Attributes:
        progress: How far it is; None: not begun.
        notes: What is to be known of the one that was made, a sentence each.
    """

    progress: JobProgress | None = None
    notes: tuple[str, ...] = ()


class Avatars(Background[MakingState]):
    """Avatars of a store, of which visitors may make more, one at a time. Safe to share between threads.

    Args:
        store: Where they are kept.
        engine: Makes them.
        base: Settings that visitors cannot change: limits, where weights are.
        max_bytes: What all of them together may take for one more to be made.
        speaking: Says whether one of that name speaks now.
        allowed: Whether visitors may make and delete avatars.
    """

    def __init__(
        self,
        store: AvatarStore,
        engine: LipSync,
        base: RenderSettings,
        max_bytes: int,
        speaking: Callable[[str], bool],
        *,
        allowed: bool = True,
    ) -> None:
        super().__init__(MakingState(), "the making")
        self.store = store
        self.allowed = allowed
        self._engine, self._base = engine, base
        self._max_bytes, self._speaking = max_bytes, speaking

    def backends(self) -> list[str]:
        """Return the backends that an avatar can be made for here and now, the one first that is best for live speech.

        That is the best that paints in real time on this machine.
        """
        registry, base = self._engine.registry, self._base
        ready = [each.name for each in registry if each.live and not each.configured(base).lacks()]
        quick = base.model_copy(update={"backend": AUTO, "max_slowdown": _REAL_TIME})
        best = self._engine.choose(quick).backend
        return sorted(ready, key=lambda name: name != best)

    def make(self, name: str, backend: str, source: Path) -> None:
        """Begin to make an avatar.

        Args:
            name: What it is to be called.
            backend: Paints it.
            source: An upload, which may go once this has returned and a few minutes have passed.

        Raises:
            MuseTalkError: It cannot be made, or not now.
        """
        self._check_allowed()
        if self.store.place(name).exists():
            raise AvatarError(f'there is an avatar "{name}" already', "choose another name, or delete it first")
        if backend not in self.backends():
            raise SettingsError("that backend cannot speak live here", "choose another one")
        self._check_room(source)
        under_way = self.begin(MakingState(name, "running"), partial(self._make, name, backend, source))
        if under_way is not None:
            raise JobError(f'the avatar "{under_way.name}" is being made', "wait until it is there, or cancel it")

    def delete(self, name: str) -> None:
        """Delete an avatar that does not speak.

        Raises:
            MuseTalkError: It cannot be deleted, or not now.
        """
        self._check_allowed()
        if not self.store.place(name).is_dir():
            raise AvatarError(f'there is no avatar "{name}"', "reload the page")
        if self._speaking(name):
            raise AvatarError(f'"{name}" is speaking', "stop its sessions first")
        self.store.delete(name)

    def _check_allowed(self) -> None:
        if not self.allowed:
            raise SettingsError(*SWITCHED_OFF)

    def _check_room(self, source: Path) -> None:
        known = [each.manifest.files.values() for each in self.store.entries() if each.manifest is not None]
        used = sum(file.size for files in known for file in files) + source.stat().st_size
        if used > self._max_bytes:
            problem = f"all avatars together may take {size(self._max_bytes)} here, and with this one it would be more"
            raise AvatarError(problem, "delete one that is no longer needed")

    def _make(
        self, name: str, backend: str, source: Path, tell: Callable[..., None], cancel: CancelToken
    ) -> MakingState:
        meter, folder = ProgressMeter(), self.store.folder

        def report(event: ProgressEvent) -> None:
            tell(progress=meter.read(event))

        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error)(f'"{PATH}" cannot be made ({error.strerror})', "make room", path=folder) from error
        with temporary_folder(folder) as own:  # uploads are removed by age, also while this waits for the device
            kept = own / source.name
            try:
                link_or_copy(source, kept)
            except OSError as error:
                problem = f"the upload cannot be kept ({error.strerror})"
                raise write_error(error)(problem, "make room", path=folder) from error
            settings = self._base.with_backend(backend)
            place = self.store.place(name)
            made = self._engine.create_avatar(kept, place, settings, on_progress=report, cancel=cancel)
        return MakingState(name, "done", notes=tuple(made.manifest.notes))
