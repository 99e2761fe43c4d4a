from __future__ import annotations

import pytest

from musetalk.utils.prometheus import Counter, Histogram, exposition, gauge, info
from tests.helpers.metrics import read_metrics


def test_labels_and_help_are_escaped_and_read_back_as_they_were() -> None:
    odd = 'a "quoted" \\ back\\nslash\nand a line'
    text = exposition([info("odd_info", 'help with \\ and\nanother line, "quoted"', said=odd)])
    assert text.splitlines()[0] == r'# HELP odd_info help with \\ and\nanother line, "quoted"'
    assert read_metrics(text).value("odd_info", said=odd) == 1


def test_a_counter_is_there_before_anything_happens() -> None:
    counter = Counter("things_total", "Things.", "how", known=("well", "badly"))
    counter.add(2, "well")
    counter.add(1, "oddly")
    counts = read_metrics(exposition([counter.family()])).by("things_total", "how")
    assert counts == {"well": 2, "badly": 0, "oddly": 1}


def test_a_histogram_counts_what_is_at_most_as_large() -> None:
    histogram = Histogram("took_seconds", "Time.", "stage", bounds=(0.5, 1, 2.5))
    for seconds in (0.1, 0.5, 0.6, 2.5, 7):
        histogram.observe(seconds, "plan")
    found = read_metrics(exposition([histogram.family()]))
    assert found.by("took_seconds_bucket", "le") == {"0.5": 2, "1": 3, "2.5": 4, "+Inf": 5}
    assert found.value("took_seconds_sum", stage="plan") == pytest.approx(10.7)


def test_figures_are_plain_numbers() -> None:
    text = exposition([gauge("bytes", "Many.", 12_345_678_901_234), gauge("share", "Few.", {"a": 0.25}, "of")])
    assert text.splitlines()[2::3] == ["bytes 12345678901234", 'share{of="a"} 0.25']
