from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any

import pytest

from musetalk.utils.job_log import carried, logged_for
from musetalk.utils.log_lines import JsonLines, TextLines, facts, log_foreign_lines
from musetalk.utils.prefetch import prefetch


class Log(logging.Handler):
    """Formats where the record is made, as handlers do."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def told(self) -> list[dict[str, Any]]:
        assert not any("\n" in line for line in self.lines)
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    logger = logging.getLogger("test_log_lines")
    logger.setLevel(logging.DEBUG)
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [])
    return logger


@pytest.fixture
def told(log: logging.Logger) -> Log:
    log.addHandler(lines := Log(JsonLines()))
    return lines


def test_a_line_is_an_object(log: logging.Logger, told: Log) -> None:
    log.warning("it is\n%s", "broken", extra=facts(kind="weights", seconds=1.5))
    [line] = told.told
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "test_log_lines",
        "message": "it is\nbroken",
        "kind": "weights",
        "seconds": 1.5,
    }


def test_lines_of_a_job_name_it_also_from_threads_that_it_starts(log: logging.Logger, told: Log) -> None:
    def work() -> list[int]:
        log.info("in a thread")
        return [1]

    with logged_for("abc"):
        log.info("here")
        assert list(prefetch((each for each in work()), capacity=1, name="ahead")) == [1]
        thread = threading.Thread(target=carried(work))
    thread.start()
    thread.join()
    log.info("afterwards")
    assert [line.get("job") for line in told.told] == ["abc", "abc", "abc", None]


def test_nothing_that_is_its_owners_is_in_what_a_job_logs(log: logging.Logger, told: Log) -> None:
    log.addHandler(text := Log(TextLines()))
    with logged_for("abc", ["anna smith.mov", "anna smith", ""]):
        log.warning('"%s" is odd, and so is anna smith', "anna smith.mov")
        try:
            raise ValueError("anna smith.mov cannot be read")  # noqa: TRY301 - as a library would
        except ValueError:
            log.exception("failed")
    first, second = told.told
    assert first["message"] == '"..." is odd, and so is ...'
    assert "ValueError: ... cannot be read" in second["exception"]
    assert "anna" not in "".join(told.lines + text.lines)
    assert text.lines[0].endswith("[job abc]")


def test_what_others_write_becomes_lines_of_the_log(
    log: logging.Logger, told: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in ((sys, "stderr"), (sys, "excepthook"), (threading, "excepthook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(logging.getLogger("stderr"), "handlers", [told])
    monkeypatch.setattr(logging.getLogger("stderr"), "propagate", False)
    log_foreign_lines()
    sys.stderr.write("a trace")
    sys.stderr.write("back\n\nand more\nnot yet")
    assert [line["message"] for line in told.told] == ["a traceback", "and more"]
    assert told.told[0]["logger"] == "stderr"

    def fail() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert told.told[-1]["level"] == "critical"
    assert "ValueError: in a thread" in told.told[-1]["exception"]
