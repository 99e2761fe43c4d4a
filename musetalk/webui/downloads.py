"""Weights that visitors download: one set at a time, in the background, the same progress for everybody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from musetalk.backends.spec import AnyBackend
from musetalk.errors import Cancelled, JobError, MuseTalkError, SettingsError
from musetalk.pipeline.weight_sets import added_sets
from musetalk.progress import CancelToken
from musetalk.weights import FetchProgress, WeightFile, fetch
from musetalk.weights.catalog import SD_VAE, WEIGHT_SETS

_CLOSE_SECONDS = 15.0  # a server that has fallen silent is noticed after ten
# Of the sets that belong to no backend: what each is.
_BESIDES = {
    "faces": "a better face detector, and face parsing, for any backend",
    "taesd": "the tiny decoder: quicker and softer than Stable Diffusion's",
    "gfpgan": "GFPGAN, which enhances painted faces, for any backend",
    "landmarks": "68 landmarks: closer crops of faces",
    "yunet": "YuNet, a small face detector, for any backend",
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
class DownloadState:
    """How the present or the last download stands.

    Attributes:
        name: Of the set; empty: there was none yet.
        phase: "stopping": it was cancelled, and has yet to notice.
        done: Bytes of the set's missing files that are here.
        total: Bytes of all of them, as far as is known.
        file: The file it is at; None: not begun.
        error: Why it failed: problem and remedy.
    """

    name: str = ""
    phase: Literal["idle", "running", "stopping", "done", "stopped", "failed"] = "idle"
    done: int = 0
    total: int = 0
    file: FetchProgress | None = None
    error: str = ""

    @property
    def active(self) -> bool:
        """Whether it is under way."""
        return self.phase in ("running", "stopping")


class Downloads:
    """Downloads sets of weights, one at a time. Safe to share between threads.

    Args:
        sets: What can be downloaded.
        models_dir: Where to.
        allowed: Whether visitors may start downloads.
    """

    def __init__(self, sets: Iterable[WeightSet], models_dir: Path, *, allowed: bool = True) -> None:
        self.sets = tuple(sets)
        self.models_dir = models_dir
        self.allowed = allowed
        self._changed = threading.Condition()
        self._state = DownloadState()
        self._errors: dict[str, str] = {}
        self._token = CancelToken()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> DownloadState:
        """How the present or the last download stands."""
        with self._changed:
            return self._state

    @property
    def errors(self) -> dict[str, str]:
        """By set, why its last download failed: problem and remedy."""
        with self._changed:
            return dict(self._errors)

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
        with self._changed:
            if self._state.active and self._state.name != name:
                raise JobError(f"{self._state.name} is being downloaded", "wait until it is here, or cancel it")
            if self._state.active:
                return
            self._token = CancelToken()
            self._state = DownloadState(name, "running")
            self._errors.pop(name, None)
            # A daemon: at worst the process ends in the middle of a file, and the next download goes on from there.
            self._thread = threading.Thread(target=self._run, args=(chosen, self._token), name="downloads", daemon=True)
            self._thread.start()
            self._changed.notify_all()

    def cancel(self, name: str) -> None:
        """End the download of a set; what has arrived of it is kept. Nothing happens where it is not under way."""
        with self._changed:
            if self._state.phase == "running" and self._state.name == name:
                self._token.cancel()
                self._set(replace(self._state, phase="stopping"))

    def wait(self, until: Callable[[DownloadState], bool], seconds: float) -> DownloadState:
        """Wait until the state is a certain one, but not longer than some seconds; returns the state then."""
        with self._changed:
            self._changed.wait_for(lambda: until(self._state), seconds)
            return self._state

    def close(self) -> None:
        """End what is under way, and wait for it."""
        with self._changed:
            thread = self._thread
            self._token.cancel()
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _run(self, chosen: WeightSet, cancel: CancelToken) -> None:
        outcome = DownloadState(chosen.name, "failed", error="the download failed unexpectedly: see the server's log")
        tally = _Tally(file for file in chosen.files if file.state(self.models_dir) != "ready")
        try:
            fetch(chosen.files, self.models_dir, lambda event: self._report(tally, event), cancel, backend=chosen.name)
            outcome = DownloadState(chosen.name, "done")
        except Cancelled:
            outcome = DownloadState(chosen.name, "stopped")
        except MuseTalkError as error:
            _log.warning("the download of %s failed: %s", chosen.name, error)
            outcome = DownloadState(chosen.name, "failed", error=str(error))
        finally:
            with self._changed:
                self._set(outcome)
                if outcome.error:
                    self._errors[chosen.name] = outcome.error

    def _report(self, tally: _Tally, event: FetchProgress) -> None:
        done, total = tally.count(event)
        with self._changed:
            self._set(replace(self._state, done=done, total=total, file=event))

    def _set(self, state: DownloadState) -> None:
        self._state = state
        self._changed.notify_all()


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
