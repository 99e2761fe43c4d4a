"""How the log is written: for people, or one JSON object a line for programs. Set up by whoever owns the process."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Literal, TypeAlias

from musetalk.utils.job_log import logged_job

LogFormat: TypeAlias = Literal["text", "json"]
FACTS = "facts"  # what `extra` of a log call holds for programs: {"facts": {"kind": "weights"}}
_FOREIGN = logging.getLogger("stderr")


class TextLines(logging.Formatter):
    """A line for people, and a traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, with the job that its thread works for."""
        job = logged_job()
        text = job.without_names(super().format(record))
        return f"{text} [job {job.id}]" if job.id else text


class JsonLines(logging.Formatter):
    """A JSON object in one line: time (UTC), level, logger, message, and where they are known job, kind and others."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        job = logged_job()
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
        line |= {"logger": record.name, "message": job.without_names(record.getMessage())}
        if job.id:
            line["job"] = job.id
        line |= getattr(record, FACTS, {})
        if record.exc_info:
            line["exception"] = job.without_names(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()


def facts(**known: object) -> dict[str, dict[str, object]]:
    """Return what a log call says to programs beside its sentence, as its `extra`."""
    return {FACTS: known}


def log_foreign_lines() -> None:
    """Log what others write to stderr from now on, line by line, so that all of it is JSON.

    Tracebacks of libraries, for the most part; those of what nobody has caught are one line. The log itself goes where
    stderr was before.
    """
    sys.stderr = _ForeignLines()
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda told: _log_uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, SystemExit):
        _FOREIGN.critical("%s was not caught", kind.__name__, exc_info=(kind, error, trace))


class _ForeignLines(io.TextIOBase):
    """A stderr whose lines are records of the log."""

    def __init__(self) -> None:
        self._begun = threading.local()  # lines of several threads do not mix

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun.line = (getattr(self._begun, "line", "") + text).split("\n")
        for line in filter(str.strip, lines):
            _FOREIGN.warning("%s", line.rstrip())
        return len(text)


def set_up_log(level: int, form: LogFormat) -> None:
    """Let everything from a level on be logged to stderr; where a program has set up a log of its own, it stays."""
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if isinstance(handler.formatter, TextLines | JsonLines)]
    for handler in ours:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler])


def logs_json() -> bool:
    """Whether this process logs JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)
