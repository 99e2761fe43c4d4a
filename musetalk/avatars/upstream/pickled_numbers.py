"""Reads rows of numbers out of a pickle, without unpickling it.

A pickle is a program for a small stack machine, and what makes it dangerous is what it may ask the machine to call. The
machine here calls nothing: it knows the instructions that build lists, tuples and numbers, and what numpy asks for when
its integers, floats and arrays are pickled. Every other instruction, and every other name, is refused where it stands,
before anything is made of it. What it holds is never more than a few times the file.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.errors import PATH, AvatarError
from musetalk.utils.arrays import Float64Array

_MOST_BYTES = 2**25  # of a file: boxes of half a million frames, as numpy's integers
_MOST_ROWS = 2**21
_LARGEST = 2**31  # of a number: far beyond any pixel
_SHOWN = 60  # characters of a name or a value that an error tells
_ARRAY_DIMENSIONS = 2

# What numpy 1 and numpy 2 ask for, by what it stands for here.
_NAMES: Mapping[str, str] = {
    **{f"numpy.{core}.multiarray.scalar": "scalar" for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": "empty array" for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": "array" for core in ("core", "_core")},
    "numpy.ndarray": "array type",
    "numpy.dtype": "number type",
}
_DTYPE = re.compile(r"[iu][1248]|f[248]")
_ORDERS = ("<", ">", "|", "=")

_PUSH = frozenset(
    {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"}
    | {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
    | {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
)
_CONSTANTS: Mapping[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES: Mapping[str, int] = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Refused(Exception):
    """The pickle asks for something that is not done; says what."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that numpy's pickles ask for; nothing is behind it.

    Attributes:
        meaning: What it stands for, one of `_NAMES`.
    """

    meaning: str


@dataclass(slots=True)
class _NumberType:
    """A numpy number type on its way: its byte order comes after the rest."""

    code: str
    order: str = "="

    def numpy(self) -> np.dtype[Any]:
        """Return it as numpy has it."""
        return np.dtype(self.code).newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Array:
    """A numpy array on its way: None until it is filled."""

    values: np.ndarray[Any, Any] | None = None


_MARK = object()


def read_rows(path: Path, width: int) -> Float64Array:
    """Read a pickled list of rows of numbers; nothing that the file may ask for besides is ever done.

    Args:
        path: A pickle of a list (or tuple, or array) of lists (or tuples, or arrays) of numbers.
        width: Numbers in each row.

    Returns:
        float64 [rows, width].

    Raises:
        AvatarError: It cannot be read, is too large, is damaged, or holds or asks for anything else; says what.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            problem = f'"{path.name}" is larger than {_MOST_BYTES // 2**20} MiB, far more than boxes take'
            raise AvatarError(problem, "give the cache of a shorter avatar", path=path)
        content = path.read_bytes()
    except OSError as error:
        problem = f'"{PATH}" cannot be read ({error.strerror})'
        raise AvatarError(problem, "check its permissions", path=path) from error
    try:
        return _rows_of(_Machine().run(content), width)
    except _Refused as error:
        problem = f'"{path.name}" {error}: only rows of numbers are read of it, and nothing of it is run'
        raise AvatarError(problem, "prepare the avatar again with MuseTalk", path=path) from error


class _Machine:
    """The stack machine of pickles, for lists, tuples, numbers, and numpy's."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._moves: Mapping[str, Callable[[Any], object]] = {
            "MARK": lambda _: self._stack.append(_MARK),
            "POP": lambda _: self._drop(1),
            "POP_MARK": lambda _: self._from_mark(),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "LIST": lambda _: self._stack.append(self._from_mark()),
            "TUPLE": lambda _: self._stack.append(tuple(self._from_mark())),
            "APPEND": lambda _: self._extend(self._drop(1)),
            "APPENDS": lambda _: self._extend(self._from_mark()),
            "MEMOIZE": lambda _: self._remember(len(self._memo)),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._remember),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), self._recall),
            "GLOBAL": lambda name: self._name(*name.split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(*self._drop(2)),
            "REDUCE": lambda _: self._stack.append(_made(*self._drop(2))),
            "BUILD": lambda _: self._build(*self._drop(2)),
        }

    def run(self, content: bytes) -> object:
        """Return what a pickle builds.

        Raises:
            _Refused: It builds, or asks for, something else; or it is damaged.
        """
        for code, argument in _instructions(content):
            if code == "STOP":
                (result,) = self._drop(1)
                return result
            if code in _PUSH:
                self._stack.append(argument)
            elif code in _CONSTANTS:
                self._stack.append(_CONSTANTS[code])
            elif code in _TUPLES:
                self._stack.append(tuple(self._drop(_TUPLES[code])))
            elif code in self._moves:
                self._moves[code](argument)
            elif code not in ("PROTO", "FRAME"):
                raise _Refused(f"asks for {code.lower()}{_shown(argument)}")
        raise _Refused("is damaged (it ends too early)")

    def _drop(self, count: int) -> list[Any]:
        taken = self._stack[len(self._stack) - count :] if count else []
        if len(taken) < count or any(value is _MARK for value in taken):
            raise _Refused("is damaged (it takes what was never there)")
        del self._stack[len(self._stack) - count :]
        return taken

    def _from_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                taken = self._stack[place + 1 :]
                del self._stack[place:]
                return taken
        raise _Refused("is damaged (it takes what was never there)")

    def _extend(self, values: list[Any]) -> None:
        (owner,) = self._drop(1)
        if not isinstance(owner, list):
            raise _Refused(f"adds to a {_kind(owner)}")
        owner.extend(values)
        self._stack.append(owner)

    def _remember(self, place: int) -> None:
        (value,) = self._drop(1)
        self._stack.append(value)
        self._memo[place] = value  # a dict: a place can be as high as it likes

    def _recall(self, place: int) -> None:
        if place not in self._memo:
            raise _Refused("is damaged (it takes what was never there)")
        self._stack.append(self._memo[place])

    def _name(self, module: object, name: object) -> None:
        full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""
        if full not in _NAMES:
            raise _Refused(f"asks for {full[:_SHOWN] or 'a name that is none'}")
        self._stack.append(_Name(_NAMES[full]))

    def _build(self, owner: object, state: object) -> None:
        match owner, state:
            case _NumberType(), (3, str(order), None, None, None, -1, -1, 0) if order in _ORDERS:
                owner.order = order
            case _Array(), (1, tuple(shape), _NumberType() as kind, bool(turned), bytes(content)):
                owner.values = _array(content, kind, shape, "F" if turned else "C")
            case _:
                raise _Refused(f"sets up a {_kind(owner)} from a {_kind(state)}")
        self._stack.append(owner)


def _instructions(content: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the instructions of a pickle with their arguments, as Python's own reader of them tells them apart."""
    steps = pickletools.genops(content)
    while True:
        try:
            opcode, argument, _ = next(steps)
        except StopIteration:
            return
        except (ValueError, IndexError, UnicodeError, OverflowError) as error:  # what it raises of damaged pickles
            raise _Refused("is damaged, or no pickle") from error
        yield opcode.name, argument


def _made(asked: object, given: object) -> object:
    """Return what numpy's pickles mean by a call; nothing is called for it."""
    meaning = asked.meaning if isinstance(asked, _Name) else ""
    match meaning, given:
        case "number type", (str(code), False, True) if _DTYPE.fullmatch(code):
            return _NumberType(code)
        case "scalar", (_NumberType() as kind, bytes(content)):
            return _array(content, kind, (), "C").item()
        case "empty array", (_Name("array type"), (0,), b"b"):
            return _Array()
        case "array", (bytes() | bytearray() as content, _NumberType() as kind, tuple(shape), ("C" | "F") as order):
            return _Array(_array(bytes(content), kind, shape, order))
    raise _Refused(f"calls a {_kind(asked)} with a {_kind(given)}{_shown(given)}")


def _array(content: bytes, kind: _NumberType, shape: tuple[object, ...], order: str) -> np.ndarray[Any, Any]:
    """Return an array of numbers that are all there."""
    dtype = kind.numpy()
    sizes = [size for size in shape if isinstance(size, int) and not isinstance(size, bool) and size >= 0]
    if len(sizes) != len(shape) or len(shape) > _ARRAY_DIMENSIONS or prod(sizes) * dtype.itemsize != len(content):
        raise _Refused(f"holds an array that contradicts itself{_shown(shape)}")
    return np.frombuffer(content, dtype).reshape(sizes, order="F" if order == "F" else "C")


def _rows_of(held: object, width: int) -> Float64Array:
    rows = _items(held, _MOST_ROWS)
    # One by one, and each looked at before it is taken: a file may name one long row a million times.
    result = np.empty((len(rows), width))
    for at, row in enumerate(rows):
        values = _items(row, width)
        if len(values) != width:
            raise _Refused(f"holds {len(values)} numbers in row {at} instead of {width}")
        for column, value in enumerate(values):
            result[at, column] = _number(value)
    return result


def _items(held: object, most: int) -> Sequence[Any]:
    """Return the rows of the whole, or the numbers of a row."""
    if isinstance(held, _Array) and held.values is not None and held.values.ndim:
        held = held.values
    if not isinstance(held, list | tuple | np.ndarray):
        raise _Refused(f"holds a {_kind(held)} where rows of numbers belong")
    if len(held) > most:
        raise _Refused(f"holds {len(held)} values where at most {most} belong")
    return held  # type: ignore[return-value]  # an array of one or two dimensions is as good


def _number(value: object) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise _Refused(f"holds a {_kind(value)} where a number belongs")
    if not -_LARGEST < value < _LARGEST:  # so that no NaN passes, either
        raise _Refused("holds a number that is no pixel's")
    return float(value)


def _kind(value: object) -> str:
    if isinstance(value, _Name):
        return f"numpy {value.meaning}"
    names = {_NumberType: "numpy number type", _Array: "numpy array", type(None): "nothing", bool: "truth value"}
    return names.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    """Return, in brackets, a little of what an instruction was given."""
    if isinstance(value, list | tuple):
        value = ", ".join(str(each)[:_SHOWN] for each in value[:4] if isinstance(each, str | int | float))
    if not isinstance(value, str | int | float):
        return ""
    try:
        text = str(value)[:_SHOWN]
    except ValueError:  # of whole numbers with thousands of digits
        text = "a huge number"
    return f" ({text})" if text else ""
