"""A source and a voice are opened side by side, and told apart where one of them cannot be used."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from musetalk.assets import SAMPLE, VOICE
from musetalk.errors import Cancelled, MediaError
from musetalk.media.inputs import open_inputs
from musetalk.media.sound.voice import Voice, extract_voice
from musetalk.progress import CancelToken
from musetalk.settings import Limits, SourceSettings
from tests.helpers.errors import raises_kind

pytestmark = pytest.mark.slow


def test_both_are_there(tmp_path: Path) -> None:
    extract = partial(extract_voice, VOICE, tmp_path, Limits())
    source, voice = open_inputs(SAMPLE, SourceSettings(), extract, CancelToken())
    assert source.frame_count > 1
    assert voice.seconds > 1


def test_a_bad_source_is_told_and_ends_what_is_done_with_the_voice(tmp_path: Path) -> None:
    ended = threading.Event()

    def open_endless(cancel: CancelToken) -> Voice:
        while not cancel.cancelled:
            ended.wait(0.01)
        ended.set()
        raise Cancelled

    bad = tmp_path / "source.mp4"
    bad.write_bytes(b"no video")
    with raises_kind(MediaError, subject="source"):
        open_inputs(bad, SourceSettings(), open_endless, CancelToken())
    assert ended.is_set()


def test_a_bad_voice_is_told_as_such(tmp_path: Path) -> None:
    bad = tmp_path / "voice.wav"
    bad.write_bytes(b"no sound")
    with raises_kind(MediaError, subject="voice"):
        open_inputs(SAMPLE, SourceSettings(), partial(extract_voice, bad, tmp_path, Limits()), CancelToken())


def test_it_is_ended_from_outside(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        open_inputs(SAMPLE, SourceSettings(), partial(extract_voice, VOICE, tmp_path, Limits()), cancel)
