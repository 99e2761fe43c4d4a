"""Modules that others may have imported."""

from __future__ import annotations

import sys
from types import ModuleType


def imported(name: str) -> ModuleType | None:
    """Return a module that was imported before; None: it was not, or another thread has not come to its end with it.

    Until then it lacks what it is to hold, for seconds where it is a large one. An `import` waits for that.
    """
    module = sys.modules.get(name)
    begun = getattr(getattr(module, "__spec__", None), "_initializing", False)  # what an `import` itself looks at
    return None if begun else module
