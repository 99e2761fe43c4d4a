"""Temporary folders that say whose they are, so that what a killed process left can go.

A folder is locked for as long as the process lives that made it: its lock ends with it, however it ends. Whoever makes
the next folder beside it removes those of this user that nobody holds. Their names tell the machine that made them,
because a shared disk need not tell one machine of another's locks: of other machines only what is old goes.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PREFIX = ".musetalk-"
_NAME = re.compile(re.escape(PREFIX) + r"([0-9a-f]{8})-\w+")
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # containers of one machine share it, and its locks
_OTHERS_SECONDS = 86_400  # for so long nothing has changed in what goes of another machine, or from before a restart
_log = logging.getLogger(__name__)


@contextmanager
def held_folder(parent: Path) -> Iterator[Path]:
    """Make a folder inside `parent` that goes when the `with` block ends, or after this process has.

    What cannot be removed then is left.

    Raises:
        OSError: It cannot be made.
    """
    sweep(parent)
    with ExitStack() as stack:
        while True:
            name = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{_machine()}-", dir=parent, ignore_cleanup_errors=True)
            lock = lock_folder(Path(name.name), wait=True)
            if Path(name.name).is_dir():
                break
            if lock is not None:
                os.close(lock)
            name.cleanup()  # somebody swept here before it was locked
        if lock is not None:
            stack.callback(os.close, lock)
        yield Path(stack.enter_context(name))


def sweep(parent: Path) -> None:
    """Remove the temporary folders inside `parent` that processes of this user left which have ended."""
    if sys.platform == "win32":  # no folder can be locked there
        return
    try:
        with os.scandir(parent) as entries:
            left = [Path(entry) for entry in entries if _may_go(entry)]
    except OSError:
        return  # whoever makes a folder there hears why
    for folder in left:
        if remove_unheld(folder):
            _log.info("removed %s, which a process that was killed left", folder)


def remove_unheld(folder: Path) -> bool:
    """Remove a folder that nobody holds, and return whether it was; one that cannot be locked stays, too."""
    lock = lock_folder(folder, wait=False)
    if lock is None:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
    return True


def _may_go(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a temporary folder of this user, and of this machine or old, whoever holds it."""
    made = _NAME.fullmatch(entry.name)
    if made is None or not entry.is_dir(follow_symlinks=False):
        return False
    if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
        return False
    return made[1] == _machine() or last_change(Path(entry)) < time.time() - _OTHERS_SECONDS


def last_change(folder: Path) -> float:
    """Return when something below a folder was last changed, in seconds since the epoch."""
    newest = folder.stat().st_mtime
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):
                newest = max(newest, Path(parent, name).lstat().st_mtime)
    return newest


def lock_folder(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder: what to close to let it go; None: somebody holds it, or it cannot be locked.

    Args:
        folder: Which.
        wait: Whether to wait for whoever holds it.
    """
    try:
        return open_locked(folder, wait=wait)
    except OSError:
        return None


def open_locked(folder: Path, *, wait: bool = False, shared: bool = False) -> int | None:
    """Lock a folder: what to close to let it go; None: folders cannot be locked here, or not on this disk.

    Args:
        folder: Which.
        wait: Whether to wait for whoever holds it.
        shared: Whether others may hold it at the same time, if they share it, too.

    Raises:
        BlockingIOError: Somebody holds it.
        OSError: It cannot be opened.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # network disks that pass no locks on
        os.close(descriptor)
        return None
    return descriptor


def _machine() -> str:
    """Return eight digits that stand for this machine since it was started."""
    try:
        said = _BOOT.read_text()
    except OSError:
        said = platform.node()
    return blake2b(said.encode(), digest_size=4).hexdigest()
