from __future__ import annotations

from fractions import Fraction

import pytest

pytest.importorskip("pipecat", reason="the extra pipecat is not installed")

from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSStoppedFrame, TTSTextFrame

from musetalk.plugins.pipecat.held import HeldSpeech

RATES = [(Fraction(25), 24_000), (Fraction(30_000, 1001), 22_050), (Fraction(60), 8_000)]


def sound(frames: list[Frame]) -> bytes:
    return b"".join(frame.audio for frame in frames if isinstance(frame, TTSAudioRawFrame))


def voice(samples: int, rate: int, channels: int = 1, first: int = 0) -> TTSAudioRawFrame:
    values = range(first, first + samples * channels)
    return TTSAudioRawFrame(b"".join((value % 2**16).to_bytes(2, "little") for value in values), rate, channels)


@pytest.mark.parametrize(("fps", "rate"), RATES)
@pytest.mark.parametrize("chunk", [7, 480, 5000])
@pytest.mark.parametrize("channels", [1, 2])
def test_each_picture_gets_the_sound_of_its_time(fps: Fraction, rate: int, chunk: int, channels: int) -> None:
    held, whole = HeldSpeech(fps), b""
    for at in range(0, rate, chunk):
        frame = voice(chunk, rate, channels, at * channels)
        held.add(frame, speech=True).voice = 3
        whole += frame.audio
    gone = b""
    for picture in range(1, int(fps)):
        gone += sound(held.spoken(3))
        assert len(gone) == round(picture / fps * rate) * 2 * channels
    assert gone + sound(held.ended()) == whole
    assert not held and held.seconds == 0


def test_what_came_after_sound_does_not_overtake_it() -> None:
    held, text, stopped = HeldSpeech(Fraction(25)), TTSTextFrame("word", text_type="word"), TTSStoppedFrame()
    held.add(voice(1500, 24_000), speech=True).voice = 0
    held.add(text)
    held.add(voice(500, 24_000), speech=True).voice = 0
    held.add(stopped)
    assert len(sound(held.spoken(0))) == 960 * 2
    second = held.spoken(0)
    assert second.index(text) == 1 and len(sound(second)) == 960 * 2
    assert held.spoken(0)[-1] is stopped


def test_sound_that_the_session_was_not_given_yet_waits_and_is_caught_up_with() -> None:
    held = HeldSpeech(Fraction(25))
    waiting = held.add(voice(4000, 24_000), speech=True)
    assert held.spoken(0) == []
    waiting.voice = 0
    assert len(sound(held.spoken(0))) == 2 * 960 * 2


def test_the_rest_of_a_voice_goes_before_the_next_one() -> None:
    held = HeldSpeech(Fraction(25))
    held.add(voice(1000, 24_000), speech=True).voice = 0
    held.add(voice(2000, 24_000), speech=True).voice = 1
    held.spoken(0)
    assert len(sound(held.spoken(1))) == (40 + 960) * 2
    assert len(sound(held.ended())) == (2000 - 960) * 2


def test_pieces_are_marked_as_what_they_are_of() -> None:
    held, frame = HeldSpeech(Fraction(25)), TTSAudioRawFrame(bytes(4000), 24_000, 1, context_id="a")
    frame.transport_destination, frame.pts, frame.interruptible = "room", 5, False
    held.add(frame, speech=True).voice = 0
    pieces = [*held.spoken(0), *held.spoken(0), *held.spoken(0)]
    assert [piece.pts for piece in pieces] == [5, None, None]
    assert all(isinstance(piece, TTSAudioRawFrame) and piece.context_id == "a" for piece in pieces)
    assert all(piece.transport_destination == "room" and not piece.interruptible for piece in pieces)


def test_an_interruption_leaves_what_must_not_be_interrupted() -> None:
    held, urgent = HeldSpeech(Fraction(25)), voice(2000, 24_000)
    urgent.interruptible = False
    held.add(urgent, speech=True).voice = 0
    gone = sound(held.spoken(0))
    assert held.interrupt()  # nothing but what goes on was spoken
    held.add(voice(2000, 24_000), speech=True).voice = 0
    held.add(TTSStoppedFrame())
    assert not held.interrupt()
    again = held.begin_anew()
    assert len(again) == 1 and again[0].voice is None
    assert gone + sound(held.drain()) == urgent.audio
    assert not held
