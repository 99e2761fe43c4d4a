"""What single settings may be, and how they are written: rates, faces, switches, words."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

AUTO = "auto"  # says of a backend, or of a detector, that one is to be chosen
NamedChoice = Literal["largest", "leftmost", "rightmost", "all"]
FaceChoice = NamedChoice | tuple[float, float]
ParsedShape = Literal["raw", "jaw", "neck", "mouth"]
PARSED_SHAPES: tuple[str, ...] = get_args(ParsedShape)
DrawnShape = Literal["ellipse", "box"]
ShownShape = DrawnShape | ParsedShape | Literal["painted"]  # painted: what the network itself paints
Background = Literal["white", "black"]
Deinterlace = Literal["auto", "on", "off"]
V1Speech = Literal["released", "later"]
CHUNK_SECONDS = Fraction(2, 25)  # 80 ms, in which look-ahead is counted
LOOKAHEAD_CHUNKS = 2
MOST_LOOKAHEAD_CHUNKS = 50
MaskShape = Literal["auto"] | DrawnShape | ParsedShape


def parse_face_choice(value: object) -> object:
    """Turn the text "X,Y" (source pixels) into a point; leave everything else to the validator."""
    if isinstance(value, str) and "," in value:
        return tuple(part.strip() for part in value.split(","))
    return value


def parse_switch(value: object) -> object:
    """Turn what YAML reads out of a bare `on` or `off` back into these words; leave everything else as it is."""
    return ("on" if value else "off") if isinstance(value, bool) else value


SLOWEST_RATE, FASTEST_RATE = 1, 240  # frames a second that an output may be asked to have
_RATE = re.compile(r"\d{1,6}(\.\d{1,9})?|\d{1,9}/0*[1-9]\d{0,8}")
_NTSC = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120))


def parse_rate(value: object) -> Fraction | None:
    """Read a frame rate: 25, 29.97 or "30000/1001". Decimals of NTSC's rates (23.976, 29.97, 59.94) mean these exactly.

    Raises:
        ValueError: It is no rate, or out of range.
    """
    if value is None or value == "":
        return None
    text = str(value).strip()
    if not _RATE.fullmatch(text):
        raise ValueError("a frame rate is a number such as 25, 29.97 or 30000/1001")
    rate = Fraction(text)
    decimals = len(text.partition(".")[2])
    if decimals >= 2:
        rate = next((exact for exact in _NTSC if round(exact, decimals) == rate), rate)
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise ValueError(f"a frame rate lies between {SLOWEST_RATE} and {FASTEST_RATE}")
    return rate.limit_denominator(100_000)


FrameRate = Annotated[
    Fraction | None,
    PlainValidator(parse_rate),
    PlainSerializer(lambda rate: None if rate is None else str(rate), when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}),
]
Face = Annotated[FaceChoice, BeforeValidator(parse_face_choice)]
Switch = Annotated[Deinterlace, BeforeValidator(parse_switch)]
