"""Rows of numbers out of pickles: as numpy 1 and 2 leave them, and nothing else, whatever it asks for."""

from __future__ import annotations

import operator
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musetalk.avatars.upstream.pickled_numbers import read_rows
from musetalk.errors import AvatarError

ROWS = [[20, 15, 70, 70], [-3, 16, 71, 2**20]]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "coords.pkl"
    path.write_bytes(content)
    return path


def numpy_1(content: bytes) -> bytes:
    """The same pickle of protocol 3 with the names that numpy 1 has."""
    assert b"numpy._core" in content
    return content.replace(b"numpy._core", b"numpy.core")


ints = [[np.int32(value) for value in row] for row in ROWS]


@pytest.mark.parametrize(
    "held",
    [
        ROWS,
        tuple(map(tuple, ROWS)),
        ints,
        [tuple(row[:1] + ints[at][1:]) for at, row in enumerate(ROWS)],  # of Python's and numpy's mixed, as MuseTalk's
        [[np.int64(value) for value in row] for row in ROWS],
        [[np.float32(value) for value in row] for row in ROWS],
        [np.array(row) for row in ROWS],
        np.array(ROWS),
        np.asfortranarray(ROWS),
        np.array(ROWS, ">i4"),
    ],
)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_numbers_are_read_however_numpy_pickled_them(tmp_path: Path, held: object, protocol: int) -> None:
    content = pickle.dumps(held, protocol=protocol)
    assert read_rows(written(tmp_path, content), 4).tolist() == ROWS
    if protocol == 3 and b"numpy._core" in content:
        assert read_rows(written(tmp_path, numpy_1(content)), 4).tolist() == ROWS


class Asks:
    """Makes whoever unpickles it call something."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        function, *arguments = self.call
        return function, tuple(arguments)


class Plain:
    """An object of a class, with attributes."""

    def __init__(self) -> None:
        self.x0 = 1


PAYLOADS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a shell": (lambda bait: Asks(os.system, f"touch {bait}"), "posix.system"),
    "eval": (lambda bait: Asks(eval, f"open({str(bait)!r}, 'w')"), "builtins.eval"),
    "exec": (lambda bait: Asks(exec, f"open({str(bait)!r}, 'w')"), "builtins.exec"),
    "a file": (lambda bait: Asks(Path.touch, bait), "pathlib"),
    "getattr": (lambda _: Asks(getattr, Asks(__import__, "os"), "system"), "builtins.getattr"),
    "attrgetter": (lambda _: Asks(operator.attrgetter("system"), Asks(__import__, "os")), "operator.attrgetter"),
    "deep in rows": (lambda bait: [ROWS[0], [1, 2, [[Asks(os.system, f"touch {bait}")]]]], "posix.system"),
    "numpy's loader": (lambda bait: Asks(np.load, str(bait)), "numpy.load"),
    "numpy's file": (lambda bait: Asks(np.memmap, str(bait), np.dtype("u1"), "w+", 0, (1,)), "numpy.memmap"),
    "an object": (lambda _: Plain(), "Plain"),
    "a dict": (lambda _: {"x0": 1}, "empty_dict"),
    "a set": (lambda _: {1, 2}, "empty_set"),
    "objects in an array": (lambda _: np.array([[1, 2, 3, None]], object), "calls a numpy number type"),
    "text": (lambda _: [["20", "15", "70", "70"]], "str"),
    "nothing": (lambda _: [[None] * 4], "nothing"),
    "truth": (lambda _: [[True, 1, 2, 3]], "truth value"),
    "no rows": (lambda _: 7, "int"),
    "no row": (lambda _: [1, 2, 3, 4], "int"),
    "five": (lambda _: [[1, 2, 3, 4, 5]], "5"),
    "a huge number": (lambda _: [[10**4000, 1, 2, 3]], "no pixel's"),
    "not a number": (lambda _: [[float("nan"), 1, 2, 3]], "no pixel's"),
    "infinite": (lambda _: [[np.float32("inf"), 1, 2, 3]], "no pixel's"),
}


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_whatever_else_a_pickle_asks_for_is_refused_and_not_done(tmp_path: Path, name: str, protocol: int) -> None:
    make, said = PAYLOADS[name]
    bait = tmp_path / "bait"
    content = pickle.dumps(make(bait), protocol=protocol)
    with pytest.raises(AvatarError) as caught:
        read_rows(written(tmp_path, content), 4)
    if protocol == 4:
        assert said in caught.value.problem
    assert "nothing of it is run" in caught.value.problem
    assert not bait.exists()


def call(module: bytes, name: bytes, *arguments: bytes) -> bytes:
    return b"c" + module + b"\n" + name + b"\n(" + b"".join(arguments) + b"tR"


BUFFER, EMPTY = (b"numpy._core.numeric", b"_frombuffer"), (b"numpy.core.multiarray", b"_reconstruct")
ORDER = b"X\x01\x00\x00\x00C"
INT = call(b"numpy", b"dtype", b"X\x02\x00\x00\x00i4", b"\x89", b"\x88")
HUGE = struct.pack("<Q", 2**62)

# By hand: what no pickler writes. Each is a whole pickle but for the last byte, which ends it.
CRAFTED = {
    "numpy's scalar of no bytes": call(b"numpy.core.multiarray", b"scalar", INT, b"C\x00"),
    "numpy's scalar with text": call(b"numpy.core.multiarray", b"scalar", INT, b"X\x01\x00\x00\x00a"),
    "an array larger than its content": call(
        b"numpy._core.numeric",
        b"_frombuffer",
        b"C\x04aaaa",
        INT,
        b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft",
        b"X\x01\x00\x00\x00C",
    ),
    "an array of less than nothing": call(
        b"numpy._core.numeric",
        b"_frombuffer",
        b"C\x04aaaa",
        INT,
        b"(J\xff\xff\xff\xffJ\xff\xff\xff\xfft",
        b"X\x01\x00\x00\x00C",
    ),
    "an array of another class": call(*EMPTY, b"cos\nsystem\n", b"(K\x00t", b"C\x01b"),
    "an array set up from a call": call(*EMPTY, b"cnumpy\nndarray\n", b"(K\x00t", b"C\x01b")
    + b"(K\x01(K\x01tcos\nsystem\nI00\nC\x00tb",
    "a type of objects": call(b"numpy", b"dtype", b"X\x02\x00\x00\x00O8", b"\x89", b"\x88"),
    "a type with fields": call(b"numpy", b"dtype", b"X\x02\x00\x00\x00V8", b"\x89", b"\x88"),
    "what numpy has besides": b"cnumpy\nf2py\n",
    "a chain of names": b"\x8c\x05numpy\x8c\x10os.system.__call\x93",
    "a name of no text": b"K\x01K\x02\x93",
    "an instance": b"(S'touch x'\nios\nsystem\n",
    "a new object": b"cos\nsystem\n)\x81",
    "a registered extension": b"\x82\x01",
    "what was never kept": b"h\x05",
    "tens of exabytes": b"\x8e" + HUGE + b"a",
    "tens of exabytes of text": b"\x8d" + HUGE + b"a",
    "a number of two gigabytes": b"\x8b\xff\xff\xff\x7f1",
    "nothing to take": b"R",
    "a mark in a call": b"(K\x01R",
    "adding to a number": b"K\x01K\x02a",
    "a buffer from elsewhere": b"\x97",
}


@pytest.mark.parametrize("name", CRAFTED)
def test_pickles_that_nobody_would_write_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AvatarError):
        read_rows(written(tmp_path, b"\x80\x04" + CRAFTED[name] + b"."), 4)


def test_what_is_stored_far_away_or_as_one_row_often_takes_no_more_than_the_file(tmp_path: Path) -> None:
    row = b"(K\x01K\x02K\x03K\x04lr\xff\xff\xff\x7f"  # kept at a place two thousand millions away
    content = b"\x80\x04(" + row + b"j\xff\xff\xff\x7f" * 3 + b"l."
    assert read_rows(written(tmp_path, content), 4).tolist() == [[1, 2, 3, 4]] * 4
    wide = b"\x80\x04(" + b"(" + b"K\x01" * 10_000 + b"lq\x00" + b"h\x00" * 10_000 + b"l."
    with pytest.raises(AvatarError, match="10000 values where at most 4"):
        read_rows(written(tmp_path, wide), 4)


def test_a_list_inside_of_itself_is_refused(tmp_path: Path) -> None:
    held: list[object] = []
    held.append(held)
    with pytest.raises(AvatarError):
        read_rows(written(tmp_path, pickle.dumps(held)), 4)


def test_every_shortened_pickle_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps(ints, protocol=4)
    for length in range(len(whole)):
        with pytest.raises(AvatarError):
            read_rows(written(tmp_path, whole[:length]), 4)


def test_every_pickle_with_a_wrong_byte_is_read_or_refused_in_words(tmp_path: Path) -> None:
    whole = bytearray(pickle.dumps([*ints, np.array(ROWS[0])], protocol=4))
    for at in range(len(whole)):
        damaged = whole.copy()
        damaged[at] ^= 1 << at % 8
        try:
            assert read_rows(written(tmp_path, bytes(damaged)), 4).shape[1] == 4
        except AvatarError as error:
            assert error.path is not None


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="cannot be read"):
        read_rows(tmp_path / "coords.pkl", 4)
    with (tmp_path / "coords.pkl").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(AvatarError, match="larger than"):
        read_rows(tmp_path / "coords.pkl", 4)
