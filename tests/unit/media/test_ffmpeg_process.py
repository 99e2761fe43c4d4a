from __future__ import annotations

import itertools
import threading

import psutil
import pytest

from musetalk.errors import Cancelled
from musetalk.media import ffmpeg_process as child_module
from musetalk.media.ffmpeg_process import Child
from musetalk.progress import CancelToken

ENDLESS = ["-v", "error", "-re", "-f", "lavfi", "-i", "color=size=16x16:rate=1", "-f", "rawvideo", "pipe:1"]


def running() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_cancelling_unblocks_whoever_reads() -> None:
    token = CancelToken()
    with Child(ENDLESS, stdout=True, cancel=token) as child:
        threading.Timer(0.05, token.cancel).start()
        buffer = memoryview(bytearray(10**9))
        with pytest.raises(Cancelled):
            child.read_into(buffer)
    assert running() == []


def test_a_child_that_gives_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "STALL_SECONDS", 0.2)
    silent = ["-v", "error", "-re", "-f", "lavfi", "-i", "color=size=16x16:rate=0.001", "-f", "rawvideo", "pipe:1"]
    with Child(silent, stdout=True) as child:
        first = memoryview(bytearray(10**7))
        assert child.read_into(first) < len(first)
        child.finish()
        assert "no answer" in child.complaint or "in time" in child.complaint
    assert running() == []


def test_a_child_that_computes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "STALL_SECONDS", 0.2)
    taken = itertools.count()
    monkeypatch.setattr(child_module, "processor_seconds", lambda _: float(next(taken)))
    two_frames = memoryview(bytearray(2 * 16 * 16 * 3 // 2))  # the second comes after a second
    with Child(ENDLESS, stdout=True) as child:
        assert child.read_into(two_frames) == len(two_frames)
    assert running() == []


def test_leaving_the_block_ends_the_child() -> None:
    with pytest.raises(RuntimeError, match="left"), Child(ENDLESS, stdout=True):
        raise RuntimeError("left")
    assert running() == []


def test_the_last_word_is_the_reason() -> None:
    with Child(["-hide_banner", "-loglevel", "error", "-i", "file:/nowhere/at/all.mp4", "-f", "null", "-"]) as child:
        assert child.finish() != 0
        assert "No such file" in child.complaint


def test_a_child_that_is_fed_live_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "STALL_SECONDS", 0.2)
    with Child(ENDLESS, stdout=True) as child:  # the second frame comes after a second
        assert child.read_some() != b""
        assert child.read_some() != b""
        child.end()
        assert child.read_some() == b""
    assert running() == []
