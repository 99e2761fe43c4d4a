"""`backend: auto`: the best backend that can run here and is quick enough, and why it is that one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend
from musetalk.errors import BackendError
from musetalk.settings import AUTO, RenderSettings
from musetalk.utils.units import listed, roughly

# Why a comparison takes no `auto`, and what to do: of whatever kind of error its door raises.
NOT_COMPARED = (f'"{AUTO}" is no backend to compare: it stands for one of the others', "name those to compare")


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly a backend renders here.

    Attributes:
        slowdown: Seconds of work for a second of video.
        learned: Whether that follows from renders that were made here.
    """

    slowdown: float
    learned: bool


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A better backend that was not taken.

    Attributes:
        backend: Its name.
        pace: At which it was too slow; None: it lacks something.
    """

    backend: str
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """Which backend paints.

    Attributes:
        backend: Its name.
        automatic: Whether `auto` took it; else it was named, and nothing more is known.
        pace: Its own; None: it was not asked for, for it needs no network.
        better: What was passed over, the best first.
        limit: The most seconds of work for a second of video that were allowed.
    """

    backend: str
    automatic: bool = False
    pace: Pace | None = None
    better: tuple[PassedOver, ...] = ()
    limit: float = 0.0

    def reason(self, named: Callable[[str], str] = str) -> str:
        """Return why it is this one, in a sentence; empty: it was named.

        Args:
            named: From backends' names to what they are called where this is shown.
        """
        if not self.automatic:
            return ""
        slow = [f"{named(each.backend)} would take {_a_minute(each.pace)}" for each in self.better if each.pace]
        allowed = [f"max_slowdown allows {roughly(60 * self.limit)}"] if slow else []
        lacking = [named(each.backend) for each in self.better if each.pace is None]
        unready = [f"{listed(lacking)} {'is' if len(lacking) == 1 else 'are'} not ready here"] if lacking else []
        why = f"since {'; '.join([*slow, *allowed, *unready])}" if self.better else "the best there is"
        own = f"; it takes {_a_minute(self.pace)}" if self.pace else ""
        return f"chosen automatically: {named(self.backend)}, {why}{own}"


def choose_backend(registry: BackendRegistry, settings: RenderSettings, pace: Callable[[str], Pace]) -> BackendChoice:
    """Name the backend that paints with these settings.

    Args:
        registry: The backends that there are.
        settings: Of a render; where they name a backend, it is that one, whatever it lacks.
        pace: How quickly the same render runs here with the backend of that name; asked only of those with networks
            that lack nothing. What needs no network is always quick enough.

    Raises:
        BackendError: There is none that `auto` may take.
    """
    if settings.backend != AUTO:
        return BackendChoice(settings.backend)
    better: list[PassedOver] = []
    for backend in ranked(registry):
        if backend.configured(settings).lacks():
            better.append(PassedOver(backend.name))
            continue
        own = None if backend.gpu is None else pace(backend.name)
        if own is None or own.slowdown <= settings.max_slowdown:
            return BackendChoice(backend.name, True, own, tuple(better), settings.max_slowdown)
        better.append(PassedOver(backend.name, own))
    raise BackendError(
        "there is no backend that could be chosen automatically",
        f"name one of: {', '.join(each.name for each in registry)}",
    )


def ranked(registry: BackendRegistry) -> list[AnyBackend]:
    """Return those that `auto` may take, the best first; of equal ones, the one that is listed first."""
    known = [(backend.quality, backend) for backend in registry if backend.quality is not None]
    return [backend for _, backend in sorted(known, key=lambda each: -each[0])]


def _a_minute(pace: Pace) -> str:
    by = "by renders made here" if pace.learned else "by a first guess"
    return f"{roughly(60 * pace.slowdown)} for a minute of video, {by}"
