"""Weights that visitors download: one set at a time, in the background, the same progress for everybody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from musetalk.backends.spec import AnyBackend
from musetalk.errors import JobError, SettingsError
from musetalk.pipeline.weight_sets import added_sets
from musetalk.progress import CancelToken
from musetalk.webui.background import Background, WorkState
from musetalk.weights import FetchProgress, WeightFile, fetch
from musetalk.weights.catalog import SD_VAE, WEIGHT_SETS

# Of the sets that belong to no backend: what each is.
_BESIDES = {
    "faces": "a better face detector, and face parsing, for any backend",
    "taesd": "the tiny decoder: quicker and softer than Stable Diffusion's",
    "gfpgan": "GFPGAN, which enhances painted faces, for any backend",
    "landmarks": "68 landmarks: closer crops of faces",
    "yunet": "YuNet, a small face detector, for any backend",
    **{name: "a voice of Piper, which reads scripts aloud" for name in WEIGHT_SETS if name.startswith("piper:")},
    "kokoro": "Kokoro, which reads scripts aloud in seven languages",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WeightSet:
    """What is downloaded together.

    Attributes:
        name: As `python -m musetalk weights` names it.
        summary: One line for people who choose.
        files: All that it needs.
    """

    name: str
    summary: str
    files: tuple[WeightFile, ...]


@dataclass(frozen=True, slots=True)
class DownloadState(WorkState):
    """How the present or the last download stands; its name is the set's.

    Attributes:
        done: Bytes of the set's missing files that are here.
        total: Bytes of all of them, as far as is known.
        file: The file it is at; None: not begun.
    """

    done: int = 0
    total: int = 0
    file: FetchProgress | None = None


class Downloads(Background[DownloadState]):
    """Downloads sets of weights, one at a time. Safe to share between threads.

    What has arrived of a set is kept where its download is cancelled, or the process ends: the next one goes on from
    there.

    Args:
        sets: What can be downloaded.
        models_dir: Where to.
        allowed: Whether visitors may start downloads.
    """

    def __init__(self, sets: Iterable[WeightSet], models_dir: Path, *, allowed: bool = True) -> None:
        super().__init__(DownloadState(), "the download")
        self.sets = tuple(sets)
        self.models_dir = models_dir
        self.allowed = allowed

    def start(self, name: str) -> None:
        """Begin to download a set; nothing happens where that is under way already.

        Raises:
            SettingsError: There is no such set, or visitors may not download.
            JobError: Another set is being downloaded.
        """
        chosen = next((each for each in self.sets if each.name == name), None)
        if chosen is None:
            raise SettingsError(f'there are no weights for "{name}"', "reload the page")
        if not self.allowed:
            raise SettingsError("downloads are switched off on this server", switched_off(name))
        under_way = self.begin(DownloadState(name, "running"), partial(self._fetch, chosen))
        if under_way is not None and under_way.name != name:
            raise JobError(f"{under_way.name} is being downloaded", "wait until it is here, or cancel it")

    def _fetch(self, chosen: WeightSet, tell: Callable[..., None], cancel: CancelToken) -> DownloadState:
        tally = _Tally(file for file in chosen.files if file.state(self.models_dir) != "ready")

        def report(event: FetchProgress) -> None:
            done, total = tally.count(event)
            tell(done=done, total=total, file=event)

        fetch(chosen.files, self.models_dir, report, cancel, backend=chosen.name)
        return DownloadState(chosen.name, "done")


class _Tally:
    """Adds up the bytes of several files.

    Args:
        files: Those that are missing.
    """

    def __init__(self, files: Iterable[WeightFile]) -> None:
        self._sizes = {file.path: file.size or 0 for file in files}
        self._here: dict[PurePosixPath, int] = {}

    def count(self, event: FetchProgress) -> tuple[int, int]:
        """Bytes of all files that are here, and bytes of all."""
        self._sizes[event.path] = event.total or self._sizes.get(event.path, 0)
        self._here[event.path] = event.total if event.checking else event.done
        return sum(self._here.values()), sum(self._sizes.values())


def weight_sets(backends: Iterable[AnyBackend]) -> tuple[WeightSet, ...]:
    """Return what can be downloaded: what backends need, and what some of them can use besides."""
    sets = [WeightSet(backend.name, backend.summary, backend.weights) for backend in backends if backend.weights]
    if any(set(SD_VAE) <= set(each.files) for each in sets):
        sets += [WeightSet(name, what, WEIGHT_SETS[name]) for name, what in _BESIDES.items()]
    sets += [
        WeightSet(name, "what another package reads, for any backend", files) for name, files in added_sets().items()
    ]
    return tuple(sets)


def bring_weights(sets: Iterable[WeightSet], names: Iterable[str], models_dir: Path) -> None:
    """Download what is missing of the named sets, here and now.

    Raises:
        SettingsError: There is no set of a name.
        MuseTalkError: It cannot be brought.
    """
    known = {each.name: each for each in sets}
    for name in names:
        if name not in known:
            raise SettingsError(f'there are no weights for "{name}"', f"choose from: {', '.join(known)}")
        for path in fetch(known[name].files, models_dir, backend=name):
            _log.info("fetched %s", path)


def switched_off(name: str) -> str:
    """Return what to do where visitors may not download a set."""
    return (
        f"whoever runs this server can fetch them with python -m musetalk weights download {name}, "
        "or start it with --downloads (on a Space: the variable MUSETALK_DOWNLOADS=1)"
    )
