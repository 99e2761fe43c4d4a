"""Places for outputs, and what lies in folders."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from musetalk.errors import PATH, Cancelled, MuseTalkError, OutputError, one_line, write_error
from musetalk.utils.temporary_folders import held_folder

NAME_BYTES = 255  # that a file's name may have, on nearly every file system
_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")
_MOST_LINKS = 40  # one after another, as on Linux
_LONGEST_ENDING = 16  # bytes of an ending that says of which format a file is


def readable(path: Path | str) -> str:
    r"""Return a path for people: bytes of it that are no UTF-8 are shown as `\xe9`, what does not print as `\n`."""
    text = os.fspath(path)
    try:
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file can have such a name; a file of tasks may still say it
        text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def read_at_most(path: Path, most: int) -> bytes | None:
    """Return what is in a file; None: more than so many bytes, of which no more are read, be it a device.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    return content if len(content) <= most else None


def fitting_name(stem: str, ending: str) -> str:
    """Return a file's name with an ending, the stem cut to what a file's name may have."""
    room = NAME_BYTES - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return f"{stem}{ending}"


def make_room_for(path: Path) -> None:
    """Make sure, before long work, that a file can be made at `path`: its folder is there, and takes files.

    Raises:
        OutputError: It cannot.
    """
    try:
        if path.is_dir():
            raise _refused(path, f'"{PATH}" is a folder', "give the name of a file")
        if (path.exists() and not path.is_file()) or _names_a_stream(path):
            raise _refused(path, f'"{PATH}" is no ordinary file', "give the name of a file")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f'the folder "{PATH}" cannot be made ({error.strerror})'
        raise _refused(path.parent, problem, "write elsewhere", write_error(error)) from error
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _names_a_stream(path: Path) -> bool:
    """Whether a path leads among devices or what processes have open, as /dev/stdout, even where a file is behind it.

    What is put in place of such a name takes it away from all programs.
    """
    for _ in range(_MOST_LINKS):
        place = Path(os.path.realpath(path.parent), path.name)
        if place.parent == _DEVICES or place.is_relative_to(_PROCESSES):
            return True
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return False


def _unwritable(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or one_line(error)
    return _refused(path, f'"{PATH}" cannot be written ({reason})', "write it elsewhere", write_error(error))


def _refused(path: Path, problem: str, remedy: str, kind: type[OutputError] = OutputError) -> OutputError:
    return kind(problem, remedy, path=path).called(readable(path))


def _irreplaceable(path: Path, error: OSError) -> OutputError:
    problem = f'"{PATH}" cannot be replaced ({error.strerror})'
    return _refused(path, problem, "write elsewhere", write_error(error))


def put_in_place(made: Path, path: Path, unwritable: Callable[[Path, OSError], OutputError] = _irreplaceable) -> None:
    """Give a file that is whole its name, in place of what is there.

    Args:
        made: The file; on the same file system.
        path: Its name.
        unwritable: What to say where it cannot be.

    Raises:
        OutputError: It cannot be.
    """
    try:
        made.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        OutputError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _irreplaceable(path, error) from error


@contextmanager
def whole_file(path: Path, unwritable: Callable[[Path, OSError], OutputError] = _unwritable) -> Iterator[Path]:
    """Where to write a file that is to appear at `path` whole or not at all: beside it, with the same ending.

    It gets its name when the `with` block ends, and goes where that fails. Until then it lies in a folder of its own,
    which goes when somebody makes another one there if this process is killed; see `held_folder`.

    Args:
        path: The file; what is there is replaced. Its folder is there.
        unwritable: What to say where it cannot be written.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with held_folder(path.parent) as folder:
            made = folder / f"made{_ending(path)}"
            yield made
            put_in_place(made, path, unwritable)
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell of a file, or of files in a folder, that cannot be written inside the `with` block.

    Raises:
        OutputError: They cannot be.
    """
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _ending(path: Path) -> str:
    """Return a file's ending, by which libraries choose the format; none where it is too long to say one."""
    return path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_ENDING else ""


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder that goes when the `with` block ends, inside `parent`, so that files in it can be renamed into place.

    What cannot be removed then is left: it is no reason for finished work to fail. Where the process is killed, it goes
    when another one makes a folder there; see `held_folder`.

    Raises:
        OutputError: It cannot be made, or somebody removed it, so that what is made in it failed for that alone.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(held_folder(parent))
        except OSError as error:
            problem = f'nothing can be written to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "write elsewhere", path=parent) from error
        try:
            yield folder
        except Cancelled:
            raise
        except Exception as error:
            if folder.is_dir():
                raise
            gone = next((each for each in folder.parents[::-1] if not each.exists()), folder)
            problem = f'the folder "{PATH}" was removed while it was worked in'
            raise OutputError(problem, "let it be, and try again", path=gone) from error


@contextmanager
def whole_folder(folder: Path, taken: Callable[[Path], MuseTalkError]) -> Iterator[Path]:
    """Where to make a folder that is to appear at `folder` whole or not at all; beside it there is room for more.

    Args:
        folder: Its place, which is to be free; what it lies in is made where it is not there.
        taken: What to say where there is something already.

    Raises:
        MuseTalkError: There is something already, as `taken` says it.
        OutputError: It cannot be made.
    """

    def check_free() -> None:
        try:
            folder.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:  # a name that is too long, for instance
            raise _misplaced(folder, error) from error
        raise taken(folder)

    check_free()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f'the folder "{PATH}" cannot be made ({error.strerror})'
        raise write_error(error)(problem, "give another one", path=folder.parent) from error
    with temporary_folder(folder.parent) as temporary:
        made = temporary / "made"
        made.mkdir()
        yield made
        check_free()
        try:
            made.rename(folder)
        except OSError as error:
            raise _misplaced(folder, error) from error


def _misplaced(folder: Path, error: OSError) -> OutputError:
    problem = f'nothing can be put at "{PATH}" ({error.strerror})'
    return write_error(error)(problem, "give another folder", path=folder)


def files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every file below a folder, with its facts; links are left out, and what vanishes while this walks."""
    for parent, _, names in os.walk(folder):  # unlike Path.rglob, it passes over folders that vanish, too
        for name in names:
            path = Path(parent, name)
            try:
                facts = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(facts.st_mode):
                yield path, facts


def bytes_below(folder: Path) -> int:
    """Return how many bytes all files below a folder take; none, where it is not there."""
    return sum(facts.st_size for _, facts in files_below(folder))


def size_of(path: Path) -> int:
    """Return how many bytes a file has, or all files of a folder.

    Raises:
        OSError: It is not there.
    """
    return bytes_below(path) if path.is_dir() else path.stat().st_size


def link_or_copy(source: Path, target: Path) -> None:
    """Let a file or a folder have another name, which outlives the first: links where the disk allows, else copies.

    Raises:
        OSError: It cannot; the folder of `target` has to be there.
    """
    if source.is_dir():
        target.mkdir()
        for each in source.iterdir():
            link_or_copy(each, target / each.name)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def data_folder() -> Path:
    """Return where this user's programs keep what they were asked to keep (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "musetalk-hybrid"


def cache_folder() -> Path:
    """Return where this user's programs keep what can be made again (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "musetalk-hybrid"
