from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def tidy(no_child_left: None, own_cache: None) -> None:
    """Every test here renders, or starts programs that do."""
