"""The renders that rows come to: each once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from musetalk.backends.automatic import BackendChoice
from musetalk.batch.content import Digests, FileState, settings_text
from musetalk.batch.rows import Row
from musetalk.errors import MuseTalkError
from musetalk.pipeline import engine
from musetalk.settings import ComponentSettings, RenderSettings


@dataclass(frozen=True, slots=True)
class Work:
    """One render, for all rows that ask for it.

    Attributes:
        key: Digest of all that decides what its file holds.
        source: Digest of its source.
        settings: Of the render; they name a backend.
        rows: Who asks for it.
        choice: Why that backend, where the rows left it open; else empty.
        inputs: The files of the first row, as they were when their content was read.
    """

    key: str
    source: str
    settings: RenderSettings
    rows: tuple[Row, ...]
    choice: str = ""
    inputs: tuple[FileState, ...] = ()

    @property
    def first(self) -> Row:
        """The row whose inputs are read."""
        return self.rows[0]


class Chooser(engine.Chooser, Protocol):
    """What names backends, and knows what they load: `LipSync`."""

    def weights(self, backend: str, wanted: ComponentSettings) -> tuple[Path, ...]:
        """Return the files of weights that are here and that a render may load; see `LipSync.weights`."""
        ...


class Settings:
    """Settings of rows: those that say the same are read, and their backend is chosen, once.

    Args:
        engine: Names the backend that paints with settings, and the weights that it loads.
        digests: Of files.
        weights: Whether rows that other weights would be loaded for are other renders: not, where nothing is kept.
    """

    def __init__(self, engine: Chooser, digests: Digests, *, weights: bool) -> None:
        self._engine, self._digests, self._weights = engine, digests, weights
        self._known: dict[str, tuple[RenderSettings, BackendChoice, str] | MuseTalkError] = {}

    def of(self, row: Row) -> tuple[RenderSettings, BackendChoice, str]:
        """Return the settings of a row, as it asks for them, what paints with these, and by content both.

        Raises:
            SettingsError: They cannot work.
            BackendError: There is none that could be chosen.
        """
        said = repr(sorted(row.settings.items()))
        known = self._known.get(said)
        if known is None:
            try:
                settings = RenderSettings.parse(dict(row.settings))
                choice = self._engine.choose(settings)
                weights = self._engine.weights(choice.backend, settings.components) if self._weights else ()
                known = settings, choice, settings_text(settings, weights, self._digests)
            except MuseTalkError as error:
                known = error
            self._known[said] = known
        if isinstance(known, MuseTalkError):
            raise known
        return known
