"""Modules that several threads import, or look for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType

_one_at_a_time = RLock()  # for all of the process, as what is imported is


def imported(name: str) -> ModuleType | None:
    """Return a module that was imported before; None: it was not, or another thread has not come to its end with it.

    Until then it lacks what it is to hold, for seconds where it is a large one. An `import` waits for that.
    """
    module = sys.modules.get(name)
    begun = getattr(getattr(module, "__spec__", None), "_initializing", False)  # what an `import` itself looks at
    return None if begun else module


@contextmanager
def importing() -> Iterator[None]:
    """Import inside the `with` block what imports itself in circles, as diffusers, transformers and spandrel do.

    Where two threads come upon such a circle from two sides, Python gives one of them a module that is not whole, so
    that they do not wait for each other forever, and its import fails. Here one waits until the other is through.
    """
    with _one_at_a_time:
        yield
