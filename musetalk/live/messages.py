"""What clients and server say to each other beside sound and video, as JSON. Told in docs/live.md."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from musetalk.errors import LiveError, MuseTalkError
from musetalk.settings import LOOKAHEAD_CHUNKS, MOST_LOOKAHEAD_CHUNKS
from musetalk.streaming.types import SpeechDetection

T = TypeVar("T")
MOST_SAID = 5000  # letters of a text
_LONGEST = 200  # of an error in which a client's own words are
_Message = ConfigDict(frozen=True, extra="forbid")


class _Wanted(BaseModel):
    """Who is to speak, and how.

    Attributes:
        avatar: The avatar's name.
        lookahead_chunks: How much of a voice is waited for before it begins, in chunks of 80 ms.
        max_height: Largest height of the video in pixels; None: the avatar's own.
        vad: What tells speech from all else in a voice that goes on, see `LiveOptions`.
    """

    model_config = _Message

    avatar: str = Field(min_length=1, max_length=200)
    lookahead_chunks: int = Field(LOOKAHEAD_CHUNKS, ge=0, le=MOST_LOOKAHEAD_CHUNKS)
    max_height: int | None = Field(None, ge=64, le=4320)
    vad: SpeechDetection = "level"


class Start(_Wanted):
    """The first message over a WebSocket.

    Attributes:
        rate: Samples a second of the voice, which is sent as int16, little-endian, mono.
        video: How it is shown: "mp4" comes over the WebSocket, "hls" is fetched from where the event `video` says.
    """

    type: Literal["start"]
    rate: int = Field(16_000, ge=8_000, le=48_000)
    video: Literal["mp4", "hls"] = "mp4"


class Offer(_Wanted):
    """What is posted to begin a session over WebRTC.

    Attributes:
        sdp: The client's description of the connection.
    """

    type: Literal["offer"]
    sdp: str = Field(min_length=1)

    def start(self, rate: int) -> Start:
        """Return the same wish over a WebSocket, with a voice of so many samples a second."""
        wanted = self.model_dump(include=set(_Wanted.model_fields))
        return Start(type="start", rate=rate, **wanted)


class Flush(BaseModel):
    """What was sent is the end of a voice: it is spoken without waiting for more."""

    model_config = _Message

    type: Literal["flush"]


class Interrupt(BaseModel):
    """What was sent and is not yet spoken is dropped."""

    model_config = _Message

    type: Literal["interrupt"]


class Say(BaseModel):
    """A text is read aloud, after what was said before; it is a voice of its own.

    Attributes:
        text: Sentences, which may hold notes on pronunciation (docs/presenter.md).
    """

    model_config = _Message

    type: Literal["say"]
    text: str = Field(min_length=1, max_length=MOST_SAID)


class Stop(BaseModel):
    """The session ends."""

    model_config = _Message

    type: Literal["stop"]


ClientMessage: TypeAlias = Start | Flush | Interrupt | Say | Stop
_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_OFFER = TypeAdapter(Offer)


def read_message(text: str) -> ClientMessage:
    """Return a client's message.

    Raises:
        LiveError: It is none.
    """
    return _read(_CLIENT, text)


def read_offer(body: bytes) -> Offer:
    """Return what a client posts to begin a session over WebRTC.

    Raises:
        LiveError: It is no offer.
    """
    return _read(_OFFER, body)


def _read(known: TypeAdapter[T], text: str | bytes) -> T:
    try:
        return known.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"this is no message that is known here ({f'{place}: ' if place else ''}{first['msg']})"
        raise LiveError(problem[:_LONGEST], "see docs/live.md for what may be sent") from error


def event(kind: str, /, **facts: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """Return a message of the server."""
    return json.dumps({"type": kind, **facts})


def refused_event(error: MuseTalkError) -> str:
    """Return what a client is told of something that was not done, where the session goes on."""
    return event("refused", kind=error.kind, problem=error.problem, remedy=error.remedy)


def error_event(error: MuseTalkError) -> str:
    """Return what a client is told of an error."""
    return event("error", kind=error.kind, problem=error.problem, remedy=error.remedy)
