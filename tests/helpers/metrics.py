"""A strict reader of Prometheus' text format 0.0.4, by its grammar."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (\S+)")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


@dataclass(frozen=True)
class Metrics:
    kinds: dict[str, str] = field(default_factory=dict)
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, tuple(sorted(labels.items()))]

    def by(self, name: str, label: str) -> dict[str, float]:
        """The figures of a name, by a label."""
        return {dict(labels)[label]: value for (said, labels), value in self.samples.items() if said == name}


def read_metrics(text: str) -> Metrics:
    """Read a scrape, and refuse what a scraper might."""
    assert text.endswith("\n")
    found, family, kind = Metrics(), "", ""
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert re.fullmatch(_NAME, family)
            assert family not in found.kinds, f"{family} comes twice"
            named, kind = re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge|histogram)", next(lines)).groups()  # type: ignore[union-attr]
            assert named == family
            found.kinds[family] = kind
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample is not None, line
        name, labels, value = sample.groups()
        assert name in {f"{family}{suffix}" for suffix in _SUFFIXES[kind]}, line
        assert (kind != "counter") or name.endswith("_total")
        pairs = [
            (key, re.sub(r"\\.", lambda each: _ESCAPES[each[0]], said)) for key, said in _PAIR.findall(labels or "")
        ]
        key = (name, tuple(sorted(pairs)))
        assert key not in found.samples, line
        assert len(dict(pairs)) == len(pairs)
        found.samples[key] = float(value)
        assert kind == "gauge" or float(value) >= 0
    for family in (name for name, kind in found.kinds.items() if kind == "histogram"):
        _check_histogram(found, family)
    return found


def _check_histogram(found: Metrics, family: str) -> None:
    series: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for (name, labels), value in found.samples.items():
        if name == f"{family}_bucket":
            own = tuple(pair for pair in labels if pair[0] != "le")
            series.setdefault(own, {})[float(dict(labels)["le"])] = value
    for labels, buckets in series.items():
        counts = [buckets[bound] for bound in sorted(buckets)]
        assert counts == sorted(counts)
        assert buckets[math.inf] == found.samples[f"{family}_count", labels]
        assert (f"{family}_sum", labels) in found.samples
