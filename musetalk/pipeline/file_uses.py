"""Which files a command reads and which it writes: compared before any work begins, so that none destroys another."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from musetalk.errors import MediaError, OutputError
from musetalk.media.containers.formats import IMAGE_SUFFIXES, picture_format
from musetalk.settings import FolderSettings
from musetalk.storage.locations import taken_for_path
from musetalk.utils.files import fitting_name, make_room_for, readable

_WEIGHTS = "the weights"
FINDINGS = ("faces", "labels")  # folders of what was found in sources, in that which keeps it


@dataclass(frozen=True, slots=True)
class FileUse:
    """One file that a command reads or writes.

    Attributes:
        path: Where it is, or will be.
        role: What it is to the command, for messages: "the source", "the report".
        pattern: Of names (`fnmatch`) that it may get, where its own is known only later and `path` is an example.
    """

    path: Path
    role: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class FileUses:
    """All files that a command reads and writes."""

    reads: tuple[FileUse, ...] = ()
    writes: tuple[FileUse, ...] = ()

    def __add__(self, other: FileUses) -> FileUses:
        """Both, each use once."""
        return FileUses(
            tuple(dict.fromkeys((*self.reads, *other.reads))), tuple(dict.fromkeys((*self.writes, *other.writes)))
        )

    def reading(self, path: Path | None, role: str) -> FileUses:
        """The same with one more file that is read; None: with none."""
        return self if path is None else self + FileUses(reads=(FileUse(path, role),))

    def writing(self, path: Path | None, role: str) -> FileUses:
        """The same with one more file that is written; None: with none."""
        return self if path is None else self + FileUses(writes=(FileUse(path, role),))

    def of(self, name: str) -> FileUses:
        """The same as part of a batch, with the task's name in their roles; weights are everyone's."""

        def named(use: FileUse) -> FileUse:
            return use if use.role == _WEIGHTS else replace(use, role=f"{use.role} of {name}")

        return FileUses(tuple(map(named, self.reads)), tuple(map(named, self.writes)))

    def present(self) -> FileUses:
        """The same, of the files that are read only those that are there."""
        return replace(self, reads=tuple(use for use in self.reads if _is_there(use.path)))

    def check(self) -> None:
        """Make sure that every file can be written, and that none replaces one that is read, or another one.

        Files are the same where their paths lead to one place, over links of either kind, and where the file system
        takes two spellings for one name. A picture in a folder of pictures that is read is read, too.

        Raises:
            OutputError: Two uses are in each other's way, or a file cannot be made.
            MediaError: What is to be read has a name that no file can have.
        """
        self.check_conflicts()
        for use in self.writes:
            if not use.pattern or use.path.parent.exists():  # that folder is made when there is something to keep
                make_room_for(use.path)

    def check_conflicts(self) -> None:
        """As `check`, but for whether files can be made in their folders.

        Raises:
            OutputError: Two uses are in each other's way.
            MediaError: What is to be read has a name that no file can have, or is a URL.
        """
        _check_urls(self)
        folding = _Folding()
        _check_identities(self, folding)
        _check_folders(self, folding)
        _check_patterns(self, folding)


def input_files(video: Path, voice: Path, weights: Iterable[Path] = (), captions: Path | None = None) -> FileUses:
    """Return what a render reads.

    Args:
        video: A video, a picture, or a folder of pictures.
        voice: Any file with sound.
        weights: Files of networks, whether they are there or not.
        captions: Those that go with the output; None: none.
    """
    read = [FileUse(path, _WEIGHTS) for path in weights]
    if captions is not None:
        read.append(FileUse(captions, "the captions"))
    return FileUses((FileUse(video, "the source"), FileUse(voice, "the voice"), *read))


def output_files(out: Path, folders: FolderSettings) -> FileUses:
    """Return what a render writes.

    Args:
        out: The file to make.
        folders: Where it writes beside that: the `folders` of settings.
    """
    writes = [FileUse(out, "the output")]
    if folders.debug_dir is not None:
        writes += [FileUse(path, "a debug video") for path in debug_files(folders.debug_dir, out.stem)]
    coords_dir = folders.coords_in(out.parent)
    if coords_dir is not None:
        writes += [FileUse(coords_dir / name / "any", "the saved coords", "*") for name in FINDINGS]
    return FileUses(writes=tuple(writes))


def debug_files(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the videos that there will be of a render: its crops, and its masks."""
    return folder / fitting_name(name, "-crops.mp4"), folder / fitting_name(name, "-masks.mp4")


def _check_urls(uses: FileUses) -> None:
    """Refuse URLs, which would be read as paths of folders called "s3:".

    Raises:
        MediaError: One is to be read.
        OutputError: One is to be written.
    """
    kinds: tuple[tuple[tuple[FileUse, ...], type[MediaError | OutputError]], ...]
    kinds = ((uses.reads, MediaError), (uses.writes, OutputError))
    for some, kind in kinds:
        for use in some:
            url = taken_for_path(use.path)
            if url:
                remedy = f"give {use.role} as the path of a file; only batches know URLs, see docs/batch.md"
                raise kind(f'"{readable(url)}" is a URL', remedy, path=use.path)


def _check_identities(uses: FileUses, folding: _Folding) -> None:
    """Compare every written file with all others.

    Raises:
        OutputError: Two are one.
        MediaError: What is to be read has a name that no file can have.
    """
    read: dict[object, FileUse] = {}
    for use in uses.reads:
        for path in _read_through(use):
            for key in _identities(path, folding):
                read.setdefault(key, use)
    pictured = {folding.place(use.path, followed=True): use for use in uses.reads if use.path.is_dir()}
    written: dict[object, FileUse] = {}
    for use in (use for use in uses.writes if not use.pattern):
        name, role = readable(use.path), use.role
        keys = _identities(use.path, folding)
        hit = next((read[key] for key in keys if key in read), None)
        if hit is None and use.path.suffix.lower() in IMAGE_SUFFIXES:
            hit = pictured.get(folding.place(use.path.parent, followed=True))
        if hit is not None:
            problem = f'"{name}" is one of the inputs ({hit.role})'
            raise OutputError(problem, f"give another name for {role}", path=use.path)
        other = next((written[key] for key in keys if key in written), None)
        if other is not None:
            both = f"{other.role} and {role}" if other.role != role else f"{role} twice"
            raise OutputError(f'"{name}" would be {both}', "give each file a name of its own", path=use.path)
        written.update(dict.fromkeys(keys, use))


def _check_folders(uses: FileUses, folding: _Folding) -> None:
    """Make sure that no written file lies where another one would have to be a folder."""
    places = {folding.place(use.path): use for use in uses.writes}
    for place, use in places.items():
        for above in Path(place).parents:
            other = places.get(str(above))
            if other is not None:
                raise OutputError(
                    f'"{readable(other.path)}" would be {other.role}, and the folder of {use.role}',
                    f"give another name for {use.role}",
                    path=other.path,
                )


def _check_patterns(uses: FileUses, folding: _Folding) -> None:
    """Make sure that no file has a name that one with a name not known yet may get."""
    for use in (use for use in uses.writes if use.pattern):
        folder = folding.place(use.path.parent, followed=True)
        for other in (*uses.reads, *uses.writes):
            alike = not other.pattern and fnmatchcase(other.path.name, use.pattern)
            if alike and folding.place(other.path.parent, followed=True) == folder:
                raise OutputError(
                    f'"{readable(other.path)}" has a name that {use.role} may get',
                    f"give another name for {other.role}",
                    path=other.path,
                )


def _read_through(use: FileUse) -> Iterator[Path]:
    """Yield a file that is read, or the pictures of a folder that is.

    Raises:
        MediaError: Its name is none that a file can have, or its folder cannot be looked into.
    """
    try:
        os.fsencode(use.path)
        facts = _facts(use.path)
        if facts is not None and use.path.is_dir():
            yield from (item for item in use.path.iterdir() if _is_picture(item))
        yield use.path
    except (OSError, ValueError) as error:
        raise MediaError(
            f'"{readable(use.path)}" cannot be opened ({_reason(error)})', "check its name", path=use.path
        ) from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES or (path.is_file() and picture_format(path) is not None)


def _identities(path: Path, folding: _Folding) -> tuple[object, ...]:
    """Return what tells one file: its place, where that leads over links, and which file there is (device and number).

    Raises:
        OutputError: The name is none that a file can have.
    """
    try:
        facts = _facts(path)
        file = () if facts is None or not facts.st_ino else ((facts.st_dev, facts.st_ino),)
        return (*folding.places(path), *file)
    except (OSError, ValueError) as error:
        problem = f'"{readable(path)}" cannot be written ({_reason(error)})'
        raise OutputError(problem, "give another name", path=path) from error


def _facts(path: Path) -> os.stat_result | None:
    """Return what the system knows of a file; None: there is none.

    Raises:
        OSError: It cannot be asked: the name is too long, for instance.
        ValueError: The name cannot be that of a file.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_there(path: Path) -> bool:
    try:
        return _facts(path) is not None
    except (OSError, ValueError):
        return False


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "no file can have such a name"


class _Folding:
    """Spells places so that two are one exactly where the file system takes them for one."""

    def __init__(self) -> None:
        self._ignoring: dict[Path, bool] = {}
        self._real: dict[Path, Path] = {}  # folders: a batch has many files in few of them

    def place(self, path: Path, *, followed: bool = False) -> str:
        """Return where a path leads, its last part taken as it is, or followed if it is a link."""
        whole = Path(os.path.realpath(path)) if followed and _leads_on(path) else self._folder(path.parent) / path.name
        folder = whole.parent
        if folder not in self._ignoring:
            self._ignoring[folder] = _ignores_case(folder)
        text = os.path.normcase(whole)
        return unicodedata.normalize("NFC", text).casefold() if self._ignoring[folder] else text

    def places(self, path: Path) -> tuple[str, ...]:
        """Return where a path leads as it is, and followed if that is elsewhere."""
        own = self.place(path)
        return (own, self.place(path, followed=True)) if _leads_on(path) else (own,)

    def _folder(self, path: Path) -> Path:
        """Return where a folder really is."""
        if path not in self._real:
            self._real[path] = Path(os.path.realpath(path))
        return self._real[path]


def _leads_on(path: Path) -> bool:
    """Return whether the last part of a path is no name of its own, or a link."""
    return path.name in ("", "..") or path.is_symlink()


def _ignores_case(folder: Path) -> bool:
    """Return whether names that differ in capitals only are one name there.

    Asked of folders that exist, writing nothing.
    """
    for place in (folder, *folder.parents):
        swapped = place.with_name(place.name.swapcase()) if place.name else place
        if swapped != place and place.exists():
            try:
                return place.samefile(swapped)
            except OSError:
                return False
    return False
