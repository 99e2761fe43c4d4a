from __future__ import annotations

import pytest

from musetalk.errors import SettingsError
from musetalk.webui.form.moments import moment_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2.5", 2.5),
        ("2,5", 2.5),
        (" 2.5 s ", 2.5),
        (".5", 0.5),
        ("0:01", 1.0),
        ("0:01,25", 1.25),
        ("75:10", 4510.0),
        ("1:00:02.5", 3602.5),
        ("-1", -1.0),  # it is outside, and refused as such
    ],
)
def test_seconds_and_times_are_moments(text: str, seconds: float) -> None:
    assert moment_of(text) == seconds


def test_nothing_is_no_moment_in_particular() -> None:
    assert moment_of("") is moment_of("  ") is None


@pytest.mark.parametrize("text", ["soon", "1:75", "1:2:3:4", "1:", "1 2", "nan", "inf", "1e3", "0x10", "²"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is no moment: give seconds, like 2.5, or a time, like 0:02.5"):
        moment_of(text)
