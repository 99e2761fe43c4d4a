"""The renders that rows come to: each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from musetalk.backends.automatic import BackendChoice
from musetalk.batch.content import Digests, content_of, settings_text
from musetalk.batch.rows import Row
from musetalk.errors import Cancelled, MuseTalkError
from musetalk.settings import RenderSettings


@dataclass(frozen=True, slots=True)
class Work:
    """One render, for all rows that ask for it.

    Attributes:
        key: Digest of all that decides what its file holds.
        source: Digest of its source.
        settings: Of the render; they name a backend.
        rows: Who asks for it.
        choice: Why that backend, where the rows left it open; else empty.
    """

    key: str
    source: str
    settings: RenderSettings
    rows: tuple[Row, ...]
    choice: str = ""

    @property
    def first(self) -> Row:
        """The row whose inputs are read."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that no render can be made of, and why."""

    row: Row
    error: MuseTalkError


def works_of(
    rows: Iterable[Row], digests: Digests, choose: Callable[[RenderSettings], BackendChoice]
) -> tuple[list[Work], list[Refused]]:
    """Return the renders that rows come to, and the rows that come to none.

    Args:
        rows: In their order.
        digests: Of files.
        choose: Names the backend that paints with settings.

    Raises:
        Cancelled: The reading of inputs was ended.
    """
    asked: dict[str, tuple[str, RenderSettings, str, list[Row]]] = {}
    refused = list[Refused]()
    parsed = _Parsed(choose, digests)
    for row in rows:
        try:
            settings, choice, text = parsed.of(row)
            content = content_of(row, text, digests)
            settings = settings.with_backend(choice.backend)
        except Cancelled:
            raise
        except MuseTalkError as error:
            refused.append(Refused(row, error))
            continue
        *_, alike = asked.setdefault(content.key, (content.source, settings, choice.reason(), []))
        alike.append(row)
    works = [Work(key, source, settings, tuple(alike), why) for key, (source, settings, why, alike) in asked.items()]
    return works, refused


class _Parsed:
    """Settings of rows: those that say the same are read, and their backend is chosen, once."""

    def __init__(self, choose: Callable[[RenderSettings], BackendChoice], digests: Digests) -> None:
        self._choose, self._digests = choose, digests
        self._known: dict[str, tuple[RenderSettings, BackendChoice, str] | MuseTalkError] = {}

    def of(self, row: Row) -> tuple[RenderSettings, BackendChoice, str]:
        """Return the settings of a row, as it asks for them, what paints with these, and them by content.

        Raises:
            SettingsError: They cannot work.
            BackendError: There is none that could be chosen.
        """
        said = repr(sorted(row.settings.items()))
        known = self._known.get(said)
        if known is None:
            try:
                settings = RenderSettings.parse(dict(row.settings))
                known = settings, self._choose(settings), settings_text(settings, self._digests)
            except MuseTalkError as error:
                known = error
            self._known[said] = known
        if isinstance(known, MuseTalkError):
            raise known
        return known
