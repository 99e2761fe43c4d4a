"""Who holds something on a disk that machines may share, and whether that process still lives."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from musetalk.utils.files import readable
from musetalk.utils.plain_json import read_plain_json

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")  # containers of one machine have other ones, in which the same number is another
_SAME_START_SECONDS = 1.0
_MOST_PROCESSES, _MOST_SECONDS = 2**31, 1e12  # that a process, and its beginning, can have


@dataclass(frozen=True, slots=True)
class Holder:
    """A process of a machine.

    Attributes:
        host: The machine's name, for people.
        machine: Tells the machine, since it was started, and the container.
        pid: The process's number there.
        started: When it began, in seconds since the epoch, since numbers come again.
    """

    host: str
    machine: str
    pid: int
    started: float

    @classmethod
    def this_process(cls) -> Holder:
        """Return this process."""
        return cls(platform.node(), _machine(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> Holder:
        """Return what `text` has written.

        Raises:
            ValueError: It is something else.
            TypeError: The same.
        """
        found = cls(**read_plain_json(text))
        named = isinstance(found.host, str) and isinstance(found.machine, str)
        numbered = type(found.pid) is int and 0 < found.pid < _MOST_PROCESSES
        if not named or not numbered or not abs(found.started) < _MOST_SECONDS:
            raise ValueError("it names no process")
        return found

    def text(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    def alive(self) -> bool | None:
        """Whether the process lives; None: it is another machine's, so that nobody here can tell."""
        if self.machine != _machine():
            return None
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < _SAME_START_SECONDS
        except psutil.NoSuchProcess:
            return False

    @property
    def described(self) -> str:
        """It, in words."""
        return f"process {self.pid} on {readable(self.host)}"


def _machine() -> str:
    try:
        return f"{_BOOT.read_text().strip()} {_PROCESSES.readlink()}"
    except OSError:
        return platform.node()
