"""Registries of what is chosen by name: built-in, or from other packages through entry points.

One line here, or one entry point of the group, adds a backend, or another of these kinds. Nothing of it is imported
before somebody asks.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from musetalk.errors import MuseTalkError, PackageError, SettingsError, one_line

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extension:
    """A kind of thing that can be added.

    Attributes:
        noun: What one of them is called.
        group: The entry points by which packages add theirs: a name, and "module:attribute".
        built_in: Those that come with the program, said alike, in the order in which they are listed.
        reserved: Words that stand where a name could, and mean something else.
    """

    noun: str
    group: str
    built_in: Mapping[str, str]
    reserved: frozenset[str] = frozenset()

    def entries(self) -> tuple[EntryPoint, ...]:
        """Return all that there are: those built in first."""
        own = (EntryPoint(name, place, self.group) for name, place in self.built_in.items())
        return (*own, *_installed(self.group))

    def names(self) -> tuple[str, ...]:
        """Return what they are called, without a look at whether they can be used."""
        return tuple(dict.fromkeys(entry.name for entry in self.entries() if entry.name not in self.reserved))

    def own_settings(self) -> dict[str, type[Any]]:
        """Return the models of settings that packages bring with theirs, by what these are called (see `settings_key`).

        What cannot be imported has none here: a registry tells why.
        """
        models: dict[str, type[Any]] = {}
        for entry in _installed(self.group):
            with suppress(Exception):  # importing somebody else's code can end in any way
                model = getattr(entry.load(), "own_settings", None)
                if model is not None and entry.name not in self.built_in:
                    models.setdefault(settings_key(entry.name), model)
        return models


def _installed(group: str) -> EntryPoints:
    """Return what packages add, which are read once, and again where one comes or goes."""
    return _entry_points_of(group, tuple((place, _changed(place)) for place in sys.path))


@lru_cache(maxsize=16)  # groups, which are searched for in those of all packages
def _entry_points_of(group: str, found_in: tuple[tuple[str, int], ...]) -> EntryPoints:
    found: EntryPoints = _entry_points(found_in).select(group=group)
    return found


@lru_cache(maxsize=1)
def _entry_points(_found_in: tuple[tuple[str, int], ...]) -> Any:  # noqa: ANN401 - of Python 3.10 another class
    return entry_points()


def _changed(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns  # noqa: PTH116 - as often as anything is asked for by its name
    except OSError:
        return 0


def settings_key(name: str) -> str:
    """Return what the settings of something are called that brings its own: its name; a dot would part it."""
    return name.replace(".", "_")


BACKENDS = Extension(
    "backend",
    "musetalk.backends",
    {
        "preview": "musetalk.backends.preview.spec:PREVIEW",
        "musetalk-v15": "musetalk.backends.musetalk.spec:V15",
        "musetalk-v1": "musetalk.backends.musetalk.spec:V1",
        "latentsync-1.5": "hybrid.spec:V15",
        "latentsync-1.6": "hybrid.spec:V16",
    },
    frozenset({"auto"}),
)
DETECTORS = Extension(
    "face detector",
    "musetalk.detectors",
    {
        "s3fd": "musetalk.faces.detection.built_in:S3FD_SPEC",
        "mtcnn": "musetalk.faces.detection.built_in:MTCNN_SPEC",
        "yunet": "musetalk.faces.detection.built_in:YUNET_SPEC",
        "haar": "musetalk.faces.detection.built_in:HAAR_SPEC",
    },
    frozenset({"auto"}),
)
ENHANCERS = Extension(
    "enhancer",
    "musetalk.enhancers",
    {
        "gfpgan": "musetalk.enhancers.built_in:BY_SPANDREL",
        "gfpgan-original": "musetalk.enhancers.built_in:BY_PACKAGE",
    },
    frozenset({"none"}),
)
FRAME_STEPS = Extension(
    "frame step",
    "musetalk.frame_steps",
    {
        "upscale": "musetalk.frame_steps.upscale:UPSCALE",
        "label": "musetalk.frame_steps.label:LABEL",
        "talk": "musetalk.presenter.step:TALK",
        "captions": "musetalk.presenter.caption_step:CAPTIONS",
    },
)
VOICES = Extension(
    "speaking voice",
    "musetalk.voices",
    {
        "hibari": "musetalk.tts.built_in:HIBARI",
        "espeak": "musetalk.tts.built_in:ESPEAK",
        "piper": "musetalk.tts.families:PIPER",
        "kokoro": "musetalk.tts.families:KOKORO",
    },
)


class Named(Protocol):
    """What a registry holds: it says what it is called."""

    @property
    def name(self) -> str:
        """As settings name it."""
        ...


Spec = TypeVar("Spec", bound=Named)


@dataclass(frozen=True, slots=True)
class Broken:
    """What is installed and cannot be used.

    Attributes:
        name: Under which it is installed.
        place: Where it should be: "module:attribute".
        why: What went wrong.
    """

    name: str
    place: str
    why: str


class Registry(Generic[Spec]):
    """All of a kind that can be chosen, by name. They are looked for when first asked for.

    Args:
        specs: In the order in which they are listed; None: those built in, and those installed.
    """

    extension: ClassVar[Extension]
    spec_type: ClassVar[type[Any]]
    unknown: ClassVar[type[MuseTalkError]] = SettingsError  # what a name that nothing has is

    def __init__(self, specs: Iterable[Spec] | None = None) -> None:
        self._given = None if specs is None else {spec.name: spec for spec in specs}
        self._all: tuple[dict[str, Spec], tuple[Broken, ...]] | None = None

    def __iter__(self) -> Iterator[Spec]:
        return iter(self.by_name.values())

    @property
    def by_name(self) -> Mapping[str, Spec]:
        """All that can be used."""
        return self._found()[0]

    @property
    def broken(self) -> tuple[Broken, ...]:
        """What is installed and cannot be used."""
        return self._found()[1]

    def get(self, name: str) -> Spec:
        """Return the one of that name.

        Raises:
            MuseTalkError: There is none (of the kind `unknown`), which lists those there are.
            PackageError: It is installed and broken.
        """
        known, noun = self.by_name, self.extension.noun
        if name in known:
            return known[name]
        broken = next((each for each in self.broken if each.name == name), None)
        if broken is not None:
            problem = f'the {noun} "{name}" is installed and cannot be used ({broken.place}: {broken.why})'
            raise PackageError(problem, "mend or remove the package that it comes from")
        raise self.unknown(f'there is no {noun} "{name}"', f"choose one of: {', '.join(known)}")

    def _found(self) -> tuple[dict[str, Spec], tuple[Broken, ...]]:
        if self._all is None:
            self._all = (self._given, ()) if self._given is not None else self._find()
        return self._all

    def _find(self) -> tuple[dict[str, Spec], tuple[Broken, ...]]:
        specs: dict[str, Spec] = {}
        broken = list[Broken]()
        for entry in self.extension.entries():
            try:
                spec = self._spec_at(entry)
                if entry.name in self.extension.reserved:
                    raise ValueError("that name says that one is to be chosen")  # noqa: TRY301
                if entry.name in specs:
                    raise ValueError(f"there is another {self.extension.noun} of that name")  # noqa: TRY301
            except Exception as error:  # noqa: BLE001 - importing somebody else's code can end in any way
                why = f"{type(error).__name__}: {one_line(error)}"
                _log.warning('the %s "%s" (%s) cannot be used: %s', self.extension.noun, entry.name, entry.value, why)
                broken.append(Broken(entry.name, entry.value, why))
            else:
                specs[spec.name] = spec
        return specs, tuple(broken)

    def _spec_at(self, entry: EntryPoint) -> Spec:
        """Return what an entry point names.

        Raises:
            Exception: Whatever its import ends with.
            TypeError: It is nothing of this kind.
            ValueError: It has another name.
        """
        found: Any = entry.load()
        if not isinstance(found, self.spec_type):
            raise TypeError(f"it is a {type(found).__name__}, no {self.spec_type.__name__}")
        if found.name != entry.name:
            raise ValueError(f'it calls itself "{found.name}"')
        return found  # type: ignore[no-any-return]  # of `spec_type`, as was just seen
