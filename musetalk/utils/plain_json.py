"""JSON from files that somebody else may have written, or damaged."""

from __future__ import annotations

import json
from typing import Any


def read_plain_json(text: str | bytes) -> Any:  # noqa: ANN401 - plain values of any shape
    """Return the values that JSON says.

    Raises:
        ValueError: It is none, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
