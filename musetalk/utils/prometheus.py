"""Figures in Prometheus' text format 0.0.4: counters, histograms, and what is measured when somebody asks.

Written here because it is small and has no need of the registries, collectors and processes of a library.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)  # from a short clip to an hour
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
_Labels: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line.

    Attributes:
        labels: Names and values.
        value: The figure.
        suffix: Of the family's name: "_bucket", "_sum" and "_count" of histograms.
    """

    labels: tuple[tuple[str, str], ...]
    value: float
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All figures of one name.

    Attributes:
        name: With the unit as its last word, and "_total" behind it where it counts.
        kind: What it is to Prometheus.
        help: What it is to people.
        samples: The figures.
    """

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


class Counter:
    """Counts what happens, from 0 on. Safe between threads.

    Args:
        name: See `Family`.
        help_: The same.
        labels: Names of the labels.
        known: Values of the label that are 0 until something happens, where there is one label; others come with it.
    """

    def __init__(self, name: str, help_: str, *labels: str, known: Iterable[str] = ()) -> None:
        self._name, self._help, self._names = name, help_, labels
        self._lock = threading.Lock()
        self._values: dict[_Labels, float] = {(value,): 0.0 for value in known} if labels else {(): 0.0}

    def add(self, amount: float, *labels: str) -> None:
        """Count `amount`, which is not negative, for these values of the labels."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + amount

    def family(self) -> Family:
        """Return what was counted so far."""
        with self._lock:
            found = sorted(self._values.items())
        samples = tuple(Sample(tuple(zip(self._names, labels, strict=True)), value) for labels, value in found)
        return Family(self._name, "counter", self._help, samples)


class Histogram:
    """Counts figures by their size. Safe between threads.

    Args:
        name: See `Family`.
        help_: The same.
        labels: Names of the labels.
        known: As of a `Counter`.
        bounds: Of its buckets, ascending; what is larger than the last goes into one more.
    """

    def __init__(
        self, name: str, help_: str, *labels: str, known: Iterable[str] = (), bounds: Sequence[float] = SECONDS
    ) -> None:
        self._name, self._help, self._names, self._bounds = name, help_, labels, tuple(bounds)
        self._lock = threading.Lock()
        self._found: dict[_Labels, tuple[list[int], float]] = {}
        for start in [(value,) for value in known] if labels else [()]:
            self._found[start] = self._empty()

    def observe(self, figure: float, *labels: str) -> None:
        """Count one figure for these values of the labels."""
        with self._lock:
            counts, total = self._found.get(labels) or self._empty()
            counts[bisect_left(self._bounds, figure)] += 1
            self._found[labels] = (counts, total + figure)

    def family(self) -> Family:
        """Return what was counted so far."""
        with self._lock:
            found = sorted((labels, list(counts), total) for labels, (counts, total) in self._found.items())
        samples = list[Sample]()
        for labels, counts, total in found:
            own, below = tuple(zip(self._names, labels, strict=True)), 0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts, strict=True):
                below += count
                samples.append(Sample((*own, ("le", bound)), below, "_bucket"))
            samples += [Sample(own, total, "_sum"), Sample(own, below, "_count")]
        return Family(self._name, "histogram", self._help, tuple(samples))

    def _empty(self) -> tuple[list[int], float]:
        return [0] * (len(self._bounds) + 1), 0.0


def gauge(name: str, help_: str, value: float | Mapping[str, float], label: str = "") -> Family:
    """Return what is measured now: one figure, or one for each value of a label."""
    figures = value.items() if isinstance(value, Mapping) else [("", value)]
    samples = (Sample(((label, said),) if label else (), figure) for said, figure in figures)
    return Family(name, "gauge", help_, tuple(samples))


def counted(name: str, help_: str, value: float) -> Family:
    """Return what somebody else counts, and never goes down."""
    return Family(name, "counter", help_, (Sample((), value),))


def info(name: str, help_: str, **facts: str) -> Family:
    """Return facts as the labels of a figure that is always 1."""
    return Family(name, "gauge", help_, (Sample(tuple(facts.items()), 1),))


def exposition(families: Iterable[Family]) -> str:
    """Return the text of a scrape."""
    return "".join(map(_text, families))


def _text(family: Family) -> str:
    said = family.help.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {family.name} {said}", f"# TYPE {family.name} {family.kind}"]
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
        lines.append(f"{family.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
