"""A child process that cannot hang, leak or outlive its owner."""

from __future__ import annotations

import logging
import re
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType

import imageio_ffmpeg
import psutil

from musetalk.errors import PATH, DiskSpaceError, MediaError
from musetalk.progress import CancelToken
from musetalk.utils.job_log import carried

STALL_SECONDS = 120.0  # a child that neither gives nor takes a byte for so long, nor computes, is taken for dead
FINISH_SECONDS = 1800.0  # an encoder may rewrite a long file to move its index to the front
_POLL_SECONDS = 0.1
_SIGN_OF_LIFE = 0.1  # seconds of processor time in STALL_SECONDS: on a busy machine a child may get no more
_READ_BYTES = 2**16
_MAX_LINE = 4096  # bytes of stderr that are taken for a line
_MAX_KEPT = 1000  # lines
_DISK_FULL = "No space left"  # how the system words it, which ffmpeg repeats
_SERIOUS = re.compile(r"\[(?:error|fatal|panic)\] ")
_ORIGIN = re.compile(r"(?:\[[^\]]*\] )+")  # who says it, and how serious it is
_log = logging.getLogger(__name__)


def ffmpeg_executable() -> str:
    """Path of the ffmpeg that imageio-ffmpeg carries (or of IMAGEIO_FFMPEG_EXE).

    Raises:
        MediaError: There is none for this platform.
    """
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MediaError(
            "no ffmpeg was found", "reinstall imageio-ffmpeg, or name one in IMAGEIO_FFMPEG_EXE"
        ) from error


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken so far, in seconds; 0 if it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


class Child:
    """One running ffmpeg: stderr drained, every blocking call bounded, killed and reaped on exit.

    Use it as a context manager. It runs in a session of its own, so that Ctrl-C in a terminal reaches this
    program alone, which then ends it in order.

    Args:
        arguments: What follows the executable's name.
        stdin: Open its stdin for `write`.
        stdout: Open its stdout for `read_into` and `read_line`.
        stderr: Open its stderr for `read_line`, in place of its stdout: all of it, in order, and none of it is kept.
        keep: How the lines of its stderr begin that matter: the first of these are kept in `kept_lines`, however
            much else it writes.
        marks: What tells lines of its stderr that are for `read_mark`, and no complaints.
        cancel: Ends the child as soon as it is set, which unblocks whoever waits for it.
    """

    def __init__(
        self,
        arguments: list[str],
        *,
        stdin: bool = False,
        stdout: bool = False,
        stderr: bool = False,
        keep: re.Pattern[str] | None = None,
        marks: re.Pattern[str] | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        self._cancel = cancel
        self._marked = marks
        self._marks: SimpleQueue[str | None] = SimpleQueue()
        self._deadline: float | None = None
        self._tail: deque[str] = deque(maxlen=400)
        self._keep, self._kept = keep, list[str]()
        self._process = subprocess.Popen(
            [ffmpeg_executable(), *arguments],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout or stderr else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if stderr else subprocess.PIPE,
            start_new_session=True,
        )
        self._ended = threading.Event()
        self._drainer = threading.Thread(target=carried(self._drain), name="ffmpeg-stderr", daemon=True)
        self._watchdog = threading.Thread(target=carried(self._watch), name="ffmpeg-watchdog", daemon=True)
        self._drainer.start()
        self._watchdog.start()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _drain(self) -> None:
        pipe = self._process.stderr
        while pipe is not None and (line := pipe.readline(_MAX_LINE)):
            text = line.decode("utf-8", "replace").rstrip()
            if self._marked is not None and (mark := self._marked.search(text)):
                self._marks.put(next(group for group in mark.groups() if group is not None))
                continue
            self._tail.append(text)
            _log.debug("ffmpeg: %s", text)
            if self._keep is not None and self._keep.match(text) and len(self._kept) < _MAX_KEPT:
                self._kept.append(text)
        self._marks.put(None)

    def _watch(self) -> None:
        watched = limit = None  # the deadline of the wait under way, and what it was put off to
        worked = 0.0
        while not self._ended.wait(_POLL_SECONDS):
            deadline, now = self._deadline, time.monotonic()  # once: the owner's thread may clear it between two looks
            if deadline != watched:
                watched = limit = deadline
                worked = processor_seconds(self._process.pid)
            stalled = limit is not None and now > limit
            if stalled and watched is not None and now < watched + FINISH_SECONDS:
                before, worked = worked, processor_seconds(self._process.pid)
                if worked - before >= _SIGN_OF_LIFE:
                    limit, stalled = now + STALL_SECONDS, False
            if stalled:
                self._tail.appendleft("gave no answer in time and was ended")
                _log.warning("ffmpeg gave no answer in time and is ended")
            if stalled or (self._cancel is not None and self._cancel.cancelled):
                self._process.kill()
                return

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` from the child's stdout; returns the bytes read, fewer than asked only at the end."""
        assert self._process.stdout is not None  # noqa: S101 - the caller asked for it
        filled = 0
        while filled < len(buffer):
            self._deadline = time.monotonic() + STALL_SECONDS
            count = self._process.stdout.readinto(buffer[filled:])  # type: ignore[attr-defined]
            self._deadline = None
            if not count:
                break
            filled += count
        self._check_cancel()
        return filled

    def read_some(self) -> bytes:
        """Return what its stdout holds, as soon as that is anything; empty at the end.

        There is no limit to how long that takes: what is fed live rightly waits for what comes next.
        """
        assert self._process.stdout is not None  # noqa: S101 - the caller asked for it
        data: bytes = self._process.stdout.read1(_READ_BYTES)  # type: ignore[attr-defined]
        self._check_cancel()
        return data

    def read_line(self, limit: int = -1) -> bytes:
        """Return one line of the child's stdout with its line end, or its first `limit` bytes; empty at the end."""
        assert self._process.stdout is not None  # noqa: S101 - the caller asked for it
        self._deadline = time.monotonic() + STALL_SECONDS
        line: bytes = self._process.stdout.readline(limit)
        self._deadline = None
        self._check_cancel()
        return line

    def read_mark(self) -> str | None:
        """Return what a group of the pattern held in the next mark on its stderr; None: there are no more."""
        try:
            mark = self._marks.get(timeout=STALL_SECONDS)
        except Empty:
            mark = None
        if mark is None:
            self._marks.put(None)  # for whoever asks again
        self._check_cancel()
        return mark

    def write(self, data: bytes | memoryview, *, at_once: bool = False) -> None:
        """Hand bytes to the child's stdin.

        Args:
            data: The bytes.
            at_once: Keep none of them back until there are more.

        Raises:
            BrokenPipeError: The child has ended; `finish` tells why.
        """
        assert self._process.stdin is not None  # noqa: S101 - the caller asked for it
        self._deadline = time.monotonic() + STALL_SECONDS
        try:
            self._process.stdin.write(data)
            if at_once:
                self._process.stdin.flush()
        finally:
            self._deadline = None
        self._check_cancel()

    def _check_cancel(self) -> None:
        if self._cancel is not None:
            self._cancel.check()

    def finish(self) -> int:
        """Close its stdin, wait until it ends, return its exit status."""
        self._deadline = time.monotonic() + FINISH_SECONDS
        taken = True
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                taken = False
        status = self._process.wait()
        self._deadline = None
        self._drainer.join()
        if not taken:  # behind what it says itself: that is the reason
            self._tail.append("ended before it had taken all its input")
        self._check_cancel()
        return status

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End it now, whatever it does: threads that read or write find the end. `kill` has to follow."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End it now, whatever it does, and reap it. Harmless when it has ended."""
        self.end()
        self._ended.set()
        self._drainer.join()
        self._watchdog.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    self._tail.append("ended before it had taken all its input")

    @property
    def stderr_lines(self) -> list[str]:
        """The last lines it wrote to stderr (all of them once `finish` has returned, up to 400)."""
        return list(self._tail)

    @property
    def kept_lines(self) -> list[str]:
        """The first lines of its stderr that begin as was asked for (all of them once `finish` has returned)."""
        return list(self._kept)

    def disk_error(self, folder: Path) -> DiskSpaceError | None:
        """Return the error to raise where it failed to write into a folder because the disk is full; None: it is not.

        ffmpeg has no exit code for that; its messages tell.
        """
        if not any(_DISK_FULL in line for line in self.stderr_lines):
            return None
        remedy = "free some space, or write elsewhere"
        return DiskSpaceError(f'the disk under "{PATH}" is full', remedy, path=folder)

    @property
    def complaint(self) -> str:
        """Its first word on what went wrong, for an error message; what follows is mostly consequences."""
        said = [line for line in self._tail if line]
        serious = [line for line in said if _SERIOUS.search(line)]  # where it labels what it says
        return _ORIGIN.sub("", (serious or said)[0]) if said else "ffmpeg gave no reason"
