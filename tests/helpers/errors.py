"""What tests expect of errors: their kind, and what they carry for programs; not their sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from musetalk.errors import MuseTalkError

_Error = TypeVar("_Error", bound=MuseTalkError)


@contextmanager
def raises_kind(kind: type[_Error], **carried: Any) -> Iterator[pytest.ExceptionInfo[_Error]]:  # noqa: ANN401 - whatever it is
    """Expect that the `with` block ends with an error of exactly this kind, which carries this: `path`, `limit`, ..."""
    with pytest.raises(kind) as caught:
        yield caught
    assert type(caught.value) is kind
    assert {name: getattr(caught.value, name) for name in carried} == carried
