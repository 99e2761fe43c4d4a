from __future__ import annotations

import inspect
import pickle

import pytest

from musetalk import errors
from musetalk.errors import BackendError, Cancelled, MuseTalkError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MuseTalkError)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_every_error_crosses_processes_as_itself(kind: type[MuseTalkError], protocol: int) -> None:
    error = kind() if kind is Cancelled else kind("it is broken", "mend it")
    crossed = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - made on this line
    assert type(crossed) is kind
    assert (crossed.problem, crossed.remedy, str(crossed)) == (error.problem, error.remedy, str(error))


def test_an_error_says_what_to_do_where_it_knows() -> None:
    assert str(BackendError("it is broken", "mend it")) == "it is broken: mend it"
    assert str(BackendError("it is broken")) == "it is broken"
