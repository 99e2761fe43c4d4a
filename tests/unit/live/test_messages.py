from __future__ import annotations

import json

import pytest

from musetalk.errors import LiveError, VoiceError
from musetalk.live.messages import Flush, Interrupt, Start, Stop, error_event, event, read_message


def test_messages_are_read() -> None:
    start = read_message('{"type": "start", "avatar": "anna", "max_height": 480}')
    assert start == Start(type="start", avatar="anna", max_height=480)
    assert isinstance(start, Start)
    assert (start.rate, start.lookahead_chunks) == (16_000, 2)
    assert isinstance(read_message('{"type": "flush"}'), Flush)
    assert isinstance(read_message('{"type": "interrupt"}'), Interrupt)
    assert isinstance(read_message('{"type": "stop"}'), Stop)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "{}",
        '{"type": "dance"}',
        '{"type": "start"}',
        '{"type": "start", "avatar": ""}',
        '{"type": "start", "avatar": "anna", "rate": 44}',
        '{"type": "start", "avatar": "anna", "surprise": 1}',
        '{"type": "start", "avatar": "' + "a" * 300 + '"}',
        '{"type": "flush", "now": true}',
        "[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(LiveError):
        read_message(text)


def test_events_are_json_with_their_type() -> None:
    assert json.loads(event("spoken", utterance=3, time=1.5)) == {"type": "spoken", "utterance": 3, "time": 1.5}
    told = json.loads(error_event(VoiceError("too quick", "send it later")))
    assert told == {"type": "error", "kind": VoiceError.kind, "problem": "too quick", "remedy": "send it later"}
