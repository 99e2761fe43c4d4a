"""What upstream computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent

Golden = dict[str, Any]


def read_golden(name: str) -> Golden:
    """Arrays of a golden file by name, and under "meta" what it says of them."""
    with np.load(GOLDEN / name) as file:
        arrays = {key: file[key] for key in file.files}
    return {**arrays, "meta": json.loads(str(arrays["meta_json"]))}
