"""Numbers for people: every amount makes sense beside its unit and beside the other one in the sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.utils.units import apart, counted, duration, frame_rate, in_seconds, number, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (0.0004, "0.4 ms"), (0.03, "30 ms"), (0.0999, "0.1 s"), (0.844, "0.84 s"), (9.96, "9.96 s")),
        *((18.84, "18.8 s"), (59.96, "1 min 00 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7440, "2 h 04 min")),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0 bytes"), (1, "1 byte"), (1000, "1,000 bytes"), (1500, "1.46 KiB"), (2**20 - 1, "1 MiB")),
        *((1023.4 * 1024, "1,023 KiB"), (3.4 * 2**30, "3.4 GiB"), (2**34, "16 GiB"), (2.5 * 2**40, "2.5 TiB")),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@given(st.floats(1, 1e15), st.floats(1, 1e15))
def test_sizes_grow_with_what_they_say(first: float, second: float) -> None:
    units = ("byte", "KiB", "MiB", "GiB", "TiB")

    def read(text: str) -> float:
        value, unit = text.split()
        return float(value.replace(",", "")) * 1024 ** units.index(unit.removesuffix("s"))

    low, high = sorted((first, second))
    assert read(size(low)) <= read(size(high))
    assert read(size(low)) == pytest.approx(low, rel=0.01, abs=0.5)
    assert "e" not in size(low).removesuffix("bytes").removesuffix("byte")


@pytest.mark.parametrize(
    ("first", "second", "say", "texts"),
    [
        (60.4, 60, in_seconds, ("60.4 s", "60 s")),
        (14401, 14400, in_seconds, ("14401 s", "14400 s")),
        (0.0999, 0.1, duration, ("0.0999 s", "0.1 s")),
        (2**34 + 1, 2**34, size, ("17,179,869,185 bytes", "17,179,869,184 bytes")),
        (300_000, 20_000, size, ("293 KiB", "19.5 KiB")),
        (2000, 0, size, ("1.95 KiB", "0 bytes")),
        (5.0, 5.0, size, ("5 bytes", "5 bytes")),
    ],
)
def test_two_amounts_are_told_apart(
    first: float, second: float, say: Callable[[float, int], str], texts: tuple[str, str]
) -> None:
    assert apart(first, second, say) == texts


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_different_lengths_never_look_the_same(first: float, second: float) -> None:
    one, other = apart(first, second, duration)
    assert one != other or first == pytest.approx(second, rel=1e-12)


def test_rates() -> None:
    assert [frame_rate(fps) for fps in ("25/1", "30000/1001", Fraction(25, 2))] == ["25 fps", "29.97 fps", "12.5 fps"]


def test_counts_and_numbers() -> None:
    assert (counted(1, "frame"), counted(0, "frame"), counted(1200, "frame")) == ("1 frame", "0 frames", "1,200 frames")
    assert [number(value) for value in (0, 0.04, 0.8444, 9.999, 1234.5)] == ["0", "0.04", "0.844", "10", "1,234"]
    assert not re.search(r"\.0*$", number(30.0, 5))
